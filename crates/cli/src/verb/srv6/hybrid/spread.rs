//! The program that spreads a route's packets over links, in the running kernel. It goes with its value.

use super::super::installed::Installed;
use crate::{failure::Failure, packed::Packed};
use alveary::{
    Linux, Loaded, Loader, MapHandle, Object,
    kernel::netlink::{
        Hook,
        srv6::{Encap, Next, RouteKey, RouteProgram, SteeredRoute},
    },
    net::seg6,
};
use std::{
    net::{IpAddr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd},
};

pub(in super::super) static OBJECT: Packed = packed!("srv6-hybrid.bpf.o");
/// What there is room for in `bpf/srv6/hybrid.bpf.c`.
pub(super) const LINKS: usize = 4;
pub(super) const SEGMENTS: usize = 8;
const SRH: usize = 8 + 16 * SEGMENTS;
/// Before routes that are there already.
const METRIC: u32 = 1;

/// What a link got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(in super::super) struct Sent {
    pub(in super::super) packets: u64,
    pub(in super::super) bytes: u64,
}

impl Sent {
    /// What the program counts, of all CPUs.
    pub(in super::super) fn read(all: &[u8]) -> Sent {
        let sum = |at: usize| {
            all.chunks_exact(16).filter_map(|cpu| cpu[at..].first_chunk()).map(|n| u64::from_ne_bytes(*n)).sum()
        };
        Sent { packets: sum(0), bytes: sum(8) }
    }
}

/// A route whose packets are spread.
pub(super) struct Spread {
    /// The route first: it goes before its program.
    _route: Installed,
    loaded: Loaded<Linux>,
}

impl Spread {
    /// Packets to a destination go by links, whose segments and weights these are.
    pub(super) fn new(
        to: (IpAddr, u8),
        table: u32,
        device: u32,
        links: &[(&[Ipv6Addr], u32)],
    ) -> Result<Spread, Failure> {
        let object = Object::parse(&OBJECT)?;
        let loaded = Loader::new(Linux::builder().build()).program("spread").named("srv6-hybrid").load(&object)?;
        let fd = loaded.program("spread")?.handle().as_fd().as_raw_fd();
        let program = RouteProgram { fd: Some(fd), id: None, name: "srv6-hybrid:spread".into() };
        for (number, (segments, weight)) in (0..).zip(links) {
            set(&loaded, number, segments, *weight)?;
        }
        let key = RouteKey { destination: to.0, prefix: to.1, table, metric: METRIC };
        let encap = Some(Encap::Programs { programs: vec![(Hook::In, program)], headroom: 0 });
        let route = Installed::new(SteeredRoute { key, next: vec![Next { device, gateway: None, encap, weight: 0 }] })?;
        Ok(Spread { _route: route, loaded })
    }

    pub(super) fn set(&self, number: u32, segments: &[Ipv6Addr], weight: u32) -> Result<(), Failure> {
        set(&self.loaded, number, segments, weight)
    }

    /// What each link got, and last what none got.
    pub(super) fn sent(&self) -> Result<Vec<Sent>, Failure> {
        let map = self.loaded.map("sent")?;
        let one = |number: u32| Ok(Sent::read(&map.lookup(&number.to_ne_bytes())?.unwrap_or_default()));
        (0..=LINKS as u32).map(one).collect()
    }
}

fn set(loaded: &Loaded<Linux>, number: u32, segments: &[Ipv6Addr], weight: u32) -> Result<(), Failure> {
    Ok(loaded.map("links")?.update(&number.to_ne_bytes(), &value(segments, weight), 0)?)
}

/// What the program is told of a link.
pub(in super::super) fn value(segments: &[Ipv6Addr], weight: u32) -> Vec<u8> {
    let srh = seg6::header_of(segments, false, None);
    let mut value = [weight, srh.len() as u32].map(u32::to_ne_bytes).concat();
    value.extend(&srh);
    value.resize(2 * size_of::<u32>() + SRH, 0);
    value
}
