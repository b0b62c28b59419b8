//! eBPF objects: ELF files to [`Spec`]s, and Specs resolved for a kernel.
//!
//! No system call, no file: bytes in, values out, and the same bytes give the same Spec. What an object needs and this
//! version cannot give (kconfig, kernel symbols) stays in the Spec and is refused by name in [`resolve`], so that such
//! objects can be looked at.
//!
//! | file | holds |
//! |---|---|
//! | `elf` | a checked view of an ELF file |
//! | `read` | from sections to a Spec |
//! | `code` | functions in code sections, programs among them |
//! | `insn` | the instructions that refer to something |
//! | `relocs` | what instructions refer to |
//! | `types` | `.BTF` and `.BTF.ext` |
//! | `maps` | map definitions: legacy, BTF, data sections |
//! | `special` | parts of map values that only helpers may touch |
//! | `write` | assembled source to an ELF object |
//! | `core` | CO-RE: what the kernel's types answer |
//! | `resolve` | a Spec for one kernel: flat programs |

#![forbid(unsafe_code)]

mod code;
mod core;
mod elf;
mod insn;
mod maps;
mod read;
mod relocs;
mod resolve;
mod special;
mod types;
mod write;

pub use core::{CoreOutcome, CoreRelocation, apply_core, core_relocations};
pub use read::{read, read_with};
pub use resolve::{Options, resolve};
pub use types::read_types;
pub use write::write;

#[cfg(doc)]
use alveary_spec::Spec;
