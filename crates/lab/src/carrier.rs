//! A link between two namespaces: a TUN device at each end, and a thread that carries packets from one to the other as the
//! link's shape says.

use crate::shape::{Pipe, Shape};
use alveary_linux::Tun;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
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
    stop: Arc<(AtomicBool, OwnedFd)>,
    thread: Option<JoinHandle<()>>,
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
    /// Begins to carry between the devices.
    pub(crate) fn new(ends: [Tun; 2], shape: Shape) -> io::Result<Link> {
        let ways: Arc<[Way; 2]> = Arc::default();
        ways.iter().for_each(|way| way.loss.store((shape.loss * WHOLE) as u64, Relaxed));
        let stop = Arc::new((AtomicBool::new(false), eventfd(0, EventfdFlags::CLOEXEC)?));
        let record: Arc<Record> = Arc::default();
        let (told, until, kept) = (ways.clone(), stop.clone(), record.clone());
        let carry = move || {
            let mut pipes = [Pipe::new(shape, 1), Pipe::new(shape, 2)];
            while !until.0.load(Relaxed) {
                if round(&ends, &mut pipes, &told, &kept, &until.1).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("link".into()).spawn(move || {
            // Packets are to arrive when they should, not when it suits. Refused, they still arrive.
            let _ = set_current_timer_slack(NonZeroU64::new(1));
            carry();
        })?;
        Ok(Link { ways, record, stop, thread: Some(thread) })
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

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.0.store(true, Relaxed);
        // Should it not be possible to wake the thread, it ends with the next packet.
        if rustix::io::write(&self.stop.1, &1u64.to_ne_bytes()).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// Waits until something can be done, and does it.
fn round(
    ends: &[Tun; 2],
    pipes: &mut [Pipe<Vec<u8>>; 2],
    ways: &[Way; 2],
    record: &Record,
    stop: &OwnedFd,
) -> io::Result<()> {
    let next = pipes.iter().filter_map(Pipe::next).min();
    let wait = next.map(|time| timespec(time.saturating_sub(now())));
    let mut all = [&ends[0], &ends[1]].map(|end| PollFd::new(end, PollFlags::IN)).to_vec();
    all.push(PollFd::new(stop, PollFlags::IN));
    match poll(&mut all, wait.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(why) => return Err(why.into()),
    }
    let mut buffer = [0; PACKET];
    for (from, (pipe, way)) in pipes.iter_mut().zip(ways).enumerate() {
        pipe.hold(Duration::from_nanos(way.hold.load(Relaxed)));
        pipe.lose(way.loss.load(Relaxed) as f64 / WHOLE);
        for _ in 0..TURN {
            let Some(len) = ends[from].receive(&mut buffer)? else { break };
            if !pipe.take(now(), len, buffer[..len].to_vec()) {
                way.dropped.fetch_add(1, Relaxed);
            }
        }
        let time = now();
        while let Some(packet) = pipe.arrived(time) {
            record.add(from, &packet);
            // Counted before it is there: whoever has got a packet finds it counted.
            let bytes = packet.len() as u64;
            way.packets.fetch_add(1, Relaxed);
            way.bytes.fetch_add(bytes, Relaxed);
            // What the stack does not take (the device is down) is lost.
            if ends[1 - from].send(&packet).is_err() {
                way.packets.fetch_sub(1, Relaxed);
                way.bytes.fetch_sub(bytes, Relaxed);
                way.dropped.fetch_add(1, Relaxed);
            }
        }
    }
    Ok(())
}

fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn timespec(nanoseconds: u64) -> Timespec {
    Timespec { tv_sec: (nanoseconds / 1_000_000_000) as i64, tv_nsec: (nanoseconds % 1_000_000_000) as i64 }
}
