//! Whether a kernel's type matches an object's (`bpf_core_type_matches`): stricter than being of use for it. Every member
//! and enumerator of the object's type has one of the same name and a matching type; what a pointer leads to is known
//! by its name.

use super::{Problem, compat::DEPTH};
use alveary_btf::{Btf, Composite, Enum, Kind, Type, TypeId, essential_name};

/// How many types, members and enumerators are compared: foreign types may name each other many times over.
const MOST_PAIRS: u32 = 1 << 23;

/// Whether `target` matches `local`.
pub(super) fn matches(local_btf: &Btf, local: TypeId, target_btf: &Btf, target: TypeId) -> Result<bool, Problem> {
    Pair { local: local_btf, target: target_btf, left: MOST_PAIRS }.types(local, target, false, DEPTH)
}

struct Pair<'a> {
    local: &'a Btf,
    target: &'a Btf,
    left: u32,
}

fn names(local: &str, target: &str) -> bool {
    essential_name(local) == essential_name(target)
}

impl Pair<'_> {
    fn types(&mut self, local: TypeId, target: TypeId, behind_pointer: bool, level: u32) -> Result<bool, Problem> {
        if level == 0 {
            return Err(Problem::Deep);
        }
        let (mut local, mut target, mut behind_pointer) = (local, target, behind_pointer);
        for _ in 0..DEPTH {
            self.left = self.left.checked_sub(1).ok_or(Problem::Deep)?;
            let (l, t) = (self.local.resolved(local), self.target.resolved(target));
            if !names(l.name(), t.name()) {
                return Ok(false);
            }
            match (l, t) {
                (Type::Void, t) => return Ok(t.kind() == Kind::Void),
                (Type::Fwd { union: l, .. }, Type::Fwd { union: t, .. }) => return Ok(l == t),
                (Type::Fwd { union, .. }, Type::Struct(_)) => return Ok(behind_pointer && !union),
                (Type::Fwd { union, .. }, Type::Union(_)) => return Ok(behind_pointer && union),
                (Type::Enum(l) | Type::Enum64(l), Type::Enum(t) | Type::Enum64(t)) => return self.enumerators(l, t),
                (Type::Struct(_) | Type::Union(_), _) if behind_pointer => {
                    let union = l.kind() == Kind::Union;
                    return Ok(match t {
                        Type::Fwd { union: t, .. } => union == t,
                        _ => l.kind() == t.kind(),
                    });
                }
                (Type::Struct(l), Type::Struct(t)) | (Type::Union(l), Type::Union(t)) => {
                    return self.members(l, t, level);
                }
                (Type::Int(l), Type::Int(t)) => return Ok(l.size == t.size && l.signed == t.signed),
                (Type::Ptr(l), Type::Ptr(t)) => {
                    behind_pointer = true;
                    (local, target) = (l, t);
                }
                (Type::Array(l), Type::Array(t)) if l.len == t.len => (local, target) = (l.element, t.element),
                (Type::FuncProto(l), Type::FuncProto(t)) => {
                    if l.params().len() != t.params().len() {
                        return Ok(false);
                    }
                    for (l, t) in l.params().zip(t.params()) {
                        if !self.types(l.ty, t.ty, behind_pointer, level - 1)? {
                            return Ok(false);
                        }
                    }
                    (local, target) = (l.ret, t.ret);
                }
                _ => return Ok(false),
            }
        }
        Err(Problem::Deep)
    }

    fn members(&mut self, local: Composite<'_>, target: Composite<'_>, level: u32) -> Result<bool, Problem> {
        if local.members().len() > target.members().len() {
            return Ok(false);
        }
        for l in local.members() {
            let mut found = false;
            for t in target.members() {
                self.left = self.left.checked_sub(1).ok_or(Problem::Deep)?;
                if names(l.name, t.name) && self.types(l.ty, t.ty, false, level - 1)? {
                    found = true;
                    break;
                }
            }
            if !found {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn enumerators(&mut self, local: Enum<'_>, target: Enum<'_>) -> Result<bool, Problem> {
        if local.size != target.size || local.values().len() > target.values().len() {
            return Ok(false);
        }
        for l in local.values() {
            self.left = self.left.checked_sub(target.values().len() as u32).ok_or(Problem::Deep)?;
            if !target.values().any(|t| names(l.name, t.name)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
