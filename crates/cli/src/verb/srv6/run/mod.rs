//! `alveary srv6 run`: a router in user space over a capture, as a file describes it.

mod keys;
mod outputs;
mod programs;
mod target;
mod topology;

use crate::{failure::Failure, files, kernel::KernelOptions, output, table::count};
use alveary::net::router::{Arrival, Fate, Lost, Programs, Router};
use alveary_ports::Capture;
use clap::{Args, ValueHint};
use outputs::Outputs;
use serde_json::{Map, json};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use topology::Text;

/// Run a router of IP and segments in user space over a capture
///
/// The file names the router's interfaces and routes, with behaviours as `srv6 route add` names them; programs run in
/// Alveary's own user-space kernel, as an ordinary user, repeatably. What leaves by an interface goes into a file of its
/// name.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 run router.toml --pcap in.pcap --write out
  alveary srv6 run router.toml --pcap in.pcap --in west --write out --json

router.toml:
  source = \"fc00:99::1\"
  interface = [{ name = \"west\" }, { name = \"east\", mtu = 1400 }]
  [[route]]
  to = \"::/0\"
  dev = \"east\"
  [[route]]
  to = \"fc00:e::/64\"
  behaviour = \"End.BPF\"
  program = \"tag.bpf.o:tag\"")]
pub(super) struct Run {
    /// The router
    #[arg(value_name = "TOPOLOGY.toml", value_hint = ValueHint::FilePath, value_parser = files::input)]
    topology: PathBuf,

    /// The packets that come in: pcap or pcapng, gzip too
    #[arg(long, value_name = "IN", value_hint = ValueHint::FilePath, value_parser = files::input)]
    pcap: PathBuf,

    /// The interface that they come in by; unless it is given, the first
    #[arg(long = "in", value_name = "IF")]
    inside: Option<String>,

    /// The directory for what goes out: a file NAME.pcap of Ethernet frames for each interface
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    write: PathBuf,

    #[command(flatten)]
    kernel: KernelOptions,
}

/// What became of the packets.
#[derive(Default)]
struct Totals {
    packets: u64,
    /// Of them, those for the router itself.
    delivered: u64,
    lost: BTreeMap<String, u64>,
    /// Messages to senders.
    told: u64,
}

impl Run {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let (text, topology) = Text::read(&self.topology)?;
        let keys = keys::read(&text, &topology, &self.topology)?;
        let (router, wanted) = target::router(&text, &topology, keys)?;
        let device = match &self.inside {
            Some(name) => target::device(name, &topology)?,
            None => 1,
        };
        let router = Arc::new(router);
        let loaded = programs::load(&wanted, &router, &self.kernel, &self.topology)?;
        let mut programs = loaded.programs()?;
        let mut capture = Capture::open(&self.pcap)?;
        let mut outputs = Outputs::create(&self.write, &topology, &self.pcap)?;
        let mut totals = Totals::default();
        while let Some(packet) = capture.next() {
            let packet = packet.map_err(|why| why.in_file(self.pcap.display().to_string()))?;
            totals.packets += 1;
            let frame =
                packet.ethernet_view().map_err(|why| why.note(format!("in packet {}", totals.packets)))?.to_vec();
            let time = packet.timestamp_ns;
            let Some((link, packet)) = ip(&frame) else {
                totals.lose("no IP packet");
                continue;
            };
            let fate = router.forward(&Arrival { packet, link, device, time }, &mut programs);
            if let (Fate::Lost { why: Lost::Stopped, .. }, Some(fault)) = (&fate, programs.fault()) {
                return Err(fault.diagnostic().note(format!("on packet {}", totals.packets)).into());
            }
            let answer = router.answer(&fate, time, &mut programs);
            totals.told += u64::from(answer.is_some());
            totals.count(&fate);
            for fate in [Some(fate), answer].into_iter().flatten() {
                outputs.take(time, fate)?;
            }
        }
        let sent = outputs.finish()?;
        if json {
            let sent: Map<_, _> = sent.into_iter().map(|(name, packets)| (name, json!(packets))).collect();
            return output::object(&json!({
                "packets": totals.packets,
                "sent": sent,
                "delivered": totals.delivered,
                "lost": totals.lost,
                "messages": totals.told,
            }));
        }
        output::write(|out| {
            writeln!(out, "{} came in", count(totals.packets, "packet", "packets"))?;
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
