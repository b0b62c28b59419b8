//! A connection, as peers tell each other of it and as tables have it.

use crate::wire::{self, some};
use std::net::IpAddr;

/// How a real is reached: what is the same at all balancers.
pub(super) type Reached = (u8, IpAddr, u16);

/// A connection, and how its real is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) client: (IpAddr, u16),
    pub(super) vip: (IpAddr, u16),
    pub(super) protocol: u8,
    /// The balancer's port for NAT.
    pub(super) port: u16,
    pub(super) real: Reached,
}

impl Entry {
    /// Family, protocol, ports and addresses of the flow; the port of NAT; the real's way, family, port and address.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let family = |ip: IpAddr| if ip.is_ipv4() { 4 } else { 6 };
        let octets = |ip: IpAddr| match ip {
            IpAddr::V4(four) => four.octets().to_vec(),
            IpAddr::V6(six) => six.octets().to_vec(),
        };
        let (way, real, real_port) = self.real;
        let mut bytes = vec![family(self.vip.0), self.protocol];
        for port in [self.client.1, self.vip.1, self.port, real_port] {
            bytes.extend(port.to_be_bytes());
        }
        bytes.extend([way, family(real)]);
        [self.client.0, self.vip.0, real].into_iter().for_each(|ip| bytes.extend(octets(ip)));
        bytes
    }

    /// The same from bytes, and how many it has.
    pub(super) fn read(bytes: &[u8]) -> Option<(Entry, usize)> {
        let head: &[u8; 12] = bytes.first_chunk()?;
        let width = |family: u8| match family {
            4 => Some(4),
            6 => Some(16),
            _ => None,
        };
        let (flow, real) = (width(head[0])?, width(head[11])?);
        let len = 12 + 2 * flow + real;
        let all = bytes.get(..len)?;
        let port = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let ip = |at, width| address(all, at, width == 4);
        let entry = Entry {
            client: (ip(12, flow), port(2)),
            vip: (ip(12 + flow, flow), port(4)),
            protocol: head[1],
            port: port(6),
            real: (head[10], ip(12 + 2 * flow, real), port(8)),
        };
        Some((entry, len))
    }

    /// Its key in `connections4` or `connections6`.
    pub(super) fn key(&self) -> Vec<u8> {
        let width = if self.vip.0.is_ipv4() { 4 } else { 16 };
        let mut key = Vec::with_capacity(40);
        for ip in [self.client.0, self.vip.0] {
            key.extend(&wire::address(ip)[..width]);
        }
        key.extend(self.client.1.to_be_bytes());
        key.extend(self.vip.1.to_be_bytes());
        key.extend([self.protocol, 0, 0, 0]);
        key
    }
}

/// `struct lb_connection`.
pub(super) fn connection(real: u32, port: u16, seen: u16) -> Vec<u8> {
    [&real.to_ne_bytes()[..], &port.to_be_bytes(), &seen.to_ne_bytes()].concat()
}

pub(super) fn address(bytes: &[u8], at: usize, four: bool) -> IpAddr {
    if four { some::<4>(bytes, at).into() } else { some::<16>(bytes, at).into() }
}

/// Entries up to what is none.
pub(super) fn decoded(mut bytes: &[u8]) -> Vec<Entry> {
    let mut all = Vec::new();
    while let Some((entry, len)) = Entry::read(bytes) {
        all.push(entry);
        bytes = &bytes[len..];
    }
    all
}
