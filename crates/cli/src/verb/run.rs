//! `alveary run`: a program over every packet of a capture, in user space.

mod drive;
mod dump;
mod events;
mod fate;
mod load;
mod outputs;
mod preset;
mod summary;

use crate::{failure::Failure, files, kernel::KernelOptions, output};
use alveary_abi::ProgType;
use clap::{Args, ValueEnum, ValueHint};
use preset::Preset;
use std::path::PathBuf;
use summary::Summary;

/// Instructions that a packet may take unless told otherwise.
const BUDGET: u64 = 1 << 28;

/// The most virtual CPUs: as many as Linux can be built for.
const CPUS: u32 = 8192;

/// Run a program over the packets of a capture
///
/// Reads pcap and pcapng, gzip too: Ethernet, raw IP and Linux cooked packets (the latter two get an Ethernet header).
/// Every access of the program is checked: one that goes astray is stopped, and the run ends with exit code 1.
///
/// Prints packets, bytes, verdicts, packets that the program changed, and the time and instructions that a packet took:
/// time in the program, without reading the capture and writing results. What the program prints goes to stderr as in
/// the kernel's trace_pipe; its perf and ring buffer events are printed a line each, by the BTF struct that is named
/// like the map, or `event`, else in hex. With --json such an event is a line of JSON on stderr.
///
/// With --json the result is one object: `program`, `type`, `target`, `packets`, `bytes`, `verdicts` (how often each was
/// given; a socket filter's are the numbers of bytes that it accepted, 0 where it dropped), `stopped` (packets in which
/// the program was stopped), `changed`, `ns_per_packet`, `insns_per_packet` and `maps`.
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
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "object")]
    cbpf: Option<PathBuf>,

    /// Read packets from this capture; `-` is stdin
    #[arg(long, value_name = "IN", value_hint = ValueHint::FilePath, value_parser = files::input)]
    pcap: PathBuf,

    /// Write the packets that go on: passed, sent back or redirected, as the program left them
    ///
    /// The name says the format: .pcap or .pcapng, with .gz compressed. A socket filter's packets are cut to the length
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

    /// Program type, where the section's name does not say it: xdp, sched_cls, sched_act, socket_filter
    #[arg(long = "type", value_name = "TYPE", value_parser = load::parse_type, conflicts_with = "cbpf")]
    ty: Option<ProgType>,

    /// Run each packet N times, each time from its original bytes
    ///
    /// Time and instructions are averages over all runs; verdicts and outputs are those of the last.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,

    /// Stop the program when it has taken this many instructions for a packet
    ///
    /// The run ends at the first packet for which that happens. Linux's verifier follows a million instructions and lets
    /// bpf_loop go eight million rounds: the default leaves 32 instructions for each round of the longest loop.
    #[arg(long, value_name = "N", default_value_t = BUDGET, value_parser = clap::value_parser!(u64).range(1..))]
    budget: u64,

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
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Time that programs see
    #[arg(long, value_enum, default_value_t = Time::Capture)]
    time: Time,
}

/// Where time comes from.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Time {
    /// When the packet was captured, in ns since 1970: the same in every run
    Capture,
    /// This machine's clocks
    Real,
}

impl Run {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        self.outputs_are_distinct()?;
        let ready = load::load(self)?;
        let ran = drive::drive(self, &ready, json)?;
        let dumps = if self.dump_maps || json { ready.dumps()? } else { Vec::new() };
        let program = ready.program()?.spec();
        let summary = Summary {
            program: &program.name,
            ty: program.ty,
            profile: ready.profile(),
            capture: &self.pcap.display().to_string(),
            totals: &ran.totals,
            dumps: &dumps,
        };
        if json {
            output::object(&summary.json())?
        } else {
            output::write(|out| summary.write(out))?
        }
        match (ran.fault, ran.broken) {
            (Some((fault, packet)), _) => Err(ready.explain(&fault, packet)),
            (None, Some(broken)) => Err(broken),
            (None, None) => Ok(()),
        }
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
            named("--btf", &self.kernel.types.btf),
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
