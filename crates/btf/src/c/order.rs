//! Which types have to be written before which.
//!
//! What a struct holds by value has to be complete before it; what it points to need not be, if it has a name by which
//! it can be declared. What has no name is defined on the spot, pointed to or not, and brings its own needs along.

use super::{LEVELS, Progress, Writer, problem, too_deep};
use crate::{Type, TypeId};
use alveary_diag::Diagnostic;

impl Writer<'_> {
    /// Queues what a type needs, then itself. Says whether the type is complete then, or a declaration has to do.
    pub(super) fn order(&mut self, id: TypeId, pointed: bool, level: u32) -> Result<bool, Diagnostic> {
        if self.state(id).order == Progress::Done {
            return Ok(true);
        }
        // What can be declared ahead, done here for all those that are pointed to.
        if pointed && self.btf.is_named_record(id) {
            return Ok(false);
        }
        if self.state(id).order == Progress::Begun {
            return Err(problem(format!("`{}` would have to hold itself", self.btf.c_name(id)), id));
        }
        let Some(ty) = self.btf.ty(id) else { return Ok(false) };
        self.steps = self.steps.saturating_sub(1);
        if level > LEVELS || self.steps == 0 {
            return Err(too_deep(id));
        }
        let level = level + 1;
        match ty {
            Type::Struct(t) | Type::Union(t) => {
                self.state(id).order = Progress::Begun;
                for member in t.places() {
                    self.order(member.ty, false, level)?;
                }
                if !t.name.is_empty() {
                    self.queue.push(id);
                }
            }
            Type::Enum(_) | Type::Enum64(_) | Type::Fwd { .. } => {
                if !ty.name().is_empty() || !self.state(id).referenced {
                    self.queue.push(id);
                }
            }
            Type::Typedef { ty, .. } => {
                if !self.order(ty, pointed, level)? && pointed {
                    return Ok(false);
                }
                self.queue.push(id);
            }
            Type::Ptr(to) => {
                let complete = self.order(to, true, level)?;
                self.state(id).order = Progress::Done;
                return Ok(complete);
            }
            Type::Array(t) => return self.order(t.element, false, level),
            Type::Volatile(ty) | Type::Const(ty) | Type::Restrict(ty) | Type::TypeTag { ty, .. } => {
                return self.order(ty, pointed, level);
            }
            Type::FuncProto(t) => {
                let mut complete = self.order(t.ret, pointed, level)?;
                for param in t.params() {
                    complete |= self.order(param.ty, pointed, level)?;
                }
                return Ok(complete);
            }
            Type::Void
            | Type::Int(_)
            | Type::Float { .. }
            | Type::Func { .. }
            | Type::Var { .. }
            | Type::DataSec(_)
            | Type::DeclTag { .. } => {
                // Integers still have their aliases to write; the rest is nothing that a header declares.
                self.state(id).order = Progress::Done;
                return Ok(false);
            }
        }
        self.state(id).order = Progress::Done;
        Ok(true)
    }
}
