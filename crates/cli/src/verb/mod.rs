//! The verbs: one file each, with its options, its help and its work.

pub(crate) mod asm;
pub(crate) mod attach;
pub(crate) mod batch;
pub(crate) mod btf;
pub(crate) mod cgroup;
pub(crate) mod check;
pub(crate) mod compile;
pub(crate) mod completions;
pub(crate) mod detach;
pub(crate) mod disasm;
pub(crate) mod feature;
pub(crate) mod generate;
pub(crate) mod iter;
mod keep;
pub(crate) mod link;
pub(crate) mod load;
pub(crate) mod man;
pub(crate) mod map;
pub(crate) mod net;
pub(crate) mod perf;
pub(crate) mod prog;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod srv6;
pub(crate) mod struct_ops;
mod target_prog;
pub(crate) mod token;
