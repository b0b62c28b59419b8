//! Ring buffers: one buffer for all CPUs, records in the order in which programs reserved them.

use super::mapping::Mapping;
use crate::sys::{Map, page_size};
use alveary_abi::{
    Errno, MapType,
    flags::{BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT, BPF_RINGBUF_HDR_SZ},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::Ordering,
};

/// Reads a map of type `ringbuf`. There is no count of lost records: a program learns itself that there was no room.
#[derive(Debug)]
pub struct RingBuffer {
    fd: OwnedFd,
    /// How far we have read.
    consumer: Mapping,
    /// How far programs have written, and behind that page the records, twice in a row.
    producer: Mapping,
    page: usize,
    /// Bytes of records, a power of two.
    size: u64,
    record: Vec<u8>,
}

impl RingBuffer {
    /// Reads this map.
    ///
    /// # Errors
    /// `EINVAL` if it is no ring buffer; what keeps its memory from being mapped.
    pub fn open(map: &Map) -> io::Result<RingBuffer> {
        let info = map.info().map_err(|e| io::Error::other(e.to_string()))?;
        if info.ty != MapType::RINGBUF {
            return Err(io::Error::from_raw_os_error(Errno::EINVAL.0));
        }
        let (page, size) = (page_size() as usize, info.max_entries as usize);
        Ok(RingBuffer {
            consumer: Mapping::new(map.as_fd(), 0, page, true)?,
            producer: Mapping::new(map.as_fd(), page, page + 2 * size, false)?,
            fd: map.as_fd().try_clone_to_owned()?,
            page,
            size: size as u64,
            record: Vec::new(),
        })
    }

    /// Hands over the records that are there, oldest first; gives their number. One that is still being written ends it.
    pub fn drain(&mut self, mut each: impl FnMut(&[u8])) -> u64 {
        let (mut count, mut at) = (0, self.consumer.word(0).load(Ordering::Relaxed));
        loop {
            let end = self.producer.word(0).load(Ordering::Acquire);
            if at >= end {
                return count;
            }
            while at < end {
                let place = self.page + (at & (self.size - 1)) as usize;
                let header = self.producer.half(place);
                if header & BPF_RINGBUF_BUSY_BIT != 0 {
                    return count;
                }
                let len = (header & !(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT)) as usize;
                let first = place + BPF_RINGBUF_HDR_SZ as usize;
                // The kernel keeps records inside; who else has the map cannot write here.
                if header & BPF_RINGBUF_DISCARD_BIT == 0 && len <= self.producer.len() - first {
                    self.record.clear();
                    self.producer.copy(first, len, &mut self.record);
                    each(&self.record);
                    count += 1;
                }
                at += (len as u64 + u64::from(BPF_RINGBUF_HDR_SZ)).next_multiple_of(8);
                // The kernel wakes a reader that has read everything: it has to know at once.
                self.consumer.word(0).store(at, Ordering::Release);
            }
        }
    }
}

/// Becomes readable when a record is there.
impl AsFd for RingBuffer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
