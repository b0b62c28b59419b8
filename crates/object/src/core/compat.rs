//! Whether a kernel's type will do for an object's, as `bpf_core_field_*` and `bpf_core_type_exists` see it: kinds agree,
//! sizes need not.

use super::Problem;
use alveary_btf::{Btf, Kind, Type, TypeId, essential_name};

/// How long chains of pointers and arrays are followed, and how deep prototypes.
pub(super) const DEPTH: u32 = 32;

/// Whether two kinds agree: those of enumerations do at any width.
pub(super) fn kinds(local: Kind, target: Kind) -> bool {
    let of = |kind| if kind == Kind::Enum64 { Kind::Enum } else { kind };
    of(local) == of(target)
}

/// Whether a member of type `target` will do for one of type `local`.
pub(super) fn fields(local_btf: &Btf, local: TypeId, target_btf: &Btf, target: TypeId) -> Result<bool, Problem> {
    let (mut local, mut target) = (local, target);
    for _ in 0..DEPTH {
        let (l, t) = (local_btf.resolved(local), target_btf.resolved(target));
        match (l, t) {
            (Type::Struct(_) | Type::Union(_), Type::Struct(_) | Type::Union(_)) => return Ok(true),
            (Type::Ptr(_), Type::Ptr(_)) | (Type::Float { .. }, Type::Float { .. }) => return Ok(true),
            (Type::Fwd { .. }, Type::Fwd { .. })
            | (Type::Enum(_) | Type::Enum64(_), Type::Enum(_) | Type::Enum64(_)) => {
                let (l, t) = (essential_name(l.name()), essential_name(t.name()));
                return Ok(l.is_empty() || t.is_empty() || l == t);
            }
            (Type::Int(l), Type::Int(t)) => return Ok(l.offset == 0 && t.offset == 0),
            (Type::Array(l), Type::Array(t)) => (local, target) = (l.element, t.element),
            _ => return Ok(false),
        }
    }
    Err(Problem::Deep)
}

/// Whether a type will do for another of the same name.
pub(crate) fn types(local_btf: &Btf, local: TypeId, target_btf: &Btf, target: TypeId) -> Result<bool, Problem> {
    let root = |btf: &Btf, id| btf.ty(id).map_or(Kind::Void, Type::kind);
    if !kinds(root(local_btf, local), root(target_btf, target)) {
        return Ok(false);
    }
    Pair { local: local_btf, target: target_btf, left: MOST_PAIRS }.compatible(local, target, DEPTH)
}

/// How many pairs of types are compared: prototypes may name each other many times over.
const MOST_PAIRS: u32 = 1 << 14;

struct Pair<'a> {
    local: &'a Btf,
    target: &'a Btf,
    left: u32,
}

impl Pair<'_> {
    fn compatible(&mut self, local: TypeId, target: TypeId, level: u32) -> Result<bool, Problem> {
        let (mut local, mut target) = (local, target);
        for _ in 0..DEPTH {
            self.left = self.left.checked_sub(1).ok_or(Problem::Deep)?;
            let (l, t) = (self.local.resolved(local), self.target.resolved(target));
            if !kinds(l.kind(), t.kind()) {
                return Ok(false);
            }
            match (l, t) {
                (Type::Int(l), Type::Int(t)) => return Ok(l.offset == 0 && t.offset == 0),
                (Type::Ptr(l), Type::Ptr(t)) => (local, target) = (l, t),
                (Type::Array(l), Type::Array(t)) => (local, target) = (l.element, t.element),
                (Type::FuncProto(l), Type::FuncProto(t)) => {
                    if l.params().len() != t.params().len() {
                        return Ok(false);
                    }
                    for (l, t) in l.params().zip(t.params()) {
                        let level = level.checked_sub(1).ok_or(Problem::Deep)?;
                        if !self.compatible(l.ty, t.ty, level)? {
                            return Ok(false);
                        }
                    }
                    (local, target) = (l.ret, t.ret);
                }
                (
                    Type::Void | Type::Struct(_) | Type::Union(_) | Type::Enum(_) | Type::Enum64(_) | Type::Fwd { .. },
                    _,
                ) => return Ok(true),
                _ => return Ok(false),
            }
        }
        Err(Problem::Deep)
    }
}
