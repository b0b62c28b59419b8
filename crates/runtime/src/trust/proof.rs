//! Where a proof becomes permission: what a program is proven for is what it is going to run with, and what a proof
//! believes of helpers is so.

use super::Addresses;
use crate::{
    LoadedMap,
    engine::Engines,
    load::{Owner, Site},
};
use alveary_abi::{Arg, HelperId, MapDef, Ret, Version};
use alveary_diag::Diagnostic;
use alveary_maps::Layout;
use alveary_spec::{Initial, Kernel, MapSpec, Program};
use alveary_verifier::{Env, Report, Verdict, Verified, explain_unproven, prove};
use alveary_vm::{Code, Image};
use std::{collections::BTreeMap, sync::Arc};

/// A program that is proven for one runtime and these maps.
pub(crate) struct Proof {
    verified: Verified,
}

impl Proof {
    /// Proves a program for the runtime whose kernel this is, with maps that are that runtime's.
    ///
    /// # Errors
    /// The verifier's report.
    pub(crate) fn of(program: &Arc<Program>, kernel: &Kernel, maps: &[LoadedMap]) -> Result<Proof, Box<Report>> {
        let specs = specs(program, maps).map_err(refused)?;
        prove(program.clone(), &Env::new(kernel, &specs)).map(|verified| Proof { verified })
    }

    /// A proof that was made elsewhere, if it holds for this runtime and these maps.
    pub(crate) fn made(verified: &Verified, kernel: &Kernel, maps: &[LoadedMap]) -> Option<Proof> {
        let mut specs = specs(verified.program(), maps).ok()?;
        let in_order = verified.program().maps.iter().map_while(|name| specs.remove(name));
        let specs: Vec<MapSpec> = in_order.collect();
        verified.holds_for(kernel, &specs).then(|| Proof { verified: verified.clone() })
    }

    /// Why the verifier rejects what could not be proven, in its words.
    pub(crate) fn explain(
        program: &Program,
        kernel: &Kernel,
        maps: &[LoadedMap],
        report: &Report,
    ) -> Option<Diagnostic> {
        explain_unproven(program, &Env::new(kernel, &specs(program, maps).ok()?), report)
    }

    /// What was proven.
    pub(crate) fn verified(&self) -> &Verified {
        &self.verified
    }

    /// The proof itself, once it has been used.
    pub(crate) fn into_verified(self) -> Verified {
        self.verified
    }

    /// Why the proof is not worth anything with these helpers.
    pub(crate) fn doubt(&self, sites: &[Site]) -> Option<String> {
        let newest = |site: &Site| {
            let program = self.verified.program();
            site.row.proto(program.ty, program.expected, Version::NEWEST)
        };
        sites.iter().find_map(|site| {
            let name = site.row.name;
            if newest(site).is_none_or(|proto| !std::ptr::eq(proto, site.proto)) {
                return Some(format!("`bpf_{name}` takes other arguments since a later kernel"));
            }
            (site.owner == Owner::Embedder && !is_plain(site))
                .then(|| format!("nobody vouches for what the embedder's body of `bpf_{name}` gives back or calls"))
        })
    }

    /// Links the code that the proven program was lowered to.
    ///
    /// # Errors
    /// Why it cannot be linked, or compiled where it has to be.
    #[allow(clippy::borrowed_box, reason = "the code names maps by where they stand, which is a box for good")]
    pub(crate) fn image(
        &self,
        engines: &Engines,
        code: &Code,
        maps: &Box<[LoadedMap]>,
        sites: &[Site],
    ) -> Result<Image, String> {
        // SAFETY: the verifier found that the program accesses only what its pointers allow, whatever its context holds:
        // its stack, fields of the context, packets between `data` and `data_end`, values and keys of maps, records; and
        // that helpers get what their rows say. The family promises that the fields and the packet are there, the maps
        // that their values are, `of` that these are the maps of the proof, `doubt` that helpers give back what their
        // rows say. The program keeps the box of its maps. `Vcpu` runs programs on contexts of their family alone, with its address in r1, and gives functions
        // to be called back only to the helpers that the verifier has followed into them.
        unsafe { engines.trusted(code, &Addresses { maps, sites }) }
    }
}

/// Whether nothing that the verifier believes of a helper can be made wrong by its body: it gives back any number, and
/// neither calls back nor takes or gives anything that has to be given back. Of Linux's own helpers more is believed.
fn is_plain(site: &Site) -> bool {
    let effects = site.proto.effects;
    site.row.id >= HelperId::FIRST_OWN
        && matches!(site.proto.ret, Ret::Scalar | Ret::Void)
        && !effects.acquires
        && effects.releases.is_none()
        && !site.proto.args.iter().any(|arg| matches!(arg, Arg::Callback { .. }))
}

/// The maps as the verifier gets them: by what they are.
///
/// # Errors
/// Why nothing can be said of them.
fn specs(program: &Program, maps: &[LoadedMap]) -> Result<BTreeMap<String, MapSpec>, &'static str> {
    let mut specs = BTreeMap::new();
    for (n, (name, map)) in program.maps.iter().zip(maps).enumerate() {
        let same = |other: &LoadedMap| std::ptr::addr_eq(Arc::as_ptr(&other.map), Arc::as_ptr(&map.map));
        if maps[..n].iter().any(same) {
            return Err("two of the program's maps are the same one");
        }
        let (said, made) = (&map.spec.def, map.map.def());
        let sizes = |def: &MapDef| (def.ty, def.key_size, def.value_size, def.max_entries);
        if sizes(said) != sizes(made) || said.special != made.special {
            return Err("a map is not what its definition says");
        }
        // Some maps are made with flags of their own.
        let mut spec = MapSpec { def: made.clone(), ..MapSpec::clone(&map.spec) };
        // Of a map that someone else made it is not known what it holds.
        spec.freeze &= map.domain.is_some() && matches!(map.map.layout(), Layout::Array { max: 1, .. });
        if !spec.freeze {
            spec.initial = Initial::Empty;
        }
        if specs.insert(name.clone(), spec).is_some() {
            return Err("two of the program's maps have one name");
        }
    }
    if specs.len() != program.maps.len() {
        return Err("the program names maps that it was not given");
    }
    Ok(specs)
}

fn refused(reason: &str) -> Box<Report> {
    let verdict = Verdict::Refused { reason: reason.to_owned(), insn: 0 };
    Box::new(Report::of(verdict))
}
