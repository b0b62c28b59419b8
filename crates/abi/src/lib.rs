//! Linux's eBPF contract as tables: what a program type, a map type, a helper, a context field *is*.
//!
//! Data only: no function bodies, no engine, no offsets of our own structures. Everyone who must know the contract
//! (verifier, runtime, checked mode, disassembler, documentation) reads these rows through a [`Profile`], so that
//! rows added by embedders count as much as the built-in ones.

#![forbid(unsafe_code)]

mod attach_types;
mod context;
pub mod contexts;
mod declare;
mod errno;
pub mod flags;
mod helper;
mod helpers;
mod ids;
mod map_def;
mod map_types;
mod profile;
mod prog_types;
pub mod rights;
mod rows;
mod rules;
mod scope;
mod sections;

pub use context::{Access, CtxLayout, Field, FieldKind, Sizes};
pub use errno::{Errno, negative};
pub use helper::{Arg, CallbackArg, DynptrKind, Effects, Helper, MemAccess, MemSize, Proto, Ret, Right};
pub use ids::{AttachType, HelperId, MapType, ProgSet, ProgType};
pub use map_def::{MapDef, Special, SpecialKind};
pub use profile::{Limits, Profile, SectionMatch, Tables};
pub use rows::{AttachTypeRow, MapTypeRow, ProgTypeRow, RetRule, SectionName, SectionRest};
pub use rules::{RULES, Rule, RuleRow};
pub use scope::{Scope, Version};

#[cfg(test)]
mod tests;
