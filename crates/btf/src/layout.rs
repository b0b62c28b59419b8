//! What follows from chains of types: sizes, the type behind typedefs and modifiers, names in C terms.
//!
//! Chains in foreign BTF may be cycles: every walk here ends after [`DEPTH`] steps.

use crate::{Btf, Kind, Type, TypeId};

/// The longest chain that is followed; the kernel follows 32.
pub(crate) const DEPTH: u32 = 64;

impl Btf {
    /// The type behind typedefs, `const`, `volatile`, `restrict` and type tags; `void` if the chain never ends.
    #[must_use]
    pub fn resolve(&self, id: TypeId) -> TypeId {
        let mut id = id;
        for _ in 0..DEPTH {
            match self.kind_and_third(id) {
                Some((Kind::Typedef | Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag, to)) => {
                    id = TypeId(to);
                }
                _ => return id,
            }
        }
        TypeId::VOID
    }

    /// The type behind typedefs and modifiers, as a view.
    #[must_use]
    pub fn resolved(&self, id: TypeId) -> Type<'_> {
        self.ty(self.resolve(id)).unwrap_or(Type::Void)
    }

    /// The size in bytes of a value of this type; `None` for what has none (`void`, functions, forward declarations)
    /// and for what does not fit 32 bits. Pointers are 8 bytes.
    #[must_use]
    pub fn size_of(&self, id: TypeId) -> Option<u32> {
        let mut id = id;
        let mut count = 1u32;
        for _ in 0..DEPTH {
            // The third word of what has a size is that size.
            let size = match self.kind_and_third(self.resolve(id))? {
                (Kind::Ptr, _) => 8,
                (
                    Kind::Int | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Float | Kind::DataSec,
                    size,
                ) => size,
                (Kind::Var, to) => {
                    id = TypeId(to);
                    continue;
                }
                (Kind::Array, _) => {
                    let Some(Type::Array(t)) = self.ty(self.resolve(id)) else { return None };
                    count = count.checked_mul(t.len)?;
                    id = t.element;
                    continue;
                }
                _ => return None,
            };
            return count.checked_mul(size);
        }
        None
    }

    /// A type as a C programmer names it, without `const` and `volatile`: `unsigned int`, `struct key`, `__u8[4]`, `struct task_struct *`.
    #[must_use]
    pub fn c_name(&self, id: TypeId) -> String {
        let mut id = id;
        // What stands around the name in a declaration, built from the inside out.
        let mut around = String::new();
        for _ in 0..DEPTH {
            let named = |keyword: &str, name: &str| match (keyword, name) {
                ("", name) => name.to_owned(),
                (keyword, "") => format!("{keyword} {{…}}"),
                (keyword, name) => format!("{keyword} {name}"),
            };
            let base = match self.ty(id) {
                Some(Type::Int(t)) => named("", t.name),
                Some(Type::Float { name, .. } | Type::Typedef { name, .. }) => named("", name),
                Some(Type::Struct(t)) => named("struct", t.name),
                Some(Type::Union(t)) => named("union", t.name),
                Some(Type::Enum(t) | Type::Enum64(t)) => named("enum", t.name),
                Some(Type::Fwd { name, union }) => named(if union { "union" } else { "struct" }, name),
                Some(Type::Func { name, .. }) => format!("{name}()"),
                Some(Type::FuncProto(_)) => "function".to_owned(),
                Some(Type::DataSec(t)) => named("section", t.name),
                Some(Type::Ptr(ty)) => {
                    around.insert(0, '*');
                    id = ty;
                    continue;
                }
                Some(Type::Array(t)) => {
                    if around.starts_with('*') {
                        around = format!("({around})");
                    }
                    around.push_str(&format!("[{}]", t.len));
                    id = t.element;
                    continue;
                }
                Some(
                    Type::Const(ty)
                    | Type::Volatile(ty)
                    | Type::Restrict(ty)
                    | Type::TypeTag { ty, .. }
                    | Type::DeclTag { ty, .. }
                    | Type::Var { ty, .. },
                ) => {
                    id = ty;
                    continue;
                }
                Some(Type::Void) | None => "void".to_owned(),
            };
            let space = if around.starts_with(['*', '(']) { " " } else { "" };
            return format!("{base}{space}{around}");
        }
        "an endless type".to_owned()
    }
}
