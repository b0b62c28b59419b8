//! Probes that authors put into programs (USDT): SystemTap's notes, and the description of a probe's arguments that
//! libbpf's `usdt.bpf.h` reads out of maps.

mod arguments;
mod notes;

use super::{
    Link, Place, Program,
    elf::Elf,
    uprobe::{self, How},
};
use crate::sys;
use alveary_diag::{Diagnostic, Place as At};
use alveary_sort::Sort;
use std::path::Path;

/// The map by which programs that include `usdt.bpf.h` find a probe's arguments.
#[derive(Clone, Copy, Debug)]
pub struct Maps<'a> {
    /// `__bpf_usdt_specs`.
    pub specs: &'a sys::Map,
}

pub(super) fn attach(
    program: Program<'_>,
    place: &Place<'_>,
    path: &Path,
    (provider, name): (&str, &str),
    pid: Option<u32>,
    cookie: u64,
    maps: Option<&Maps<'_>>,
) -> Result<Link, Diagnostic> {
    let elf = Elf::read(path)?;
    let all = notes::read(&elf)?;
    let sites: Vec<&notes::Probe> =
        all.iter().filter(|probe| probe.provider == provider && probe.name == name).collect();
    if sites.is_empty() {
        let mut known: Vec<String> = all.iter().map(|probe| format!("{}:{}", probe.provider, probe.name)).collect();
        known.order();
        known.dedup();
        let found = if known.is_empty() { "no probes at all".to_owned() } else { known.join(", ") };
        let message = format!("{} has no probe `{provider}:{name}`", path.display());
        return Err(Diagnostic::new("no-probe", message, At::Nowhere).found(found));
    }
    let mut links = Vec::new();
    for site in sites {
        // The cookie tells the program which description holds here.
        let id = maps.map(|maps| describe(maps, &site.arguments, cookie)).transpose()?;
        let how = How { ret: false, pid, cookie: id.map_or(cookie, u64::from) };
        links.push(uprobe::attach_at(program, place, path, site.offset, site.semaphore, how)?);
    }
    Ok(Link::all(place, links))
}

/// Puts a description of arguments into the map, unless it is there; gives its number.
fn describe(maps: &Maps<'_>, arguments: &str, cookie: u64) -> Result<u32, Diagnostic> {
    let spec = arguments::spec(arguments, cookie)?;
    let room = maps.specs.info()?.max_entries;
    let mut there = vec![0; maps.specs.value_size()];
    for id in 0..room {
        maps.specs.lookup(&id.to_ne_bytes(), &mut there, 0)?;
        if there == spec {
            return Ok(id);
        }
        if there.iter().all(|byte| *byte == 0) {
            maps.specs.update(&id.to_ne_bytes(), &spec, 0)?;
            return Ok(id);
        }
    }
    Err(Diagnostic::new("usdt-full", "the map `__bpf_usdt_specs` is full", At::Nowhere)
        .found(format!("{room} descriptions of arguments"))
        .help("define BPF_USDT_MAX_SPEC_CNT before usdt.bpf.h is included"))
}
