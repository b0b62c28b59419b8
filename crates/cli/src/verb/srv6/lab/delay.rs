//! `alveary srv6 lab delay`: three paths through a network, each with the delay monitor on it.
//!
//! ```text
//!                    ,-- north (5 + 5 ms) --.
//! client -- ingress <                        > egress -- server
//!                    `-- south (12 + 13 ms) -'
//! ```
//!
//! Paths 1 and 2 are one-way, through north and south; path 3 goes through north to the egress and back.

use super::{
    Options, Outcome, plot,
    traffic::{Datagrams, Transfer, datagrams, transfer},
};
use crate::{
    bpftool::device,
    failure::Failure,
    table::{Align, Table},
    verb::srv6::{
        delay::{Collector, Counts, Kind, Measured, Path, Statistics, Transmitter, shown},
        prefix::MAIN,
    },
};
use alveary::kernel::netlink::srv6::{Encap, Endpoint};
use alveary_diag::{Diagnostic, Place};
use alveary_lab::{Network, Node, Shape};
use alveary_sort::Sort;
use clap::Args;
use serde_json::json;
use std::{
    net::Ipv6Addr,
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Measure three paths whose delays are known
///
/// A client sends datagrams and a transfer over TCP along each of three paths through a network: one-way through north
/// (10 ms) and south (25 ms), there and back through north (20 ms). A share of the packets is measured.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 lab delay
  alveary srv6 lab delay --packets 2000 --share 2 --plot delays.svg
  alveary srv6 lab delay --rounds 9")]
pub(super) struct Delay {
    /// Datagrams along each path
    #[arg(long, value_name = "NUMBER", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    packets: u32,

    /// One of so many packets is measured
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    share: u32,

    /// Bytes that are transferred along each path, in KiB
    #[arg(long, value_name = "KIB", default_value_t = 256)]
    transfer: u64,

    /// How often all of it is done; of the delays the median is told, of all else the last
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,

    #[command(flatten)]
    options: Options,
}

/// Between two datagrams of a path.
const PAUSE: Duration = Duration::from_millis(2);
/// What is under way when all has been sent has come by then.
const REST: Duration = Duration::from_millis(200);

/// Longest that a collector waits for a packet before it looks whether it is to end.
const TURN: Duration = Duration::from_millis(20);
/// Packets that are kept of the link to north, and those that are told.
const RECORDED: usize = 4096;
const SHOWN: usize = 16;
/// The next header of such as were encapsulated.
const ROUTING: u8 = 43;
/// `SEG6_LOCAL_ACTION_END`, `_END_DT6`.
const END: u32 = 1;
const END_DT6: u32 = 7;

/// Bytes of hosts' packets: with headers around them they pass all links.
const PACKET: u32 = 1500;

const CLIENT: &str = "2001:db8:a::1";
/// Segments that report, of egress and ingress.
const FAR: &str = "fc00:4::d";
const OURS: &str = "fc00:1::d";

/// A path: its server, what it goes through, its delay.
struct Along {
    number: u32,
    name: &'static str,
    server: &'static str,
    /// Where its packets go on that are not measured.
    device: &'static str,
    segments: &'static [&'static str],
    two_way: bool,
    delay: Duration,
}

const PATHS: [Along; 3] = [
    Along {
        number: 1,
        name: "north",
        server: "2001:db8:b1::1",
        device: "north",
        segments: &["fc00:2::e", FAR, "fc00:4::6"],
        two_way: false,
        delay: Duration::from_millis(10),
    },
    Along {
        number: 2,
        name: "south",
        server: "2001:db8:b2::1",
        device: "south",
        segments: &["fc00:3::e", FAR, "fc00:4::6"],
        two_way: false,
        delay: Duration::from_millis(25),
    },
    Along {
        number: 3,
        name: "north, there and back",
        server: "2001:db8:b3::1",
        device: "north",
        segments: &["fc00:2::e", FAR, "fc00:2::e", OURS, "fc00:1::6"],
        two_way: true,
        delay: Duration::from_millis(20),
    },
];

impl Delay {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let lab = Built::new()?;
        let rounds = (0..self.rounds).map(|_| self.measure(&lab)).collect::<Result<Vec<_>, _>>()?;
        let outcome = rounds.last().map(|last| self.outcome(&lab, last, &medians(&rounds))).unwrap_or_default();
        self.options.tell(&outcome, Some(&lab.network), json)
    }

    fn measure(&self, lab: &Built) -> Result<Round, Failure> {
        let network = &lab.network;
        network.carrier(lab.observed).record(RECORDED);
        let stop = &AtomicBool::new(false);
        thread::scope(|scope| {
            // The collectors are there before the first packet is.
            let (ready, wait) = mpsc::channel();
            let running = [(lab.egress, FAR, "north"), (lab.ingress, OURS, "client")].map(|(node, segment, device)| {
                let ready = ready.clone();
                scope.spawn(move || network.at(node, || collect(segment, device, stop, &ready))?)
            });
            // Who fails is not waited for: what it failed with is told below.
            let all_ready = running.iter().all(|_| wait.recv_timeout(Duration::from_secs(10)).is_ok());
            let sent = network.at(lab.ingress, || {
                let probes = PATHS.iter().map(|path| Transmitter::new(&self.measured(path)?));
                let probes = probes.collect::<Result<Vec<_>, Failure>>()?;
                let traffic = if all_ready { self.traffic(lab)? } else { Vec::new() };
                thread::sleep(REST);
                let counts = probes.iter().map(Transmitter::counts).collect::<Result<Vec<_>, _>>()?;
                Ok::<_, Failure>((traffic, counts))
            });
            stop.store(true, Relaxed);
            let told = running.map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            let [far, ours] = told;
            let told = [far?, ours?];
            let (traffic, counts) = sent??;
            Ok(Round { traffic, counts, told })
        })
    }

    fn measured(&self, path: &Along) -> Result<Measured, Failure> {
        Ok(Measured {
            path: path.number,
            to: (address(path.server)?.into(), 128),
            table: MAIN,
            device: device::named(path.device)?,
            gateway: None,
            source: address("fc00:1::1")?,
            segments: path.segments.iter().map(|segment| address(segment)).collect::<Result<_, _>>()?,
            kind: Kind { two_way: path.two_way, probe: false },
            every: self.share,
        })
    }

    /// Datagrams along all paths at once, then a transfer along each.
    fn traffic(&self, lab: &Built) -> Result<Vec<(Datagrams, Transfer)>, Failure> {
        let network = &lab.network;
        let ends =
            |path: &Along| Ok::<_, Failure>([(lab.client, address(CLIENT)?), (lab.server, address(path.server)?)]);
        let sent = thread::scope(|scope| {
            let all = PATHS
                .each_ref()
                .map(|path| scope.spawn(move || datagrams(network, ends(path)?, u64::from(self.packets), PAUSE)));
            all.map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        PATHS
            .iter()
            .zip(sent)
            .map(|(path, sent)| Ok((sent?, transfer(network, ends(path)?, self.transfer << 10)?)))
            .collect()
    }

    /// `medians`: of each path's median delays.
    fn outcome(&self, lab: &Built, round: &Round, medians: &[Option<i64>]) -> Outcome {
        let Round { traffic, counts, told } = round;
        let mut table = Table::new(
            [("path", Align::Left), ("link's delay", Align::Right), ("measured", Align::Right), ("lost", Align::Right)]
                .into_iter()
                .chain(["min", "p50", "p99", "off by", "datagrams", "TCP"].map(|name| (name, Align::Right)))
                .collect::<Vec<_>>(),
        );
        let (mut paths, mut drawn) = (Vec::new(), Vec::new());
        for (((path, (sent, moved)), counts), median) in PATHS.iter().zip(traffic).zip(counts).zip(medians) {
            let known = round.known(path);
            let delay = path.delay.as_nanos() as u64;
            let shown =
                |value: Option<i64>| value.map_or_else(String::new, |value| format!("{:.3} ms", value as f64 / 1e6));
            table.row([
                format!("{} {}", path.number, path.name),
                shown(Some(delay as i64)),
                format!("{} of {}", known.delay.count(), counts.sent),
                known.lost().to_string(),
                shown(known.delay.least()),
                shown(*median),
                shown(known.delay.quantile(0.99)),
                median.map_or_else(String::new, |median| format!("{} µs", (median - delay as i64) / 1000)),
                format!("{} of {}", sent.received, sent.sent),
                format!("{:.1} Mbit/s", moved.rate() / 1e6),
            ]);
            paths.push(json!({
                "path": path.number, "name": path.name, "two_way": path.two_way, "segments": path.segments,
                "link_delay": delay, "transmitted": counts, "measured": known.delay.count(), "lost": known.lost(),
                "overtaken": known.overtaken, "min": known.delay.least(), "p50": median,
                "p99": known.delay.quantile(0.99), "datagrams": sent,
                "transfer": { "bytes": moved.bytes, "right": moved.right, "bits_per_second": moved.rate() as u64 },
            }));
            drawn.push((path.name.to_owned(), known.delay.course()));
        }
        let mut text = Vec::new();
        // There is always room in a text.
        let _ = table.write("", &mut text);
        let packets = lab.network.carrier(lab.observed).recorded();
        let measured: Vec<_> =
            packets.iter().filter(|(end, packet)| *end == 0 && packet.get(6) == Some(&ROUTING)).collect();
        let hex = |packet: &Vec<u8>| packet.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let collectors = told.iter().map(|(statistics, counts)| shown::object(statistics, counts));
        Outcome {
            text: String::from_utf8_lossy(&text).into_owned(),
            json: json!({
                "lab": "delay", "paths": paths, "collectors": collectors.collect::<Vec<_>>(),
                "towards_north": measured.iter().map(|(_, packet)| hex(packet)).take(SHOWN).collect::<Vec<_>>(),
            }),
            svg: plot::lines("Delay of measured packets", ["milliseconds", "part of the packets"], &drawn),
        }
    }
}

/// What came of one round.
struct Round {
    traffic: Vec<(Datagrams, Transfer)>,
    counts: Vec<Counts>,
    /// By the collectors of egress and ingress.
    told: [Told; 2],
}

impl Round {
    fn known(&self, path: &Along) -> Path {
        self.told[usize::from(path.two_way)].0.paths.get(&path.number).cloned().unwrap_or_default()
    }
}

/// For each path, the median of rounds' median delays.
fn medians(rounds: &[Round]) -> Vec<Option<i64>> {
    let of = |path: &Along| {
        let mut all: Vec<_> = rounds.iter().filter_map(|round| round.known(path).delay.quantile(0.5)).collect();
        all.order();
        all.get(all.len() / 2).copied()
    };
    PATHS.iter().map(of).collect()
}

/// What a collector knows in the end.
type Told = (Statistics, Counts);

/// Reports at a segment of the calling thread's node until all has been sent.
fn collect(segment: &str, device: &str, stop: &AtomicBool, ready: &mpsc::Sender<()>) -> Result<Told, Failure> {
    let mut collector = Collector::new((address(segment)?.into(), 128), device::named(device)?)?;
    // Who waits for it may have given up.
    let _ = ready.send(());
    while !stop.load(Relaxed) {
        collector.turn(TURN)?;
    }
    collector.turn(Duration::ZERO)?;
    let counts = collector.counts()?;
    Ok((collector.statistics, counts))
}

fn address(text: &str) -> Result<Ipv6Addr, Failure> {
    text.parse().map_err(|_| Diagnostic::new("lab", format!("`{text}` is no address"), Place::Nowhere).into())
}

/// The network.
struct Built {
    network: Network,
    client: Node,
    ingress: Node,
    egress: Node,
    server: Node,
    /// The link between ingress and north.
    observed: usize,
}

impl Built {
    fn new() -> Result<Built, Failure> {
        let mut network = Network::new();
        let mut node = |name| network.node(name);
        let (client, ingress, north, south, egress, server) =
            (node("client")?, node("ingress")?, node("north")?, node("south")?, node("egress")?, node("server")?);
        let slow = |milliseconds| Shape { delay: Duration::from_millis(milliseconds), ..Shape::default() };
        network.link([(client, "ingress"), (ingress, "client")], Shape::default())?;
        let observed = network.link([(ingress, "north"), (north, "ingress")], slow(5))?;
        network.link([(ingress, "south"), (south, "ingress")], slow(12))?;
        network.link([(north, "egress"), (egress, "north")], slow(5))?;
        network.link([(south, "egress"), (egress, "south")], slow(13))?;
        network.link([(egress, "server"), (server, "egress")], Shape::default())?;
        network.longest(client, "ingress", PACKET)?;
        network.longest(server, "egress", PACKET)?;
        network.address(client, "ingress", CLIENT)?;
        network.address(ingress, "client", "fc00:1::1")?;
        network.address(egress, "server", "fc00:4::1")?;
        for path in &PATHS {
            network.address(server, "egress", path.server)?;
        }
        for (node, to, device) in [
            (client, "::/0", "ingress"),
            (ingress, "2001:db8:a::/48", "client"),
            (ingress, "2001:db8:b1::/48", "north"),
            (ingress, "2001:db8:b2::/48", "south"),
            (ingress, "2001:db8:b3::/48", "north"),
            (ingress, "fc00:2::/32", "north"),
            (ingress, "fc00:3::/32", "south"),
            (ingress, "fc00:4::/32", "north"),
            (north, "::/0", "egress"),
            (north, "2001:db8:a::/48", "ingress"),
            (north, "fc00:1::/32", "ingress"),
            (south, "::/0", "egress"),
            (south, "2001:db8:a::/48", "ingress"),
            (egress, "2001:db8:b0::/44", "server"),
            (egress, "2001:db8:a::/48", "north"),
            (egress, "fc00:1::/32", "north"),
            (egress, "fc00:2::/32", "north"),
            (egress, "fc00:3::/32", "south"),
            (server, "::/0", "egress"),
        ] {
            network.route(node, to, device, None)?;
        }
        let end = || Encap::Endpoint(Endpoint { action: END, ..Endpoint::default() });
        let decapsulate = || Encap::Endpoint(Endpoint { action: END_DT6, table: Some(MAIN), ..Endpoint::default() });
        network.steer(north, "fc00:2::e", "egress", end())?;
        network.steer(south, "fc00:3::e", "egress", end())?;
        network.steer(egress, "fc00:4::6", "server", decapsulate())?;
        network.steer(ingress, "fc00:1::6", "client", decapsulate())?;
        Ok(Built { network, client, ingress, egress, server, observed })
    }
}
