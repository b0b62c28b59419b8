//! A name with its type, as C declares it: `int (*name)(void)`. Knows nothing of order.
//!
//! BTF tells a type from the name outwards (array of pointers to …), C writes the innermost first and wraps the rest
//! around the name: the chain is walked from its far end.

use super::{LEVELS, Writer, problem, too_deep};
use crate::{Kind, Proto, Type, TypeId};
use alveary_diag::Diagnostic;

impl<'a> Writer<'a> {
    /// Writes the declaration of `name` as a value of type `id`; `depth` counts declarations inside declarations.
    pub(super) fn declare(&mut self, id: TypeId, name: &str, indent: u32, depth: u32) -> Result<(), Diagnostic> {
        self.check_size(id)?;
        let mut chain = std::mem::take(&mut self.chain);
        chain.clear();
        chain.push(id);
        let mut last = id;
        loop {
            let next = match self.btf.kind_and_third(last) {
                Some((
                    Kind::Ptr | Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag | Kind::FuncProto,
                    to,
                )) => TypeId(to),
                Some((Kind::Array, _)) => match self.btf.ty(last) {
                    Some(Type::Array(t)) => t.element,
                    _ => break,
                },
                _ => break,
            };
            if chain.len() + depth as usize > LEVELS as usize {
                return Err(too_deep(id));
            }
            chain.push(next);
            last = next;
        }
        self.unwind(&mut chain, name, indent, depth)?;
        self.chain = chain;
        Ok(())
    }

    fn unwind(&mut self, chain: &mut Vec<TypeId>, name: &str, indent: u32, depth: u32) -> Result<(), Diagnostic> {
        // `*` stands at a name without a space between.
        let mut behind_star = true;
        while let Some(id) = chain.pop() {
            let Some(ty) = self.btf.ty(id) else { return Ok(()) };
            match ty {
                _ if self.bare && modifies(ty) => continue,
                Type::Ptr(_) => self.out.push_str(if behind_star { "*" } else { " *" }),
                Type::Volatile(_) => self.out.push_str(" volatile"),
                Type::Const(_) => self.out.push_str(" const"),
                Type::Restrict(_) => self.out.push_str(" restrict"),
                Type::Array(t) => {
                    self.drop_modifiers(chain);
                    match chain.last().map(|id| self.btf.ty(*id)) {
                        None => self.put_name(name, behind_star),
                        Some(next) => {
                            let braces = !matches!(next, Some(Type::Array(_)));
                            if !name.is_empty() && !behind_star {
                                self.out.push(' ');
                            }
                            self.wrapped(braces, |w| w.unwind(chain, name, indent, depth))?;
                        }
                    }
                    self.out.push('[');
                    self.put_number(t.len);
                    self.out.push(']');
                    return Ok(());
                }
                Type::FuncProto(t) => {
                    self.drop_modifiers(chain);
                    if chain.is_empty() {
                        self.put_name(name, behind_star);
                    } else {
                        self.out.push(' ');
                        self.wrapped(true, |w| w.unwind(chain, name, indent, depth))?;
                    }
                    return self.params(t, indent, depth);
                }
                _ => {
                    self.modifiers(chain);
                    self.innermost(id, ty, indent, depth)?;
                }
            }
            behind_star = matches!(ty, Type::Ptr(_));
        }
        self.put_name(name, behind_star);
        Ok(())
    }

    /// What a chain ends with: something that has a name, or is defined on the spot.
    fn innermost(&mut self, id: TypeId, ty: Type<'a>, indent: u32, depth: u32) -> Result<(), Diagnostic> {
        match ty {
            Type::Void => self.out.push_str("void"),
            Type::Int(_) | Type::Float { .. } => self.out.push_str(ty.name()),
            Type::Struct(t) | Type::Union(t) if t.name.is_empty() => {
                if depth > LEVELS {
                    return Err(too_deep(id));
                }
                self.define_record(id, ty, t, indent)?;
            }
            Type::Struct(_) | Type::Union(_) => self.put_record_name(id, ty),
            Type::Enum(t) | Type::Enum64(t) if t.name.is_empty() => self.define_enum(id, ty, t, indent),
            Type::Enum(_) | Type::Enum64(_) => {
                self.out.push_str("enum ");
                self.put_tag(id, ty);
            }
            Type::Fwd { union, .. } => {
                self.out.push_str(if union { "union " } else { "struct " });
                self.put_tag(id, ty);
            }
            Type::Typedef { .. } => self.put_ident(id),
            Type::TypeTag { name, .. } => {
                // One with a flag stands for the attribute that it names.
                let (before, after) = if self.btf.has_flag(id) { ("", "") } else { ("btf_type_tag(\"", "\")") };
                self.out.extend([" __attribute__((", before, name, after, "))"]);
            }
            _ => return Err(problem(format!("`{}` is no type that a value can have", self.btf.c_name(id)), id)),
        }
        Ok(())
    }

    fn params(&mut self, t: Proto<'a>, indent: u32, depth: u32) -> Result<(), Diagnostic> {
        self.out.push('(');
        let count = t.params().len();
        // clang writes no parameters as one of type void.
        if t.params().all(|p| p.ty == TypeId::VOID) && count < 2 {
            self.out.push_str("void");
        } else {
            for (i, param) in t.params().enumerate() {
                if i > 0 {
                    self.out.push_str(", ");
                }
                if i + 1 == count && param.ty == TypeId::VOID {
                    self.out.push_str("...");
                } else if depth > LEVELS {
                    return Err(too_deep(param.ty));
                } else {
                    self.declare(param.ty, param.name, indent, depth + 1)?;
                }
            }
        }
        self.out.push(')');
        Ok(())
    }

    /// The modifiers of what follows in the text stand before it.
    fn modifiers(&mut self, chain: &mut Vec<TypeId>) {
        while let Some(word) = chain.last().and_then(|id| modifier(self.btf.ty(*id)?)) {
            if !self.bare {
                self.out.push_str(word);
                self.out.push(' ');
            }
            chain.pop();
        }
    }

    /// Compilers repeat an element's modifiers on arrays and mark functions that do not return `volatile`: neither says
    /// anything in C.
    fn drop_modifiers(&mut self, chain: &mut Vec<TypeId>) {
        while chain.last().and_then(|id| self.btf.ty(*id)).is_some_and(modifies) {
            chain.pop();
        }
    }

    fn wrapped(
        &mut self,
        braces: bool,
        inner: impl FnOnce(&mut Self) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        self.out.push_str(if braces { "(" } else { "" });
        inner(self)?;
        self.out.push_str(if braces { ")" } else { "" });
        Ok(())
    }

    fn put_name(&mut self, name: &str, behind_star: bool) {
        if !name.is_empty() && !behind_star {
            self.out.push(' ');
        }
        self.out.push_str(name);
    }
}

fn modifies(ty: Type<'_>) -> bool {
    matches!(ty, Type::TypeTag { .. }) || modifier(ty).is_some()
}

fn modifier(ty: Type<'_>) -> Option<&'static str> {
    match ty {
        Type::Volatile(_) => Some("volatile"),
        Type::Const(_) => Some("const"),
        Type::Restrict(_) => Some("restrict"),
        _ => None,
    }
}
