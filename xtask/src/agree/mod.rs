//! `cargo xtask agree DIR…`: every program of every object, judged by the running kernel and by our verifier;
//! `cargo xtask mutate DIR…`: mutants of the programs that both accept.
//!
//! Run as root, in release mode unless `--here` is given. A corpus is a folder with objects.

mod kernel;
mod memory;
mod messages;
mod mutant;
mod objects;
mod ours;
mod tally;
pub(crate) mod trace;
pub(crate) mod verdict;

use crate::{Outcome as Result, process};
use alveary_abi::{ProgSet, ProgType as P};
use alveary_linux::sys;
use alveary_spec::{Program, Resolved};
use alveary_testing::Draw;
use alveary_verifier::{Caps, Env};
use kernel::Kernel;
use mutant::mutant;
use objects::Object;
use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};
use tally::Judged;
use verdict::Verdict;

const USAGE: &str = "[--here] [--all-types] [--only TEXT] [--table FILE] [--trace] [--unjudged] [--rounds N] [--memory] [--messages] [--caps none|bpf,net_admin,perfmon] [--flags strict_alignment,…] DIR…; of mutants, [--count N] [--seed N]";

/// Said to the command that was started with fewer rights.
pub(crate) const DROPPED: &str = "--dropped";

/// Who has no rights at all.
const NOBODY: u32 = 65534;

/// The program types that our verifier judges as a whole; of others it judges what needs no types of the kernel.
const JUDGED: ProgSet = ProgSet::of(&[
    P::SOCKET_FILTER,
    P::KPROBE,
    P::SCHED_CLS,
    P::SCHED_ACT,
    P::TRACEPOINT,
    P::XDP,
    P::PERF_EVENT,
    P::CGROUP_SKB,
    P::CGROUP_SOCK,
    P::LWT_IN,
    P::LWT_OUT,
    P::LWT_XMIT,
    P::SOCK_OPS,
    P::SK_SKB,
    P::CGROUP_DEVICE,
    P::SK_MSG,
    P::RAW_TRACEPOINT,
    P::CGROUP_SOCK_ADDR,
    P::LWT_SEG6LOCAL,
    P::SK_REUSEPORT,
    P::FLOW_DISSECTOR,
    P::CGROUP_SYSCTL,
    P::RAW_TRACEPOINT_WRITABLE,
    P::CGROUP_SOCKOPT,
    P::SK_LOOKUP,
]);

/// What is asked for.
#[derive(Default)]
struct Wanted {
    folders: Vec<PathBuf>,
    /// Only programs with this in `OBJECT:PROGRAM`.
    only: Option<String>,
    table: Option<PathBuf>,
    /// Show where the logs of those that differ part.
    trace: bool,
    unjudged: bool,
    /// How often each judges, in turn; the shortest time counts, since others may use the machine.
    rounds: usize,
    /// Judge each once more, for how much memory it takes.
    memory: bool,
    /// What self-tests of the kernel expect, instead of what the kernel says.
    messages: bool,
    /// Programs of types that need the kernel's types, too.
    all_types: bool,
    /// What both are told that the loader may do.
    caps: Option<Caps>,
    /// Flags of the load, besides those that programs have.
    flags: u32,
    /// How many mutants; none for the programs themselves.
    mutants: Option<usize>,
    seed: u64,
}

/// `cargo xtask agree`.
pub(crate) fn run(arguments: &[String]) -> Result {
    command("agree", arguments, None)
}

/// `cargo xtask mutate`.
pub(crate) fn mutate(arguments: &[String]) -> Result {
    command("mutate", arguments, Some(10_000))
}

/// That both say the same of every program of the objects in `folder`.
pub(crate) fn hold(folder: &Path) -> Result {
    let wanted = Wanted { folders: vec![folder.to_owned()], ..Wanted::default() };
    let differing: Vec<String> = judge_all(&wanted)?.iter().filter_map(Judged::difference).collect();
    if differing.is_empty() { Ok(()) } else { Err(differing.join("; ")) }
}

fn command(name: &str, arguments: &[String], mutants: Option<usize>) -> Result {
    let Some(at) = arguments.iter().position(|a| a == "--here") else {
        let mut release = process::cargo(&["run", "--release", "--quiet", "--package", "xtask", "--", name, "--here"]);
        let folder = std::env::current_dir().map_err(|e| e.to_string())?;
        return process::run(release.args(arguments).current_dir(folder));
    };
    let rest: Vec<String> = arguments.iter().take(at).chain(&arguments[at + 1..]).cloned().collect();
    let wanted = parse(Wanted { mutants, seed: 1, ..Wanted::default() }, rest.iter())?;
    if wanted.messages {
        let unprivileged = wanted.caps.is_some_and(|caps| !caps.bpf);
        return messages::run(&wanted.folders, wanted.only.as_deref(), unprivileged);
    }
    let dropped = arguments.iter().any(|a| a == DROPPED);
    if !dropped && !process::is_root() {
        return Err("the kernel verifies nothing for users: run it as root".into());
    }
    if let Some(caps) = wanted.caps.filter(|_| !dropped) {
        return process::run(&mut without_rights(name, caps, arguments)?);
    }
    let all = judge_all(&wanted)?;
    if let Some(file) = &wanted.table {
        fs::write(file, tally::table(&all)).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    if wanted.unjudged {
        tally::print_unjudged(&all);
    }
    tally::print_differences(&all);
    tally::print_messages(&all);
    println!();
    tally::print_corpora(&all);
    Ok(())
}

fn parse<'a>(
    mut wanted: Wanted,
    mut arguments: impl Iterator<Item = &'a String>,
) -> std::result::Result<Wanted, String> {
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().cloned().ok_or_else(|| format!("{argument} needs a value; takes {USAGE}"));
        let number = |text: String| text.parse().map_err(|_| format!("{argument} takes a number"));
        match argument.as_str() {
            "--only" => wanted.only = Some(value()?),
            "--table" => wanted.table = Some(value()?.into()),
            "--count" => wanted.mutants = Some(number(value()?)? as usize),
            "--seed" => wanted.seed = number(value()?)?,
            "--trace" => wanted.trace = true,
            "--messages" => wanted.messages = true,
            "--unjudged" => wanted.unjudged = true,
            "--rounds" => wanted.rounds = number(value()?)? as usize,
            "--memory" => wanted.memory = true,
            "--caps" => wanted.caps = Some(rights(&value()?)?),
            "--flags" => wanted.flags = load_flags(&value()?)?,
            DROPPED => {}
            "--all-types" => wanted.all_types = true,
            option if option.starts_with("--") => return Err(format!("no option {option}; takes {USAGE}")),
            folder => wanted.folders.push(folder.into()),
        }
    }
    if wanted.folders.is_empty() { Err(format!("takes {USAGE}")) } else { Ok(wanted) }
}

/// Rights by their names in capabilities(7).
fn rights(list: &str) -> std::result::Result<Caps, String> {
    let mut caps = Caps::NONE;
    if list == "none" {
        return Ok(caps);
    }
    for name in list.split(',') {
        match name {
            "bpf" => caps.bpf = true,
            "perfmon" => caps.perfmon = true,
            "net_admin" => caps.net_admin = true,
            _ => return Err(format!("--caps takes bpf, perfmon and net_admin, not {name}")),
        }
    }
    Ok(caps)
}

/// Flags of the load by their names, in small letters and without `BPF_F_`.
fn load_flags(list: &str) -> std::result::Result<u32, String> {
    let flag = |name: &str| {
        let value = messages::flag(&format!("BPF_F_{}", name.to_ascii_uppercase()));
        if value == 0 { Err(format!("--flags does not know {name}")) } else { Ok(value) }
    };
    list.split(',').try_fold(0, |sum, name| Ok(sum | flag(name)?))
}

/// This command again, by someone who has no other rights.
pub(crate) fn without_rights(name: &str, caps: Caps, arguments: &[String]) -> std::result::Result<Command, String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    if caps == Caps::NONE {
        let disabled = fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled").unwrap_or_default();
        if disabled.trim() != "0" {
            return Err("ordinary users may load nothing here (kernel.unprivileged_bpf_disabled is not 0): \
                        docs/verifier.md says how to ask a kernel in a virtual machine"
                .into());
        }
        let mut command = Command::new(own);
        command.args([name, DROPPED]).args(arguments).uid(NOBODY).gid(NOBODY);
        return Ok(command);
    }
    let mut bounding = "-all".to_owned();
    for (has, capability) in [(caps.bpf, "bpf"), (caps.perfmon, "perfmon"), (caps.net_admin, "net_admin")] {
        if has {
            bounding.push_str(",+");
            bounding.push_str(capability);
        }
    }
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-all", "--bounding-set", &bounding]);
    command.arg(own).arg(name).arg(DROPPED).args(arguments);
    Ok(command)
}

fn judge_all(wanted: &Wanted) -> std::result::Result<Vec<Judged>, String> {
    let this = objects::this_kernel()?;
    let mut files = Vec::new();
    for folder in &wanted.folders {
        objects::find(folder, &mut files)?;
    }
    let objects: Vec<Object> = files.iter().filter_map(|file| read(file, &this)).collect();
    let programs = objects.iter().map(|object| object.spec.programs.len()).sum::<usize>().max(1);
    let mutants = wanted.mutants.map(|count| count.div_ceil(programs));
    let mut draw = Draw::new(wanted.seed);
    let mut all = Vec::new();
    for object in &objects {
        let caps = wanted.caps.unwrap_or(Caps::ALL);
        let mut judges = Judges { object, kernel: Kernel::of(object), this: &this, caps, wanted };
        for program in object.programs() {
            let name = format!("{}:{program}", object.name());
            if wanted.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
                continue;
            }
            let resolved = object.resolve(program, &this).and_then(|found| {
                let judged = wanted.all_types || JUDGED.has(found.0.ty);
                if judged { Ok(found) } else { Err("of another type".to_owned()) }
            });
            let resolved = resolved.map(|(program, resolved)| (with_flags(program, wanted.flags), resolved));
            match (resolved, mutants) {
                (Ok((program, resolved)), None) => {
                    let program = judges.kernel.loadable(&program, &resolved);
                    all.push(judges.judge(name, &program, &resolved));
                }
                (Ok((program, resolved)), Some(count)) => {
                    let program = judges.kernel.loadable(&program, &resolved);
                    judges.judge_mutants(&name, &program, &resolved, count, &mut draw, &mut all);
                }
                (Err(why), None) => {
                    let why = Verdict::none(why);
                    all.push(Judged { corpus: object.corpus.clone(), name, kernel: why.clone(), ours: why });
                }
                (Err(_), Some(_)) => {}
            }
        }
    }
    if all.is_empty() { Err("no programs found".into()) } else { Ok(all) }
}

fn with_flags(program: Arc<Program>, flags: u32) -> Arc<Program> {
    if flags == 0 { program } else { Arc::new(Program { flags: program.flags | flags, ..Program::clone(&program) }) }
}

fn read(file: &Path, this: &alveary_spec::Kernel) -> Option<Object> {
    Object::read(file, this).map_err(|why| eprintln!("{}: not read: {why}", file.display())).ok()
}

/// Both verifiers, for the programs of one object.
struct Judges<'a> {
    object: &'a Object,
    kernel: Kernel<'a>,
    this: &'a alveary_spec::Kernel,
    caps: Caps,
    wanted: &'a Wanted,
}

impl Judges<'_> {
    fn judge(&mut self, name: String, program: &Arc<Program>, resolved: &Resolved) -> Judged {
        let (mut kernel, _) = self.kernel.judge(program, resolved, sys::LOG_STATS);
        let env = Env { caps: self.caps, ..Env::new(self.this, &resolved.maps) };
        let mut ours = ours::judge(program, &env);
        for _ in 1..self.wanted.rounds {
            let (again, _) = self.kernel.judge(program, resolved, sys::LOG_STATS);
            kernel.time = kernel.time.min(again.time);
            ours.time = ours.time.min(ours::judge(program, &env).time);
        }
        if self.wanted.memory {
            ours.memory = memory::peak(|| ours::checked(program, &env)).1;
        }
        if self.wanted.trace {
            let (_, log) = self.kernel.judge(program, resolved, sys::LOG_INSNS.and(sys::LOG_STATS));
            trace::print(&name, &log, &ours::log(program, &env));
        }
        Judged { corpus: self.object.corpus.clone(), name, kernel, ours }
    }

    /// `count` mutants of a program, if both accept it.
    fn judge_mutants(
        &mut self,
        name: &str,
        program: &Arc<Program>,
        resolved: &Resolved,
        count: usize,
        draw: &mut Draw,
        all: &mut Vec<Judged>,
    ) {
        let itself = self.judge(name.to_owned(), program, resolved);
        if !(itself.kernel.outcome.accepts() && itself.ours.outcome.accepts()) {
            return;
        }
        // Not every draw finds something to change.
        let drawn = std::iter::repeat_with(|| mutant(program, draw)).take(count * 4).flatten().take(count);
        for (changed, what) in drawn.collect::<Vec<_>>() {
            all.push(self.judge(format!("{name}, {what}"), &Arc::new(changed), resolved));
        }
    }
}
