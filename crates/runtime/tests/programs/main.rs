//! Programs in the runtime: what is refused at load, what helpers give, what stops a run.

mod arguments;
mod flow;
mod harness;
mod inner_maps;
mod lowering;
mod maps;
mod native;
mod refusals;
mod soundness;
mod text;
mod world;
