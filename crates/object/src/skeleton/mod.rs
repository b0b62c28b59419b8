//! Skeletons: an object as source text, with its maps, programs and global variables by name and type.
//!
//! | file | holds |
//! |---|---|
//! | `c` | the header that libbpf's users include |
//! | `sub` | the header for a library's part of somebody else's object |
//! | `rust` | the module for users of the crate `alveary` |
//! | `bytes` | the object itself, as a string literal |

mod bytes;
mod c;
mod rust;
mod sub;

use alveary_abi::MapType;
use alveary_btf::{Btf, Linkage, Section, Type, TypeId};
use alveary_diag::Diagnostic;
use alveary_sort::Sort;
use alveary_spec::{MapSpec, ProgramSpec, Spec};

/// An object to be made a skeleton of.
#[derive(Clone, Copy, Debug)]
pub struct Skeleton<'a> {
    spec: &'a Spec,
    bytes: &'a [u8],
    name: &'a str,
}

impl<'a> Skeleton<'a> {
    /// The object that was read from `bytes`. What is generated is called after `name`, of which other characters than
    /// letters, digits and `_` are replaced.
    #[must_use]
    pub fn new(spec: &'a Spec, bytes: &'a [u8], name: &'a str) -> Skeleton<'a> {
        Skeleton { spec, bytes, name }
    }

    /// A C header, used as the one that `bpftool gen skeleton` prints.
    ///
    /// # Errors
    /// The types of the global variables make no sense.
    pub fn c(&self) -> Result<String, Diagnostic> {
        c::write(self)
    }

    /// A C header, used as the one that `bpftool gen subskeleton` prints.
    ///
    /// # Errors
    /// As [`Skeleton::c`]; or the object has no types.
    pub fn subskeleton(&self) -> Result<String, Diagnostic> {
        sub::write(self)
    }

    /// A Rust module that stands on the crate `alveary`, as rustfmt would have it.
    ///
    /// # Errors
    /// As [`Skeleton::c`].
    pub fn rust(&self) -> Result<String, Diagnostic> {
        rust::write(self)
    }

    fn ident(&self) -> String {
        ident(self.name)
    }

    /// The maps in the order of their names, those behind data sections last.
    fn maps(&self) -> Vec<Map<'a>> {
        let mut maps: Vec<_> = self.spec.maps.values().map(|spec| Map { spec, data: self.data(spec) }).collect();
        maps.order_by_key(|map| map.spec.name.starts_with('.'));
        maps
    }

    fn data(&self, map: &MapSpec) -> Option<Section<'a>> {
        match self.spec.btf.as_deref()?.ty(map.value_type?)? {
            Type::DataSec(section) => Some(section),
            _ => None,
        }
    }

    /// The programs in the file's order.
    fn programs(&self) -> Vec<&'a ProgramSpec> {
        let mut programs: Vec<_> = self.spec.programs.values().collect();
        programs.order_by_key(|program| program.order);
        programs
    }
}

/// A map, and its variables if it stands behind a data section of which the types tell.
struct Map<'a> {
    spec: &'a MapSpec,
    data: Option<Section<'a>>,
}

impl Map<'_> {
    /// Whether it holds a kernel interface, which is registered as a whole.
    fn is_interface(&self) -> bool {
        self.spec.def.ty == MapType::STRUCT_OPS
    }

    /// Its name as a member: `.rodata.str1.1` is `rodata_str1_1`.
    fn ident(&self) -> String {
        ident(self.spec.name.trim_start_matches('.'))
    }
}

/// A variable that other files see.
struct Variable<'a> {
    name: &'a str,
    ty: TypeId,
    offset: u32,
    size: u32,
}

/// The variables of a section that other files see, in their order in memory.
fn variables<'a>(btf: &'a Btf, section: Section<'a>) -> Vec<Variable<'a>> {
    let mut all: Vec<_> = section
        .vars()
        .filter_map(|v| match btf.ty(v.ty)? {
            Type::Var { name, ty, linkage } if linkage != Linkage::Static => {
                Some(Variable { name, ty, offset: v.offset, size: v.size })
            }
            _ => None,
        })
        .collect();
    all.order_by_key(|v| v.offset);
    all
}

/// A name as C has them.
fn ident(name: &str) -> String {
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "_");
    if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() { format!("_{name}") } else { name }
}
