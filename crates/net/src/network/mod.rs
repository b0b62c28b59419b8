//! Routers and hosts connected by links, in virtual time: a whole network in one process, the same at every run.
//!
//! Nothing waits for a clock. A packet takes the time that its links are given and no more; routers and their programs
//! take none, and `bpf_ktime_get_ns` tells them the virtual time. What links lose is drawn from a seed. Whoever drives the
//! network plays the hosts: [`Network::send`] and [`Network::arrive`] put packets in, [`Network::next`] says what
//! happened next, [`Network::alarm`] is for timers. Knows no files and no protocols above IP.
//!
//! | file | holds |
//! |---|---|
//! | `link` | what a link does to packets: queue, rate, delay, loss |
//! | `schedule` | what is to happen, in order |
//!
//! ```
//! use alveary_net::{network::{Link, Network, What}, router::{MAIN, Programs, Router, Target}};
//! use std::{net::Ipv6Addr, sync::Arc};
//!
//! let mut router = Router::new(Ipv6Addr::UNSPECIFIED);
//! router.add(MAIN, Ipv6Addr::UNSPECIFIED, 0, Target::Device { device: 2, gateway: None });
//! let mut network = Network::new(1);
//! let (left, right) = (network.host(), network.host());
//! let middle = network.router(Arc::new(router), Programs::none());
//! // 1 Mbit/s and 5 ms, then nothing but 2 ms.
//! network.link(left.port(1), middle.port(1), Link { rate: Some(1_000_000), delay: 5_000_000, ..Link::default() });
//! network.link(middle.port(2), right.port(1), Link { delay: 2_000_000, ..Link::default() });
//!
//! let packet = [&[0x60, 0, 0, 0, 0, 0, 59, 64][..], &[0xfc; 32]].concat();
//! network.send(left, 0, packet);
//! let event = network.next(u64::MAX).expect("it arrives");
//! assert!(matches!(event.what, What::Received { host, .. } if host == right));
//! // 54 bytes with the Ethernet header.
//! assert_eq!(event.time, 54 * 8 * 1_000 + 5_000_000 + 2_000_000);
//! ```

mod link;
mod schedule;

pub use link::{Counts, Link};

use crate::router::{Arrival, Fate, Lost, Programs, Router};
use link::{Crossing, Wire};
use schedule::Schedule;
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    net::IpAddr,
    sync::Arc,
};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// Routers, hosts, links between them, and packets on their way.
pub struct Network {
    seed: u64,
    now: u64,
    nodes: Vec<Kind>,
    /// What leaves by a port goes over this.
    wires: BTreeMap<Port, Wire>,
    macs: BTreeMap<Port, [u8; 6]>,
    schedule: Schedule<Pending>,
    happened: VecDeque<Event>,
    tap: Option<Tap>,
}

type Tap = Box<dyn FnMut(&Seen<'_>)>;

/// A router or a host of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node(usize);

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// Whose.
    pub node: Node,
    /// Its number there; a host's only one is 1.
    pub device: u32,
}

/// Something that the driver of a network is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it happened, in ns.
    pub time: u64,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A host got a frame.
    Received {
        /// The host.
        host: Node,
        /// What it got, from the Ethernet header on.
        frame: Vec<u8>,
    },
    /// A router got a packet for itself.
    Delivered {
        /// The router.
        router: Node,
        /// What it got, from the IP header on.
        packet: Vec<u8>,
    },
    /// A router dropped a packet: also what a program takes for its daemon.
    Lost {
        /// The router.
        router: Node,
        /// Why.
        why: Lost,
        /// What the packet was then, from the IP header on.
        packet: Vec<u8>,
        /// Whether the sender is told.
        told: bool,
    },
    /// A frame left by an interface that has no link.
    Left {
        /// The interface.
        port: Port,
        /// To whom, if a route said so: the frame has no destination address yet.
        next_hop: Option<IpAddr>,
        /// It, from the Ethernet header on.
        frame: Vec<u8>,
    },
    /// The time of [`Network::alarm`] has come.
    Alarm(u64),
}

/// A frame at an interface, as a capture there would have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// When, in ns. Of one interface and direction frames are seen in order.
    pub time: u64,
    /// The interface.
    pub port: Port,
    /// Whether the frame leaves by it: then it is seen when the link takes it from the queue.
    pub out: bool,
    /// It, from the Ethernet header on.
    pub frame: &'a [u8],
}

enum Kind {
    Router(Arc<Router>, Box<Programs>),
    Host,
}

/// What is going to happen.
enum Pending {
    /// A frame comes to an interface.
    Arrives(Port, Vec<u8>),
    /// A frame that was held back comes to its link's queue.
    Leaves(Port, Vec<u8>),
    /// A node says something of its own.
    Says(Node, Vec<u8>),
    Alarm(u64),
}

impl Node {
    /// One of its interfaces.
    #[must_use]
    pub fn port(self, device: u32) -> Port {
        Port { node: self, device }
    }
}

impl Network {
    /// Nobody yet, at time 0. The seed decides what links lose.
    #[must_use]
    pub fn new(seed: u64) -> Network {
        Network {
            seed,
            now: 0,
            nodes: Vec::new(),
            wires: BTreeMap::new(),
            macs: BTreeMap::new(),
            schedule: Schedule::default(),
            happened: VecDeque::new(),
            tap: None,
        }
    }

    /// Adds a router. The runtime of its programs has it as host, and a virtual clock.
    pub fn router(&mut self, router: Arc<Router>, programs: Programs) -> Node {
        self.add(Kind::Router(router, Box::new(programs)))
    }

    /// Adds a host, which has one interface: number 1.
    pub fn host(&mut self) -> Node {
        self.add(Kind::Host)
    }

    fn add(&mut self, kind: Kind) -> Node {
        self.nodes.push(kind);
        Node(self.nodes.len() - 1)
    }

    /// Connects two interfaces by a link that is the same both ways.
    ///
    /// # Panics
    /// If one of them has a link.
    pub fn link(&mut self, one: Port, other: Port, link: Link) {
        self.one_way(one, other, link);
        self.one_way(other, one, link);
    }

    /// What leaves by one interface goes over a link to another.
    ///
    /// # Panics
    /// If such a link is there.
    pub fn one_way(&mut self, from: Port, to: Port, link: Link) {
        let seed = self.seed.wrapping_add(self.wires.len() as u64);
        let before = self.wires.insert(from, Wire::new(to, link, seed));
        assert!(before.is_none(), "{from:?} has a link");
    }

    /// Changes the link that an interface's packets leave by, for those that come to its queue from now on; false if there
    /// is none.
    pub fn set_link(&mut self, from: Port, link: Link) -> bool {
        self.wires.get_mut(&from).map(|wire| wire.link = link).is_some()
    }

    /// Holds back what leaves by an interface for some time before it comes to the link's queue, in order: what evens out
    /// two ways of different delay. False if there is no link.
    pub fn hold(&mut self, from: Port, ns: u64) -> bool {
        self.wires.get_mut(&from).map(|wire| wire.hold = ns).is_some()
    }

    /// What the link that an interface's packets leave by has done until now.
    #[must_use]
    pub fn counts(&self, from: Port) -> Option<Counts> {
        self.wires.get(&from).map(|wire| wire.counts)
    }

    /// Gives an interface an Ethernet address; without that it has one of its own.
    pub fn set_mac(&mut self, port: Port, mac: [u8; 6]) {
        self.macs.insert(port, mac);
    }

    /// An interface's Ethernet address.
    #[must_use]
    pub fn mac(&self, port: Port) -> [u8; 6] {
        let ([.., a, b], [.., c, d]) = (port.node.0.to_be_bytes(), port.device.to_be_bytes());
        self.macs.get(&port).copied().unwrap_or([2, 0, a, b, c, d])
    }

    /// Shows every frame at every interface from now on.
    pub fn tap(&mut self, tap: impl FnMut(&Seen<'_>) + 'static) {
        self.tap = Some(Box::new(tap));
    }

    /// The programs of a router: what stopped the last one.
    #[must_use]
    pub fn programs(&self, node: Node) -> Option<&Programs> {
        match self.nodes.get(node.0) {
            Some(Kind::Router(_, programs)) => Some(programs),
            _ => None,
        }
    }

    /// The time, in ns.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// A node sends a packet of its own, from its IP header on: a router by its routes, a host by its interface. A time that
    /// is over means now.
    pub fn send(&mut self, node: Node, at: u64, packet: Vec<u8>) {
        self.plan(at, Pending::Says(node, packet));
    }

    /// A frame comes to an interface, from its Ethernet header on, whoever sent it. A time that is over means now.
    pub fn arrive(&mut self, port: Port, at: u64, frame: Vec<u8>) {
        self.plan(at, Pending::Arrives(port, frame));
    }

    /// [`What::Alarm`] happens then, with this number. A time that is over means now.
    pub fn alarm(&mut self, at: u64, number: u64) {
        self.plan(at, Pending::Alarm(number));
    }

    /// What happens next, until `until`; when nothing does, it is that late.
    pub fn next(&mut self, until: u64) -> Option<Event> {
        loop {
            if let Some(event) = self.happened.pop_front() {
                return Some(event);
            }
            let Some((time, pending)) = self.schedule.before(until) else {
                // Without an end there is no time at which nothing happens any more.
                self.now = self.now.max(if until == u64::MAX { 0 } else { until });
                return None;
            };
            self.now = time;
            match pending {
                Pending::Arrives(port, frame) => self.arrives(port, frame),
                Pending::Leaves(port, frame) => self.queue(port, frame),
                Pending::Says(node, packet) => self.says(node, packet),
                Pending::Alarm(number) => self.tell(What::Alarm(number)),
            }
        }
    }

    fn plan(&mut self, at: u64, pending: Pending) {
        self.schedule.add(at.max(self.now), pending);
    }

    fn tell(&mut self, what: What) {
        self.happened.push_back(Event { time: self.now, what });
    }

    fn arrives(&mut self, port: Port, frame: Vec<u8>) {
        if let Some(tap) = &mut self.tap {
            tap(&Seen { time: self.now, port, out: false, frame: &frame });
        }
        let Port { node, device } = port;
        let (fate, answer) = match self.nodes.get_mut(node.0) {
            Some(Kind::Router(router, programs)) => {
                let Some((link, packet)) = ip(&frame) else {
                    return self.tell(What::Lost { router: node, why: Lost::Malformed, packet: frame, told: false });
                };
                let fate = router.forward(&Arrival { packet, link, device, time: self.now }, programs);
                let answer = router.answer(&fate, self.now, programs);
                (fate, answer)
            }
            _ => return self.tell(What::Received { host: node, frame }),
        };
        self.settle(node, fate, answer.is_some());
        if let Some(answer) = answer {
            self.settle(node, answer, false);
        }
    }

    fn says(&mut self, node: Node, packet: Vec<u8>) {
        match self.nodes.get_mut(node.0) {
            Some(Kind::Router(router, programs)) => {
                let fate = router.originate(packet, self.now, programs);
                self.settle(node, fate, false);
            }
            _ => self.leaves(node.port(1), None, packet),
        }
    }

    fn settle(&mut self, router: Node, fate: Fate, told: bool) {
        match fate {
            Fate::Sent { device, next_hop, packet } => self.leaves(router.port(device), Some(next_hop), packet),
            Fate::Frame { device, frame } => self.transmit(router.port(device), None, frame),
            Fate::Delivered(packet) => self.tell(What::Delivered { router, packet }),
            Fate::Lost { why, packet } => self.tell(What::Lost { router, why, packet, told }),
        }
    }

    /// Puts a packet in a frame to whoever is at the other end.
    fn leaves(&mut self, port: Port, next_hop: Option<IpAddr>, packet: Vec<u8>) {
        let theirs = self.wires.get(&port).map_or([0; 6], |wire| self.mac(wire.to));
        let four = packet.first().is_some_and(|first| first >> 4 == 4);
        let ethertype: [u8; 2] = if four { [8, 0] } else { [0x86, 0xdd] };
        let frame = [&theirs[..], &self.mac(port), &ethertype, &packet].concat();
        self.transmit(port, next_hop, frame);
    }

    fn transmit(&mut self, port: Port, next_hop: Option<IpAddr>, frame: Vec<u8>) {
        match self.wires.get_mut(&port).map(|wire| wire.released(self.now)) {
            Some(Some(at)) => self.plan(at, Pending::Leaves(port, frame)),
            Some(None) => self.queue(port, frame),
            None => {
                if let Some(tap) = &mut self.tap {
                    tap(&Seen { time: self.now, port, out: true, frame: &frame });
                }
                self.tell(What::Left { port, next_hop, frame });
            }
        }
    }

    fn queue(&mut self, port: Port, frame: Vec<u8>) {
        let Some(wire) = self.wires.get_mut(&port) else { return };
        let Some(Crossing { begins, arrives }) = wire.cross(self.now, frame.len()) else { return };
        if let Some(tap) = &mut self.tap {
            tap(&Seen { time: begins, port, out: true, frame: &frame });
        }
        if let Some(at) = arrives {
            let to = wire.to;
            self.plan(at, Pending::Arrives(to, frame));
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("now", &self.now)
            .field("nodes", &self.nodes.len())
            .field("wires", &self.wires)
            .finish_non_exhaustive()
    }
}

/// An IP packet's Ethernet header, and the packet.
fn ip(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let (link, packet) = frame.split_at_checked(ETHERNET)?;
    matches!(link[12..], [8, 0] | [0x86, 0xdd]).then_some((link, packet))
}
