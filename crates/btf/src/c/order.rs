//! Which types have to be written before which.
//!
//! What a struct holds by value has to be complete before it; what it points to need not be, if it has a name by which
//! it can be declared. What has no name is defined on the spot, pointed to or not, and brings its own needs along.

use super::{LEVELS, Progress, Writer, problem, too_deep};
use crate::{Kind, Type, TypeId};
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
        // Most types are looked at for what they refer to alone: their names, which take most of the time, can wait.
        let Some((kind, third)) = self.btf.kind_and_third(id) else { return Ok(false) };
        let to = TypeId(third);
        self.steps = self.steps.saturating_sub(1);
        if level > LEVELS || self.steps == 0 {
            return Err(too_deep(id));
        }
        let level = level + 1;
        match kind {
            Kind::Struct | Kind::Union => {
                let Some(Type::Struct(t) | Type::Union(t)) = self.btf.ty(id) else { return Ok(false) };
                self.state(id).order = Progress::Begun;
                for member in t.places() {
                    self.order(member.ty, false, level)?;
                }
                if !t.name.is_empty() {
                    self.queue.push(id);
                }
            }
            Kind::Enum | Kind::Enum64 | Kind::Fwd => {
                if !self.state(id).referenced || !self.btf.name(id).is_empty() {
                    self.queue.push(id);
                }
            }
            Kind::Typedef => {
                if !self.order(to, pointed, level)? && pointed {
                    return Ok(false);
                }
                self.queue.push(id);
            }
            Kind::Ptr => {
                let complete = self.order(to, true, level)?;
                self.state(id).order = Progress::Done;
                return Ok(complete);
            }
            Kind::Array => {
                let Some(Type::Array(t)) = self.btf.ty(id) else { return Ok(false) };
                return self.order(t.element, false, level);
            }
            Kind::Volatile | Kind::Const | Kind::Restrict | Kind::TypeTag => return self.order(to, pointed, level),
            Kind::FuncProto => {
                let Some(Type::FuncProto(t)) = self.btf.ty(id) else { return Ok(false) };
                let mut complete = self.order(t.ret, pointed, level)?;
                for param in t.types() {
                    complete |= self.order(param, pointed, level)?;
                }
                return Ok(complete);
            }
            Kind::Void | Kind::Int | Kind::Float | Kind::Func | Kind::Var | Kind::DataSec | Kind::DeclTag => {
                // Integers still have their aliases to write; the rest is nothing that a header declares.
                self.state(id).order = Progress::Done;
                return Ok(false);
            }
        }
        self.state(id).order = Progress::Done;
        Ok(true)
    }
}
