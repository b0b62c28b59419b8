//! The vocabulary that `object` writes and the verifier, the runtime and the Linux target read. Plain data: no ELF, no OS.
//!
//! A [`Spec`] is what a file says; a [`Resolved`] is what that means to one [`Kernel`]. One Spec serves many kernels.

#![forbid(unsafe_code)]

mod attach;
mod kernel;
mod program;
mod spec;

pub use attach::{Attach, XdpMode};
pub use kernel::Kernel;
pub use program::{Program, Resolved};
pub use spec::{Extern, ExternKind, Function, Initial, MapSpec, ProgramSpec, Reloc, RelocKind, Spec};
