//! Helpers as one program calls them, looked up once: row, prototype, body, which of the program's maps they take.

use super::refuse;
use crate::{Bind, LoadedMap, bind::Closure, family::FamilyTable};
use alveary_abi::{Arg, Helper, HelperId, MapType, Profile, Proto};
use alveary_diag::Diagnostic;
use alveary_isa::Inst;
use alveary_spec::{MapSpec, Program};
use alveary_vm::Call;
use std::{any::TypeId, sync::Arc};

/// A helper of a program.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) row: &'static Helper,
    pub(crate) proto: &'static Proto,
    pub(crate) bind: Bind,
    /// Who brought the body.
    pub(crate) owner: Owner,
    /// Which argument is the map.
    pub(crate) map: Option<usize>,
    /// For each map of the program whether the helper takes it.
    pub(crate) maps: Box<[bool]>,
    /// The same of the maps that each holds.
    pub(crate) inner: Box<[bool]>,
}

/// Who brings a helper's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This crate, or a family, which promises to do as its rows say.
    Runtime,
    /// An embedder, in safe code that may do anything.
    Embedder,
}

impl Site {
    /// Whether it cannot change the context: it is of those that know no family, `common_family`, and is not handed it.
    pub(crate) fn leaves_context(&self, common_family: TypeId) -> bool {
        let handed = self.proto.args.iter().any(|arg| matches!(arg, Arg::Ctx { .. }));
        self.owner == Owner::Runtime && self.bind.family == common_family && !handed
    }
}

/// Looks up the helpers of one program. A helper has one entry, however often it is called.
pub(crate) struct Sites<'a> {
    pub(crate) program: &'a Program,
    pub(crate) profile: &'a Profile,
    pub(crate) family: &'a FamilyTable,
    /// Bodies that count for every family: the common ones and the embedder's.
    pub(crate) common: &'a [Bind],
    pub(crate) common_family: TypeId,
    /// How many of `common` are the embedder's: the first ones.
    pub(crate) embedders: usize,
    /// Closures of the embedder.
    pub(crate) closures: &'a [Arc<Closure>],
    pub(crate) maps: &'a [LoadedMap],
    pub(crate) found: Vec<Site>,
    pub(crate) calls: Vec<Call>,
    /// The closures among `found`, as the program numbers them.
    pub(crate) called: Vec<Arc<Closure>>,
}

impl Sites<'_> {
    /// The helper that an instruction calls, if its body is the runtime's: then it does what Linux's does.
    pub(crate) fn runtimes_own(&self, inst: Inst) -> Option<HelperId> {
        let Inst::CallHelper { id } = inst else { return None };
        let site = self.found.iter().find(|site| site.row.id.0 == id as u32)?;
        (site.owner == Owner::Runtime).then_some(site.row.id)
    }

    /// The number (in `calls`) of helper `id`, called at slot `index`.
    pub(crate) fn helper(&mut self, id: u32, index: usize) -> Result<i32, Diagnostic> {
        let (program, profile) = (self.program, self.profile);
        if let Some(row) = profile.helper(HelperId(id)) {
            return self.row(row, index);
        }
        let later = profile.tables().helpers.iter().find(|h| h.id == HelperId(id));
        Err(later.map_or_else(
            || refuse::unknown_helper(program, profile, index, id),
            |row| refuse::helper_too_new(program, profile, index, row),
        ))
    }

    /// The number (in `calls`) of the helper with this row.
    pub(crate) fn row(&mut self, row: &'static Helper, index: usize) -> Result<i32, Diagnostic> {
        if let Some(n) = self.found.iter().position(|s| s.row.id == row.id) {
            return Ok(n as i32);
        }
        let (program, profile) = (self.program, self.profile);
        let proto = row
            .proto(program.ty, program.expected, profile.version)
            .ok_or_else(|| refuse::helper_not_for_type(program, profile, index, row))?;
        let (bind, closure) = bodies(self.family, self.common, self.closures, self.common_family)
            .find(|(b, _)| b.row.id == row.id && *b.args == proto.args)
            .ok_or_else(|| refuse::helper_unsupported(program, index, row))?;
        let embedders = closure.is_some() || self.common[..self.embedders].iter().any(|own| std::ptr::eq(own, bind));
        let owner = if embedders { Owner::Embedder } else { Owner::Runtime };
        let bind = match closure {
            None => *bind,
            Some(closure) => {
                let bind = closure.numbered(self.called.len());
                self.called.push(closure.clone());
                bind.ok_or_else(|| refuse::too_many_closures(program, index, row))?
            }
        };
        if proto.gpl && !gpl_compatible(&program.license) {
            return Err(refuse::helper_gpl(program, index, row));
        }
        let takes = |spec: &MapSpec| takes(profile, row, proto, spec.def.ty);
        let maps = self.maps.iter().map(|m| takes(&m.spec)).collect();
        let inner = self.maps.iter().map(|m| m.spec.inner.as_deref().is_some_and(takes)).collect();
        let map = proto.args.iter().position(|a| *a == Arg::Map);
        let tag = self.found.len() as u32;
        self.found.push(Site { row, proto, bind, owner, map, maps, inner });
        self.calls.push(Call { args: proto.reads(), returns: proto.ret != alveary_abi::Ret::Void, tag });
        Ok(tag as i32)
    }
}

/// The bodies that a family's programs may call: its own first, then the embedder's closures, then those of every
/// family. A closure comes with its bind.
pub(crate) fn bodies<'a>(
    family: &'a FamilyTable,
    common: &'a [Bind],
    closures: &'a [Arc<Closure>],
    common_family: TypeId,
) -> impl Iterator<Item = (&'a Bind, Option<&'a Arc<Closure>>)> {
    let own = family.helpers.iter().filter(|b| b.family == family.id).map(|b| (b, None));
    let closures = closures.iter().map(|closure| (closure.bind(), Some(closure)));
    let added = closures.chain(common.iter().map(|b| (b, None)));
    own.chain(added.filter(move |(b, _)| b.family == common_family || b.family == family.id))
}

/// Whether the helper takes a map of this type: the map type's row names it, or an embedder made one of them.
fn takes(profile: &Profile, helper: &Helper, proto: &Proto, ty: MapType) -> bool {
    if !proto.args.contains(&Arg::Map) {
        return false;
    }
    helper.id >= HelperId::FIRST_OWN || profile.map_type(ty).is_none_or(|row| row.helpers.contains(&helper.id))
}

/// The licences that the kernel counts as compatible (include/linux/license.h).
fn gpl_compatible(license: &str) -> bool {
    matches!(license, "GPL" | "GPL v2" | "GPL and additional rights" | "Dual BSD/GPL" | "Dual MIT/GPL" | "Dual MPL/GPL")
}
