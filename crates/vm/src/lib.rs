//! The engine: runs [`Code`]. Knows instructions, an [`Env`], symbols and call signatures.
//! Knows no maps, no helpers, no program types and no verifier: they arrive as addresses and as [`Checks`].

pub mod arena;
mod arith;
mod bad_code;
mod batch;
mod checks;
mod code;
mod engine;
mod env;
mod frame;
mod fuel;
mod hot;
mod image;
mod jit;
mod memory;
mod op;
mod predecode;
mod region;
mod stack;
mod trap;

pub use bad_code::{BadCode, BadCodeKind};
pub use batch::Batch;
pub use checks::Checks;
pub use code::{Body, Call, Code, Func, Known, Link, Lookup, Memory, Sym, Table};
pub use env::{Env, HelperFn};
pub use image::{Alone, Image};
pub use jit::ahead;
pub use jit::{
    Cache, Jit, JitDump, Line, Listed, NativeFunction, NoJit, Part, Pass, Passes, Settings, SourcePlace, Store,
};
pub use region::{Region, Slots};
pub use trap::{Exit, Trap, TrapKind};
