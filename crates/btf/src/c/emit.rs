//! Definitions and forward declarations, one by one, in the order that was found.

use super::{LEVELS, Progress, State, Writer, problem, too_deep};
use crate::{Type, TypeId};
use alveary_diag::Diagnostic;

/// The compiler's own type for variable arguments, which a header must not define.
const BUILTIN_VA_LIST: &str = "__builtin_va_list";
/// What C libraries call it. Old compilers make it a typedef of nothing.
const GNUC_VA_LIST: &str = "__gnuc_va_list";

/// Types of compilers for vectors of ARM, and what they are.
const ALIASES: [(&str, &str); 4] = [
    ("__Poly8_t", "unsigned char"),
    ("__Poly16_t", "unsigned short"),
    ("__Poly64_t", "unsigned long long"),
    ("__Poly128_t", "unsigned __int128"),
];

impl<'a> Writer<'a> {
    /// Writes what type `id` needs to be declared first, then itself if it stands alone (nothing is `inside` of it
    /// being defined).
    pub(super) fn emit(&mut self, id: TypeId, inside: Option<TypeId>, level: u32) -> Result<(), Diagnostic> {
        let State { emit: progress, declared, .. } = *self.state(id);
        if progress == Progress::Done || declared && inside.is_some() && self.btf.is_named_record(id) {
            return Ok(());
        }
        let Some(ty) = self.btf.ty(id) else { return Ok(()) };
        if progress == Progress::Begun {
            return self.emit_begun(id, ty, inside);
        }
        if level > LEVELS {
            return Err(too_deep(id));
        }
        let next = level + 1;
        match ty {
            Type::Int(_) | Type::Float { .. } => {
                self.emit_alias(ty.name());
                self.state(id).emit = Progress::Done;
            }
            Type::Enum(t) | Type::Enum64(t) => {
                if inside.is_none() {
                    self.define_enum(id, ty, t, 0);
                    self.end_definition();
                }
                self.state(id).emit = Progress::Done;
            }
            Type::Fwd { name, union } => {
                self.out.push_str(if union { "union " } else { "struct " });
                self.out.push_str(name);
                self.end_definition();
                self.state(id).emit = Progress::Done;
            }
            Type::Typedef { ty, .. } => {
                self.state(id).emit = Progress::Begun;
                self.emit(ty, Some(id), next)?;
                if !self.state(id).declared {
                    self.emit_typedef(id, ty)?;
                }
                self.state(id).emit = Progress::Done;
            }
            Type::Struct(t) | Type::Union(t) => {
                self.state(id).emit = Progress::Begun;
                let named = !t.name.is_empty();
                if inside.is_none() || !named {
                    for member in t.places() {
                        self.emit(member.ty, if named { Some(id) } else { inside }, next)?;
                    }
                } else if !self.state(id).declared && inside != Some(id) {
                    self.declare_ahead(id, ty);
                }
                self.state(id).emit = if inside.is_none() {
                    self.define_record(id, ty, t, 0)?;
                    self.end_definition();
                    Progress::Done
                } else {
                    Progress::Open
                };
            }
            Type::Ptr(ty)
            | Type::Volatile(ty)
            | Type::Const(ty)
            | Type::Restrict(ty)
            | Type::TypeTag { ty, .. }
            | Type::Array(crate::Array { element: ty, .. }) => self.emit(ty, inside, next)?,
            Type::FuncProto(t) => {
                self.emit(t.ret, inside, next)?;
                for param in t.params() {
                    self.emit(param.ty, inside, next)?;
                }
            }
            Type::Void | Type::Func { .. } | Type::Var { .. } | Type::DataSec(_) | Type::DeclTag { .. } => {}
        }
        Ok(())
    }

    /// A type that is met again while it is being written: it is declared ahead, if it can be.
    fn emit_begun(&mut self, id: TypeId, ty: Type<'a>, inside: Option<TypeId>) -> Result<(), Diagnostic> {
        if self.state(id).declared {
            return Ok(());
        }
        match ty {
            Type::Struct(t) | Type::Union(t) if inside != Some(id) => {
                if t.name.is_empty() {
                    return Err(problem("a struct without a name would have to hold itself", id));
                }
                self.declare_ahead(id, ty);
            }
            Type::Typedef { ty, .. } => {
                self.emit_typedef(id, ty)?;
                self.state(id).declared = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn declare_ahead(&mut self, id: TypeId, ty: Type<'a>) {
        self.put_record_name(id, ty);
        self.end_definition();
        self.state(id).declared = true;
    }

    fn emit_typedef(&mut self, id: TypeId, to: TypeId) -> Result<(), Diagnostic> {
        let name = self.btf.name(id);
        if name == BUILTIN_VA_LIST {
            return Ok(());
        }
        self.out.push_str("typedef ");
        if name == GNUC_VA_LIST && to == TypeId::VOID {
            self.out.push_str("__builtin_va_list __gnuc_va_list");
        } else {
            // The name is numbered where it is met first, which is here.
            let start = self.out.len();
            self.put_ident(id);
            let name = self.out.split_off(start);
            self.declare(to, &name, 0, 0)?;
        }
        self.end_definition();
        Ok(())
    }

    fn emit_alias(&mut self, name: &str) {
        if let Some((name, means)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
            self.out.push_str(&format!("typedef {means} {name};\n\n"));
        }
    }

    fn end_definition(&mut self) {
        self.out.push_str(";\n\n");
    }
}
