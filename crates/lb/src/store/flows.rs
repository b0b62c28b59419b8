//! Connections that all CPUs know, read page by page: their tables may be far larger than the process.

use super::{Plane, Store};
use crate::{Result, config::Prefix, wire};
use std::{collections::BTreeSet, net::IpAddr};

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The client's address and port.
    pub client: (IpAddr, u16),
    /// The VIP's.
    pub to: (IpAddr, u16),
    /// The protocol's number.
    pub protocol: u8,
    /// The real's number.
    pub real: u32,
}

/// Which connections are asked for: those for which all holds that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Whose client is one of these.
    pub client: Option<Prefix>,
    /// To this address, and to one of these ports, if there are any.
    pub vip: Option<(IpAddr, Vec<u16>)>,
    /// Whose real has one of these numbers.
    pub reals: Option<BTreeSet<u32>>,
}

impl Which {
    fn holds(&self, flow: &Flow) -> bool {
        self.client.is_none_or(|clients| clients.contains(flow.client.0))
            && self.vip.as_ref().is_none_or(|(address, ports)| {
                *address == flow.to.0 && (ports.is_empty() || ports.contains(&flow.to.1))
            })
            && self.reals.as_ref().is_none_or(|reals| reals.contains(&flow.real))
    }
}

/// Connections that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flows {
    /// No more of them than was said.
    pub flows: Vec<Flow>,
    /// There are others.
    pub more: bool,
}

impl<B: Plane> Store<B> {
    /// Connections that all CPUs know, no more than `most`.
    ///
    /// # Errors
    /// The target's.
    pub fn flows(&self, which: &Which, most: usize) -> Result<Flows> {
        let mut found = Flows::default();
        for (map, width) in [("connections4", 4), ("connections6", 16)] {
            if !found.more {
                read::<B>(self.map(map), width, which, most, &mut found)?;
            }
        }
        Ok(found)
    }
}

/// Those of a table whose addresses are so long.
fn read<B: Plane>(map: &B::Map, width: usize, which: &Which, most: usize, found: &mut Flows) -> Result<()> {
    B::each(map, &mut |key, value| {
        let flow = flow(width, key, value);
        if which.holds(&flow) {
            found.more = found.flows.len() == most;
            if !found.more {
                found.flows.push(flow);
            }
        }
        !found.more
    })
}

fn flow(width: usize, key: &[u8], value: &[u8]) -> Flow {
    let ip = |at: usize| match width {
        4 => IpAddr::from(wire::some::<4>(key, at)),
        _ => IpAddr::from(wire::some::<16>(key, at)),
    };
    let port = |at: usize| u16::from_be_bytes(wire::some(key, at));
    let [protocol] = wire::some(key, 2 * width + 4);
    let (client, to) = ((ip(0), port(2 * width)), (ip(width), port(2 * width + 2)));
    Flow { client, to, protocol, real: wire::number(wire::word(value, 0)) }
}

#[cfg(test)]
mod tests;
