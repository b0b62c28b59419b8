//! Which part of a type a relocation means: the access string of the object, and the same part in another type.
//!
//! The string (`0:1:2`) counts: first the element of an array of the root type, then members by their place and array
//! elements by their index. What a program means by it are names, and the names are what a kernel's type is asked for.

use super::{Problem, value::size_of};
use alveary_btf::{Array, Btf, Composite, CoreKind, CoreReloc, Kind, Type, TypeId, essential_name};

/// The longest access that libbpf follows.
const LONGEST: usize = 64;

/// A step of an access.
#[derive(Clone, Debug)]
pub(super) struct Step<'a> {
    /// The struct or union that the member is of; for an element of an array the element's type.
    pub(super) ty: TypeId,
    /// The member's place, or the element's index.
    pub(super) index: u32,
    /// The member's name; `None` for an element.
    pub(super) name: Option<&'a str>,
}

/// A part of a type. Of a type or an enumerator it is the whole, or one step.
#[derive(Clone, Debug)]
pub(super) struct Access<'a> {
    pub(super) btf: &'a Btf,
    /// The type that it begins at.
    pub(super) root: TypeId,
    pub(super) steps: Vec<Step<'a>>,
    /// The anonymous members that it goes through, as their struct and their place in it.
    pub(super) through: Vec<(TypeId, u32)>,
    /// First bit of the part, from the root's start.
    pub(super) bit: u32,
    /// Number of steps with those into anonymous members.
    pub(super) depth: usize,
}

impl<'a> Access<'a> {
    /// Nothing but the type.
    pub(super) fn whole(btf: &'a Btf, root: TypeId) -> Access<'a> {
        Access { btf, root, steps: Vec::new(), through: Vec::new(), bit: 0, depth: 0 }
    }

    /// What a record of the object means.
    pub(super) fn parse(btf: &'a Btf, record: &CoreReloc) -> Result<Access<'a>, Problem> {
        let text = btf.string(record.access).unwrap_or_default();
        let numbers: Option<Vec<u32>> = text.split(':').map(|n| n.parse().ok()).collect();
        let numbers = numbers.ok_or(Problem::Access("it is not written as numbers between colons"))?;
        if numbers.len() > LONGEST {
            return Err(Problem::Deep);
        }
        let mut access = Access::whole(btf, record.ty);
        match Asks::of(record.kind) {
            Asks::Type if numbers == [0] => {}
            Asks::Type => return Err(Problem::Access("a type is asked for by `0`")),
            Asks::Enumerator => access.enumerator(&numbers)?,
            Asks::Field => access.field(&numbers)?,
            Asks::Unknown => return Err(Problem::Kind),
        }
        Ok(access)
    }

    fn enumerator(&mut self, numbers: &[u32]) -> Result<(), Problem> {
        let ty = self.btf.resolve(self.root);
        let Some(Type::Enum(t) | Type::Enum64(t)) = self.btf.ty(ty) else {
            return Err(Problem::Access("an enumerator of what is no enumeration"));
        };
        let value = t.values().nth(numbers[0] as usize).filter(|_| numbers.len() == 1);
        let value = value.ok_or(Problem::Access("there is no enumerator of this number"))?;
        self.steps.push(Step { ty, index: numbers[0], name: Some(value.name) });
        Ok(())
    }

    fn field(&mut self, numbers: &[u32]) -> Result<(), Problem> {
        let mut ty = self.btf.resolve(self.root);
        self.element(ty, numbers[0])?;
        for &index in &numbers[1..] {
            ty = self.btf.resolve(ty);
            match self.btf.ty(ty) {
                Some(Type::Struct(t) | Type::Union(t)) => {
                    let member = t.members().nth(index as usize);
                    let member = member.ok_or(Problem::Access("there is no member of this number"))?;
                    self.forward(member.bit_offset)?;
                    if !member.name.is_empty() {
                        self.steps.push(Step { ty, index, name: Some(member.name) });
                    }
                    ty = member.ty;
                }
                Some(Type::Array(t)) => {
                    if index >= t.len && !self.is_flexible(t) {
                        return Err(Problem::Access("there is no element of this number"));
                    }
                    ty = self.btf.resolve(t.element);
                    self.element(ty, index)?;
                }
                _ => return Err(Problem::Access("a step into what has no parts")),
            }
        }
        Ok(())
    }

    fn element(&mut self, ty: TypeId, index: u32) -> Result<(), Problem> {
        let size = size_of(self.btf, ty).ok_or(Problem::Unsized)?;
        self.forward(index.checked_mul(size).and_then(|bytes| bytes.checked_mul(8)).ok_or(Problem::Far)?)?;
        self.steps.push(Step { ty, index, name: None });
        Ok(())
    }

    fn forward(&mut self, bits: u32) -> Result<(), Problem> {
        self.bit = self.bit.checked_add(bits).ok_or(Problem::Far)?;
        Ok(())
    }

    /// Whether the array that stands behind the last step may have more elements than its type says.
    fn is_flexible(&self, array: Array) -> bool {
        let Some(Step { ty, index, name: Some(_) }) = self.steps.last() else { return false };
        let last = composite(self.btf, *ty).map_or(0, |t| t.members().len());
        array.len == 0 && *index as usize + 1 == last
    }

    /// The same part of `root` in another set of types: members by their names, through anonymous ones, elements by
    /// their indices. `None` if there is none that would do.
    pub(super) fn find<'t>(&self, btf: &'t Btf, root: TypeId, kind: CoreKind) -> Result<Option<Access<'t>>, Problem> {
        let mut found = Access::whole(btf, root);
        match Asks::of(kind) {
            Asks::Type if kind == CoreKind::TypeMatches => {
                return Ok(super::matches::matches(self.btf, self.root, btf, root)?.then_some(found));
            }
            Asks::Type => return Ok(super::compat::types(self.btf, self.root, btf, root)?.then_some(found)),
            Asks::Enumerator => {
                let ty = btf.resolve(root);
                let (Some(Type::Enum(t) | Type::Enum64(t)), [own]) = (btf.ty(ty), &self.steps[..]) else {
                    return Ok(None);
                };
                let name = essential_name(own.name.unwrap_or_default());
                let same = (0..).zip(t.values()).find(|(_, v)| essential_name(v.name) == name);
                let Some((index, value)) = same else { return Ok(None) };
                found.steps.push(Step { ty, index, name: Some(value.name) });
                return Ok(Some(found));
            }
            Asks::Field => {}
            Asks::Unknown => return Err(Problem::Kind),
        }
        let mut ty = root;
        for (i, step) in self.steps.iter().enumerate() {
            ty = btf.resolve(ty);
            let next = match (step.name, btf.ty(ty)) {
                (Some(name), _) => {
                    let local = composite(self.btf, step.ty).and_then(|t| t.members().nth(step.index as usize));
                    let Some(local) = local else { return Ok(None) };
                    let mut search = Search { btf, name, left: MOST_MEMBERS };
                    let Some(member) = search.member(ty, found.depth)? else { return Ok(None) };
                    if !super::compat::fields(self.btf, local.ty, btf, member.ty)? {
                        return Ok(None);
                    }
                    found.forward(member.bit)?;
                    found.depth = member.depth;
                    found.through.extend(member.through);
                    found.steps.push(Step { ty: member.of, index: member.index, name: Some(member.name) });
                    Some(member.ty)
                }
                // The first step is into an array of the root type, which stands for itself.
                (None, _) if i == 0 => Some(ty),
                (None, Some(Type::Array(t))) => {
                    (step.index < t.len || found.is_flexible(t)).then(|| btf.resolve(t.element))
                }
                (None, _) => None,
            };
            let Some(next) = next else { return Ok(None) };
            ty = next;
            if step.name.is_none() {
                found.depth += 1;
                if found.depth > LONGEST {
                    return Err(Problem::Deep);
                }
                found.element(ty, step.index)?;
            }
        }
        Ok(Some(found))
    }

    /// The part in C terms: `struct sk_buff.cb[3]`, `enum state::RUNNING`.
    pub(super) fn text(&self) -> String {
        let mut text = self.btf.c_name(self.root);
        let enumeration = matches!(self.btf.resolved(self.root).kind(), Kind::Enum | Kind::Enum64);
        for (i, step) in self.steps.iter().enumerate() {
            match step.name {
                Some(name) if enumeration => text = format!("{text}::{name}"),
                Some(name) => text = format!("{text}.{name}"),
                None if i > 0 || step.index > 0 => text = format!("{text}[{}]", step.index),
                None => {}
            }
        }
        text
    }
}

/// What a kind of relocation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Field,
    Type,
    Enumerator,
    Unknown,
}

impl Asks {
    pub(super) fn of(kind: CoreKind) -> Asks {
        match kind {
            CoreKind::FieldOffset
            | CoreKind::FieldSize
            | CoreKind::FieldExists
            | CoreKind::FieldSigned
            | CoreKind::FieldLshift
            | CoreKind::FieldRshift => Asks::Field,
            CoreKind::TypeIdLocal
            | CoreKind::TypeIdTarget
            | CoreKind::TypeExists
            | CoreKind::TypeSize
            | CoreKind::TypeMatches => Asks::Type,
            CoreKind::EnumvalExists | CoreKind::EnumvalValue => Asks::Enumerator,
            CoreKind::Unknown(_) => Asks::Unknown,
        }
    }
}

/// A struct or union by its id.
pub(super) fn composite(btf: &Btf, ty: TypeId) -> Option<Composite<'_>> {
    match btf.ty(ty) {
        Some(Type::Struct(t) | Type::Union(t)) => Some(t),
        _ => None,
    }
}

/// How many members a search looks at: anonymous structs may hold each other many times over.
const MOST_MEMBERS: u32 = 1 << 16;

/// Looks for a member by name, in anonymous members too.
struct Search<'t, 'n> {
    btf: &'t Btf,
    name: &'n str,
    left: u32,
}

struct Found<'t> {
    of: TypeId,
    index: u32,
    name: &'t str,
    ty: TypeId,
    /// First bit, from the start of the type that was searched.
    bit: u32,
    depth: usize,
    through: Vec<(TypeId, u32)>,
}

impl<'t> Search<'t, '_> {
    fn member(&mut self, ty: TypeId, depth: usize) -> Result<Option<Found<'t>>, Problem> {
        let ty = self.btf.resolve(ty);
        let Some(of) = composite(self.btf, ty) else { return Ok(None) };
        let depth = depth + 1;
        if depth > LONGEST {
            return Err(Problem::Deep);
        }
        for (index, member) in (0..).zip(of.members()) {
            self.left = self.left.checked_sub(1).ok_or(Problem::Deep)?;
            if member.name == self.name {
                let (name, bit) = (member.name, member.bit_offset);
                let through = Vec::new();
                return Ok(Some(Found { of: ty, index, name, ty: member.ty, bit, depth, through }));
            }
            if member.name.is_empty()
                && let Some(mut inner) = self.member(member.ty, depth)?
            {
                inner.through.push((ty, index));
                let bit = inner.bit.checked_add(member.bit_offset).ok_or(Problem::Far)?;
                return Ok(Some(Found { bit, ..inner }));
            }
        }
        Ok(None)
    }
}
