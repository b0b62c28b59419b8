//! eBPF objects: ELF files to [`Spec`]s, and Specs resolved for a kernel.
//!
//! No system call, no file: bytes in, values out, and the same bytes give the same Spec. What an object needs of a kernel
//! stays in the Spec as a name and is asked for in [`resolve`], so that objects for other kernels can be looked at.
//!
//! | file | holds |
//! |---|---|
//! | `elf` | a checked view of an ELF file |
//! | `binary` | the types in any ELF file: kernels, modules, programs |
//! | `read` | from sections to a Spec |
//! | `code` | functions in code sections, programs among them |
//! | `insn` | the instructions that refer to something |
//! | `relocs` | what instructions refer to |
//! | `types` | `.BTF` and `.BTF.ext` |
//! | `tags` | what declaration tags say of functions |
//! | `maps` | map definitions: legacy, BTF, data sections |
//! | `special` | parts of map values that only helpers may touch |
//! | `write` | assembled source to an ELF object |
//! | `link` | many objects made one |
//! | `emit` | the bytes of an ELF file |
//! | `skeleton` | an object as source text, for programs that load it |
//! | `externs` | what the kernel has to give: which, and of which types |
//! | `kconfig`, `symbols` | the kernel's configuration, variables and functions |
//! | `answers` | what a kernel answers to externs, for people |
//! | `target` | what of the kernel a program is loaded for |
//! | `core` | CO-RE: what the kernel's types answer |
//! | `struct_ops` | kernel interfaces in the kernel's form of them |
//! | `resolve` | a Spec for one kernel |
//! | `layout` | one program laid out flat, with the functions that it reaches |

#![forbid(unsafe_code)]

mod answers;
mod binary;
mod code;
mod core;
mod elf;
mod emit;
mod externs;
mod insn;
mod kconfig;
mod layout;
mod link;
mod maps;
mod read;
mod relocs;
mod resolve;
mod skeleton;
mod special;
mod struct_ops;
mod symbols;
mod tags;
mod target;
mod types;
mod write;

pub use answers::{ExternAnswer, ExternOutcome, extern_answers};
pub use binary::{read_types, read_types_from};
pub use core::{CoreOutcome, CoreRelocation, apply_core, core_relocations, minimal_types};
pub use kconfig::parse_kconfig;
pub use link::{Input, link};
pub use read::{read, read_with};
pub use resolve::{Options, resolve};
pub use skeleton::Skeleton;
pub use write::write;

#[cfg(doc)]
use alveary_spec::Spec;
