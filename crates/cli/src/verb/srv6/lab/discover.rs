//! `alveary srv6 lab discover`: eight routers between two hosts, three of them with two ways; two do not speak End.OAMP.
//!
//! ```text
//!            ,-- r2 --.-- r4 --.
//! h -- r1 --<          >- r5 ---> r7 -- r8 -- t
//!            `-- r3 --'-- r6 --'
//! ```

use super::{Options, Outcome};
use crate::{
    bpftool::device,
    failure::Failure,
    verb::srv6::{
        discover::{FUNCTION, Socket, object, svg, text},
        oamp::Responder,
    },
};
use alveary::net::discovery::{By, Graph, Search, Vertex};
use alveary_lab::{Network, Node, Shape};
use alveary_sort::Gather;
use clap::Args;
use serde_json::json;
use std::{
    collections::{BTreeSet, VecDeque},
    net::Ipv6Addr,
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Discover a network of eight routers, of which three have several ways
///
/// Six routers tell their next hops at an End.OAMP segment, two answer as any router does. A host asks for the ways to
/// another one; what it finds is held against what was built.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 lab discover
  alveary srv6 lab discover --plot ways.svg --json
  alveary srv6 lab discover --keep")]
pub(super) struct Discover {
    #[command(flatten)]
    options: Options,
}

/// Nodes by name; hosts are the first and the last.
const NODES: [&str; 10] = ["h", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "t"];
const HOST: usize = 0;
const TARGET: usize = NODES.len() - 1;
/// Links, each on ways from the first host to the last one.
const LINKS: [(usize, usize); 12] =
    [(0, 1), (1, 2), (1, 3), (2, 4), (2, 5), (3, 5), (3, 6), (4, 7), (5, 7), (6, 7), (7, 8), (8, 9)];
/// Routers that do not speak End.OAMP.
const PLAIN: [usize; 2] = [4, 6];
/// Enough that some go by each of the plain routers.
const FLOWS: u16 = 64;
/// Longest that an answer is waited for, and that routers wait before they look whether they are to end.
const PATIENCE: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_millis(20);
/// Packets that are kept of the host's link, and those that are told.
const RECORDED: usize = 4096;
const SHOWN: usize = 16;
/// Next headers, and the type of answers.
const ROUTING: u8 = 43;
const ICMPV6: u8 = 58;
const ANSWER: u8 = 201;

impl Discover {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let lab = Built::new()?;
        let (network, stop) = (&lab.network, &AtomicBool::new(false));
        network.carrier(lab.observed).record(RECORDED);
        thread::scope(|scope| {
            let (ready, wait) = mpsc::channel();
            let speaking: Vec<_> = (HOST + 1..TARGET).filter(|router| !PLAIN.contains(router)).collect();
            let running: Vec<_> = (speaking.iter())
                .map(|router| {
                    let (node, router, ready) = (lab.nodes[*router], *router, ready.clone());
                    scope.spawn(move || network.at(node, || respond(router, stop, &ready))?)
                })
                .collect();
            // Who fails is not waited for: what it failed with is told below.
            let all_ready = running.iter().all(|_| wait.recv_timeout(Duration::from_secs(10)).is_ok());
            // They answer as long as the network stands.
            let told = if all_ready {
                lab.search().and_then(|graph| self.options.tell(&lab.outcome(&graph), Some(network), json))
            } else {
                Ok(())
            };
            stop.store(true, Relaxed);
            for one in running {
                one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            told
        })
    }
}

/// Answers probes at a segment of the calling thread's node until it is told to stop.
fn respond(router: usize, stop: &AtomicBool, ready: &mpsc::Sender<()>) -> Result<(), Failure> {
    // A device that is no loopback: routes by that one reject what they get.
    let device = device::named(NODES[towards(router, HOST)])?;
    let mut responder = Responder::new((search().segment(address(router)).into(), 128), device)?;
    // Who waits for it may have given up.
    let _ = ready.send(());
    while !stop.load(Relaxed) {
        responder.turn(TURN)?;
    }
    Ok(())
}

/// The network.
struct Built {
    network: Network,
    nodes: Vec<Node>,
    /// The host's link.
    observed: usize,
}

impl Built {
    fn new() -> Result<Built, Failure> {
        let mut network = Network::new();
        let nodes = NODES.iter().map(|name| network.node(name)).collect::<Result<Vec<_>, _>>()?;
        let mut observed = None;
        for (one, other) in LINKS {
            let link = network.link([(nodes[one], NODES[other]), (nodes[other], NODES[one])], Shape::default())?;
            observed.get_or_insert(link);
        }
        for (at, node) in nodes.iter().enumerate() {
            // A router has one address, whatever device it speaks by.
            let device = if is_router(at) { "lo" } else { NODES[towards(at, TARGET - at)] };
            network.address(*node, device, &address(at).to_string())?;
            for to in (0..TARGET).filter(|to| *to != at) {
                network.route(*node, &prefix(to), NODES[towards(at, to)], None)?;
            }
            let next: Vec<_> = onwards(at).map(|to| (to, address(to).to_string())).collect();
            let ways: Vec<_> =
                next.iter().map(|(to, gateway)| (NODES[*to], is_router(*to).then_some(&**gateway))).collect();
            if !ways.is_empty() {
                network.ways(*node, &prefix(TARGET), &ways)?;
            }
        }
        Ok(Built { network, nodes, observed: observed.unwrap_or_default() })
    }

    fn search(&self) -> Result<Graph, Failure> {
        self.network.at(self.nodes[HOST], || search().run(&mut Socket::open(PATIENCE)?))?
    }

    fn outcome(&self, graph: &Graph) -> Outcome {
        let right = graph.reached && as_built(graph);
        let said = match right {
            true => "8 routers, of which r1, r2 and r3 have two ways: found as they were built\n",
            false => "this is not the network that was built\n",
        };
        let recorded = self.network.carrier(self.observed).recorded();
        let hex = |packet: &Vec<u8>| packet.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let shown = |kind: fn(&[u8]) -> bool| {
            recorded.iter().map(|(_, packet)| packet).filter(|packet| kind(packet)).take(SHOWN).map(hex).collect()
        };
        let probes: Vec<_> = shown(|packet| packet.get(6) == Some(&ROUTING));
        let answers: Vec<_> = shown(|packet| packet.get(6) == Some(&ICMPV6) && packet.get(40) == Some(&ANSWER));
        Outcome {
            text: text(graph) + said,
            json: json!({
                "lab": "discover", "found": object(graph), "as_built": right, "probes": probes, "answers": answers,
            }),
            svg: svg(graph),
        }
    }
}

fn search() -> Search {
    Search {
        from: address(HOST),
        target: address(TARGET),
        function: u128::from(FUNCTION) as u64,
        flows: FLOWS,
        hops: NODES.len() as u8,
        tries: 3,
        id: std::process::id() as u16,
    }
}

/// Whether a graph is that of the network.
fn as_built(graph: &Graph) -> bool {
    let place = |at: Vertex| (0..NODES.len()).find(|node| at == Vertex::Known(address(*node)));
    let found: BTreeSet<_> =
        (graph.hops.iter()).flat_map(|hop| hop.next.iter().map(|(next, _)| (place(hop.at), place(*next)))).gather();
    let tell = graph.hops.iter().filter(|hop| hop.by == By::Itself).count();
    found == LINKS.iter().map(|(from, to)| (Some(*from), Some(*to))).gather() && tell == TARGET - 1 - PLAIN.len()
}

fn is_router(node: usize) -> bool {
    node != HOST && node != TARGET
}

/// The address of a node.
fn address(node: usize) -> Ipv6Addr {
    match node {
        HOST => Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 1),
        TARGET => Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 1),
        router => Ipv6Addr::new(0xfc00, router as u16, 0, 0, 0, 0, 0, 1),
    }
}

/// What is a node's, for routes of others.
fn prefix(node: usize) -> String {
    let [first, second, third, ..] = address(node).segments();
    if is_router(node) { format!("{first:x}:{second:x}::/32") } else { format!("{first:x}:{second:x}:{third:x}::/48") }
}

/// The neighbours of a node that are nearer to the target.
fn onwards(node: usize) -> impl Iterator<Item = usize> {
    LINKS.iter().filter(move |(from, _)| *from == node).map(|(_, to)| *to)
}

/// The neighbour by which a node reaches another one the shortest way.
fn towards(from: usize, to: usize) -> usize {
    let neighbours = |node: usize| {
        let back = LINKS.iter().filter(move |(_, other)| *other == node).map(|(one, _)| *one);
        onwards(node).chain(back)
    };
    // From the far end: who finds the node first is its neighbour on the way.
    let (mut seen, mut open) = (BTreeSet::from([to]), VecDeque::from([to]));
    while let Some(node) = open.pop_front() {
        for next in neighbours(node) {
            if next == from {
                return node;
            }
            if seen.insert(next) {
                open.push_back(next);
            }
        }
    }
    to
}
