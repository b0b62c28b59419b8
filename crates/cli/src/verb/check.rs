//! `alveary check`: whether programs load, as a Linux kernel would say, without that kernel.

mod compare;
mod judge;
mod objects;
mod options;
mod place;
mod show;
mod spent;
mod turns;

use crate::{
    error,
    failure::Failure,
    inspect,
    kernel::{KernelOptions, untyped_symbols},
    output,
};
use alveary_abi::ProgType;
use alveary_spec::{Kernel, Spec};
use alveary_verifier::{Caps, LogLevel, Verdict};
use clap::{Args, ValueEnum, ValueHint};
use compare::Comparison;
use judge::To;
use objects::{Group, Opened};
use show::Shown;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Say whether programs load, as Linux would
///
/// Every program of the objects is held against the rules of a Linux kernel's verifier, and its log can be shown as the
/// kernel prints it. No kernel is asked, nothing is loaded, no rights are needed. What this version does not judge (kernel
/// functions, dynptrs, kernel pointers in maps) is said to be unknown, with the reason. The exit code is 1 if a program
/// is rejected, or asks for what that kernel does not have.
///
/// All of it takes less than 256 MB of memory, whatever the objects and however many are judged side by side. A program
/// that needs more is not judged: `it takes more than … MB to follow its ways`. The limit is fixed here; the library's
/// (`Env::memory`) can be set.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary check filter.bpf.o
  alveary check filter.bpf.o --prog filter --format kernel --log 2
  alveary check *.bpf.o --kernel 6.1 --format csv > before.csv
  alveary check *.bpf.o --kernel 6.1 --compare before.csv
  alveary check filter.bpf.o --caps none")]
pub(crate) struct Check {
    /// The object files
    #[arg(value_name = "OBJ", value_hint = ValueHint::FilePath, required = true)]
    objects: Vec<PathBuf>,

    /// Judge only the program of this name
    #[arg(long, value_name = "NAME")]
    prog: Option<String>,

    /// The type of programs whose section does not tell it (xdp, sched_cls …)
    #[arg(long = "type", value_name = "TYPE", value_parser = options::prog_type)]
    ty: Option<ProgType>,

    /// What they are attached to, where the section does not tell it: a function of the kernel (tcp_connect), or an attach
    /// type (cgroup_inet_egress …)
    ///
    /// A function, a tracepoint or a security hook is written as behind the / of a section's name. The kernel's types
    /// (--btf, this kernel's if there are some) must have it.
    #[arg(long, value_name = "BTF_FUNC|ATTACH_TYPE")]
    attach: Option<String>,

    /// What the one who loads them may do: none, or some of bpf, perfmon, net_admin, sys_admin; everything unless given
    #[arg(long, value_name = "LIST", value_parser = options::caps)]
    caps: Option<Caps>,

    /// Flags that they are loaded with: strict_alignment, any_alignment, test_rnd_hi32, test_state_freq, sleepable,
    /// xdp_has_frags
    #[arg(long, value_name = "LIST", value_parser = options::load_flags)]
    flags: Option<u32>,

    #[command(flatten)]
    kernel: KernelOptions,

    /// Show the kernel's log: 1 the path that is rejected, 2 everything, 4 figures; sums of these
    #[arg(long, value_name = "LEVEL", value_parser = clap::value_parser!(u32).range(0..8))]
    log: Option<u32>,

    /// How the verdicts are written
    ///
    /// For people unless given; the kernel's log where `--log` is.
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<Format>,

    /// Show how much work each program was, and where it went
    ///
    /// The source lines (without line information: the instructions) and functions that took most of the processed
    /// instructions; the branches of which both ways were followed and never came to the same state again.
    #[arg(long)]
    stats: bool,

    /// With --format json: what is known of each instruction of accepted programs, in every run
    #[arg(long)]
    facts: bool,

    /// Hold the verdicts against those of an earlier run: its --format csv or json, or veristat's CSV
    ///
    /// Shows the programs that differ. The exit code is 1 if a program that loaded does not any more, or one takes over
    /// a tenth more instructions or states.
    #[arg(long, value_name = "BASELINE", value_hint = ValueHint::FilePath)]
    compare: Option<PathBuf>,

    /// Judge this many programs side by side; as many as there are CPUs unless given
    #[arg(short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    j: Option<u16>,
}

/// How verdicts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A line for each program, and what is wrong with those that are rejected
    Human,
    /// The kernel's log
    Kernel,
    /// One JSON object a line
    Json,
    /// A line of values for each program, below a line of names
    Csv,
}

impl Check {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let format = self.format(json)?;
        let log = self.log.unwrap_or(if format == Format::Kernel { 1 } else { 0 });
        let mut comparison = self.compare.as_deref().map(Comparison::read).transpose()?;
        let mut shown = Shown::new(format, self.stats, self.objects.len() > 1);
        let (mut unreadable, mut fails, mut judged) = (false, false, 0);
        for paths in objects::groups(&self.objects) {
            let mut group = Group::default();
            for path in paths {
                match group.read(path) {
                    Ok(spec) => self.open(path, spec, &mut group)?,
                    // The other objects have their verdicts all the same.
                    Err(why) => {
                        error::report(&why, json);
                        unreadable = true;
                    }
                }
            }
            let tasks: Vec<(judge::Task<'_>, Vec<String>)> = group
                .objects
                .iter()
                .map(|Opened { path, spec, kernel, attach }| {
                    let task = judge::Task {
                        spec,
                        kernel,
                        ty: self.ty,
                        attach: *attach,
                        caps: self.caps.unwrap_or(Caps::ALL),
                        flags: self.flags.unwrap_or_default(),
                        log: LogLevel(log),
                        explain: matches!(format, Format::Human | Format::Json),
                        facts: self.facts && format == Format::Json,
                        work: self.stats && matches!(format, Format::Human | Format::Json),
                        path,
                    };
                    let names = inspect::in_order(spec).map(|program| program.name.clone());
                    (task, names.filter(|name| self.prog.as_ref().is_none_or(|wanted| wanted == name)).collect())
                })
                .collect();
            shown.begin(&tasks.iter().flat_map(|(_, names)| names).map(|name| &**name).collect::<Vec<_>>());
            let workers = group.workers(self.j);
            turns::all(&tasks, workers, group.memory(workers), |one| {
                judged += 1;
                fails |= one.unresolved || matches!(one.verdict, Verdict::Reject(_));
                let Some(comparison) = &mut comparison else { return output::write(|out| shown.write(&one, out)) };
                comparison.add(&one);
                Ok(())
            })?;
        }
        if unreadable && judged == 0 {
            return Err(Failure::Silent);
        }
        fails |= unreadable;
        match comparison {
            Some(comparison) => {
                let compared = comparison.pair();
                output::write(|out| compared.write(format, out))?;
                fails = unreadable || compared.is_worse();
            }
            None => output::write(|out| shown.finish(out))?,
        }
        if fails { Err(Failure::Silent) } else { Ok(()) }
    }

    /// The format that is asked for, if what else is asked for has a place in it.
    fn format(&self, json: bool) -> Result<Format, Failure> {
        let implied = match (json, self.log) {
            (true, _) => Format::Json,
            (_, Some(_)) => Format::Kernel,
            _ => Format::Human,
        };
        let format = self.format.unwrap_or(implied);
        let human = [Format::Human, Format::Json];
        let asked = [
            (json, "--json", &[Format::Json][..]),
            (self.log.is_some(), "--log", &[Format::Kernel, Format::Json]),
            (self.facts, "--facts", &[Format::Json]),
            (self.stats, "--stats", &human),
        ];
        match asked.iter().find(|(asked, _, places)| *asked && !places.contains(&format)) {
            Some((_, option, places)) => Err(options::no_place(option, format, places)),
            None => Ok(format),
        }
    }

    /// Adds an object to a group, with what it is held against.
    fn open<'a>(&'a self, path: &'a Path, mut spec: Spec, group: &mut Group<'a>) -> Result<(), Failure> {
        if let Some(name) = &self.prog {
            inspect::program(&spec, name, path)?;
        }
        let mut kernel = Kernel {
            cpus: judge::possible_cpus(),
            symbols: Some(Arc::new(untyped_symbols(&spec))),
            ..self.kernel.described(&spec)?
        };
        let attach = match self.attach.as_deref() {
            Some(name) if !options::names_attach_type(&kernel.profile, name) => {
                self.kernel.add_types(&mut kernel)?;
                place::put(&mut spec, self.prog.as_deref(), &kernel, name)?;
                Some(To::Place)
            }
            named => named.map(To::Type),
        };
        group.objects.push(Opened { path, spec, kernel, attach });
        Ok(())
    }
}
