//! What an object declares and does not define: values of the kernel's configuration (`.kconfig`), the kernel's
//! variables and functions (`.ksyms`). BTF tells which is which.

use crate::elf::{Elf, Home};
use alveary_abi::{MapDef, MapType};
use alveary_btf::{Btf, Kind, Type, TypeId};
use alveary_diag::{Diagnostic, Place};
use alveary_sort::Sort;
use alveary_spec::{Extern, ExternKind, MapSpec};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

/// The section, and the map behind it, that holds values of the kernel's configuration.
pub(crate) const KCONFIG: &str = ".kconfig";
const KSYMS: &str = ".ksyms";
const BPF_F_RDONLY_PROG: u32 = 1 << 7;

/// The externs, and the map of the configuration's values if there are some.
#[derive(Default)]
pub(crate) struct Externs {
    pub(crate) all: BTreeMap<String, Extern>,
    pub(crate) config: Option<MapSpec>,
}

/// Reads the externs of an object, and lays out its configuration's values.
pub(crate) fn read(elf: &Elf<'_>, btf: &mut Btf) -> Result<Externs, Diagnostic> {
    let mut externs = Externs::default();
    let declared: HashMap<&str, bool> =
        elf.symbols.iter().filter(|s| s.at == Home::Undefined).map(|s| (s.name, s.weak)).collect();
    for (section, var) in [KCONFIG, KSYMS].into_iter().flat_map(|s| members(btf, s)) {
        let (name, ty, function) = match btf.ty(var) {
            Some(Type::Var { name, ty, .. }) => (name, ty, false),
            Some(Type::Func { name, proto, .. }) => (name, proto, true),
            _ => continue,
        };
        let Some(&weak) = declared.get(name) else { continue };
        let kind = match (section, function) {
            (KCONFIG, false) => ExternKind::Config { offset: 0 },
            (KCONFIG, true) => {
                let message = format!("`{name}` is a function, and no value of the kernel's configuration");
                return Err(Diagnostic::new("extern", message, Place::Section { section: KCONFIG.into(), at: 0 })
                    .help("declare it `__ksym`"));
            }
            (_, true) => ExternKind::Function,
            (_, false) => ExternKind::Variable,
        };
        externs.all.insert(name.to_owned(), Extern { kind, ty: btf.resolve(ty), weak });
    }
    externs.config = lay_out(&mut externs.all, btf)?;
    Ok(externs)
}

/// The variables and functions that BTF lists for a section.
fn members(btf: &Btf, section: &'static str) -> Vec<(&'static str, TypeId)> {
    match btf.find(section, Kind::DataSec).and_then(|id| btf.ty(id)) {
        Some(Type::DataSec(t)) => t.vars().map(|v| (section, v.ty)).collect(),
        _ => Vec::new(),
    }
}

/// Gives each value of the configuration its place, as libbpf does: the most aligned first, then the smallest.
fn lay_out(all: &mut BTreeMap<String, Extern>, btf: &mut Btf) -> Result<Option<MapSpec>, Diagnostic> {
    let mut order = Vec::new();
    for (name, one) in all.iter().filter(|(_, e)| matches!(e.kind, ExternKind::Config { .. })) {
        let size = btf.size_of(one.ty).filter(|size| *size > 0).ok_or_else(|| {
            let message = format!("`{name}` has no size");
            Diagnostic::new("extern", message, Place::Section { section: KCONFIG.into(), at: 0 })
        })?;
        let align = match btf.resolved(one.ty) {
            Type::Array(t) => btf.size_of(t.element).unwrap_or(1),
            _ => size,
        };
        order.push((Reverse(align.clamp(1, 8)), size, name.clone()));
    }
    order.order();
    let mut end = 0u32;
    for (Reverse(align), size, name) in &order {
        let offset = end.next_multiple_of(*align);
        end = offset.checked_add(*size).filter(|end| i32::try_from(*end).is_ok()).ok_or_else(|| {
            let at = Place::Section { section: KCONFIG.into(), at: offset.into() };
            Diagnostic::new("extern", "the values of the kernel's configuration are too large", at)
        })?;
        if let Some(one) = all.get_mut(name) {
            one.kind = ExternKind::Config { offset };
        }
    }
    let Some(section) = btf.find(KCONFIG, Kind::DataSec).filter(|_| end > 0) else { return Ok(None) };
    btf.fix_section(section, end, |name| match all.get(name)?.kind {
        ExternKind::Config { offset } => Some(offset),
        _ => None,
    });
    let def = MapDef {
        ty: MapType::ARRAY,
        key_size: 4,
        value_size: end,
        max_entries: 1,
        flags: BPF_F_RDONLY_PROG,
        extra: 0,
        special: Vec::new(),
    };
    Ok(Some(MapSpec { value_type: Some(section), freeze: true, ..MapSpec::new(KCONFIG, def, KCONFIG) }))
}
