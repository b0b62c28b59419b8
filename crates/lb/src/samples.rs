//! The flow log: packets that a running balancer samples (`[rates] sample`), as they come out of its ring buffer. Changes nothing
//! of what runs.

use crate::{
    Result,
    instance::{pinned, running},
    record::{Known, Maps, monotonic},
    wire,
};
use alveary::{
    LinuxMap, MapHandle, Object,
    kernel::read::{RingBuffer, Waiter},
};
use alveary_diag::{Diagnostic, Place};
use std::{
    fs::{self, File},
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsFd,
    path::Path,
    time::{Duration, Instant},
};

/// What the data plane counts of samples that nobody took: its index in `events`.
const UNSAMPLED: u32 = 9;
/// How often it is looked what numbers of VIPs and reals stand for.
const LOOK: Duration = Duration::from_secs(1);

/// A packet that was sampled, as it came: `struct lb_about`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// When: ns of CLOCK_MONOTONIC.
    pub time: u64,
    /// Where it came from and where it went to; `None` if it was not read so far. Without ports they are 0.
    pub flow: Option<(SocketAddr, SocketAddr)>,
    /// Its protocol.
    pub protocol: u8,
    /// Bytes of it, with the Ethernet header.
    pub length: u16,
    /// The VIP's number, if it is for one.
    pub vip: Option<u32>,
    /// The real's, if one was found.
    pub real: Option<u32>,
    /// What became of it: index in [`wire::VERDICTS`].
    pub verdict: u32,
    /// The device that it came by.
    pub ifindex: u32,
}

impl Sampled {
    /// From an entry of the ring buffer; `None` if it is cut.
    #[must_use]
    pub fn read(about: &[u8]) -> Option<Sampled> {
        if about.len() < 64 {
            return None;
        }
        let six = about[45] == 6;
        let side = |address: usize, port: usize| {
            let port = u16::from_be_bytes(wire::some(about, port));
            SocketAddr::new(wire::ip(wire::some(about, address), six), port)
        };
        let (vip, real) = (wire::word(about, 48), wire::number(wire::word(about, 52)));
        Some(Sampled {
            time: u64::from_ne_bytes(wire::some(about, 0)),
            flow: (about[45] != 0).then(|| (side(8, 40), side(24, 42))),
            protocol: about[44],
            length: u16::from_ne_bytes(wire::some(about, 46)),
            vip: (vip != u32::MAX).then_some(vip),
            real: (real != 0).then_some(real),
            verdict: wire::word(about, 56),
            ifindex: wire::word(about, 60),
        })
    }
}

/// Who reads the samples of a running balancer.
#[derive(Debug)]
pub struct Samples {
    ring: RingBuffer,
    waiter: Waiter,
    events: LinuxMap,
    names: Maps,
    /// What numbers stand for.
    pub known: Known,
    looked: Instant,
    /// When it began: what is older is not told.
    began: u64,
    missed: u64,
    /// Of how many packets one is sampled.
    pub every: u32,
    /// Held as long as this one reads: there is one at a time.
    _lock: File,
}

impl Samples {
    /// Opens the ring buffer of a running balancer; what is in it already is thrown away.
    ///
    /// # Errors
    /// No balancer of that name runs, or one that samples nothing; someone reads its samples already; the kernel's.
    pub fn open(object: &[u8], root: &Path, name: &str) -> Result<Samples> {
        let folder = running(root, name, "lb-samples")?;
        let own = |message: String| Diagnostic::new("lb-samples", message, Place::Nowhere);
        let failed = |why: &io::Error| own(format!("{}: {why}", folder.join("samples").display()));
        let object = Object::parse(object)?;
        let pinned = |map: &str| pinned(&folder, &object, map);
        let settings = pinned(".data.settings")?.lookup(&[0; 4])?.unwrap_or_default();
        let every = if settings.len() >= 12 { wire::word(&settings, 8) } else { 0 };
        if every == 0 {
            let why = own(format!("the balancer `{name}` samples no packets"));
            return Err(why.help("in its configuration: [rates]\nsample = 1000: one of a thousand packets").into());
        }
        let lock = locked(&folder).map_err(|why| match why.kind() {
            io::ErrorKind::WouldBlock => own(format!("someone reads the samples of `{name}` already")),
            _ => failed(&why),
        })?;
        let mut ring = RingBuffer::open(pinned("samples")?.sys()).map_err(|why| failed(&why))?;
        let mut waiter = Waiter::new().map_err(|why| failed(&why))?;
        waiter.add(AsFd::as_fd(&ring), 0).map_err(|why| failed(&why))?;
        ring.drain(|_| ());
        let names = Maps::open(&pinned)?;
        let mut samples = Samples {
            ring,
            waiter,
            events: pinned("events")?,
            known: names.read()?,
            names,
            looked: Instant::now(),
            began: monotonic(),
            missed: 0,
            every,
            _lock: lock,
        };
        samples.missed = samples.count()?;
        Ok(samples)
    }

    /// Hands over what was sampled since the last time, waiting for something no longer than `most`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn take(&mut self, most: Duration, mut each: impl FnMut(&Known, Sampled)) -> Result<()> {
        let failed = |why: io::Error| Diagnostic::new("lb-samples", format!("samples: {why}"), Place::Nowhere);
        self.waiter.wait(Some(most)).map_err(failed)?.for_each(drop);
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            let now = self.names.read()?;
            self.known.learn(now);
        }
        let (known, began) = (&self.known, self.began);
        self.ring.drain(|about| {
            if let Some(sampled) = Sampled::read(about).filter(|sampled| sampled.time >= began) {
                each(known, sampled);
            }
        });
        Ok(())
    }

    /// How many samples nobody took in time, since this one began.
    ///
    /// # Errors
    /// The kernel's.
    pub fn missed(&self) -> Result<u64> {
        Ok(self.count()?.saturating_sub(self.missed))
    }

    fn count(&self) -> Result<u64> {
        let counts = self.events.lookup(&UNSAMPLED.to_ne_bytes())?.unwrap_or_default();
        Ok(counts.chunks_exact(8).map(|count| u64::from_ne_bytes(wire::some(count, 0))).sum())
    }
}

/// A lock that one process has of a balancer's samples, on a folder in its own, which whoever serves the balancer locks.
fn locked(folder: &Path) -> io::Result<File> {
    let own = folder.join("sampling");
    fs::create_dir_all(&own)?;
    let lock = File::open(&own)?;
    lock.try_lock()?;
    Ok(lock)
}

/// The protocol in words.
#[must_use]
pub fn protocol(number: u8) -> String {
    match number {
        1 | 58 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        other => format!("protocol {other}"),
    }
}

/// An end of a flow in words: without a port the address alone.
#[must_use]
pub fn end(end: SocketAddr) -> String {
    let ip: IpAddr = end.ip();
    if end.port() == 0 { ip.to_string() } else { end.to_string() }
}
