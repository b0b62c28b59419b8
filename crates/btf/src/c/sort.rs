//! The order in which whole sets are listed: by what types are and what they are called, so that the headers of two
//! kernels differ where the kernels do, not where their compilers met the types in another order.

use crate::{Btf, Type, TypeId, layout::DEPTH};

impl Btf {
    /// The ids of all types, the base's too, ordered for reading: enumerations, numbers, structs and unions, functions,
    /// each with the typedefs of them, each by name; what has no name comes last.
    #[must_use]
    pub fn sorted(&self) -> Vec<TypeId> {
        let mut all: Vec<_> = (1..self.count()).map(TypeId).collect();
        all.sort_by_cached_key(|id| self.rank(*id));
        all
    }

    /// Rank, the name by which it is known, its own name. Equal ones keep the order of their ids.
    fn rank(&self, id: TypeId) -> (u8, &str, &str) {
        const LAST: u8 = 10;
        let own = self.name(id);
        let mut named = false;
        let mut at = id;
        for _ in 0..DEPTH {
            let Some(ty) = self.ty(at) else { break };
            named |= !ty.name().is_empty();
            let (rank, name) = match ty {
                Type::Enum(t) | Type::Enum64(t) => {
                    // Constants are known by the first of them.
                    let first = t.values().next().filter(|_| at == id && t.name.is_empty()).map_or(t.name, |v| v.name);
                    (u8::from(named), first)
                }
                Type::Int(_) | Type::Float { .. } => (2, ty.name()),
                Type::Struct(_) | Type::Union(_) => (if named { 3 } else { LAST }, ty.name()),
                Type::FuncProto(_) => (if named { 4 } else { LAST }, ""),
                Type::Typedef { ty, .. }
                | Type::Ptr(ty)
                | Type::Const(ty)
                | Type::Volatile(ty)
                | Type::Restrict(ty)
                | Type::TypeTag { ty, .. }
                | Type::DeclTag { ty, .. }
                | Type::Array(crate::Array { element: ty, .. }) => {
                    at = ty;
                    continue;
                }
                _ => (LAST, ty.name()),
            };
            return (rank, name, own);
        }
        (LAST, "", own)
    }
}
