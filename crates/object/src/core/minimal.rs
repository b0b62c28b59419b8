//! The part of a kernel's types that the CO-RE relocations of some objects look at: in it they resolve as in the whole.
//!
//! Kept is what any candidate answers, not only the first: then the order in which relocations are asked does not matter,
//! and what is ambiguous stays so. Of a field's type kind and size are enough, so that structs lose members, enumerations
//! names, and pointers what they lead to. `const`, typedefs and their like are seen through by every question, and left
//! out unless asked for by name.

use super::{
    Core, Problem,
    access::{Access, Asks, composite},
    candidates,
    value::LONG,
};
use alveary_btf::{Btf, Builder, Composite, CoreKind, CoreReloc, Enum, Enumerator, Kind, Member, New, Type, TypeId};
use alveary_diag::{Diagnostic, Place};
use alveary_sort::Gather;
use alveary_spec::Spec;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The smallest set of types in which the CO-RE relocations of these objects resolve as they do in `kernel`. Ids of types
/// are its own: a program that asks for those of the kernel has to be given the whole.
///
/// # Errors
/// Relocations that cannot be answered at all: by the kernel's byte order, or because its types are damaged.
pub fn minimal_types<'a>(specs: impl IntoIterator<Item = &'a Spec>, kernel: &Btf) -> Result<Btf, Vec<Diagnostic>> {
    let mut kept = Kept { btf: kernel, types: BTreeMap::new(), compared: HashSet::new() };
    let mut errors = Vec::new();
    for spec in specs {
        let Some(local) = spec.btf.as_deref() else { continue };
        let core = Core::new(local, Some(kernel));
        for (name, function) in &spec.functions {
            for record in &function.core {
                if let Err(problem) = kept.relocation(local, record) {
                    let at = Place::Insn { prog: name.as_str().into(), index: record.insn };
                    errors.push(core.refused(record, &problem, at));
                }
            }
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    kept.pointer_width();
    kept.build().map_err(|why| vec![why])
}

/// The types that are kept, and of structs, unions and enumerations the numbers of the parts that are.
struct Kept<'a> {
    btf: &'a Btf,
    types: BTreeMap<TypeId, BTreeSet<u32>>,
    /// What `TypeMatches` has been through, behind a pointer or not.
    compared: HashSet<(TypeId, bool)>,
}

impl Kept<'_> {
    fn relocation(&mut self, local: &Btf, record: &CoreReloc) -> Result<(), Problem> {
        let kind = record.kind;
        // What the object itself has wrong is wrong with any kernel.
        let Ok(own) = Access::parse(local, record) else { return Ok(()) };
        if kind == CoreKind::TypeIdLocal {
            return Ok(());
        }
        if self.btf.endian() != local.endian() {
            return Err(Problem::Endian);
        }
        for candidate in candidates(local, record.ty, self.btf).unwrap_or_default() {
            if Asks::of(kind) == Asks::Type {
                // Also what does not match: it must not come to do so by what is left out.
                self.types.entry(candidate).or_default();
                match kind {
                    CoreKind::TypeMatches => self.matched(candidate),
                    _ => self.compatible(candidate),
                }
            } else if let Some(found) = own.find(self.btf, candidate, kind)? {
                self.part(candidate, &found);
            }
        }
        Ok(())
    }

    /// A field or an enumerator, and the way to it.
    fn part(&mut self, root: TypeId, part: &Access<'_>) {
        self.types.entry(root).or_default();
        self.look(root);
        let named = part.steps.iter().filter(|step| step.name.is_some()).map(|step| (step.ty, step.index));
        for (ty, index) in named.chain(part.through.iter().copied()) {
            self.look(ty);
            self.types.entry(ty).or_default().insert(index);
            self.member(ty, index);
        }
    }

    /// A member's type. An array without a length that is not the last member must not become it.
    fn member(&mut self, of: TypeId, index: u32) {
        let Some(record) = composite(self.btf, of) else { return };
        let last = (record.members().len() as u32).saturating_sub(1);
        let Some(member) = record.members().nth(index as usize) else { return };
        self.look(member.ty);
        if matches!(self.btf.resolved(member.ty), Type::Array(t) if t.len == 0) && index != last {
            self.types.entry(of).or_default().insert(last);
            self.look(record.members().nth(last as usize).map_or(TypeId::VOID, |m| m.ty));
        }
    }

    /// A type of which kind and size are looked at.
    fn look(&mut self, id: TypeId) {
        let mut id = self.btf.resolve(id);
        while id != TypeId::VOID {
            if self.types.contains_key(&id) {
                return;
            }
            self.types.insert(id, BTreeSet::new());
            let Some(Type::Array(t)) = self.btf.ty(id) else { return };
            self.types.entry(self.btf.resolve(t.index)).or_default();
            id = self.btf.resolve(t.element);
        }
    }

    /// A type as far as `TypeExists` looks at it: through pointers and prototypes, not into structs.
    fn compatible(&mut self, id: TypeId) {
        let mut open = vec![id];
        let mut seen = HashSet::new();
        while let Some(id) = open.pop() {
            let id = self.btf.resolve(id);
            self.look(id);
            if !seen.insert(id) {
                continue;
            }
            match self.btf.ty(id) {
                Some(Type::Struct(_) | Type::Union(_)) | None => {}
                Some(_) => self.btf.references(id, |to| open.push(to)),
            }
        }
    }

    /// A type as far as `TypeMatches` looks at it: with all members and names; behind a pointer structs by name alone.
    fn matched(&mut self, id: TypeId) {
        let mut open = vec![(id, false)];
        while let Some((id, behind_pointer)) = open.pop() {
            let id = self.btf.resolve(id);
            self.look(id);
            if !self.compared.insert((id, behind_pointer)) {
                continue;
            }
            match self.btf.ty(id) {
                Some(Type::Struct(_) | Type::Union(_)) if behind_pointer => {}
                Some(Type::Struct(t) | Type::Union(t)) => {
                    self.types.entry(id).or_default().extend(0..t.members().len() as u32);
                    open.extend(t.members().map(|m| (m.ty, false)));
                }
                Some(Type::Enum(t) | Type::Enum64(t)) => {
                    self.types.entry(id).or_default().extend(0..t.values().len() as u32);
                }
                Some(Type::Ptr(to)) => open.push((to, true)),
                Some(_) => self.btf.references(id, |to| open.push((to, behind_pointer))),
                None => {}
            }
        }
    }

    /// Pointers are as wide as the types' `long`; without one they have 8 bytes.
    fn pointer_width(&mut self) {
        let longs: Vec<TypeId> = LONG.iter().filter_map(|name| self.btf.find(name, Kind::Int)).collect();
        if longs.iter().any(|id| self.btf.size_of(*id) != Some(8)) {
            longs.into_iter().for_each(|id| self.look(id));
        }
    }

    fn build(mut self) -> Result<Btf, Diagnostic> {
        self.types.remove(&TypeId::VOID);
        let numbers: BTreeMap<TypeId, TypeId> = self.types.keys().copied().zip((1..).map(TypeId)).gather();
        // What a pointer leads to may have been left out.
        let refer = |id: TypeId| numbers.get(&self.btf.resolve(id)).copied().unwrap_or(TypeId::VOID);
        let mut out = Builder::new(self.btf.endian());
        for (&id, parts) in &self.types {
            match self.btf.ty(id) {
                Some(Type::Struct(t)) => {
                    out.add(&New::Struct { name: t.name, size: t.size, members: &members(t, parts, refer) });
                }
                Some(Type::Union(t)) => {
                    out.add(&New::Union { name: t.name, size: t.size, members: &members(t, parts, refer) });
                }
                Some(Type::Enum(t)) => {
                    out.add(&New::Enum { name: t.name, size: t.size, signed: t.signed(), values: &values(t, parts) });
                }
                Some(Type::Enum64(t)) => {
                    out.add(&New::Enum64 { name: t.name, size: t.size, signed: t.signed(), values: &values(t, parts) });
                }
                _ => {
                    out.copy(self.btf, id, refer);
                }
            }
        }
        out.finish()
    }
}

/// The members that are kept; `refer` says what their types have become.
fn members<'a>(of: Composite<'a>, kept: &BTreeSet<u32>, refer: impl Fn(TypeId) -> TypeId) -> Vec<Member<'a>> {
    let members = (0..).zip(of.members()).filter(|(i, _)| kept.contains(i));
    members.map(|(_, m)| Member { ty: refer(m.ty), ..m }).collect()
}

/// The names of an enumeration that are kept.
fn values<'a>(of: Enum<'a>, kept: &BTreeSet<u32>) -> Vec<Enumerator<'a>> {
    (0..).zip(of.values()).filter(|(i, _)| kept.contains(i)).map(|(_, v)| v).collect()
}
