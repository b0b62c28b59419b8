//! The user-space kernel: programs, maps, families of program types, helpers bound to abi's rows, virtual CPUs.
//!
//! Knows no program type by name and does no I/O. Program types come as a [`Family`]; what programs print stays in a
//! bounded buffer ([`Trace`]).

mod ahead;
mod args;
mod bind;
mod context;
pub mod csum;
mod direct;
mod engine;
mod family;
mod fault;
mod format;
mod helpers;
mod legacy;
mod load;
mod map;
mod memory;
mod prog;
mod runtime;
mod trace;
mod trust;
mod vcpu;
mod watch;
mod world;

pub use ahead::Ahead;
pub use alveary_abi as abi;
pub use alveary_vm::{Cache, Pass, Passes, Trap, TrapKind};
pub use args::{Args, Mem};
pub use bind::{Bind, Body, Cx, linux};
pub use direct::Direct;
pub use engine::Engine;
pub use family::{Backing, Family, Step, Store};
pub use fault::Fault;
pub use helpers::{AnyFamily, streams::perf_output};
pub use legacy::LOAD as LEGACY_LOAD;
pub use map::{HeldMap, LoadedMap, MapParts};
pub use memory::Bytes;
pub use prog::{NotLoaded, Prog, Trust};
pub use runtime::{Builder, Runtime};
pub use trace::{Trace, TraceLine};
pub use vcpu::{Batch, DEFAULT_BUDGET, Feed, Ran, Vcpu};
pub use watch::{Watched, Watcher};
pub use world::{Clock, World};
