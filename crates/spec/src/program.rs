//! What a Spec means to one kernel: flat programs, everything resolved but addresses.

use crate::{ArgTag, Attach, MapSpec};
use alveary_abi::{AttachType, ProgType};
use alveary_btf::{Btf, FuncInfo, LineInfo, TypeId};
use alveary_diag::{Diagnostic, Place, SourceLine, Sources};
use alveary_isa::{Endian, Insn};
use std::{collections::BTreeMap, sync::Arc};

/// One program, resolved: its subprograms stand behind it, maps are named by index.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Its name.
    pub name: Arc<str>,
    /// The section it comes from.
    pub section: Arc<str>,
    /// Its type.
    pub ty: ProgType,
    /// Its expected attach type.
    pub expected: Option<AttachType>,
    /// Where it is attached, as its section says.
    pub attach: Option<Attach>,
    /// What of the kernel's types it is loaded for (`attach_btf_id`): a function, a tracepoint, a security hook. `Err`:
    /// the kernel does not have it, so that the program cannot be loaded as it is. `None` where there is no such thing:
    /// for programs of other types, of sections that name none, and on kernels without types.
    pub target: Option<Result<KernelType, Diagnostic>>,
    /// `BPF_F_SLEEPABLE`, `BPF_F_XDP_HAS_FRAGS` …
    pub flags: u32,
    /// Its instructions. Maps are `BPF_PSEUDO_MAP_IDX` and `BPF_PSEUDO_MAP_IDX_VALUE` with an index into `maps`;
    /// calls of subprograms and their addresses are relative.
    pub insns: Vec<Insn>,
    /// The kernel modules whose functions and variables it names. They are counted from 1, 0 being the kernel itself: in
    /// the `off` of a call (`fd_array` of `BPF_PROG_LOAD`), in the second half of a `BPF_PSEUDO_BTF_ID`.
    pub modules: Vec<Arc<str>>,
    /// The maps that it uses, by name.
    pub maps: Vec<String>,
    /// Its functions: where each starts, and its name. The first is the program itself, at 0.
    pub subprogs: Vec<(u32, Arc<str>)>,
    /// BTF of its functions, by slot.
    pub funcs: Vec<FuncInfo>,
    /// Source lines, by slot.
    pub lines: Vec<LineInfo>,
    /// What the source promises of arguments, by the slot at which the function begins.
    pub args: Vec<(u32, ArgTag)>,
    /// Where the function begins that is called when the program throws.
    pub exception_callback: Option<u32>,
    /// The licence string.
    pub license: String,
    /// The object's types.
    pub btf: Option<Arc<Btf>>,
    /// Slots whose instruction asks for what the kernel does not have, and why: they call a helper that no kernel has.
    /// Sorted by slot. A program that never gets there is none the worse.
    pub poisoned: Vec<(u32, Diagnostic)>,
}

/// A type of the running kernel, by its id in the types of the kernel itself or of one of its modules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelType {
    /// The module whose types the id counts in; `None` is the kernel itself.
    pub module: Option<Arc<str>>,
    /// The id.
    pub id: TypeId,
}

impl Program {
    /// Why the instruction at `slot` cannot be run, if it asks for what the kernel does not have.
    #[must_use]
    pub fn poison(&self, slot: u32) -> Option<&Diagnostic> {
        let at = self.poisoned.binary_search_by_key(&slot, |(slot, _)| *slot).ok()?;
        Some(&self.poisoned[at].1)
    }
}

/// A Spec, resolved for one kernel.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Byte order of the data: of the maps' first content, and of what the programs assume of memory.
    pub endian: Endian,
    /// Every map, by name.
    pub maps: BTreeMap<String, MapSpec>,
    /// The programs, in the file's order.
    pub programs: Vec<Arc<Program>>,
    /// The object's types, which the maps' keys and values refer to.
    pub btf: Option<Arc<Btf>>,
}

impl Sources for Program {
    fn source(&self, at: &Place) -> Option<SourceLine> {
        Lines { all: &self.lines, btf: self.btf.as_deref()? }.source(at)
    }
}

/// Source lines by slot, and the types that hold their text.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a> {
    /// The lines, by slot.
    pub all: &'a [LineInfo],
    /// The object's types.
    pub btf: &'a Btf,
}

impl Sources for Lines<'_> {
    fn source(&self, at: &Place) -> Option<SourceLine> {
        let Place::Insn { index, .. } = at else { return None };
        let line = self.all[..self.all.partition_point(|l| l.insn <= *index)].last()?;
        Some(SourceLine {
            file: self.btf.string(line.file)?.into(),
            line: line.line,
            column: line.column,
            text: self.btf.string(line.text)?.into(),
        })
    }
}
