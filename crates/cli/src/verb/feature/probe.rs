//! `alveary feature probe`: the kernel is asked, one thing after the other.

use super::{
    config,
    print::{Printer, Section},
};
use crate::{
    bpftool::{device, json::Json, options::Shape, usage, words::Words},
    failure::Failure,
    output,
};
use alveary_abi::{MapType, Profile, ProgType, Tables};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::{
    probe::{self, Feature},
    sys::{Capability, held},
};
use alveary_sort::Sort;
use clap::Args;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::io;

/// Find out which program types, map types, helpers and instructions the kernel has, by trying them
#[derive(Debug, Args)]
pub(super) struct Probe {
    /// `kernel`, or `dev NAME` for what a device's driver translates; `full`: helpers too whose probing the kernel logs;
    /// `macros`: in C, with `prefix NAME`; `unprivileged`: what users without privilege get
    #[arg(value_name = "WORDS")]
    words: Vec<String>,
}

/// Helpers that make the kernel log a message when a program that calls them is loaded.
const LOGGED: [&str; 3] = ["trace_printk", "trace_vprintk", "probe_write_user"];

/// Types that drivers translate.
const OFFLOADED_PROGS: [ProgType; 2] = [ProgType::SCHED_CLS, ProgType::XDP];
const OFFLOADED_MAPS: [MapType; 2] = [MapType::HASH, MapType::ARRAY];

const SYSTEM: Section =
    Section { json: "system_config", text: "Scanning system configuration...", comment: "Misc kernel config items" };
const SYSCALL: Section = Section {
    json: "syscall_config",
    text: "Scanning system call availability...",
    comment: "System call availability",
};
const PROG_TYPES: Section =
    Section { json: "program_types", text: "Scanning eBPF program types...", comment: "eBPF program types" };
const MAP_TYPES: Section = Section { json: "map_types", text: "Scanning eBPF map types...", comment: "eBPF map types" };
const HELPERS: Section =
    Section { json: "helpers", text: "Scanning eBPF helper functions...", comment: "eBPF helper functions" };
const MISC: Section =
    Section { json: "misc", text: "Scanning miscellaneous eBPF features...", comment: "eBPF misc features" };

const FEATURES: [(Feature, &str, &str, &str); 5] = [
    (Feature::LargePrograms, "have_large_insn_limit", "Large program size limit", "LARGE_INSN_LIMIT"),
    (Feature::BoundedLoops, "have_bounded_loops", "Bounded loop support", "BOUNDED_LOOPS"),
    (Feature::IsaV2, "have_v2_isa_extension", "ISA extension v2", "V2_ISA_EXTENSION"),
    (Feature::IsaV3, "have_v3_isa_extension", "ISA extension v3", "V3_ISA_EXTENSION"),
    (Feature::IsaV4, "have_v4_isa_extension", "ISA extension v4", "V4_ISA_EXTENSION"),
];

/// What is asked for.
#[derive(Default)]
struct Request<'a> {
    /// Number of the device; 0 is the kernel.
    device: u32,
    full: bool,
    /// What stands in front of the names of macros.
    macros: Option<&'a str>,
    unprivileged: bool,
}

impl Probe {
    pub(super) fn run(&self, shape: Shape) -> Result<(), Failure> {
        let request = Request::read(&mut Words::new(&self.words))?;
        if request.unprivileged {
            drop_privilege()?;
        } else {
            must_be_privileged()?;
        }
        output::write(|out| match shape {
            Shape::Json { pretty } => {
                Json::new(&mut *out, pretty).object(|json| request.probe(&mut Printer::Json(json)))?;
                writeln!(out)
            }
            Shape::Text => match request.macros {
                Some(prefix) => request.probe(&mut Printer::Macros(out, prefix)),
                None => request.probe(&mut Printer::Text(out)),
            },
        })
    }
}

impl<'a> Request<'a> {
    fn read(words: &mut Words<'a>) -> Result<Request<'a>, Failure> {
        let mut request = Request::default();
        let mut component = false;
        while !words.is_empty() {
            if !component && words.is("kernel") {
                component = true;
            } else if !component && words.is("dev") {
                component = true;
                request.device = device::named(words.must("a network device")?)?;
            } else if words.is("full") {
                request.full = true;
            } else if request.macros.is_none() && words.is("macros") {
                request.macros = Some("");
            } else if words.is("prefix") {
                if request.macros != Some("") {
                    return Err(usage("a prefix stands behind `macros`, once").into());
                }
                request.macros = Some(words.must("what is to stand in front of each name")?);
            } else if words.is("unprivileged") {
                request.unprivileged = true;
            } else {
                return Err(words.unexpected("`kernel` or `dev NAME`, `full`, `macros`, `prefix NAME`, `unprivileged`"));
            }
        }
        Ok(request)
    }

    fn probe(&self, printer: &mut Printer<'_, '_>) -> io::Result<()> {
        if self.device == 0 {
            printer.section(&SYSTEM, config::print)?;
        }
        let there = probe::syscall();
        printer.section(&SYSCALL, |printer| {
            printer.available("have_bpf_syscall", "bpf() syscall", "BPF_SYSCALL", there)
        })?;
        if !there {
            return Ok(());
        }
        let profile = Profile::linux_6_18();
        let tables = profile.tables();
        let mut types: Vec<_> = tables.prog_types.iter().map(|row| (row.ty, row.name)).collect();
        types.order_by_key(|(ty, _)| ty.0);
        types.retain(|(ty, _)| self.device == 0 || OFFLOADED_PROGS.contains(ty));
        let types: Vec<_> = types.into_iter().map(|(ty, name)| (ty, name, probe::prog_type(ty, self.device))).collect();
        printer.section(&PROG_TYPES, |printer| {
            types.iter().try_for_each(|(_, name, is)| kind(printer, "program_type", "prog_type", name, *is))
        })?;
        printer.section(&MAP_TYPES, |printer| self.map_types(tables, printer))?;
        printer.section(&HELPERS, |printer| {
            printer.helper_macro()?;
            types.iter().try_for_each(|(ty, name, is)| self.helpers(tables, (*ty, name, *is), printer))
        })?;
        printer.section(&MISC, |printer| {
            FEATURES.iter().try_for_each(|(feature, json, text, define)| {
                printer.available(json, text, define, probe::feature(*feature, self.device))
            })
        })
    }

    fn map_types(&self, tables: &Tables, printer: &mut Printer<'_, '_>) -> io::Result<()> {
        let mut types: Vec<_> = tables.map_types.iter().map(|row| (row.ty, row.name)).collect();
        types.order_by_key(|(ty, _)| ty.0);
        types.retain(|(ty, _)| self.device == 0 || OFFLOADED_MAPS.contains(ty));
        types
            .into_iter()
            .try_for_each(|(ty, name)| kind(printer, "map_type", "map_type", name, probe::map_type(ty, self.device)))
    }

    fn helpers(
        &self,
        tables: &Tables,
        (ty, name, is): (ProgType, &str, bool),
        printer: &mut Printer<'_, '_>,
    ) -> io::Result<()> {
        let mut helpers: Vec<_> = tables.helpers.iter().filter(|h| self.full || !LOGGED.contains(&h.name)).collect();
        helpers.order_by_key(|helper| helper.id.0);
        let has = |id| is && probe::helper(ty, id, self.device) == Some(true);
        let helpers: Vec<_> = helpers.into_iter().map(|h| (format!("bpf_{}", h.name), has(h.id))).collect();
        let none = if is { "Could not determine which helpers are available" } else { "Program type not supported" };
        printer.helpers(name, &helpers, none)
    }
}

/// A type of programs or maps.
fn kind(printer: &mut Printer<'_, '_>, text: &str, json: &str, name: &str, is: bool) -> io::Result<()> {
    let define = format!("{name}_{json}").to_uppercase();
    printer.available(&format!("have_{name}_{json}"), &format!("eBPF {text} {name}"), &define, is)
}

/// What lacks, and what would grant it.
fn must_be_privileged() -> Result<(), Failure> {
    let wanted = [Capability::SysAdmin, Capability::Bpf, Capability::NetAdmin, Capability::Perfmon];
    let missing: Vec<String> =
        wanted.into_iter().filter(|one| held(*one) == Some(false)).map(|one| one.to_string()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!("probing needs {}, which this process lacks", missing.join(", "));
    Err(Diagnostic::new("privilege", why, Place::Nowhere)
        .help("run it as root, or `feature probe unprivileged` for what users without privilege get")
        .into())
}

/// Gives up what makes a user privileged towards bpf(2), in this thread, which does the probing.
fn drop_privilege() -> Result<(), Failure> {
    let failed = |why| {
        let why = format!("the privilege cannot be given up: {}", io::Error::from(why));
        Failure::from(Diagnostic::new("privilege", why, Place::Nowhere))
    };
    let mut sets = capabilities(None).map_err(failed)?;
    sets.effective -= CapabilitySet::SYS_ADMIN | CapabilitySet::BPF | CapabilitySet::NET_ADMIN | CapabilitySet::PERFMON;
    set_capabilities(None, sets).map_err(failed)
}
