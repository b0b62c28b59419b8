//! BTF, the BPF type format (`Documentation/bpf/btf.rst`): read and written, looked up, rendered; values printed
//! and parsed.
//!
//! Knows no ELF, no maps, no programs. What is read is checked once, in [`Btf::read`]; from then on views
//! ([`Type`]) read straight from the bytes, which are kept as they were.
//!
//! | file | holds |
//! |---|---|
//! | `set` | [`Btf`]: the bytes, where each type stands, base and strings |
//! | `read` | the check of foreign bytes |
//! | `ty` | the views: one per kind |
//! | `shape` | which words of a type are names, which are types |
//! | `index`, `hash` | types by name |
//! | `layout` | sizes, typedef chains, names in C terms |
//! | `ext` | `.BTF.ext`: functions, lines, CO-RE relocations |
//! | `write`, `strings` | [`Builder`]: sets that grow, and their bytes |
//! | `dedup` | each type once |
//! | `relocate` | a module's types over another base than they came with |
//! | `diff` | what changed between two sets |
//! | `c`, `align` | types as a C header |
//! | `rust`, `plain` | types in Rust, and what stands behind them |
//! | `value`, `bits` | bytes to [`Value`] and its text |
//! | `parse`, `literal` | text to bytes |

#![forbid(unsafe_code)]

mod align;
mod bits;
mod c;
mod dedup;
mod diff;
mod ext;
mod hash;
mod index;
mod layout;
mod literal;
mod parse;
pub mod plain;
mod read;
mod relocate;
pub mod rust;
mod set;
mod shape;
mod strings;
#[cfg(test)]
mod tests;
mod ty;
mod value;
mod write;

pub use diff::{Asked, Change, Difference, MemberChange, Spot};
pub use ext::{CoreKind, CoreReloc, Ext, FuncInfo, LineInfo, Records};
pub use index::essential_name;
pub use parse::{Snippet, parse_plain};
pub use set::Btf;
pub use ty::{Array, Composite, Enum, Enumerator, Int, Kind, Linkage, Member, Param, Proto, Section, SectionVar, Type};
pub use value::Value;
pub use write::{Builder, New};

/// Id of a type; 0 is `void`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TypeId(pub u32);

impl TypeId {
    /// `void`, or no type.
    pub const VOID: TypeId = TypeId(0);
}
