//! Load and run eBPF objects: the library that people use.
//!
//! ```
//! use alveary::{Object, Target};
//! # fn main() -> alveary::Result<()> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.bpf.o");
//! # let packet = [0u8; 64];
//! let outcome = Object::open(path)?.load(Target::user())?.program("count")?.run(&packet)?;
//! assert_eq!(outcome.value, 2); // XDP_PASS
//! # Ok(())
//! # }
//! ```
//!
//! An [`Object`] is read once and may be loaded as often as needed, onto any [`Backend`]; [`Target::user`] is Alveary's
//! own user-space kernel, [`Target::linux`] the running one. What a program does there is what Linux does, and every access is held against what the
//! program was given: a program that goes astray is stopped with an [`Error`] that names its instruction and source
//! line.

#![forbid(unsafe_code)]

pub mod ahead;
#[cfg(unix)]
pub mod cache;
mod context;
mod error;
pub mod files;
mod fit;
#[cfg(target_os = "linux")]
mod linux;
mod loader;
mod map;
mod object;
pub mod skeleton;
mod target;
mod user;
mod variable;

pub use context::Context;
pub use error::{Error, Kind, Result};
#[cfg(target_os = "linux")]
pub use linux::{Linux, LinuxBuilder, LinuxMap, LinuxPackets, LinuxProgram, LinuxVerdict};
pub use loader::{Loaded, Loader, ProgramRef};
pub use map::MapHandle;
pub use object::Object;
pub use target::{Backend, Origin, Outcome, Target, TestRun};
pub use user::{Packet, Packets, User, UserBuilder, UserMap, UserProgram, Verdict};

pub use alveary_abi as abi;
pub use alveary_btf as btf;
pub use alveary_diag as diag;
pub use alveary_isa as isa;
#[cfg(target_os = "linux")]
pub use alveary_linux as kernel;
pub use alveary_net as net;
pub use alveary_net::{Dropped, Redirect, Way};
pub use alveary_runtime as runtime;
pub use alveary_spec as spec;
