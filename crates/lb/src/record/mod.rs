//! The recorder: packets of a running balancer, as they came and as they left, and what became of them. A filter is compiled
//! to entries of `matches`, which the data plane asks while it runs; nothing is loaded or attached.
//!
//! | file | holds |
//! |---|---|
//! | `filter` | what a filter says |
//! | `matches` | the same as entries of `matches` |
//! | `names` | what numbers of VIPs and reals stand for |

mod filter;
mod matches;
mod names;

pub use filter::{Filter, Side, Test};
pub use matches::{MOST, Match, Numbers, matches};
pub use names::Known;
pub(crate) use names::Maps;

use crate::{
    Result,
    clock::fine,
    instance::{file, pinned, running},
    wire,
};
use alveary::{
    LinuxMap, MapHandle, Object,
    kernel::read::{RingBuffer, Waiter},
};
use alveary_diag::{Diagnostic, Place};
use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// Bytes that are kept of a packet at most.
pub const SNAP: u32 = 2048;
/// Ticks in which a recorder has to say that it is still there, about as many seconds.
const LEASE: u32 = 4;
/// What the data plane counts of records that nobody got: its index in `events`.
const UNRECORDED: u32 = 7;
/// Packets that are on their way have passed then.
const GRACE: Duration = Duration::from_millis(20);
/// The map that is the recorder's.
pub(crate) const RECORDER: &str = ".data.recorder";

/// How much is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Packets by second and CPU; 0: no limit.
    pub rate: u32,
    /// Bytes of each packet, at most [`SNAP`].
    pub bytes: u32,
}

/// What `struct lb_recorder` says.
#[must_use]
pub fn order(matches: u32, bounds: Bounds, until: u32) -> Vec<u8> {
    [matches, bounds.rate, bounds.bytes.min(SNAP), until].iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// A packet that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// When: ns of CLOCK_MONOTONIC.
    pub time: u64,
    /// Its frame as it came, as much as is kept of it, and how long it was.
    pub came: (Vec<u8>, u32),
    /// The frame that left, the same; `None` if none did, or as it came.
    pub left: Option<(Vec<u8>, u32)>,
    /// The VIP's number, if it is for one.
    pub vip: Option<u32>,
    /// The real's, if one was found.
    pub real: Option<u32>,
    /// What became of it: index in [`wire::VERDICTS`].
    pub verdict: u32,
    /// The device that it came by.
    pub ifindex: u32,
    /// What the program returned.
    pub action: u32,
}

impl Recorded {
    /// From a record of the ring buffer: `struct lb_record`, and both frames. `None` if it is cut.
    #[must_use]
    pub fn read(record: &[u8]) -> Option<Recorded> {
        const HEAD: usize = 72;
        let half = |at: usize| u16::from_ne_bytes(wire::some(record, at));
        let (came, left) = (usize::from(half(64)), usize::from(half(66)));
        let frames = record.get(HEAD..HEAD + came + left)?;
        let vip = wire::word(record, 48);
        let real = wire::number(wire::word(record, 52));
        Some(Recorded {
            time: u64::from_ne_bytes(wire::some(record, 0)),
            came: (frames[..came].to_vec(), half(46).into()),
            left: (left > 0).then(|| (frames[came..].to_vec(), half(68).into())),
            vip: (vip != u32::MAX).then_some(vip),
            real: (real != 0).then_some(real),
            verdict: wire::word(record, 56),
            ifindex: wire::word(record, 60),
            action: half(70).into(),
        })
    }
}

/// Who records from a running balancer. When it is dropped, nothing is recorded any more.
#[derive(Debug)]
pub struct Recorder {
    recorder: LinuxMap,
    matches: LinuxMap,
    events: LinuxMap,
    ring: RingBuffer,
    waiter: Waiter,
    names: names::Maps,
    /// What numbers stand for.
    pub known: Known,
    wanted: Option<(String, Filter, Bounds)>,
    asked: Vec<Match>,
    unrecorded: u64,
    /// Held as long as this one records: there is one at a time.
    _lock: File,
}

impl Recorder {
    /// Opens the maps of a running balancer.
    ///
    /// # Errors
    /// No balancer of that name runs, or one without a recorder; someone records already; the kernel's.
    pub fn open(object: &[u8], root: &Path, name: &str) -> Result<Recorder> {
        let folder = running(root, name, "lb-record")?;
        let own = |message: String| Diagnostic::new("lb-record", message, Place::Nowhere);
        if !folder.join(file(RECORDER)).exists() {
            let why = own(format!("the balancer `{name}` is of a version that cannot be recorded from"));
            return Err(why.help("start `alveary lb serve` again: it exchanges the program").into());
        }
        // The folder itself is locked by who serves the balancer.
        let own_folder = folder.join("recording");
        let lock = std::fs::create_dir_all(&own_folder).and_then(|()| File::open(&own_folder));
        let lock = lock.map_err(|why| failed(&own_folder, &why))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(own(format!("someone records from `{name}` already")).into()),
            Err(TryLockError::Error(why)) => return Err(failed(&folder, &why).into()),
        }
        let object = Object::parse(object)?;
        let pinned = |map: &str| pinned(&folder, &object, map);
        let records = pinned("records")?;
        let path = folder.join("records");
        let mut ring = RingBuffer::open(records.sys()).map_err(|why| failed(&path, &why))?;
        let mut waiter = Waiter::new().map_err(|why| failed(&path, &why))?;
        waiter.add(std::os::fd::AsFd::as_fd(&ring), 0).map_err(|why| failed(&path, &why))?;
        // What one left who was killed.
        ring.drain(|_| ());
        let names = names::Maps::open(&pinned)?;
        let mut recorder = Recorder {
            recorder: pinned(RECORDER)?,
            matches: pinned("matches")?,
            events: pinned("events")?,
            ring,
            waiter,
            known: names.read()?,
            names,
            wanted: None,
            asked: Vec::new(),
            unrecorded: 0,
            _lock: lock,
        };
        recorder.unrecorded = recorder.count()?;
        Ok(recorder)
    }

    /// Looks whether a filter can be asked.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn check(&self, filter: &str) -> Result<(), Diagnostic> {
        matches(filter, &Filter::read(filter)?, &self.known).map(drop)
    }

    /// Has the data plane record what fits a filter.
    ///
    /// # Errors
    /// What is wrong with the filter, and where; the kernel's.
    pub fn begin(&mut self, filter: &str, bounds: Bounds) -> Result<()> {
        let read = Filter::read(filter)?;
        self.asked = matches(filter, &read, &self.known)?;
        self.wanted = Some((filter.to_owned(), read, bounds));
        self.ask()
    }

    /// Writes what is asked, and that it is.
    fn ask(&self) -> Result<()> {
        self.say(0)?;
        for (index, one) in (0u32..).zip(&self.asked) {
            self.matches.update(&index.to_ne_bytes(), &one.to_bytes(), 0)?;
        }
        self.say(self.asked.len() as u32)
    }

    fn say(&self, matches: u32) -> Result<()> {
        let bounds = self.wanted.as_ref().map_or(Bounds { rate: 0, bytes: 0 }, |(_, _, bounds)| *bounds);
        let until = (monotonic() >> 30) as u32;
        Ok(self.recorder.update(&[0; 4], &order(matches, bounds, until.wrapping_add(LEASE)), 0)?)
    }

    /// Says that the recorder is still there, which it has to every second, and looks whether the balancer has other VIPs and
    /// reals meanwhile.
    ///
    /// # Errors
    /// The kernel's.
    pub fn renew(&mut self) -> Result<()> {
        let known = self.names.read()?;
        if known != self.known
            && let Some((text, filter, _)) = &self.wanted
            // A VIP that is gone is asked for as before: it may come back.
            && let Ok(asked) = matches(text, filter, &known)
            && asked != self.asked
        {
            self.asked = asked;
            self.known.learn(known);
            return self.ask();
        }
        self.known.learn(known);
        self.say(self.asked.len() as u32)
    }

    /// Hands over what was recorded since the last time, waiting for something no longer than `most`.
    ///
    /// # Errors
    /// The kernel's.
    pub fn take(&mut self, most: Duration, mut each: impl FnMut(&Known, Recorded)) -> io::Result<()> {
        self.waiter.wait(Some(most))?.for_each(drop);
        let known = &self.known;
        self.ring.drain(|record| {
            if let Some(record) = Recorded::read(record) {
                each(known, record);
            }
        });
        Ok(())
    }

    /// Ends it, and hands over what was recorded until then. Gives how many packets fitted but were not recorded, because
    /// they were over the rate or came faster than they were taken.
    ///
    /// # Errors
    /// The kernel's.
    pub fn end(mut self, each: impl FnMut(&Known, Recorded)) -> Result<u64> {
        self.say(0)?;
        thread::sleep(GRACE);
        self.take(Duration::ZERO, each).map_err(|why| failed(Path::new("records"), &why))?;
        Ok(self.count()?.saturating_sub(self.unrecorded))
    }

    fn count(&self) -> Result<u64> {
        let counts = self.events.lookup(&UNRECORDED.to_ne_bytes())?.unwrap_or_default();
        Ok(counts.chunks_exact(8).map(|count| u64::from_ne_bytes(wire::some(count, 0))).sum())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // If even that fails, the data plane ends it by itself.
        let _ = self.say(0);
    }
}

fn failed(path: &Path, why: &io::Error) -> Diagnostic {
    Diagnostic::new("lb-record", format!("{}: {why}", PathBuf::from(path).display()), Place::Nowhere)
}

/// The data plane's time.
#[must_use]
pub fn monotonic() -> u64 {
    fine()
}
