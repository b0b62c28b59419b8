//! `alveary run`: a program over every packet of a capture, in user space or in the running kernel.

mod compare;
mod drive;
mod dump;
mod engine;
mod events;
mod fate;
mod jit_dump;
mod load;
mod outputs;
mod perf_map;
mod preset;
mod proof;
mod summary;

use crate::{failure::Failure, files, kernel::KernelOptions, output};
use alveary::{Backend, Loaded, User, runtime};
use alveary_abi::ProgType;
use alveary_diag::{Diagnostic, Place};
use alveary_vm::JitDump;
use clap::{Args, ValueEnum, ValueHint};
use compare::Both;
use drive::{Job, Ran};
use dump::Dump;
use engine::{OnLinux, OnUser};
use events::Events;
use load::Ready;
pub(crate) use load::{Programs, parse_type};
use preset::Preset;
use proof::Proof;
use std::path::PathBuf;
use summary::Summary;

/// Instructions that a packet may take unless told otherwise.
const BUDGET: u64 = 1 << 28;

/// The most virtual CPUs: as many as Linux can be built for.
const CPUS: u32 = 8192;

/// Run a program over the packets of a capture
///
/// Reads pcap and pcapng, gzip too: Ethernet, raw IP and Linux cooked packets (the latter two get an Ethernet header).
/// The program is verified first, as by Linux: one that is rejected does not run (`alveary check` says more). One that
/// cannot be judged yet, or runs with --unverified, runs checked: each access is held against what the program was given,
/// and if it goes astray it is stopped and the run ends with exit code 1.
///
/// Prints packets, bytes, verdicts, packets that the program changed, and the time and instructions that a packet took:
/// time in the program, without reading the capture and writing results. What the program prints goes to stderr as in
/// the kernel's trace_pipe; its perf and ring buffer events are printed a line each, by the BTF struct that is named
/// like the map, or `event`, else in hex. With --json such an event is a line of JSON on stderr.
///
/// With --json the result is one object: `program`, `type`, `target`, `packets`, `bytes`, `verdicts` (how often each was
/// given; a socket filter's are the numbers of bytes that it accepted, 0 where it dropped), `stopped` (packets in which
/// the program was stopped), `changed`, `ns_per_packet`, `insns_per_packet` (null where they are not counted), `verified`,
/// `unverified_because` (if it is not), and `maps`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary run filter.bpf.o --pcap in.pcap --write out.pcap --map 'ports:{protocol=6,port=23}=1'
  alveary run count.bpf.o --pcap in.pcap.gz --dump-maps
  tcpdump -ddd 'udp port 53' > dns.txt; alveary run --cbpf dns.txt --pcap in.pcap --write dns.pcap")]
pub(crate) struct Run {
    /// The object file
    #[arg(value_name = "OBJ", value_hint = ValueHint::FilePath, required_unless_present = "cbpf")]
    object: Option<PathBuf>,

    /// Run this program; needed where the object has several
    #[arg(long, value_name = "NAME", conflicts_with = "cbpf")]
    prog: Option<String>,

    /// Run a classic filter instead of an object
    ///
    /// FILE holds what `tcpdump -ddd` prints. The filter sees packets as they are in the capture, whatever their link
    /// type.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["object", "btf", "kconfig"])]
    cbpf: Option<PathBuf>,

    /// Read packets from this capture; `-` is stdin
    #[arg(long, value_name = "IN", value_hint = ValueHint::FilePath, value_parser = files::input)]
    pcap: PathBuf,

    /// Write the packets that go on: passed, sent back or redirected, as the program left them
    ///
    /// The name says the format: .pcapng is that, all others are pcap; with .gz compressed. A socket filter's packets are cut to the length
    /// that it accepted.
    #[arg(long, value_name = "OUT", value_hint = ValueHint::FilePath, value_parser = files::written)]
    write: Option<PathBuf>,

    /// Write the packets that do not go on
    #[arg(long, value_name = "OUT", value_hint = ValueHint::FilePath, value_parser = files::written)]
    write_dropped: Option<PathBuf>,

    /// Write a line of JSON for each packet
    ///
    /// Its number, verdict and return value, the length and bytes that the program left, and where it was redirected.
    #[arg(long, value_name = "FILE.jsonl", value_hint = ValueHint::FilePath, value_parser = files::written)]
    packets: Option<PathBuf>,

    /// Program type, where the section's name does not say it: xdp, sched_cls, sched_act, socket_filter, lwt_in …
    #[arg(long = "type", value_name = "TYPE", value_parser = load::parse_type, conflicts_with = "cbpf")]
    ty: Option<ProgType>,

    /// Where the program runs: user, linux or both
    ///
    /// `user` is Alveary's own user-space kernel: no privilege, repeatable. `linux` is the running kernel, by BPF_PROG_TEST_RUN, which takes privileges: nothing is attached, packets go
    /// nowhere. Those that it takes for none (without a whole Ethernet header, longer than a page) are counted as refused.
    /// `both` runs each packet on either and ends with exit code 1 if they differ in verdict, bytes, context (mark, priority,
    /// cb, tstamp, XDP's metadata) or maps, the first difference last.
    #[arg(long, value_enum, value_name = "TARGET", default_value_t = On::User, hide_possible_values = true)]
    on: On,

    /// Run each packet N times, from its original bytes
    ///
    /// Time and instructions are averages over all runs; verdicts and outputs are those of the last.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,

    /// Run the program whatever the verifier says of it
    ///
    /// Each access is checked, which takes time; instructions are counted.
    #[arg(long)]
    unverified: bool,

    /// What runs a program that is proven: auto, jit or interp
    ///
    /// `interp` is the interpreter, `jit` native code from the first packet on: a program that is not proven is refused.
    /// `auto` interprets first, and makes native code of a program that has run a thousand times, or long.
    #[arg(long, value_enum, value_name = "ENGINE", default_value_t = Runner::Auto, hide_possible_values = true, hide_short_help = true)]
    engine: Runner,

    /// Stop the program when it has taken this many instructions for a packet
    ///
    /// The run ends at the first packet for which that happens. Linux's verifier follows a million instructions and lets
    /// bpf_loop go eight million rounds: the default leaves 32 instructions for each round of the longest loop. Of a
    /// program that is proven, which comes to an end, the rounds of its loops by helpers are counted alone.
    #[arg(long, value_name = "N", default_value_t = BUDGET, value_parser = clap::value_parser!(u64).range(1..))]
    budget: u64,

    /// Let the instructions of proven programs count against --budget, too
    ///
    /// A program is then native code from the first packet on; where there is no native code it runs checked. Native code
    /// pays for a straight piece where that begins, and is stopped when it has begun more than the budget, 256 instructions
    /// beyond at most: never one that takes less. Counted are instructions as `disasm --lowered` shows them, without jumps and
    /// comparisons that native code does without.
    #[arg(long, hide_short_help = true)]
    fuel: bool,

    /// Hide the program's constants in native code
    ///
    /// Nobody who writes a program chooses bytes that can be executed then.
    #[arg(long, hide_short_help = true)]
    harden: bool,

    /// Take no more than this many bytes of memory for native code
    ///
    /// Each program takes whole pages. With `--engine auto` what does not fit stays interpreted, with `--engine jit` it is
    /// refused. 256 MiB if nothing is said.
    #[arg(long, value_name = "BYTES", hide_short_help = true)]
    native_limit: Option<usize>,

    /// Make native code of large programs anew, and keep none
    ///
    /// Otherwise the native code of programs of a thousand instructions and more is kept in $XDG_CACHE_HOME/alveary or
    /// ~/.cache/alveary, with a code that nobody else can make, and is linked again by later runs.
    #[arg(long, hide_short_help = true)]
    no_cache: bool,

    /// Write the names of native functions to /tmp/perf-PID.map, where `perf report` finds them
    #[arg(long, hide_short_help = true)]
    perf_map: bool,

    /// Write native functions, with machine code and source lines, to jit-PID.dump in this folder
    ///
    /// For `perf record -k mono -o FILE alveary run …`, then `perf inject --jit -i FILE -o OTHER`: `perf report` and
    /// `perf annotate` then show what programs do, instruction by instruction.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, hide_short_help = true)]
    jitdump: Option<PathBuf>,

    /// Number of virtual CPUs, thus of values in per-CPU maps and of entries in a cpumap
    ///
    /// The program runs on the first.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(CPUS)))]
    cpus: u32,

    /// Set a map's entry, or a global variable, before the first packet
    ///
    /// NAME:KEY=VALUE sets an entry, VARIABLE=VALUE a global variable (SECTION:VARIABLE=VALUE if several sections have
    /// it). Keys and values are written by their BTF types: 443, 0x1bb, 'a', 10.0.0.1, 10.0.0.0/8, 2001:db8::1,
    /// 02:00:00:00:00:01, {field=1, other=2}, [1, 2], "text", hex:0a000001, names of enumerators; without BTF as a
    /// number, an address or hex. A map with a value for each CPU gets the same for all. A prog array takes the name of
    /// a program.
    #[arg(long = "map", value_name = "NAME:KEY=VALUE", value_parser = Preset::parse)]
    maps: Vec<Preset>,

    /// Print the maps after the run
    ///
    /// Sorted by key, by their BTF. Entries of arrays that are zero are counted, not listed. With --json the maps are
    /// always there.
    #[arg(long, conflicts_with = "cbpf")]
    dump_maps: bool,

    #[command(flatten)]
    kernel: KernelOptions,

    /// Seed of the randomness that programs see
    ///
    /// Only the user-space kernel's can be set: the running one has its own, so that such programs differ with `--on both`.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Time that programs see
    #[arg(long, value_enum, default_value_t = Time::Capture)]
    time: Time,
}

/// Where programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum On {
    /// Alveary's own user-space kernel: no privilege, repeatable
    User,
    /// The running kernel
    Linux,
    /// Either, compared
    Both,
}

impl On {
    fn name(self) -> &'static str {
        match self {
            On::User => "user",
            On::Linux => "linux",
            On::Both => "both",
        }
    }
}

/// What runs proven programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Runner {
    /// The interpreter, then native code
    Auto,
    /// Native code
    Jit,
    /// The interpreter
    Interp,
}

impl From<Runner> for runtime::Engine {
    fn from(runner: Runner) -> runtime::Engine {
        match runner {
            Runner::Auto => runtime::Engine::Auto,
            Runner::Jit => runtime::Engine::Jit,
            Runner::Interp => runtime::Engine::Interp,
        }
    }
}

/// Where time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Time {
    /// When the packet was captured, in ns since 1970: the same in every run
    Capture,
    /// This machine's clocks
    Real,
}

impl Run {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        self.outputs_are_distinct()?;
        self.options_find_native_code()?;
        match self.on {
            On::User => self.on_user(json),
            On::Linux => self.on_linux(json),
            On::Both => self.on_both(json),
        }
    }

    fn on_user(&self, json: bool) -> Result<(), Failure> {
        let dump = self.jitdump.as_deref().map(jit_dump::begin).transpose()?;
        let ready = load::on_user(self, self.cpus)?;
        let proof = ready.proof();
        if !json {
            proof.warn();
        }
        let events = Events::of(ready.loaded(), ready.btf.as_ref(), json).with_trace(ready.loaded().target());
        let mut cpu = ready.loaded().target().vcpu(0)?;
        cpu.set_budget(self.budget);
        let ran = drive::drive(&self.job(&ready)?, &mut OnUser(ready.program()?.packets(&mut cpu)?), events)?;
        self.name_native_code(dump, ready.loaded())?;
        self.show(&ready, &ran, Some(&proof), json)?;
        ended(ran)
    }

    /// For profilers.
    fn name_native_code(&self, dump: Option<JitDump>, loaded: &Loaded<User>) -> Result<(), Failure> {
        let named = self.perf_map || dump.is_some();
        if named && loaded.programs().all(|program| !program.handle().prog().is_native()) {
            eprintln!(
                "warning: no program became native code, so that there is none to name: `--engine jit` makes it at once"
            );
        }
        if self.perf_map {
            perf_map::write(loaded)?;
        }
        dump.map_or(Ok(()), |dump| jit_dump::write(dump, loaded))
    }

    fn on_linux(&self, json: bool) -> Result<(), Failure> {
        self.nothing_of_the_users()?;
        let ready = load::on_linux(self)?;
        let events = Events::of(ready.loaded(), ready.btf.as_ref(), json);
        alveary::kernel::sys::stay_on_cpu(0).ok();
        let ran = drive::drive(&self.job(&ready)?, &mut OnLinux::new(ready.program()?.packets()?), events)?;
        self.show(&ready, &ran, None, json)?;
        ended(ran)
    }

    fn on_both(&self, json: bool) -> Result<(), Failure> {
        let dump = self.jitdump.as_deref().map(jit_dump::begin).transpose()?;
        let cpus = alveary::kernel::sys::possible_cpus().unwrap_or(1) as u32;
        let (ours, theirs) = (load::on_user(self, self.cpus.max(cpus))?, load::on_linux(self)?);
        let proof = ours.proof();
        if !json {
            proof.warn();
        }
        let events = Events::of(ours.loaded(), ours.btf.as_ref(), json).with_trace(ours.loaded().target());
        let mut cpu = ours.loaded().target().vcpu(0)?;
        cpu.set_budget(self.budget);
        // The same CPU on either, so that per-CPU values stand in the same place.
        alveary::kernel::sys::stay_on_cpu(0).ok();
        let linux = OnLinux::new(theirs.program()?.packets()?);
        let mut both = Both::new(OnUser(ours.program()?.packets(&mut cpu)?), linux);
        let ran = drive::drive(&self.job(&ours)?, &mut both, events)?;
        self.name_native_code(dump, ours.loaded())?;
        self.show(&ours, &ran, Some(&proof), json)?;
        let difference = both.difference().or_else(|| compare::maps(&ours.dumps().ok()?, &theirs.dumps().ok()?));
        ended(ran)?;
        match difference {
            Some(difference) => Err(compare::explained(difference, ours.program()?.spec()).into()),
            None if json => Ok(()),
            None => output::write(|out| writeln!(out, "\nno difference between user and linux")),
        }
    }

    fn job<B: Backend>(&self, ready: &Ready<B>) -> Result<Job<'_>, Failure> {
        Ok(Job { run: self, ty: ready.program()?.spec().ty, as_captured: ready.as_captured })
    }

    /// Prints what a run came to.
    fn show<B: Backend>(&self, ready: &Ready<B>, ran: &Ran, proof: Option<&Proof>, json: bool) -> Result<(), Failure> {
        let dumps: Vec<Dump> = if self.dump_maps || json { ready.dumps()? } else { Vec::new() };
        let program = ready.program()?.spec();
        let summary = Summary {
            program: &program.name,
            ty: program.ty,
            profile: ready.profile(),
            capture: &self.pcap.display().to_string(),
            on: self.on,
            proof,
            totals: &ran.totals,
            dumps: &dumps,
        };
        if json { output::object(&summary.json()) } else { output::write(|out| summary.write(out)) }
    }

    /// Settings of the user-space kernel are none of the running one.
    fn nothing_of_the_users(&self) -> Result<(), Diagnostic> {
        let given = [
            ("--cpus", self.cpus != 1),
            ("--seed", self.seed != 0),
            ("--time", self.time != Time::Capture),
            ("--budget", self.budget != BUDGET),
            ("--unverified", self.unverified),
            ("--engine", self.engine != Runner::Auto),
            ("--fuel", self.fuel),
            ("--harden", self.harden),
            ("--native-limit", self.native_limit.is_some()),
            ("--no-cache", self.no_cache),
            ("--perf-map", self.perf_map),
            ("--jitdump", self.jitdump.is_some()),
        ];
        let Some((name, _)) = given.into_iter().find(|(_, given)| *given) else { return Ok(()) };
        let message = format!("`{name}` has no meaning on the running kernel");
        Err(Diagnostic::new("option", message, Place::Nowhere).help(format!("leave `{name}` or `--on linux` out")))
    }

    /// What is done to native code, or said of it, when there is none by what was asked for.
    fn options_find_native_code(&self) -> Result<(), Diagnostic> {
        let given = [
            ("--perf-map", self.perf_map),
            ("--jitdump", self.jitdump.is_some()),
            ("--harden", self.harden),
            ("--native-limit", self.native_limit.is_some()),
        ];
        let without = [("--engine interp", self.engine == Runner::Interp), ("--unverified", self.unverified)];
        let first = |all: &[(&'static str, bool)]| all.iter().find(|(_, given)| *given).map(|(name, _)| *name);
        let (Some(name), Some(other)) = (first(&given), first(&without)) else { return Ok(()) };
        let does = if matches!(name, "--harden" | "--native-limit") { "is for" } else { "names" };
        let message = format!("`{name}` {does} native code, and with `{other}` there is none");
        let help = format!("leave `{other}` out, or `{name}`");
        Err(Diagnostic::new("option", message, Place::Nowhere).help(help))
    }

    /// Nothing that is written may be a file that is read, or is written already.
    fn outputs_are_distinct(&self) -> Result<(), Failure> {
        fn named<'a>(name: &'static str, path: &'a Option<PathBuf>) -> Option<files::Named<'a>> {
            path.as_deref().map(|path| (name, path))
        }
        let inputs = [
            Some(("--pcap", &*self.pcap)),
            named("OBJ", &self.object),
            named("--cbpf", &self.cbpf),
            named("--btf", &self.kernel.btf),
            named("--kconfig", &self.kernel.kconfig),
        ];
        let outputs = [
            named("--write", &self.write),
            named("--write-dropped", &self.write_dropped),
            named("--packets", &self.packets),
        ];
        let inputs: Vec<_> = inputs.into_iter().flatten().collect();
        let outputs: Vec<_> = outputs.into_iter().flatten().collect();
        Ok(files::distinct(&inputs, &outputs)?)
    }
}

/// How a run has ended: with what was wrong first.
fn ended(ran: Ran) -> Result<(), Failure> {
    match (ran.fault, ran.broken) {
        (Some((fault, packet)), _) => Err(load::explain(&fault, packet)),
        (None, Some(broken)) => Err(broken),
        (None, None) if ran.totals.refused == ran.totals.packets && ran.totals.packets > 0 => {
            match ran.totals.refusal {
                // Nothing has run: not what anyone wants to hear in a table.
                Some((why, packet)) => Err(why.note(format!("packet {packet}, as all others")).into()),
                None => Ok(()),
            }
        }
        (None, None) => Ok(()),
    }
}
