//! The vocabulary that `object` writes and the verifier, the runtime and the Linux target read. Plain data: no ELF, no OS.
//!
//! A [`Spec`] is what a file says; a [`Resolved`] is what that means to one [`Kernel`]. One Spec serves many kernels.

#![forbid(unsafe_code)]

mod attach;
mod kernel;
mod modules;
mod program;
mod spec;
mod struct_ops;

pub use attach::{Attach, XdpMode};
pub use kernel::Kernel;
pub use modules::{Module, Modules};
pub use program::{KernelType, Lines, Program, Resolved};
pub use spec::{ArgTag, Extern, ExternKind, Function, Initial, MapSpec, ProgramSpec, Promise, Reloc, RelocKind, Spec};
pub use struct_ops::{StructOps, StructOpsMember, StructOpsValue};
