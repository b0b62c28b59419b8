//! A router of IPv6 with Linux's SRv6 behaviours: a pure function from a packet to what becomes of it.
//!
//! Knows no links, no time and no neighbours: a packet leaves by the number of a device, towards a next hop. It begins
//! at its IPv6 header, before and after. The behaviours are those of RFC 8986 as Linux has them
//! (`net/ipv6/seg6_local.c`, `seg6_iptunnel.c`); the test `routes` holds both against each other.

mod behaviour;
mod table;

pub use behaviour::{Behaviour, Headend};
pub use table::Table;

use crate::routed::received;
use std::{collections::BTreeMap, net::Ipv6Addr};

/// Number of the table that packets are routed by.
pub const MAIN: u32 = 254;
/// How often one packet may be routed anew, by behaviours that lead to each other: then it runs in circles.
const ROUNDS: usize = 16;
/// Places in an IPv6 header.
const HOPS: usize = 7;
const DESTINATION: usize = 24;

/// What is done with packets to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// They leave by a device.
    Device {
        /// Its number.
        device: u32,
        /// The next hop; without one, the destination itself.
        gateway: Option<Ipv6Addr>,
    },
    /// They are the router's own.
    Local,
    /// They are dropped, and nobody is told.
    Blackhole,
    /// Their destination is a segment of this router.
    Endpoint(Behaviour),
    /// They are sent on a way of segments.
    Headend(Headend),
}

/// Routes, and the source of tunnels.
#[derive(Clone, Debug)]
pub struct Router {
    /// Tables by number; [`MAIN`] is asked for everything that no behaviour asks another one for.
    pub tables: BTreeMap<u32, Table>,
    /// Source of what is encapsulated.
    pub source: Ipv6Addr,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It leaves.
    Sent {
        /// By this device.
        device: u32,
        /// Towards this address, on the device's link.
        next_hop: Ipv6Addr,
        /// As this.
        packet: Vec<u8>,
    },
    /// It is for the router itself.
    Delivered(Vec<u8>),
    /// It goes nowhere.
    Lost(Lost),
}

/// Why a packet goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Its IPv6 header does not fit it.
    Malformed,
    /// It comes to a segment that needs a valid SRH with segments left, and has none; or it bears an HMAC.
    NoSegments,
    /// It comes to a segment that has to be the last, and is not.
    SegmentsLeft,
    /// It comes to a segment that takes an inner IPv6 packet out, and has none.
    NoInner,
    /// The header that it is to be given does not hold together, or is to bear an HMAC.
    BadHeader,
    /// There is no route, or no table.
    NoRoute,
    /// Its route is a black hole.
    Blackhole,
    /// It has no hops left.
    HopLimit,
    /// Behaviours lead to each other.
    Circle,
}

/// Where a packet is to be looked up.
pub(crate) struct Ask {
    table: u32,
    next_hop: Option<Ipv6Addr>,
    /// Whether it may be for the router itself: after most behaviours it may not.
    local: bool,
}

impl Router {
    /// A router without routes.
    #[must_use]
    pub fn new(source: Ipv6Addr) -> Router {
        Router { tables: BTreeMap::new(), source }
    }

    /// Adds a route to a table.
    ///
    /// # Panics
    /// If an address has fewer bits than the prefix says.
    pub fn add(&mut self, table: u32, destination: Ipv6Addr, prefix: u8, target: Target) {
        self.tables.entry(table).or_default().add(destination, prefix, target);
    }

    /// What becomes of a packet that was received.
    #[must_use]
    pub fn forward(&self, packet: &[u8]) -> Fate {
        let Some((len, _)) = received(packet) else { return Fate::Lost(Lost::Malformed) };
        let mut packet = packet[..len].to_vec();
        let mut ask = Ask { table: MAIN, next_hop: None, local: true };
        for _ in 0..ROUNDS {
            let to = ask.next_hop.unwrap_or_else(|| destination(&packet));
            let target = self.tables.get(&ask.table).and_then(|table| table.find(to));
            let next = match target {
                None => return Fate::Lost(Lost::NoRoute),
                Some(Target::Blackhole) => return Fate::Lost(Lost::Blackhole),
                Some(Target::Local) if ask.local => return Fate::Delivered(packet),
                Some(Target::Local) => return Fate::Lost(Lost::NoRoute),
                Some(Target::Device { device, gateway }) => return leave(packet, *device, gateway.unwrap_or(to)),
                Some(Target::Endpoint(behaviour)) => behaviour.apply(&mut packet, self.source),
                Some(Target::Headend(headend)) => headend.apply(&mut packet, self.source),
            };
            ask = match next {
                Ok(next) => next,
                Err(why) => return Fate::Lost(why),
            };
        }
        Fate::Lost(Lost::Circle)
    }
}

fn destination(packet: &[u8]) -> Ipv6Addr {
    let bytes = packet.get(DESTINATION..).and_then(|rest| rest.first_chunk::<16>());
    bytes.map_or(Ipv6Addr::UNSPECIFIED, |bytes| Ipv6Addr::from(*bytes))
}

fn leave(mut packet: Vec<u8>, device: u32, next_hop: Ipv6Addr) -> Fate {
    match packet.get_mut(HOPS) {
        Some(hops) if *hops > 1 => *hops -= 1,
        _ => return Fate::Lost(Lost::HopLimit),
    }
    Fate::Sent { device, next_hop, packet }
}
