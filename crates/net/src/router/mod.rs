//! A router of IP with Linux's SRv6 behaviours and programs behind its routes: a function from a packet to what becomes
//! of it.
//!
//! Knows no links and no neighbours: a packet leaves by the number of a device, towards a next hop. It begins at its IP
//! header, before and after. The behaviours are those of RFC 8986 as Linux has them (`net/ipv6/seg6_local.c`,
//! `seg6_iptunnel.c`), programs act as in `net/core/lwt_bpf.c`; the test `routes` holds both against each other.
//!
//! | file | holds |
//! |---|---|
//! | `table` | routes by longest prefix |
//! | `flow` | which of several ways a packet goes |
//! | `behaviour`, `flavour`, `headend` | what segments and headends do |
//! | `transform` | what becomes of a packet's headers |
//! | `tunnel` | what programs of routes do |
//! | `programs` | what runs them |
//! | `host` | what their helpers ask |
//! | `icmp` | what the router tells senders |

mod behaviour;
mod flavour;
mod flow;
mod headend;
mod host;
mod icmp;
mod programs;
mod table;
mod transform;
mod tunnel;

pub use behaviour::Behaviour;
pub use flavour::{Flavours, NextCsid};
pub use headend::Headend;
pub use programs::Programs;
pub use table::Table;
pub use tunnel::Tunnel;

use crate::{
    Dropped,
    routed::{received, received4},
    seg6::{Keys, Octets, Policy, Require, Unable},
};
use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Number of the table that packets are routed by.
pub const MAIN: u32 = 254;
/// How many tunnels and segments of this router one packet may go through (Linux: `XMIT_RECURSION_LIMIT`).
const TUNNELS: usize = 9;

/// What is done with packets to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// They leave by a device.
    Device {
        /// Its number.
        device: u32,
        /// The next hop; without one, the destination itself.
        gateway: Option<IpAddr>,
    },
    /// They are the router's own.
    Local,
    /// They are dropped, and nobody is told.
    Blackhole,
    /// They are dropped: nobody is there.
    Unreachable,
    /// They are dropped: nobody may go there.
    Prohibited,
    /// Their destination is a segment of this router.
    Endpoint(Behaviour),
    /// They are sent on a way of segments.
    Headend(Headend),
    /// Programs see them on their way.
    Tunnel(Tunnel),
    /// They go several ways, each flow one of them; beside each the share of flows that goes it.
    Ways(Vec<(u32, Target)>),
}

/// Routes, and what else a router knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// Tables by number; [`MAIN`] is asked for everything that no behaviour asks another one for.
    pub tables: BTreeMap<u32, Table>,
    /// Source of what is encapsulated, and of what the router itself has to say; `::`: it says nothing.
    pub source: Ipv6Addr,
    /// The longest packet that a device takes, by its number; of others, any.
    pub mtu: BTreeMap<u32, u32>,
    /// What headers are signed with, and checked.
    pub keys: Keys,
    /// What is asked of the HMACs of packets to segments, by the number of the device that they came from; of others,
    /// [`Require::Right`].
    pub require: BTreeMap<u32, Require>,
}

/// A packet on its way in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// It, from its IP header on.
    pub packet: &'a [u8],
    /// What came before it on the link: its Ethernet header, if it has one.
    pub link: &'a [u8],
    /// Number of the device that it came from.
    pub device: u32,
    /// When it came, in ns: what programs take for the time.
    pub time: u64,
}

impl<'a> Arrival<'a> {
    /// From device 1, which has no link layer, at time zero.
    #[must_use]
    pub fn of(packet: &'a [u8]) -> Arrival<'a> {
        Arrival { packet, link: &[], device: 1, time: 0 }
    }
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It leaves.
    Sent {
        /// By this device.
        device: u32,
        /// Towards this address, on the device's link.
        next_hop: IpAddr,
        /// As this.
        packet: Vec<u8>,
    },
    /// The frame that was in it leaves.
    Frame {
        /// By this device.
        device: u32,
        /// As this, from its Ethernet header on.
        frame: Vec<u8>,
    },
    /// It is for the router itself.
    Delivered(Vec<u8>),
    /// It goes nowhere.
    Lost {
        /// Why.
        why: Lost,
        /// What it was then.
        packet: Vec<u8>,
    },
}

/// Why a packet goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lost {
    /// Its IP header does not fit it.
    Malformed,
    /// It comes to a segment that needs a valid SRH with segments left, and has none.
    NoSegments,
    /// It comes to a segment, and its HMAC is wrong or of an unknown key, or missing where one is required.
    BadHmac,
    /// It comes to a segment that has to be the last, and is not.
    SegmentsLeft,
    /// It comes to a segment that takes an inner packet out, and has none of that kind.
    NoInner,
    /// It is to be given a header that only IPv6 packets take in.
    NotIpv6,
    /// The header that it is to be given does not hold together.
    BadHeader,
    /// The header that it is to be given cannot be signed: the key is not known, there is no room for the HMAC, or there are
    /// more segments than are signed.
    NotSigned,
    /// There is no route.
    NoRoute,
    /// There is no such table.
    NoTable,
    /// It is the router's own behind a segment that delivers nothing.
    NotForwarded,
    /// Its route is a black hole.
    Blackhole,
    /// Its route says that nobody is there.
    Unreachable,
    /// Its route says that nobody may go there.
    Prohibited,
    /// It has no hops left.
    HopLimit,
    /// It is longer than the device takes, which is that much.
    TooBig(u32),
    /// It has gone through as many tunnels as a packet may: behaviours lead to each other.
    Circle,
    /// A program dropped it.
    Dropped,
    /// A program dropped it, in effect: it returned what means nothing there.
    Illegal,
    /// A program left an SRH that does not hold together.
    BrokenSrh,
    /// A program made a packet of another protocol of it, and did not ask for another route.
    NotRerouted,
    /// A program was stopped ([`Programs::fault`]).
    Stopped,
    /// It comes to a program that nobody runs here.
    NoProgram,
}

impl From<Dropped> for Lost {
    fn from(why: Dropped) -> Lost {
        match why {
            Dropped::NotIp | Dropped::Malformed => Lost::Malformed,
            Dropped::NoSegments => Lost::NoSegments,
            Dropped::BadHmac => Lost::BadHmac,
            Dropped::BrokenSrh => Lost::BrokenSrh,
            Dropped::NotRerouted => Lost::NotRerouted,
        }
    }
}

impl From<Unable> for Lost {
    fn from(why: Unable) -> Lost {
        match why {
            Unable::Short => Lost::BadHeader,
            Unable::NoHmac | Unable::NoKey | Unable::TooLong => Lost::NotSigned,
        }
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lost::Malformed => "an IP header that does not fit the packet",
            Lost::NoSegments => "no valid SRH with segments left",
            Lost::BadHmac => "an HMAC that is wrong, of an unknown key, or missing",
            Lost::SegmentsLeft => "segments left where there must be none",
            Lost::NoInner => "no such packet inside",
            Lost::NotIpv6 => "no IPv6 packet",
            Lost::BadHeader => "the header to be put on it does not hold together",
            Lost::NotSigned => "the header to be put on it cannot be signed",
            Lost::NoRoute => "no route",
            Lost::NoTable => "no such table",
            Lost::NotForwarded => "the router's own, behind a segment",
            Lost::Blackhole => "a black hole",
            Lost::Unreachable => "unreachable",
            Lost::Prohibited => "prohibited",
            Lost::HopLimit => "no hops left",
            Lost::TooBig(_) => "longer than the device takes",
            Lost::Circle => "behaviours lead in a circle",
            Lost::Dropped => "a program dropped it",
            Lost::Illegal => "a program returned what means nothing there",
            Lost::BrokenSrh => "a program left a broken SRH",
            Lost::NotRerouted => "a program made another protocol of it, and asked for no new route",
            Lost::Stopped => "a program was stopped",
            Lost::NoProgram => "a program that nobody runs",
        })
    }
}

/// Where packets to a destination go from a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ways {
    /// Nowhere.
    None,
    /// No further: it is the router's own, or a segment of it.
    Here,
    /// To these next hops, each with its share of the flows.
    On(Vec<(IpAddr, u32)>),
}

fn collect_ways(target: &Target, to: IpAddr, share: u32, next: &mut Vec<(IpAddr, u32)>) {
    match target {
        Target::Device { gateway, .. } | Target::Tunnel(Tunnel { gateway, .. }) => {
            next.push((gateway.unwrap_or(to), share));
        }
        Target::Ways(ways) => ways.iter().for_each(|(weight, way)| collect_ways(way, to, *weight, next)),
        _ => {}
    }
}

/// Where a packet is to be looked up.
#[derive(Clone, Copy, Debug)]
struct Ask {
    table: u32,
    next_hop: Option<IpAddr>,
    /// Whether it may be for the router itself: after most behaviours it may not.
    local: bool,
    stage: Stage,
}

impl Ask {
    /// By its destination, in the main table.
    const PLAIN: Ask = Ask { table: MAIN, next_hop: None, local: false, stage: Stage::Received };
}

/// How far a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It came in; what is done with it is open.
    Received,
    /// It is leaving: its hops were counted, programs where packets come in do not see it.
    Leaving,
}

/// What was done with a packet: it has an end, or is looked up again, as the [`Ask`] says by then. That one is changed where
/// it is: copied as a whole, what was just written in parts would have the processor wait.
enum Step {
    End(Fate),
    Again,
}

impl Router {
    /// A router without routes.
    #[must_use]
    pub fn new(source: Ipv6Addr) -> Router {
        Router {
            tables: BTreeMap::new(),
            source,
            mtu: BTreeMap::new(),
            keys: Keys::default(),
            require: BTreeMap::new(),
        }
    }

    /// Adds a route to a table.
    ///
    /// # Panics
    /// If an address has fewer bits than the prefix says.
    pub fn add(&mut self, table: u32, destination: impl Into<IpAddr>, prefix: u8, target: Target) {
        self.tables.entry(table).or_default().add(destination.into(), prefix, target);
    }

    /// What becomes of a packet that was received.
    #[must_use]
    pub fn forward(&self, arrival: &Arrival<'_>, programs: &mut Programs) -> Fate {
        let packet = arrival.packet;
        let Some((len, _)) = received(packet).or_else(|| received4(packet)) else {
            return Fate::Lost { why: Lost::Malformed, packet: packet.to_vec() };
        };
        self.route(packet[..len].to_vec(), Ask { local: true, ..Ask::PLAIN }, arrival, programs)
    }

    /// What becomes of a packet of the router's own, from its IP header on, sent at `time` (ns).
    #[must_use]
    pub fn originate(&self, packet: Vec<u8>, time: u64, programs: &mut Programs) -> Fate {
        let arrival = Arrival { time, ..Arrival::of(&[]) };
        self.route(packet, Ask { local: true, stage: Stage::Leaving, ..Ask::PLAIN }, &arrival, programs)
    }

    /// What the router tells the sender of a packet that went nowhere, and what becomes of that: ICMPv6 messages. Nothing
    /// is told of IPv4 packets, and of what is dropped in silence.
    #[must_use]
    pub fn answer(&self, fate: &Fate, time: u64, programs: &mut Programs) -> Option<Fate> {
        let Fate::Lost { why, packet } = fate else { return None };
        let message = icmp::about(*why, packet, self.source, |sender| self.is_anycast(sender))?;
        Some(self.originate(message, time, programs))
    }

    /// Where packets to a destination go from here, by the main table: each of several ways with its share of the flows.
    #[must_use]
    pub fn ways(&self, to: IpAddr) -> Ways {
        let Ok(target) = self.look_up(MAIN, to) else { return Ways::None };
        let mut next = Vec::new();
        collect_ways(target, to, 1, &mut next);
        match target {
            Target::Local | Target::Endpoint(_) => Ways::Here,
            _ if next.is_empty() => Ways::None,
            _ => Ways::On(next),
        }
    }

    fn route(&self, mut packet: Vec<u8>, mut ask: Ask, arrival: &Arrival<'_>, programs: &mut Programs) -> Fate {
        let mut why = Lost::Circle;
        for _ in 0..=TUNNELS {
            match self.step(&mut packet, &mut ask, arrival, programs) {
                Ok(Step::Again) => {}
                Ok(Step::End(fate)) => return fate,
                Err(lost) => {
                    why = lost;
                    break;
                }
            }
        }
        Fate::Lost { why, packet }
    }

    fn step(
        &self,
        packet: &mut Vec<u8>,
        ask: &mut Ask,
        arrival: &Arrival<'_>,
        programs: &mut Programs,
    ) -> Result<Step, Lost> {
        let to = ask.next_hop.unwrap_or_else(|| destination(packet));
        let mut target = self.look_up(ask.table, to)?;
        while let Target::Ways(ways) = target {
            let way = flow::pick(packet, ways.iter().map(|(weight, _)| *weight));
            target = way.and_then(|way| ways.get(way)).map(|(_, target)| target).ok_or(Lost::NoRoute)?;
        }
        match target {
            Target::Local if ask.local => Ok(Step::End(Fate::Delivered(std::mem::take(packet)))),
            Target::Local => Err(Lost::NotForwarded),
            Target::Device { device, gateway } => self.leave(packet, ask.stage, *device, gateway.unwrap_or(to)),
            Target::Endpoint(behaviour) => behaviour.apply(self, packet, &to, ask, arrival, programs),
            Target::Headend(headend) => headend.apply(self, packet, ask, arrival),
            Target::Tunnel(tunnel) => tunnel.apply(self, packet, to, ask, arrival, programs),
            Target::Unreachable => Err(Lost::Unreachable),
            Target::Prohibited => Err(Lost::Prohibited),
            Target::Blackhole | Target::Ways(_) => Err(Lost::Blackhole),
        }
    }

    /// Sends a packet by a device.
    fn leave(&self, packet: &mut Vec<u8>, stage: Stage, device: u32, next_hop: IpAddr) -> Result<Step, Lost> {
        let four = is_ipv4(packet);
        if stage == Stage::Received {
            has_hops(packet, four)?;
        }
        if let Some(mtu) = self.mtu.get(&device).filter(|mtu| packet.len() > **mtu as usize) {
            return Err(Lost::TooBig(*mtu));
        }
        if stage == Stage::Received {
            one_hop_less(packet, four)?;
        }
        Ok(Step::End(Fate::Sent { device, next_hop, packet: std::mem::take(packet) }))
    }

    /// What is asked of packets that came from a device.
    fn policy(&self, device: u32) -> Policy<'_> {
        Policy { keys: &self.keys, require: self.require.get(&device).copied().unwrap_or_default() }
    }

    /// Whether an address is that of whichever router a link has: the link's prefix, and zeroes (RFC 4291, 2.6.1).
    fn is_anycast(&self, address: Ipv6Addr) -> bool {
        const LONGEST: u8 = 126;
        let route = self.tables.get(&MAIN).and_then(|table| table.longest(address.into()));
        matches!(route, Some((bits, Target::Device { gateway: None, .. }))
            if bits <= LONGEST && u128::from(address) << bits == 0)
    }

    fn look_up(&self, table: u32, to: IpAddr) -> Result<&Target, Lost> {
        self.tables.get(&table).ok_or(Lost::NoTable)?.find(to).ok_or(Lost::NoRoute)
    }
}

/// Where a packet goes to.
fn destination(packet: &[u8]) -> IpAddr {
    const FOUR: usize = 16;
    const SIX: usize = 24;
    if is_ipv4(packet) {
        Ipv4Addr::from(packet.array(FOUR).unwrap_or([0; 4])).into()
    } else {
        Ipv6Addr::from(packet.array(SIX).unwrap_or([0; 16])).into()
    }
}

fn is_ipv4(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first >> 4 == 4)
}

/// Place of the hops in either header.
const HOPS_OF_FOUR: usize = 8;
const HOPS_OF_SIX: usize = 7;

/// Whether there is a hop left behind the next one.
fn has_hops(packet: &[u8], four: bool) -> Result<(), Lost> {
    let hops = packet.get(if four { HOPS_OF_FOUR } else { HOPS_OF_SIX });
    hops.filter(|hops| **hops > 1).map(|_| ()).ok_or(Lost::HopLimit)
}

/// Counts a hop, as of an IPv4 packet if `four` says so.
fn one_hop_less(packet: &mut [u8], four: bool) -> Result<(), Lost> {
    const CHECKSUM: usize = 10;
    has_hops(packet, four)?;
    if let Some(hops) = packet.get_mut(if four { HOPS_OF_FOUR } else { HOPS_OF_SIX }) {
        *hops -= 1;
    }
    if let Some(sum) = packet.get_mut(CHECKSUM..CHECKSUM + 2).filter(|_| four) {
        // RFC 1141: the word that holds the hops got 0x100 less, the sum gets it.
        let (new, carry) = u16::from_be_bytes([sum[0], sum[1]]).overflowing_add(0x100);
        sum.copy_from_slice(&(new + u16::from(carry)).to_be_bytes());
    }
    Ok(())
}
