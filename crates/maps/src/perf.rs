//! perf_event_array: one stream of events for each CPU.
//!
//! In the kernel user space opens a reader for each CPU and puts it at that index. Here every CPU has one from the
//! beginning; removing an index closes it, writing an index (any value) opens it again. A stream holds [`ROOM`] bytes;
//! what does not fit is counted as lost.

use crate::{
    Errno, Event, Streams, Value, flags,
    memory::Memory,
    object::{Kind, index, next_index},
};
use alveary_abi::MapDef;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::*},
};

/// Bytes of events that wait in one CPU's stream.
const ROOM: usize = 1 << 20;
/// `BPF_F_INDEX_MASK`, and `BPF_F_CURRENT_CPU`.
const CURRENT: u64 = 0xffff_ffff;

/// A perf_event_array.
pub(crate) struct PerfEvents {
    memory: Memory,
    max: u32,
    streams: Box<[Stream]>,
    /// Events so far: their order over all CPUs.
    order: AtomicU64,
    lost: AtomicU64,
}

/// A CPU's stream, on cache lines of its own.
#[derive(Default)]
#[repr(align(64))]
struct Stream(Mutex<State>);

#[derive(Default)]
struct State {
    closed: bool,
    bytes: Vec<u8>,
    /// Order of each event, and where it ends in `bytes`.
    events: Vec<(u64, usize)>,
}

impl PerfEvents {
    pub(crate) fn new(def: &MapDef, cpus: u32) -> Result<PerfEvents, Errno> {
        let streams = (0..cpus.min(def.max_entries)).map(|_| Stream::default()).collect();
        let (order, lost) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(PerfEvents { memory: Memory::reserve(0)?, max: def.max_entries, streams, order, lost })
    }

    fn stream(&self, index: u32) -> Result<MutexGuard<'_, State>, Errno> {
        if index >= self.max {
            return Err(Errno::E2BIG);
        }
        let stream = self.streams.get(index as usize).ok_or(Errno::ENOENT)?;
        Ok(stream.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Streams for PerfEvents {
    fn output(&self, cpu: u32, index: u64, parts: &[&[u8]], flags: u64) -> Result<(), Errno> {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        let index = if index == CURRENT { u64::from(cpu) } else { index };
        let index = u32::try_from(index).map_err(|_| Errno::E2BIG)?;
        let mut state = self.stream(index)?;
        if state.closed {
            return Err(Errno::ENOENT);
        }
        if index != cpu {
            return Err(Errno::EOPNOTSUPP);
        }
        let size: usize = parts.iter().map(|part| part.len()).sum();
        if state.bytes.len() + size > ROOM {
            self.lost.fetch_add(1, Relaxed);
            return Err(Errno::ENOSPC);
        }
        parts.iter().for_each(|part| state.bytes.extend_from_slice(part));
        let end = state.bytes.len();
        state.events.push((self.order.fetch_add(1, Relaxed), end));
        Ok(())
    }

    fn reserve(&self, _size: u64, _flags: u64) -> Option<Value> {
        None
    }

    fn commit(&self, _addr: u64, _discard: bool, _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn query(&self, _what: u64) -> u64 {
        0
    }

    fn drain(&self, each: &mut dyn FnMut(Event<'_>)) -> u64 {
        let take = |stream: &Stream| {
            let mut state = stream.0.lock().unwrap_or_else(PoisonError::into_inner);
            (std::mem::take(&mut state.bytes), std::mem::take(&mut state.events))
        };
        let taken: Vec<_> = self.streams.iter().map(take).collect();
        let mut all = Vec::new();
        for (cpu, (bytes, events)) in taken.iter().enumerate() {
            let mut start = 0;
            for &(order, end) in events {
                all.push((order, Event { cpu: cpu as u32, data: &bytes[start..end] }));
                start = end;
            }
        }
        all.sort_by_key(|(order, _)| *order);
        all.into_iter().for_each(|(_, event)| each(event));
        self.lost.swap(0, Relaxed)
    }
}

impl Kind for PerfEvents {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn lookup(&self, _cpu: u32, _key: &[u8]) -> Option<Value> {
        None
    }

    fn update(&self, _cpu: u32, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        let mut state = self.stream(index(key))?;
        if std::mem::replace(&mut state.closed, true) { Err(Errno::ENOENT) } else { Ok(()) }
    }

    fn read(&self, _key: &[u8], _out: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn write(&self, key: &[u8], _value: &[u8], flags: u64) -> Result<(), Errno> {
        if flags != flags::BPF_ANY {
            return Err(Errno::EINVAL);
        }
        self.stream(index(key))?.closed = false;
        Ok(())
    }

    fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        next_index(self.max, after, out)
    }

    fn streams(&self) -> Option<&dyn Streams> {
        Some(self)
    }
}
