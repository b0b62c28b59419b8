//! The types of all objects, each once; sections with their variables, and `.BTF.ext`, by the new ids and offsets.

use super::{globals::Globals, input::Object, sections::Layout};
use alveary_btf::{Btf, Builder, CoreReloc, Ext, FuncInfo, LineInfo, Linkage, New, Records, SectionVar, Type, TypeId};
use alveary_diag::{Diagnostic, Place};
use alveary_isa::Insn;
use alveary_sort::Sort;
use std::collections::HashMap;

/// The bytes of both sections.
pub(super) struct Types {
    pub(super) btf: Vec<u8>,
    /// `None` if no object has one.
    pub(super) ext: Option<Vec<u8>>,
}

/// The most variables that a section can list.
const MOST_VARIABLES: usize = 0xffff;

pub(super) fn merge(
    objects: &[Object<'_>],
    globals: &Globals<'_>,
    layout: &Layout<'_>,
) -> Result<Option<Types>, Diagnostic> {
    let Some(endian) = objects.iter().find_map(|o| o.btf.as_ref()).map(Btf::endian) else { return Ok(None) };
    let numbers = Numbers::of(objects, globals);
    let mut all = Builder::new(endian);
    for (at, object) in objects.iter().enumerate() {
        let Some(btf) = &object.btf else { continue };
        for id in btf.ids().filter(|id| numbers.is_copied(at, *id)) {
            all.copy(btf, id, |to| numbers.get(at, to));
        }
    }
    for Listed { name, size, vars } in sections(objects, layout, &numbers)? {
        all.add(&New::DataSec { name, size, vars: &vars });
    }
    if all.next_id() == TypeId(1) {
        return Ok(None);
    }
    let (once, ids) = all.finish()?.dedup()?;
    // Texts of records are added to those of the types that are left.
    let mut once = Builder::from(&once);
    let ext = extended(objects, layout, &mut once, |object, id| {
        ids.get(numbers.get(object, id).0 as usize).copied().unwrap_or_default()
    });
    let ext = (!ext.funcs.is_empty() || !ext.lines.is_empty() || !ext.core.is_empty()).then(|| ext.write(&mut once));
    Ok(Some(Types { btf: once.write(), ext }))
}

/// What a type of an object becomes.
#[derive(Clone, Copy, PartialEq)]
enum Becomes {
    /// Nothing: sections are made anew, and what no symbol knows is left out.
    Nothing,
    /// A type of its own.
    Itself,
    /// The type of another object, which defines what both name.
    That(usize, TypeId),
}

/// What each type of an object becomes.
fn fates(objects: &[Object<'_>], globals: &Globals<'_>, number: usize) -> Vec<Becomes> {
    let Some(btf) = &objects[number].btf else { return Vec::new() };
    let mut fates: Vec<Becomes> = (0..btf.count()).map(|_| Becomes::Nothing).collect();
    for id in btf.ids() {
        fates[id.0 as usize] = match btf.ty(id) {
            Some(Type::DataSec(_)) => Becomes::Nothing,
            Some(Type::Var { name, linkage, .. } | Type::Func { name, linkage, .. }) if linkage != Linkage::Static => {
                match globals.declaration(objects, name) {
                    Some(stands) if stands == (number, id) => Becomes::Itself,
                    Some((object, id)) => Becomes::That(object, id),
                    None => Becomes::Nothing,
                }
            }
            _ => Becomes::Itself,
        };
    }
    for id in btf.ids() {
        if let Some(Type::DeclTag { ty, .. }) = btf.ty(id)
            && ty != TypeId::VOID
            && fates.get(ty.0 as usize) == Some(&Becomes::Nothing)
        {
            fates[id.0 as usize] = Becomes::Nothing;
        }
    }
    fates
}

/// The ids that the types of each object get.
struct Numbers {
    fates: Vec<Vec<Becomes>>,
    ids: Vec<Vec<TypeId>>,
}

impl Numbers {
    fn of(objects: &[Object<'_>], globals: &Globals<'_>) -> Numbers {
        let fates: Vec<_> = (0..objects.len()).map(|number| fates(objects, globals, number)).collect();
        let mut last = 0;
        let mut number = |fate: &Becomes| {
            last += u32::from(*fate == Becomes::Itself);
            if *fate == Becomes::Itself { TypeId(last) } else { TypeId::VOID }
        };
        let own: Vec<Vec<TypeId>> = fates.iter().map(|fates| fates.iter().map(&mut number).collect()).collect();
        let mut ids = own.clone();
        for (ids, fates) in ids.iter_mut().zip(&fates) {
            for (id, fate) in ids.iter_mut().zip(fates) {
                if let Becomes::That(object, that) = fate {
                    *id = own[*object].get(that.0 as usize).copied().unwrap_or_default();
                }
            }
        }
        Numbers { fates, ids }
    }

    fn get(&self, object: usize, id: TypeId) -> TypeId {
        self.ids.get(object).and_then(|ids| ids.get(id.0 as usize)).copied().unwrap_or_default()
    }

    /// Whether a type is copied, rather than left out or another object's.
    fn is_copied(&self, object: usize, id: TypeId) -> bool {
        self.fates.get(object).and_then(|fates| fates.get(id.0 as usize)) == Some(&Becomes::Itself)
    }
}

/// A section of the result as BTF lists it.
struct Listed<'a> {
    name: &'a str,
    size: u32,
    vars: Vec<SectionVar>,
}

/// The sections with the variables of all objects, those that exist in BTF alone (`.kconfig`, `.ksyms`) behind the rest.
fn sections<'a>(
    objects: &'a [Object<'_>],
    layout: &'a Layout<'_>,
    numbers: &Numbers,
) -> Result<Vec<Listed<'a>>, Diagnostic> {
    let mut all: Vec<Listed<'a>> = Vec::new();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for section in &layout.sections {
        by_name.insert(section.name, all.len());
        all.push(Listed { name: section.name, size: section.size as u32, vars: Vec::new() });
    }
    let mut seen = vec![false; all.len()];
    for (number, object) in objects.iter().enumerate() {
        let Some(btf) = &object.btf else { continue };
        for id in btf.ids() {
            let Some(Type::DataSec(section)) = btf.ty(id) else { continue };
            let moved = match object.elf.sections.iter().position(|s| s.name == section.name) {
                None => 0,
                Some(i) => match layout.home(number, i) {
                    Some(home) => home.at as u32,
                    // An earlier object's stands for it.
                    None => continue,
                },
            };
            let at = *by_name.entry(section.name).or_insert_with(|| {
                all.push(Listed { name: section.name, size: 0, vars: Vec::new() });
                seen.push(false);
                all.len() - 1
            });
            seen[at] = true;
            for var in section.vars().filter(|var| numbers.is_copied(number, var.ty)) {
                let is_extern = matches!(
                    btf.ty(var.ty),
                    Some(Type::Var { linkage: Linkage::Extern, .. } | Type::Func { linkage: Linkage::Extern, .. })
                );
                let offset = if is_extern { 0 } else { var.offset.wrapping_add(moved) };
                all[at].vars.push(SectionVar { ty: numbers.get(number, var.ty), offset, size: var.size });
            }
        }
    }
    let mut seen = seen.into_iter();
    all.retain(|_| seen.next() == Some(true));
    for section in &mut all {
        section.vars.order_by_key(|var| var.offset);
        if section.vars.len() > MOST_VARIABLES {
            let message = format!("section `{}` of all objects has too many variables", section.name);
            return Err(Diagnostic::new("link-section", message, Place::Nowhere)
                .expected(format!("at most {MOST_VARIABLES}"))
                .found(section.vars.len().to_string()));
        }
    }
    Ok(all)
}

/// What the objects say of their instructions, by the ids that `number` gives and with their texts in `btf`.
fn extended(
    objects: &[Object<'_>],
    layout: &Layout<'_>,
    btf: &mut Builder,
    number: impl Fn(usize, TypeId) -> TypeId,
) -> Ext {
    let mut all = Ext::default();
    for (at, object) in objects.iter().enumerate() {
        let Some(from) = &object.btf else { continue };
        let place = Moved { object, number: at, layout };
        place.records(&object.ext.funcs, &mut all.funcs, |r: &FuncInfo, by| FuncInfo {
            insn: r.insn.wrapping_add(by),
            ty: number(at, r.ty),
        });
        place.records(&object.ext.lines, &mut all.lines, |r: &LineInfo, by| LineInfo {
            insn: r.insn.wrapping_add(by),
            file: btf.copy_string(from, r.file),
            text: btf.copy_string(from, r.text),
            ..*r
        });
        place.records(&object.ext.core, &mut all.core, |r: &CoreReloc, by| CoreReloc {
            insn: r.insn.wrapping_add(by),
            ty: number(at, r.ty),
            access: btf.copy_string(from, r.access),
            ..*r
        });
    }
    all
}

/// The code of an object that has moved.
struct Moved<'a> {
    object: &'a Object<'a>,
    number: usize,
    layout: &'a Layout<'a>,
}

impl Moved<'_> {
    /// Adds records to those of the same section, by as many slots further as the section has moved.
    fn records<T>(&self, from: &Records<T>, to: &mut Records<T>, mut moved: impl FnMut(&T, u32) -> T) {
        for (section, records) in from {
            let home = self.object.elf.sections.iter().position(|s| s.name == *section && s.is_code());
            let Some(home) = home.and_then(|i| self.layout.home(self.number, i)) else { continue };
            let by = (home.at / Insn::SIZE as u64) as u32;
            let at = to.iter().position(|(name, _)| name == section).unwrap_or_else(|| {
                to.push((section.clone(), Vec::new()));
                to.len() - 1
            });
            to[at].1.extend(records.iter().map(|record| moved(record, by)));
        }
    }
}
