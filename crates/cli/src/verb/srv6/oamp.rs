//! `alveary srv6 oamp`: a segment of this machine that tells who asks by which next hops packets to a target go.

use super::{discover::probing, installed::Installed, prefix::MAIN, prefix::Prefix, refused::refused, routed_device};
use crate::{failure::Failure, output, packed::Packed, table::count};
use alveary::{
    Linux, Loaded, Loader, Object,
    kernel::{
        Probing,
        netlink::srv6::{Encap, Endpoint, Found, Next, RouteKey, RouteProgram, SteeredRoute, ways_to},
        read::{RingBuffer, Waiter},
        signal::Ending,
    },
    net::{discovery::Handed, router::Ways},
};
use alveary_sort::Sort;
use clap::Args;
use serde_json::json;
use std::{
    net::{IpAddr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

pub(super) static OBJECT: Packed = packed!("srv6-oamp.bpf.o");
const PROGRAM: &str = "oamp";
/// `SEG6_LOCAL_ACTION_END_BPF`.
const END_BPF: u32 = 15;
/// Longest that the end waits to be noticed.
const TURN: Duration = Duration::from_millis(100);

/// Answer probes for next hops at a segment of this machine, until Ctrl-C
///
/// `alveary srv6 discover` asks. The segment's program hands probes to this process, which asks the kernel for all ways to
/// the probe's target and answers; everything else goes on to its next segment. The segment is there as long as this runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 oamp --sid fc00:1::a --dev eth0
  alveary srv6 oamp --sid fc00:1::a --dev eth0 --json")]
pub(super) struct Oamp {
    /// The segment: the upper half of this machine's address, the lower half that all agree on
    #[arg(long, value_name = "ADDR")]
    sid: Prefix,

    /// A device for the segment's route; which one does not matter
    #[arg(long, value_name = "IF")]
    dev: String,
}

impl Oamp {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let ending = Ending::expect()?;
        let mut responder = Responder::new((self.sid.address, self.sid.bits), routed_device(&self.dev)?)?;
        while !ending.came() {
            responder.turn(TURN)?;
        }
        if json {
            return output::object(&json!({ "answered": responder.answered }));
        }
        output::plain(&format!("{}\n", count(responder.answered, "probe was answered", "probes were answered")))
    }
}

/// A segment whose probes are answered as long as somebody takes turns.
pub(super) struct Responder {
    /// The route first: it goes before its program.
    _route: Installed,
    _program: Loaded<Linux>,
    ring: RingBuffer,
    waiter: Waiter,
    socket: Probing,
    pub(super) answered: u64,
}

impl Responder {
    pub(super) fn new(segment: (IpAddr, u8), device: u32) -> Result<Responder, Failure> {
        let socket = probing()?;
        let object = Object::parse(&OBJECT)?;
        let loaded = Loader::new(Linux::builder().build()).program(PROGRAM).named("srv6-oamp").load(&object)?;
        let fd = loaded.program(PROGRAM)?.handle().as_fd().as_raw_fd();
        let program = RouteProgram { fd: Some(fd), id: None, name: format!("srv6-oamp:{PROGRAM}") };
        let ring = RingBuffer::open(loaded.map("probes")?.sys())?;
        let mut waiter = Waiter::new()?;
        waiter.add(ring.as_fd(), 0)?;
        let key = RouteKey { destination: segment.0, prefix: segment.1, table: MAIN, metric: 0 };
        let endpoint = Endpoint { action: END_BPF, program: Some(program), ..Endpoint::default() };
        let next = Next { device, gateway: None, encap: Some(Encap::Endpoint(endpoint)), weight: 0 };
        let route = Installed::new(SteeredRoute { key, next: vec![next] })?;
        Ok(Responder { _route: route, _program: loaded, ring, waiter, socket, answered: 0 })
    }

    /// Waits for probes, no longer than that, and answers those that are there.
    pub(super) fn turn(&mut self, most: Duration) -> Result<(), Failure> {
        if self.waiter.wait(Some(most))?.next().is_none() {
            return Ok(());
        }
        let mut probes = Vec::new();
        self.ring.drain(|record| probes.extend(Handed::read(record)));
        for probe in probes {
            let ways = ways(probe.target)?;
            // Who cannot be answered goes without.
            self.answered += u64::from(self.socket.send_message(probe.from, &probe.answer(&ways)).is_ok());
        }
        Ok(())
    }
}

/// The kernel's ways to a target, in the order of their addresses: the kernel names first the one that it would take for this
/// very question, by the hash of a flow that is nobody's.
fn ways(target: Ipv6Addr) -> Result<Ways, Failure> {
    let found = ways_to(target.into())
        .map_err(|why| refused(format!("the kernel does not tell the ways to {target}"), &why))?;
    Ok(match found {
        Found::Nothing => Ways::None,
        Found::Here => Ways::Here,
        Found::Ways(next) => {
            let hop = |next: Next| (next.gateway.unwrap_or(target.into()), u32::from(next.weight) + 1);
            let mut hops: Vec<_> = next.into_iter().map(hop).collect();
            hops.order();
            Ways::On(hops)
        }
    })
}
