//! CO-RE: what an object asks of a kernel's types, answered (`enum bpf_core_relo_kind`, and libbpf's rules for it).
//!
//! Knows no program and no ELF: records, types, instructions.
//!
//! | file | holds |
//! |---|---|
//! | `access` | which part of a type is meant, and the same part of another type |
//! | `compat`, `matches` | whether a kernel's type will do |
//! | `value` | what is asked of the part, as a number |
//! | `patch` | the number in the instruction |
//! | `explain` | in words: what is asked, why there is no answer |
//! | `report` | all relocations of an object, answered |
//! | `minimal` | the part of a kernel's types that some objects look at |

mod access;
pub(crate) mod compat;
mod explain;
mod matches;
mod minimal;
mod patch;
mod report;
mod value;

pub use minimal::minimal_types;
pub use report::{CoreOutcome, CoreRelocation, apply_core, core_relocations};

use access::{Access, Asks};
use alveary_btf::{Btf, CoreKind, CoreReloc, Type, TypeId};
use alveary_diag::{Diagnostic, Place};
use alveary_isa::Insn;
use alveary_spec::{Kernel, Modules};
use patch::Patched;
use std::collections::HashMap;
use value::Value;

/// Answers the questions of one object to one kernel. Questions that come again are not thought through again.
pub(crate) struct Core<'a> {
    local: &'a Btf,
    target: Option<&'a Btf>,
    /// The types of the kernel's modules: asked for types that the kernel itself does not have.
    modules: Option<&'a Modules>,
    /// The kernel's types that may be meant by a type of the object. Once some of them have what is asked for, the
    /// others are out, as with libbpf.
    candidates: HashMap<TypeId, Vec<(&'a Btf, TypeId)>>,
    known: HashMap<(TypeId, u32, CoreKind), Result<Answer<'a>, Problem>>,
    /// The kernel's type whose name is nearest to that of one which it does not have.
    near: HashMap<TypeId, Option<TypeId>>,
}

/// An answer.
#[derive(Clone, Debug)]
struct Answer<'a> {
    /// What is asked about, in the object's types.
    own: Access<'a>,
    /// What the compiler should have written into the instruction.
    own_value: Value,
    /// The same in the kernel's types.
    found: Option<Access<'a>>,
    /// What belongs into the instruction; `None`: an instruction that fails.
    value: Option<Value>,
}

/// Why a question cannot be answered at all: with libbpf the object does not load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// The kernel's types are not known.
    NoTypes,
    /// They are of another byte order.
    Endian,
    /// The access string makes no sense.
    Access(&'static str),
    /// No such question is known, or not about such a part.
    Kind,
    /// Types are nested too deeply, perhaps endlessly.
    Deep,
    /// A type without a size.
    Unsized,
    /// An offset that does not fit.
    Far,
    /// A type without a name.
    Anonymous,
    /// Only offset and size are asked of array elements.
    Element,
    /// A bit field that no load of 8 bytes holds.
    BitField,
    /// Several types of the kernel have it, each in another way.
    Ambiguous([String; 2]),
    /// The compiler's own answer is another one than the object's types give.
    Contradiction { found: i64, expected: u64 },
    /// An offset that an instruction cannot hold.
    Offset(u64),
    /// A size that no load has.
    Width(u32),
    /// The instruction cannot hold an answer.
    Instruction,
}

impl<'a> Core<'a> {
    /// Answers for an object with types `local` on a kernel with types `target`.
    pub(crate) fn new(local: &'a Btf, target: Option<&'a Btf>) -> Core<'a> {
        Core { local, target, modules: None, candidates: HashMap::new(), known: HashMap::new(), near: HashMap::new() }
    }

    /// Answers for an object with types `local` on a kernel.
    pub(crate) fn of(local: &'a Btf, kernel: &'a Kernel) -> Core<'a> {
        match kernel.core.as_deref() {
            // Other types than the kernel's own have no modules.
            Some(types) => Core::new(local, Some(types)),
            None => Core::new(local, kernel.btf.as_deref()).with(&kernel.modules),
        }
    }

    /// With modules, which are asked for types that the kernel itself does not have.
    pub(crate) fn with(self, modules: &'a Modules) -> Core<'a> {
        Core { modules: Some(modules), ..self }
    }

    /// Writes an answer into the instruction at `at`, which stands at `place`. `Some`: there is none, the instruction
    /// was replaced by one that fails, and this is why.
    ///
    /// # Errors
    /// Why the object cannot be loaded on any path.
    pub(crate) fn relocate(
        &mut self,
        record: &CoreReloc,
        insns: &mut [Insn],
        at: u32,
        place: &Place,
    ) -> Result<Option<Diagnostic>, Diagnostic> {
        let patched = self.answer(record).and_then(|answer| patch::patch(insns, at as usize, answer));
        match patched {
            Ok(Patched::Done) => Ok(None),
            Ok(why) => Ok(Some(self.missing(record, why, place.clone()))),
            Err(problem) => Err(self.refused(record, &problem, place.clone())),
        }
    }

    fn answer(&mut self, record: &CoreReloc) -> Result<&Answer<'a>, Problem> {
        let key = (record.ty, record.access, record.kind);
        if !self.known.contains_key(&key) {
            let answer = self.think(record);
            self.known.insert(key, answer);
        }
        match &self.known[&key] {
            Ok(answer) => Ok(answer),
            Err(problem) => Err(problem.clone()),
        }
    }

    fn think(&mut self, record: &CoreReloc) -> Result<Answer<'a>, Problem> {
        let kind = record.kind;
        let own = Access::parse(self.local, record)?;
        let own_value = value::value(kind, Some(&own))?.ok_or(Problem::Kind)?;
        if kind == CoreKind::TypeIdLocal {
            let value = Some(own_value);
            return Ok(Answer { found: Some(own.clone()), own, own_value, value });
        }
        let target = self.target.ok_or(Problem::NoTypes)?;
        if target.endian() != self.local.endian() {
            return Err(Problem::Endian);
        }
        let candidates = match self.candidates.get(&record.ty) {
            Some(known) => known,
            None => {
                let all = self.everywhere(record.ty, target)?;
                self.candidates.entry(record.ty).or_insert(all)
            }
        };
        let mut found: Vec<((&'a Btf, TypeId), Access<'a>, Option<Value>)> = Vec::new();
        for &(btf, candidate) in candidates {
            let Some(access) = own.find(btf, candidate, kind)? else { continue };
            let value = value::value(kind, Some(&access))?;
            if let Some((_, first, first_value)) = found.first()
                && (first.bit != access.bit || first_value.map(|v| v.number) != value.map(|v| v.number))
            {
                return Err(Problem::Ambiguous([first, &access].map(|a| explain::target(kind, a))));
            }
            found.push(((btf, candidate), access, value));
        }
        if found.is_empty() {
            return Ok(Answer { own, own_value, found: None, value: value::value(kind, None)? });
        }
        self.candidates.insert(record.ty, found.iter().map(|(candidate, ..)| *candidate).collect());
        let (_, access, value) = found.swap_remove(0);
        Ok(Answer { own, own_value, found: Some(access), value })
    }

    /// The kernel's types that may be meant by a type; those of its modules if it has none itself.
    fn everywhere(&self, ty: TypeId, target: &'a Btf) -> Result<Vec<(&'a Btf, TypeId)>, Problem> {
        let own = candidates(self.local, ty, target)?;
        if !own.is_empty() {
            return Ok(own.into_iter().map(|id| (target, id)).collect());
        }
        let mut all = Vec::new();
        for module in self.modules.map_or(&[][..], Modules::all) {
            if module.btf.endian() == self.local.endian() {
                let own =
                    candidates(self.local, ty, &module.btf)?.into_iter().filter(|id| id.0 >= module.btf.first_id());
                all.extend(own.map(|id| (&*module.btf, id)));
            }
        }
        Ok(all)
    }
}

/// The types of a set that may be meant by a type: of its name, flavours aside, and of its kind.
fn candidates(local: &Btf, ty: TypeId, target: &Btf) -> Result<Vec<TypeId>, Problem> {
    let wanted = local.ty(ty).unwrap_or(Type::Void);
    if wanted.name().is_empty() {
        return Err(Problem::Anonymous);
    }
    let agrees = |id: &TypeId| target.ty(*id).is_some_and(|t| compat::kinds(wanted.kind(), t.kind()));
    Ok(target.flavours(wanted.name()).filter(agrees).collect())
}
