//! Links between namespaces: a TUN device at each end, and a thread that carries packets from one to the other as the links'
//! shapes say.
//!
//! Several links may have one thread. On a machine that is busy with other things it comes late, but late for all of them:
//! packets of one link overtake those of another as their shapes have it, not as threads get their turns.

use crate::shape::{Pipe, Shape};
use alveary_linux::Tun;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    process::setpriority_process,
    thread::set_current_timer_slack,
    time::{ClockId, clock_gettime},
};
use std::{
    io,
    num::NonZeroU64,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// No packet is longer.
const PACKET: usize = 1 << 16;
/// Packets that are read from one device before the other one has its turn.
const TURN: usize = 64;
/// Before whom else runs here (`nice`).
const PRIORITY: i32 = -15;
/// Parts of a loss that make all.
const WHOLE: f64 = 1e9;

/// What a link has carried one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Packets that came out.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that were lost or did not fit.
    pub dropped: u64,
}

/// A link, which carries packets as long as this value lives.
#[derive(Debug)]
pub struct Link {
    ways: Arc<[Way; 2]>,
    record: Arc<Record>,
    _thread: Arc<Thread>,
}

/// What carries packets until the last of its links goes.
#[derive(Debug)]
struct Thread {
    stop: Arc<(AtomicBool, OwnedFd)>,
    handle: Option<JoinHandle<()>>,
}

/// A link as its thread sees it.
struct Lane {
    ends: [Tun; 2],
    pipes: [Pipe<Vec<u8>>; 2],
    ways: Arc<[Way; 2]>,
    record: Arc<Record>,
}

/// What is set and told of one way.
#[derive(Debug, Default)]
struct Way {
    hold: AtomicU64,
    loss: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
}

/// Packets that are kept for whoever asks for them.
#[derive(Debug, Default)]
struct Record {
    room: AtomicUsize,
    packets: Mutex<Vec<(usize, Vec<u8>)>>,
}

impl Record {
    fn add(&self, end: usize, packet: &[u8]) {
        if self.room.load(Relaxed) > 0 {
            self.room.fetch_sub(1, Relaxed);
            self.packets.lock().unwrap_or_else(PoisonError::into_inner).push((end, packet.to_vec()));
        }
    }
}

impl Link {
    /// Begins to carry between the devices of some links, in one thread.
    pub(crate) fn carry(links: Vec<([Tun; 2], Shape)>) -> io::Result<Vec<Link>> {
        let lane = |(number, (ends, shape)): (u64, ([Tun; 2], Shape))| {
            let ways: Arc<[Way; 2]> = Arc::default();
            ways.iter().for_each(|way| way.loss.store((shape.loss * WHOLE) as u64, Relaxed));
            let pipes = [1, 2].map(|way| Pipe::new(shape, 2 * number + way));
            Lane { ends, pipes, ways, record: Arc::default() }
        };
        let mut lanes: Vec<Lane> = (0..).zip(links).map(lane).collect();
        let told: Vec<_> = lanes.iter().map(|lane| (lane.ways.clone(), lane.record.clone())).collect();
        let stop = Arc::new((AtomicBool::new(false), eventfd(0, EventfdFlags::CLOEXEC)?));
        let until = stop.clone();
        let handle = thread::Builder::new().name("links".into()).spawn(move || {
            // Packets are to arrive when they should, not when it suits. Refused, they still arrive.
            let _ = set_current_timer_slack(NonZeroU64::new(1));
            let _ = setpriority_process(None, PRIORITY);
            let mut buffer = vec![0; PACKET];
            while !until.0.load(Relaxed) {
                if round(&mut lanes, &mut buffer, &until.1).is_err() {
                    return;
                }
            }
        })?;
        let thread = Arc::new(Thread { stop, handle: Some(handle) });
        Ok(told.into_iter().map(|(ways, record)| Link { ways, record, _thread: thread.clone() }).collect())
    }

    /// Holds packets that come in at the first or second end (0, 1) this much longer from now on.
    ///
    /// # Panics
    /// If there is no such end.
    pub fn hold(&self, end: usize, longer: Duration) {
        self.ways[end].hold.store(longer.as_nanos() as u64, Relaxed);
    }

    /// Loses this part of the packets from now on, from 0 to 1, both ways.
    pub fn lose(&self, part: f64) {
        self.ways.iter().for_each(|way| way.loss.store((part.clamp(0.0, 1.0) * WHOLE) as u64, Relaxed));
    }

    /// Keeps so many more of the packets that come out.
    pub fn record(&self, packets: usize) {
        self.record.room.store(packets, Relaxed);
    }

    /// The packets that were kept and not yet taken: the end (0, 1) at which each came in, and its bytes from the IP header.
    #[must_use]
    pub fn recorded(&self) -> Vec<(usize, Vec<u8>)> {
        std::mem::take(&mut *self.record.packets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What has come in at the first or second end and out at the other.
    ///
    /// # Panics
    /// If there is no such end.
    #[must_use]
    pub fn carried(&self, end: usize) -> Carried {
        let way = &self.ways[end];
        let [packets, bytes, dropped] = [&way.packets, &way.bytes, &way.dropped].map(|count| count.load(Relaxed));
        Carried { packets, bytes, dropped }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop.0.store(true, Relaxed);
        // Should it not be possible to wake the thread, it ends with the next packet.
        if rustix::io::write(&self.stop.1, &1u64.to_ne_bytes()).is_ok()
            && let Some(handle) = self.handle.take()
        {
            let _ = handle.join();
        }
    }
}

/// Waits until something can be done, and does it.
fn round(lanes: &mut [Lane], buffer: &mut [u8], stop: &OwnedFd) -> io::Result<()> {
    let next = lanes.iter().flat_map(|lane| &lane.pipes).filter_map(Pipe::next).min();
    let wait = next.map(|time| timespec(time.saturating_sub(now())));
    let mut all: Vec<_> = lanes.iter().flat_map(|lane| &lane.ends).map(|end| PollFd::new(end, PollFlags::IN)).collect();
    all.push(PollFd::new(stop, PollFlags::IN));
    match poll(&mut all, wait.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(why) => return Err(why.into()),
    }
    lanes.iter_mut().try_for_each(|lane| lane.take(buffer))?;
    let time = now();
    loop {
        // What arrived first comes out first, whichever link it came by.
        let first =
            lanes.iter().enumerate().flat_map(|(lane, it)| [0, 1].map(|from| (it.pipes[from].next(), lane, from)));
        let first = first.filter_map(|(at, lane, from)| Some((at.filter(|at| *at <= time)?, lane, from))).min();
        let Some((_, lane, from)) = first else { return Ok(()) };
        lanes[lane].give(from, time);
    }
}

impl Lane {
    /// Takes in what the stacks at both ends have sent.
    fn take(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        for (from, (pipe, way)) in self.pipes.iter_mut().zip(&*self.ways).enumerate() {
            pipe.hold(Duration::from_nanos(way.hold.load(Relaxed)));
            pipe.lose(way.loss.load(Relaxed) as f64 / WHOLE);
            for _ in 0..TURN {
                let Some(len) = self.ends[from].receive(buffer)? else { break };
                if !pipe.take(now(), len, buffer[..len].to_vec()) {
                    way.dropped.fetch_add(1, Relaxed);
                }
            }
        }
        Ok(())
    }

    /// Gives the next packet from an end to the stack at the other one.
    fn give(&mut self, from: usize, time: u64) {
        let Some(packet) = self.pipes[from].arrived(time) else { return };
        self.record.add(from, &packet);
        let way = &self.ways[from];
        // Counted before it is there: whoever has got a packet finds it counted.
        let bytes = packet.len() as u64;
        way.packets.fetch_add(1, Relaxed);
        way.bytes.fetch_add(bytes, Relaxed);
        // What the stack does not take (the device is down) is lost.
        if self.ends[1 - from].send(&packet).is_err() {
            way.packets.fetch_sub(1, Relaxed);
            way.bytes.fetch_sub(bytes, Relaxed);
            way.dropped.fetch_add(1, Relaxed);
        }
    }
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn timespec(nanoseconds: u64) -> Timespec {
    Timespec { tv_sec: (nanoseconds / 1_000_000_000) as i64, tv_nsec: (nanoseconds % 1_000_000_000) as i64 }
}
