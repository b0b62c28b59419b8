//! ringbuf: records of any length in one order, reserved in place.
//!
//! # Layout
//! Positions count bytes since the beginning; the record at position p begins at `p % size`: a header of 8 bytes
//! (length with the busy and discard bits, then zero), then its bytes, padded to 8. Behind `size` there is as much
//! memory again, so that a record which begins before the end of the ring goes on there in one piece: the kernel maps
//! the ring twice for that, here the bytes at the ring's beginning are simply not used by it. Behind both there is one
//! bit for each 8 bytes of the ring: whether an open reservation begins there.
//!
//! # Protocol
//! Producers take places one after the other under a lock, fill them without it, and clear the busy bit. The consumer
//! goes on to the first busy record, as the kernel's does: order is that of reservation.

use crate::{
    Errno, Event, Streams, Value,
    memory::{LINE, Memory, round_up},
    object::Kind,
};
use alveary_abi::MapDef;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::*},
};

const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;
const HEADER: u64 = 8;
const LARGEST: u64 = u32::MAX as u64 / 4;

const NO_WAKEUP: u64 = 1;
const FORCE_WAKEUP: u64 = 2;

/// A ring buffer.
#[derive(Debug)]
pub(crate) struct Ringbuf {
    memory: Memory,
    size: u64,
    consumer: Position,
    producer: Position,
    /// Position of the oldest record that was not committed when last looked at: held by who reserves.
    pending: Mutex<u64>,
    /// Bytes of the record that is handed over: held by who drains.
    scratch: Mutex<Vec<u8>>,
    lost: AtomicU64,
}

/// A position on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Position(AtomicU64);

impl Ringbuf {
    pub(crate) fn new(def: &MapDef) -> Result<Ringbuf, Errno> {
        let size = u64::from(def.max_entries);
        let memory = Memory::reserve(2 * size + round_up(size / 64, LINE))?;
        Ok(Ringbuf {
            memory,
            size,
            consumer: Position::default(),
            producer: Position::default(),
            pending: Mutex::default(),
            scratch: Mutex::default(),
            lost: AtomicU64::new(0),
        })
    }

    /// Takes the next place for `size` bytes; gives the offset of its header.
    fn place(&self, size: u64) -> Option<u64> {
        let len = round_up(size.min(LARGEST + 1) + HEADER, 8);
        if size > LARGEST || len > self.size {
            return None;
        }
        let mut pending = guard(&self.pending);
        let consumer = self.consumer.0.load(Acquire);
        let producer = self.producer.0.load(Relaxed);
        // The consumer may have gone past what was last found pending.
        *pending = (*pending).max(consumer);
        while *pending < producer {
            let header = self.memory.word32(*pending % self.size).load(Acquire);
            if header & BUSY != 0 {
                break;
            }
            *pending += length(header);
        }
        let end = producer + len;
        // One byte less than the ring, as in the kernel, from the oldest record that is not read or not committed.
        if end - consumer >= self.size || end - *pending >= self.size {
            return None;
        }
        let at = producer % self.size;
        self.memory.word32(at).store(size as u32 | BUSY, Relaxed);
        let (word, bit) = self.open(at);
        self.memory.word64(word).fetch_or(bit, Relaxed);
        self.producer.0.store(end, Release);
        Some(at)
    }

    /// The bit that says whether the record at `at` is an open reservation.
    fn open(&self, at: u64) -> (u64, u64) {
        let bit = at / 8;
        (2 * self.size + bit / 64 * 8, 1 << (bit % 64))
    }

    fn finish(&self, at: u64, discard: bool) -> Result<(), Errno> {
        let (word, bit) = self.open(at);
        if self.memory.word64(word).fetch_and(!bit, AcqRel) & bit == 0 {
            return Err(Errno::EINVAL);
        }
        let header = self.memory.word32(at);
        let len = header.load(Relaxed) & !BUSY;
        header.store(if discard { len | DISCARD } else { len }, Release);
        Ok(())
    }
}

/// Bytes that a record takes in the ring.
fn length(header: u32) -> u64 {
    round_up(u64::from(header & !(BUSY | DISCARD)) + HEADER, 8)
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Streams for Ringbuf {
    fn output(&self, _cpu: u32, _index: u64, parts: &[&[u8]], flags: u64) -> Result<(), Errno> {
        if flags & !(NO_WAKEUP | FORCE_WAKEUP) != 0 {
            return Err(Errno::EINVAL);
        }
        let size = parts.iter().map(|part| part.len() as u64).sum();
        let Some(at) = self.place(size) else {
            self.lost.fetch_add(1, Relaxed);
            return Err(Errno::EAGAIN);
        };
        let mut to = at + HEADER;
        for part in parts {
            if to.is_multiple_of(8) {
                self.memory.write(to, part);
            } else {
                self.memory.write_bytes(to, part);
            }
            to += part.len() as u64;
        }
        self.finish(at, false)
    }

    fn reserve(&self, size: u64, flags: u64) -> Option<Value> {
        if flags != 0 {
            return None;
        }
        let Some(at) = self.place(size) else {
            self.lost.fetch_add(1, Relaxed);
            return None;
        };
        Some(Value { addr: self.memory.address(at + HEADER, size as usize), len: size as u32 })
    }

    fn commit(&self, addr: u64, discard: bool, _flags: u64) -> Result<(), Errno> {
        let at = addr.wrapping_sub(self.memory.base() as u64).wrapping_sub(HEADER);
        if at >= self.size || !at.is_multiple_of(8) {
            return Err(Errno::EINVAL);
        }
        self.finish(at, discard)
    }

    fn query(&self, what: u64) -> u64 {
        let (consumer, producer) = (self.consumer.0.load(Acquire), self.producer.0.load(Acquire));
        match what {
            0 => producer.saturating_sub(consumer),
            1 => self.size,
            2 => consumer,
            3 => producer,
            _ => 0,
        }
    }

    fn drain(&self, each: &mut dyn FnMut(Event<'_>)) -> u64 {
        let mut scratch = guard(&self.scratch);
        let mut position = self.consumer.0.load(Relaxed);
        while position < self.producer.0.load(Acquire) {
            let at = position % self.size;
            let header = self.memory.word32(at).load(Acquire);
            if header & BUSY != 0 {
                break;
            }
            if header & DISCARD == 0 {
                scratch.resize(header as usize, 0);
                self.memory.read(at + HEADER, &mut scratch);
            }
            position += length(header);
            // The record was copied: its place is free while it is looked at.
            self.consumer.0.store(position, Release);
            if header & DISCARD == 0 {
                each(Event { cpu: 0, data: &scratch });
            }
        }
        self.lost.swap(0, Relaxed)
    }
}

impl Kind for Ringbuf {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn lookup(&self, _cpu: u32, _key: &[u8]) -> Option<Value> {
        None
    }

    fn update(&self, _cpu: u32, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn delete(&self, _key: &[u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn read(&self, _key: &[u8], _out: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn write(&self, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn next_key(&self, _after: Option<&[u8]>, _out: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }

    fn streams(&self) -> Option<&dyn Streams> {
        Some(self)
    }
}
