//! Kernel interfaces (`.struct_ops`, `.struct_ops.link`): each variable is a map, its type the interface, its pointers
//! to functions programs.

use super::{Maps, Source};
use crate::{
    code::Places,
    elf::{Home, Rel, Symbol, SymbolKind},
};
use alveary_abi::{MapDef, MapType, flags::BPF_F_LINK};
use alveary_btf::{Btf, Composite, Kind, Type, TypeId, essential_name};
use alveary_diag::Diagnostic;
use alveary_isa::{Endian, Insn};
use alveary_spec::{Initial, MapSpec, StructOps, StructOpsMember};

const POINTER: usize = 8;

/// Whether a section of this name holds interfaces.
pub(super) fn is_interface(name: &str) -> bool {
    matches!(name.strip_prefix('?').unwrap_or(name), ".struct_ops" | ".struct_ops.link")
}

pub(super) fn read(source: &Source<'_>, index: usize, maps: &mut Maps) -> Result<(), Diagnostic> {
    let section = &source.elf.sections[index];
    let bad = |message: String, at| Diagnostic::new("struct-ops", message, section.place(at));
    let variables = source.btf.and_then(|btf| Some((btf, btf.ty(btf.find(section.name, Kind::DataSec)?)?)));
    let Some((btf, Type::DataSec(variables))) = variables else {
        return Err(bad(format!("the BTF does not describe section `{}`", section.name), 0).help("compile with -g"));
    };
    let mut total = 0;
    for variable in variables.vars() {
        let Some(Type::Var { name, ty, .. }) = btf.ty(variable.ty) else { continue };
        let ty = btf.resolve(ty);
        let at = u64::from(variable.offset);
        let Some(interface) = interface(btf, ty) else {
            return Err(bad(format!("`{name}` is no kernel interface"), at)
                .expected("a variable whose type is a struct with a name")
                .found(format!("`{}`", btf.c_name(ty))));
        };
        // All of them, so that none can be there many times over.
        total += interface.size as usize;
        let end = variable.offset.saturating_add(interface.size) as usize;
        let bytes = section.data.get(variable.offset as usize..end).filter(|_| total <= section.data.len());
        let Some(bytes) = bytes else {
            return Err(bad(format!("`{name}` does not fit its section"), at)
                .expected(format!("{} bytes for all variables", section.data.len()))
                .found(format!("{total} bytes up to this one, which ends at {end:#x}")));
        };
        let link = section.name.ends_with(".link");
        let def = MapDef {
            ty: MapType::STRUCT_OPS,
            key_size: 4,
            value_size: interface.size,
            max_entries: 1,
            flags: if link { BPF_F_LINK } else { 0 },
            extra: 0,
            special: Vec::new(),
        };
        let mut spec = MapSpec::new(name, def, section.name);
        spec.value_type = Some(ty);
        spec.initial = Initial::StructOps(StructOps {
            interface: essential_name(interface.name).to_owned(),
            bytes: bytes.to_vec(),
            members: Vec::new(),
            create: !section.name.starts_with('?'),
            kernel: None,
        });
        maps.define(index, variable.offset, spec);
    }
    Ok(())
}

fn interface(btf: &Btf, ty: TypeId) -> Option<Composite<'_>> {
    match btf.ty(ty) {
        Some(Type::Struct(t)) if !t.name.is_empty() => Some(t),
        _ => None,
    }
}

/// A relocation in such a section: a program for a pointer to a function.
pub(super) fn member(
    source: &Source<'_>,
    places: &Places,
    maps: &mut Maps,
    definitions: &[&Symbol<'_>],
    index: usize,
    entry: &Rel,
) -> Result<(), Diagnostic> {
    let section = &source.elf.sections[index];
    let bad = |message: String| Diagnostic::new("struct-ops", message, section.place(entry.at));
    let symbol = source.symbol(index, entry)?;
    let before = definitions.partition_point(|s| s.value <= entry.at);
    let home = before.checked_sub(1).and_then(|i| definitions.get(i)).and_then(|s| maps.specs.get_mut(s.name));
    let Some(spec) = home.filter(|m| entry.at - m.at.min(entry.at) < u64::from(m.def.value_size)) else {
        return Err(bad("a relocation that is in no variable".to_owned()));
    };
    let (Some(btf), Initial::StructOps(ops)) = (source.btf, &mut spec.initial) else { return Ok(()) };
    let offset = entry.at.wrapping_sub(spec.at) as u32;
    let found = spec.value_type.and_then(|ty| interface(btf, ty)).and_then(|t| {
        t.members().find(|m| Some(m.bit_offset) == offset.checked_mul(8) && is_function_pointer(btf, m.ty))
    });
    let Some(found) = found else {
        return Err(bad(format!(
            "`{}` holds the address of `{}` where no pointer to a function is",
            spec.name, symbol.name
        ))
        .expected(format!("a pointer to a function at offset {offset} of `struct {}`", ops.interface)));
    };
    let slot = match symbol.at {
        Home::Section(home) => {
            let inside = if symbol.kind == SymbolKind::Section { word(ops, offset, source.elf.endian) } else { 0 };
            let at = symbol.value.wrapping_add(entry.addend as u64).wrapping_add(inside);
            let slot = u32::try_from(at / Insn::SIZE as u64).ok().filter(|_| at.is_multiple_of(Insn::SIZE as u64));
            slot.and_then(|slot| places.starting(home, slot))
        }
        _ => None,
    };
    let Some(place) = slot else {
        return Err(bad(format!("member `{}` of `{}` is `{}`", found.name, spec.name, symbol.name))
            .expected("a function of the object")
            .help("define it in the same object, in `SEC(\"struct_ops\")`"));
    };
    if let Some(pointer) = ops.bytes.get_mut(offset as usize..offset as usize + POINTER) {
        pointer.fill(0);
    }
    let member = StructOpsMember { name: found.name.to_owned(), offset, program: place.name.clone() };
    match ops.members.binary_search_by_key(&offset, |m| m.offset) {
        Ok(at) => ops.members[at] = member,
        Err(at) => ops.members.insert(at, member),
    }
    Ok(())
}

fn is_function_pointer(btf: &Btf, ty: TypeId) -> bool {
    matches!(btf.resolved(ty), Type::Ptr(to) if matches!(btf.resolved(to), Type::FuncProto(_)))
}

/// What stands in the struct at an offset.
fn word(ops: &StructOps, offset: u32, endian: Endian) -> u64 {
    let bytes = ops.bytes.get(offset as usize..).and_then(|b| b.first_chunk()).copied().unwrap_or_default();
    match endian {
        Endian::Little => u64::from_le_bytes(bytes),
        Endian::Big => u64::from_be_bytes(bytes),
    }
}
