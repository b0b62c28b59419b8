//! Kernel interfaces for one kernel: the object's struct, member by member, in the kernel's form of it.

use alveary_abi::MapType;
use alveary_btf::{Btf, Composite, Kind, Member, Type, TypeId};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_isa::Endian;
use alveary_spec::{Initial, Kernel, KernelType, MapSpec, Module, Spec, StructOps, StructOpsValue};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What a kernel calls the type of such a map's value.
const VALUE: &str = "bpf_struct_ops_";
/// No kernel's interface is larger, in bytes.
const LARGEST: u32 = 1 << 20;

/// What a member program is loaded for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The interface's type in the kernel.
    pub(crate) ty: KernelType,
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
    kernel: &'a Kernel,
    endian: Endian,
}

/// An interface as the kernel, or a module of it, has it.
struct Interface<'a> {
    module: Option<Arc<str>>,
    /// The types of whoever has it.
    btf: &'a Btf,
    /// The map's value.
    value: (TypeId, Composite<'a>),
    /// The interface itself, and where it stands in the value, in bytes.
    ty: (TypeId, Composite<'a>),
    at: u32,
}

impl<'a> Laying<'a> {
    fn of(spec: &'a Spec, kernel: &'a Kernel, map: &'a MapSpec, ops: &'a StructOps) -> Laying<'a> {
        Laying { map, ops, local: spec.btf.as_deref(), kernel, endian: spec.endian }
    }

    fn lay_out(&self, slots: &mut BTreeMap<String, Slot>) -> Result<MapSpec, Diagnostic> {
        let mut map = self.map.clone();
        let (Some(local), Some(kernel)) = (self.local, self.kernel.btf.as_deref()) else { return Ok(map) };
        if kernel.endian() != self.endian {
            return Err(self.bad("is of another byte order than the kernel's types"));
        }
        let found = self.interface(kernel)?;
        let (value_type, value) = found.value;
        let (ty, interface) = found.ty;
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
            self.check(local, member, found.btf, theirs)?;
            let at = found.at + theirs.bit_offset / 8;
            match program {
                Some(program) => {
                    let slot = Slot { ty: KernelType { module: found.module.clone(), id: ty }, member: index as u32 };
                    if *slots.entry(program.to_owned()).or_insert_with(|| slot.clone()) != slot {
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
        ops.kernel = Some(StructOpsValue { module: found.module, value_type, ty, bytes, programs });
        map.initial = Initial::StructOps(ops);
        Ok(map)
    }

    /// The interface as the kernel has it, or else the first module that does.
    fn interface(&self, kernel: &'a Btf) -> Result<Interface<'a>, Diagnostic> {
        let name = format!("{VALUE}{}", self.ops.interface);
        let modules = || self.kernel.modules.all().iter();
        let of_module = |one: &'a Module| Some((Some(one.name.clone()), &*one.btf, record(&one.btf, &name)?));
        let of_kernel = record(kernel, &name).map(|value| (None, kernel, value));
        let found = of_kernel.or_else(|| modules().find_map(of_module));
        let Some((module, btf, value)) = found.filter(|(_, _, (_, value))| value.size <= LARGEST) else {
            let problem = self
                .bad("is an interface that neither the kernel nor a module of it has")
                .expected(format!("`struct {name}` in its types"));
            let all = [kernel].into_iter().chain(modules().map(|one| &*one.btf));
            let names = all.flat_map(|btf| btf.ids().filter_map(|id| btf.name(id).strip_prefix(VALUE)));
            return Err(match did_you_mean(&self.ops.interface, names) {
                Some(near) => problem.help(format!("did you mean `struct {near}`?")),
                None => problem,
            });
        };
        let inside = |m: Member<'a>| match btf.ty(m.ty) {
            Some(Type::Struct(t)) if t.name == self.ops.interface => Some(((m.ty, t), m.bit_offset / 8)),
            _ => None,
        };
        let Some((ty, at)) = value.1.members().find_map(inside) else {
            return Err(self.bad("is an interface that the kernel has in no known form"));
        };
        Ok(Interface { module, btf, value, ty, at })
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

/// The struct of that name.
fn record<'a>(btf: &'a Btf, name: &str) -> Option<(TypeId, Composite<'a>)> {
    let id = btf.find(name, Kind::Struct)?;
    match btf.ty(id) {
        Some(Type::Struct(record)) => Some((id, record)),
        _ => None,
    }
}
