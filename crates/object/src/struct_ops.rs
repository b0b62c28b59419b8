//! Kernel interfaces for one kernel: the object's struct, member by member, in the kernel's form of it.

use alveary_abi::MapType;
use alveary_btf::{Btf, Composite, Kind, Member, Type, TypeId};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_isa::Endian;
use alveary_spec::{Initial, Kernel, MapSpec, Spec, StructOps, StructOpsValue};
use std::collections::{BTreeMap, BTreeSet};

/// What a kernel calls the type of such a map's value.
const VALUE: &str = "bpf_struct_ops_";
/// No kernel's interface is larger, in bytes.
const LARGEST: u32 = 1 << 20;

/// What a member program is loaded for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The interface's type in the kernel.
    pub(crate) ty: TypeId,
    /// The member's place among the interface's members.
    pub(crate) member: u32,
}

/// The interfaces that are wanted, and what their programs are.
#[derive(Default)]
pub(crate) struct Interfaces {
    /// The maps, with what the kernel is given.
    pub(crate) maps: BTreeMap<String, MapSpec>,
    /// What their programs are loaded for.
    pub(crate) slots: BTreeMap<String, Slot>,
    /// Programs that interfaces name, but none that is wanted.
    pub(crate) unused: BTreeSet<String>,
}

impl Interfaces {
    /// Finds the wanted interfaces of a Spec on a kernel: all that are made unless told otherwise, or, if programs are
    /// `named`, those that have one of them.
    pub(crate) fn find(
        spec: &Spec,
        kernel: &Kernel,
        named: Option<&[String]>,
        errors: &mut Vec<Diagnostic>,
    ) -> Interfaces {
        let mut found = Interfaces::default();
        for map in spec.maps.values().filter(|m| m.def.ty == MapType::STRUCT_OPS) {
            let Initial::StructOps(ops) = &map.initial else { continue };
            found.unused.extend(ops.members.iter().map(|m| m.program.clone()));
            let wanted = match named {
                None => ops.create,
                Some(names) => ops.members.iter().any(|m| names.contains(&m.program)),
            };
            if !wanted {
                continue;
            }
            match Laying::of(spec, kernel, map, ops).lay_out(&mut found.slots) {
                Ok(map) => drop(found.maps.insert(map.name.clone(), map)),
                Err(problem) => errors.push(problem),
            }
        }
        for map in found.maps.values() {
            for program in programs(map) {
                found.unused.remove(program);
            }
        }
        found
    }

    /// The programs of the wanted interfaces.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &str> {
        self.maps.values().flat_map(programs)
    }
}

/// The programs of an interface.
fn programs(map: &MapSpec) -> impl Iterator<Item = &str> {
    let ops = match &map.initial {
        Initial::StructOps(ops) => Some(ops),
        _ => None,
    };
    ops.into_iter().flat_map(|ops| &ops.members).map(|m| m.program.as_str())
}

/// One interface while it is laid out.
struct Laying<'a> {
    map: &'a MapSpec,
    ops: &'a StructOps,
    local: Option<&'a Btf>,
    kernel: Option<&'a Btf>,
    endian: Endian,
}

impl<'a> Laying<'a> {
    fn of(spec: &'a Spec, kernel: &'a Kernel, map: &'a MapSpec, ops: &'a StructOps) -> Laying<'a> {
        Laying { map, ops, local: spec.btf.as_deref(), kernel: kernel.btf.as_deref(), endian: spec.endian }
    }

    fn lay_out(&self, slots: &mut BTreeMap<String, Slot>) -> Result<MapSpec, Diagnostic> {
        let mut map = self.map.clone();
        let (Some(local), Some(kernel)) = (self.local, self.kernel) else { return Ok(map) };
        if kernel.endian() != self.endian {
            return Err(self.bad("is of another byte order than the kernel's types"));
        }
        let (value_type, value, data, ty, interface) = self.types(kernel)?;
        let mut bytes = vec![0; value.size as usize];
        let mut programs = Vec::new();
        let mut ops = self.ops.clone();
        let Some(Type::Struct(own)) = self.map.value_type.and_then(|ty| local.ty(ty)) else { return Ok(map) };
        for member in own.members() {
            let offset = member.bit_offset / 8;
            let size = local.size_of(member.ty).unwrap_or(0);
            let Some(from) = self.ops.bytes.get(offset as usize..).and_then(|b| b.get(..size as usize)) else {
                return Err(self.bad(&format!("has a member `{}` of no size", member.name)));
            };
            let program = self.ops.members.iter().find(|m| m.offset == offset).map(|m| m.program.as_str());
            let Some((index, theirs)) = interface.members().enumerate().find(|(_, m)| m.name == member.name) else {
                // What is left zero may be missing.
                if program.is_some() || from.iter().any(|b| *b != 0) {
                    return Err(self.no_member(member.name, interface));
                }
                continue;
            };
            self.check(local, member, kernel, theirs)?;
            let at = data + theirs.bit_offset / 8;
            match program {
                Some(program) => {
                    let slot = Slot { ty, member: index as u32 };
                    let known = *slots.entry(program.to_owned()).or_insert(slot);
                    if known != slot {
                        return Err(self
                            .bad(&format!("has `{program}` as `{}`, which is another member elsewhere", member.name)));
                    }
                    programs.push((at, program.into()));
                }
                None => {
                    if let Some(to) = bytes.get_mut(at as usize..).and_then(|b| b.get_mut(..from.len())) {
                        to.copy_from_slice(from);
                    }
                }
            }
        }
        map.def.value_size = value.size;
        ops.kernel = Some(StructOpsValue { value_type, ty, bytes, programs });
        map.initial = Initial::StructOps(ops);
        Ok(map)
    }

    /// The kernel's types: of the value, with the interface's place in it in bytes, and the interface itself.
    fn types(&self, kernel: &'a Btf) -> Result<(TypeId, Composite<'a>, u32, TypeId, Composite<'a>), Diagnostic> {
        let record = |name: &str| {
            let id = kernel.find(name, Kind::Struct)?;
            match kernel.ty(id) {
                Some(Type::Struct(t)) => Some((id, t)),
                _ => None,
            }
        };
        let name = &self.ops.interface;
        let value = record(&format!("{VALUE}{name}")).filter(|(_, t)| t.size <= LARGEST);
        let (Some((value_id, value)), Some((id, interface))) = (value, record(name)) else {
            let problem = self
                .bad("is an interface that the kernel does not have")
                .expected(format!("`struct {VALUE}{name}` in its types"));
            let names = kernel.ids().filter_map(|id| kernel.name(id).strip_prefix(VALUE));
            return Err(match did_you_mean(name, names) {
                Some(near) => problem.help(format!("did you mean `struct {near}`?")),
                None => problem,
            });
        };
        let Some(data) = value.members().find(|m| m.ty == id) else {
            return Err(self.bad("is an interface that the kernel has in no known form"));
        };
        Ok((value_id, value, data.bit_offset / 8, id, interface))
    }

    /// Whether a member will do for the kernel's of that name.
    fn check(&self, local: &Btf, own: Member<'_>, kernel: &Btf, theirs: Member<'_>) -> Result<(), Diagnostic> {
        if own.bits.is_some() || theirs.bits.is_some() {
            return Err(self.bad(&format!("has a bit field: `{}`", own.name)));
        }
        let (mine, other) = (local.resolved(own.ty), kernel.resolved(theirs.ty));
        let is_pointer = matches!(mine, Type::Ptr(_));
        let same = mine.kind() == other.kind() && (is_pointer || local.size_of(own.ty) == kernel.size_of(theirs.ty));
        if same {
            return Ok(());
        }
        let sized = |btf: &Btf, ty| format!("`{}`, {} bytes", btf.c_name(ty), btf.size_of(ty).unwrap_or(0));
        Err(self
            .bad(&format!("declares member `{}` otherwise than the kernel", own.name))
            .expected(sized(kernel, theirs.ty))
            .found(sized(local, own.ty)))
    }

    fn no_member(&self, name: &str, interface: Composite<'_>) -> Diagnostic {
        let problem =
            self.bad(&format!("sets member `{name}`, which the kernel's `struct {}` does not have", interface.name));
        match did_you_mean(name, interface.members().map(|m| m.name)) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        }
    }

    fn bad(&self, what: &str) -> Diagnostic {
        let at = Place::Section { section: self.map.section.clone(), at: self.map.at };
        let message = format!("`{}`, a `struct {}`, {what}", self.map.name, self.ops.interface);
        Diagnostic::new("struct-ops", message, at)
    }
}
