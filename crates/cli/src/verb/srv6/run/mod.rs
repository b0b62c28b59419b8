//! `alveary srv6 run`: routers in user space over captures, as a file describes them.
//!
//! | file | holds |
//! |---|---|
//! | `network` | several routers |
//! | `inputs`, `outputs` | captures in and out |

mod inputs;
mod network;
mod outputs;

use super::topology::{Described, Text, Topology, keys, programs, target};
use crate::{failure::Failure, files, kernel::KernelOptions, output, table::count};
use alveary::net::router::{Arrival, Fate, Lost};
use alveary_diag::{Diagnostic, Place};
use clap::{Args, ValueHint};
use inputs::{Frame, Inputs};
use outputs::Outputs;
use serde_json::{Map, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Run routers of IP and segments in user space over captures
///
/// The file names the router's interfaces and routes, with behaviours as `srv6 route add` names them; programs run in
/// Alveary's own user-space kernel, as an ordinary user, repeatably. What leaves by an interface goes into a file of its
/// name. A file of several routers (`[[router]]`) says which links there are between them, with rate, delay and loss; they
/// run in the captures' time.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 run router.toml --pcap in.pcap --write out
  alveary srv6 run router.toml --pcap in.pcap --in west --write out --json
  alveary srv6 run network.toml --pcap a.pcap --in a:west --pcap b.pcap --in host --write out

router.toml:
  source = \"fc00:99::1\"
  interface = [{ name = \"west\" }, { name = \"east\", mtu = 1400 }]
  [[route]]
  to = \"::/0\"
  dev = \"east\"
  [[route]]
  to = \"fc00:e::/64\"
  behaviour = \"End.BPF\"
  program = \"tag.bpf.o:tag\"

network.toml:
  [[router]]
  name = \"a\"
  interface = [{ name = \"west\" }, { name = \"east\" }]
  [[router.route]]
  to = \"::/0\"
  dev = \"east\"
  [[host]]
  name = \"host\"
  [[link]]
  ends = [\"a:east\", \"host\"]
  rate = \"20mbit\"
  delay = \"15ms\"
  loss = \"0.1%\"")]
pub(super) struct Run {
    /// The router, or several
    #[arg(value_name = "TOPOLOGY.toml", value_hint = ValueHint::FilePath, value_parser = files::input)]
    topology: PathBuf,

    /// The packets that come in: pcap or pcapng, gzip too; of several captures, together by their times
    #[arg(long, value_name = "IN", required = true, value_hint = ValueHint::FilePath, value_parser = files::input)]
    pcap: Vec<PathBuf>,

    /// The interface that they come in by, one for each capture; unless it is given, the first. Of several routers
    /// ROUTER:IF, or a HOST that sends them; unless it is given, the first without a link
    #[arg(long = "in", value_name = "IF")]
    inside: Vec<String>,

    /// The directory for what goes out: a file IF.pcap of Ethernet frames for each interface, ROUTER.IF.pcap of several
    /// routers
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    write: PathBuf,

    #[command(flatten)]
    kernel: KernelOptions,
}

/// What became of the packets.
#[derive(Default)]
struct Totals {
    /// Those for the router itself.
    delivered: u64,
    lost: BTreeMap<String, u64>,
    /// Messages to senders.
    told: u64,
}

impl Run {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let (text, described) = Text::read(&self.topology)?;
        match described {
            Described::Router(topology) => self.one(&text, &topology, json),
            Described::Network(described) => {
                let built = described.build(&text, &self.topology, &self.kernel)?;
                let inputs = self.inputs(|name| built.port(name), || built.open_port())?;
                network::run(built, inputs, &self.paths(), &self.write, json)
            }
        }
    }

    /// Captures, each with the interface that is named for it.
    fn inputs<P: Copy>(
        &self,
        named: impl Fn(&str) -> Result<P, Diagnostic>,
        first: impl FnOnce() -> Result<P, Diagnostic>,
    ) -> Result<Inputs<P>, Failure> {
        let ports = match (&self.inside[..], &self.pcap[..]) {
            ([], [_]) => vec![first()?],
            (names, captures) if names.len() == captures.len() => {
                names.iter().map(|name| named(name)).collect::<Result<_, _>>()?
            }
            (names, captures) => {
                let what = "the captures are not as many as the interfaces that they come in by";
                return Err(Diagnostic::new("arguments", what, Place::Nowhere)
                    .expected(format!("{} times `--in`", captures.len()))
                    .found(names.len().to_string())
                    .into());
            }
        };
        Inputs::open(self.pcap.iter().cloned().zip(ports))
    }

    fn paths(&self) -> Vec<&Path> {
        self.pcap.iter().map(PathBuf::as_path).collect()
    }

    fn one(&self, text: &Text, topology: &Topology, json: bool) -> Result<(), Failure> {
        let keys = keys::read(text, topology, &self.topology)?;
        let (router, wanted) = target::router(text, topology, keys)?;
        let mut inputs = self.inputs(|name| target::device(name, topology), || Ok(1))?;
        let router = Arc::new(router);
        let loaded = programs::load(&wanted, &router, &self.kernel, &self.topology)?;
        let mut programs = loaded.programs()?;
        let mut outputs = Outputs::create(&self.write, topology, &self.paths())?;
        let mut totals = Totals::default();
        while let Some((device, Frame { time, bytes })) = inputs.next()? {
            let Some((link, packet)) = ip(&bytes) else {
                totals.lose("no IP packet");
                continue;
            };
            let fate = router.forward(&Arrival { packet, link, device, time }, &mut programs);
            if let (Fate::Lost { why: Lost::Stopped, .. }, Some(fault)) = (&fate, programs.fault()) {
                return Err(fault.diagnostic().note(format!("on packet {}", inputs.packets)).into());
            }
            let answer = router.answer(&fate, time, &mut programs);
            totals.told += u64::from(answer.is_some());
            totals.count(&fate);
            for fate in [Some(fate), answer].into_iter().flatten() {
                outputs.take(time, fate)?;
            }
        }
        show(inputs.packets, outputs.finish()?, &totals, json)
    }
}

fn show(packets: u64, sent: Vec<(String, u64)>, totals: &Totals, json: bool) -> Result<(), Failure> {
    if json {
        let sent: Map<_, _> = sent.into_iter().map(|(name, packets)| (name, json!(packets))).collect();
        return output::object(&json!({
            "packets": packets,
            "sent": sent,
            "delivered": totals.delivered,
            "lost": totals.lost,
            "messages": totals.told,
        }));
    }
    output::write(|out| {
        writeln!(out, "{} came in", count(packets, "packet", "packets"))?;
        sent.iter().try_for_each(|(name, packets)| writeln!(out, "  {packets} left by {name}"))?;
        if totals.delivered > 0 {
            writeln!(out, "  {} for the router itself", totals.delivered)?;
        }
        totals.lost.iter().try_for_each(|(why, packets)| writeln!(out, "  {packets} lost: {why}"))?;
        if totals.told > 0 {
            writeln!(out, "  {} to senders", count(totals.told, "message", "messages"))?;
        }
        Ok(())
    })
}

impl Totals {
    fn count(&mut self, fate: &Fate) {
        match fate {
            Fate::Sent { .. } | Fate::Frame { .. } => {}
            Fate::Delivered(_) => self.delivered += 1,
            Fate::Lost { why, .. } => self.lose(&why.to_string()),
        }
    }

    fn lose(&mut self, why: &str) {
        *self.lost.entry(why.to_owned()).or_default() += 1;
    }
}

/// An IP packet's Ethernet header, and the packet.
fn ip(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    const HEADER: usize = 14;
    let (link, packet) = frame.split_at_checked(HEADER)?;
    matches!(link[12..], [8, 0] | [0x86, 0xdd]).then_some((link, packet))
}
