//! The monitor's programs in the running kernel: behind a route whose packets are measured, behind a segment where that is
//! reported. Both go with their value.

use super::{clock, packet};
use crate::{failure::Failure, packed::Packed, verb::srv6::installed::Installed};
use alveary::{
    Linux, Loaded, Loader, MapHandle, Object,
    kernel::{
        netlink::{
            Hook,
            srv6::{Encap, Endpoint, Next, RouteKey, RouteProgram, SteeredRoute},
        },
        read::{RingBuffer, Waiter},
    },
};
use std::{
    net::{IpAddr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

pub(in super::super) static OBJECT: Packed = packed!("srv6-delay.bpf.o");
/// `SEG6_LOCAL_ACTION_END_BPF`.
const END_BPF: u32 = 15;
/// Before routes that are there already, which have 1024 unless somebody says otherwise.
const METRIC: u32 = 1;
/// Room in front of packets that headers may need, the most that there is.
const HEADROOM: u32 = 256;
/// Bytes that the headers have room for.
const LONGEST: usize = 40 + 8 + 16 * packet::MOST_SEGMENTS + 32;

/// A path that is measured.
#[derive(Clone, Debug)]
pub(in super::super) struct Measured {
    /// What reports call it.
    pub(in super::super) path: u32,
    /// Where packets go to of which some are measured.
    pub(in super::super) to: (IpAddr, u8),
    /// The table of their route.
    pub(in super::super) table: u32,
    /// Where those go on that are not.
    pub(in super::super) device: u32,
    pub(in super::super) gateway: Option<IpAddr>,
    /// Source of the headers.
    pub(in super::super) source: Ipv6Addr,
    /// In the order in which they are visited.
    pub(in super::super) segments: Vec<Ipv6Addr>,
    pub(in super::super) kind: packet::Kind,
    /// One of so many packets is measured.
    pub(in super::super) every: u32,
}

impl Measured {
    /// What `transmit` is told.
    pub(in super::super) fn settings(&self) -> Vec<u8> {
        let headers = packet::headers(self.path, self.source, &self.segments, self.kind);
        let numbers = [self.every, headers.bytes.len() as u32, headers.tlv as u32, 0];
        let mut settings = numbers.map(u32::to_ne_bytes).concat();
        settings.extend(&headers.bytes);
        settings.resize(size_of_val(&numbers) + LONGEST, 0);
        settings
    }
}

/// What the programs count, by the names of `bpf/srv6/delay.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(in super::super) struct Counts {
    pub(in super::super) seen: u64,
    pub(in super::super) sent: u64,
    pub(in super::super) left_out: u64,
    pub(in super::super) failed: u64,
    pub(in super::super) reflected: u64,
    pub(in super::super) reported: u64,
    pub(in super::super) unreported: u64,
    pub(in super::super) without: u64,
    pub(in super::super) malformed: u64,
}

/// A program of the object, in the kernel.
struct Program(Loaded<Linux>);

impl Program {
    fn load(name: &str) -> Result<(Program, RouteProgram), Failure> {
        let object = Object::parse(&OBJECT)?;
        let program = Program(Loader::new(Linux::builder().build()).program(name).named("srv6-delay").load(&object)?);
        program.set_clock()?;
        let fd = program.0.program(name)?.handle().as_fd().as_raw_fd();
        Ok((program, RouteProgram { fd: Some(fd), id: None, name: format!("srv6-delay:{name}") }))
    }

    /// Clocks drift: this has to be done again and again.
    fn set_clock(&self) -> Result<(), Failure> {
        Ok(self.0.map("clock")?.update(&[0; 4], &clock::offset().to_ne_bytes(), 0)?)
    }

    fn counts(&self) -> Result<Counts, Failure> {
        let map = self.0.map("counts")?;
        let one = |number: u32| -> Result<u64, Failure> {
            let value = map.lookup(&number.to_ne_bytes())?.unwrap_or_default();
            Ok(value.first_chunk().map_or(0, |value| u64::from_ne_bytes(*value)))
        };
        Ok(Counts {
            seen: one(0)?,
            sent: one(1)?,
            left_out: one(2)?,
            failed: one(3)?,
            reflected: one(4)?,
            reported: one(5)?,
            unreported: one(6)?,
            without: one(7)?,
            malformed: one(8)?,
        })
    }
}

/// A route of which some packets are measured.
pub(in super::super) struct Transmitter {
    /// The route first: it goes before its program.
    _route: Installed,
    program: Program,
}

impl Transmitter {
    pub(in super::super) fn new(measured: &Measured) -> Result<Transmitter, Failure> {
        let Measured { to, table, device, gateway, .. } = *measured;
        let (program, in_route) = Program::load("transmit")?;
        program.0.map("settings")?.update(&[0; 4], &measured.settings(), 0)?;
        let key = RouteKey { destination: to.0, prefix: to.1, table, metric: METRIC };
        let encap = Some(Encap::Programs { programs: vec![(Hook::Xmit, in_route)], headroom: HEADROOM });
        let route = Installed::new(SteeredRoute { key, next: vec![Next { device, gateway, encap, weight: 0 }] })?;
        Ok(Transmitter { _route: route, program })
    }

    pub(in super::super) fn counts(&self) -> Result<Counts, Failure> {
        self.program.counts()
    }

    /// To be called from time to time.
    pub(in super::super) fn set_clock(&self) -> Result<(), Failure> {
        self.program.set_clock()
    }
}

/// A segment where measured packets are reported, or sent back.
pub(in super::super) struct Receiver {
    _route: Installed,
    program: Program,
    ring: RingBuffer,
    waiter: Waiter,
}

impl Receiver {
    pub(in super::super) fn new(segment: (IpAddr, u8), device: u32) -> Result<Receiver, Failure> {
        let (program, in_route) = Program::load("end_dm")?;
        let ring = RingBuffer::open(program.0.map("reports")?.sys())?;
        let mut waiter = Waiter::new()?;
        waiter.add(ring.as_fd(), 0)?;
        let key = RouteKey { destination: segment.0, prefix: segment.1, table: super::super::prefix::MAIN, metric: 0 };
        let endpoint = Endpoint { action: END_BPF, program: Some(in_route), ..Endpoint::default() };
        let next = Next { device, gateway: None, encap: Some(Encap::Endpoint(endpoint)), weight: 0 };
        let route = Installed::new(SteeredRoute { key, next: vec![next] })?;
        Ok(Receiver { _route: route, program, ring, waiter })
    }

    /// Waits for reports, no longer than that, and hands over those that are there.
    pub(in super::super) fn wait(
        &mut self,
        most: Duration,
        mut each: impl FnMut(&packet::Report),
    ) -> Result<(), Failure> {
        if self.waiter.wait(Some(most))?.next().is_some() {
            self.ring.drain(|record| packet::Report::read(record).iter().for_each(&mut each));
        }
        Ok(())
    }

    pub(in super::super) fn counts(&self) -> Result<Counts, Failure> {
        self.program.counts()
    }

    /// To be called from time to time.
    pub(in super::super) fn set_clock(&self) -> Result<(), Failure> {
        self.program.set_clock()
    }
}
