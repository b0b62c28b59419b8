//! Perf event arrays as buffers: one for each CPU, which programs write to and which counts what it lost.

use super::mapping::Mapping;
use crate::sys::{Map, page_size};
use alveary_abi::{Errno, MapType};
use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    sync::atomic::Ordering,
};
use zerocopy::{Immutable, IntoBytes};

/// `perf_event_attr`, as far as its first version goes.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct EventAttr {
    ty: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    bp_type: u32,
    config1: u64,
}

const PERF_TYPE_SOFTWARE: u32 = 1;
const PERF_COUNT_SW_BPF_OUTPUT: u64 = 10;
const PERF_SAMPLE_TIME: u64 = 1 << 2;
const PERF_SAMPLE_RAW: u64 = 1 << 10;
const PERF_FLAG_FD_CLOEXEC: u64 = 1 << 3;
const PERF_EVENT_IOC_ENABLE: libc::c_ulong = 0x2400;
/// Records that were lost.
const PERF_RECORD_LOST: u32 = 2;
/// A program's output.
const PERF_RECORD_SAMPLE: u32 = 9;
/// Where in the first page the positions of writer and reader stand.
const DATA_HEAD: usize = 1024;
const DATA_TAIL: usize = 1032;

/// Reads a map of type `perf_event_array`: puts a buffer into it for every CPU that is online, until it is dropped.
#[derive(Debug)]
pub struct PerfBuffer {
    cpus: Vec<OneCpu>,
    record: Vec<u8>,
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerfRecord<'a> {
    /// What a program wrote, with up to 7 zeros behind it.
    Sample {
        /// When, in nanoseconds of the clock that perf events have.
        time: u64,
        /// The bytes.
        data: &'a [u8],
    },
    /// What did not fit.
    Lost {
        /// Id of the event.
        id: u64,
        /// How many records.
        count: u64,
    },
}

/// A CPU, and the slot of the map that its buffer is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerfSlot {
    /// The CPU.
    pub cpu: u32,
    /// The key in the map.
    pub index: u32,
}

#[derive(Debug)]
struct OneCpu {
    slot: PerfSlot,
    fd: OwnedFd,
    memory: Mapping,
    /// Bytes of records, a power of two; they stand behind the first page.
    size: u64,
    page: usize,
}

impl PerfBuffer {
    /// Reads this map, with buffers of so many pages, a power of two.
    ///
    /// # Errors
    /// `EINVAL` if it is no such map; what keeps events from being opened or memory from being mapped.
    pub fn open(map: &Map, pages: usize) -> io::Result<PerfBuffer> {
        let info = map.info().map_err(|e| io::Error::other(e.to_string()))?;
        let slots = online()?.into_iter().filter(|cpu| *cpu < info.max_entries).map(|cpu| PerfSlot { cpu, index: cpu });
        PerfBuffer::open_slots(map, pages, slots)
    }

    /// Reads these CPUs' output in these slots of the map, with buffers of so many pages, a power of two.
    ///
    /// # Errors
    /// As for [`PerfBuffer::open`]; `E2BIG` for a slot that the map does not have.
    pub fn open_slots(map: &Map, pages: usize, slots: impl IntoIterator<Item = PerfSlot>) -> io::Result<PerfBuffer> {
        let info = map.info().map_err(|e| io::Error::other(e.to_string()))?;
        if info.ty != MapType::PERF_EVENT_ARRAY || !pages.is_power_of_two() {
            return Err(io::Error::from_raw_os_error(Errno::EINVAL.0));
        }
        let mut cpus = Vec::new();
        for slot in slots {
            let one = OneCpu::open(slot, pages)?;
            let put = map.update_fd(&slot.index.to_ne_bytes(), one.fd.as_fd(), 0);
            put.map_err(|e| io::Error::from_raw_os_error(e.errno().0))?;
            cpus.push(one);
        }
        Ok(PerfBuffer { cpus, record: Vec::new() })
    }

    /// Hands over the records that are there, of one CPU after the other: the CPU, and the bytes (with up to 7 zeros
    /// behind them). Gives how many were lost since the last time.
    pub fn drain(&mut self, mut each: impl FnMut(u32, &[u8])) -> u64 {
        let mut lost = 0;
        self.records(|slot, record| match record {
            PerfRecord::Sample { data, .. } => each(slot.cpu, data),
            PerfRecord::Lost { count, .. } => lost += count,
        });
        lost
    }

    /// Hands over the records that are there, of one CPU after the other, and what was lost between them.
    pub fn records(&mut self, mut each: impl FnMut(PerfSlot, PerfRecord<'_>)) {
        for one in &self.cpus {
            one.records(&mut self.record, &mut each);
        }
    }

    /// The descriptors that become readable when a record is there.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.cpus.iter().map(|one| one.fd.as_fd())
    }
}

impl OneCpu {
    fn open(slot: PerfSlot, pages: usize) -> io::Result<OneCpu> {
        let attr = EventAttr {
            ty: PERF_TYPE_SOFTWARE,
            size: size_of::<EventAttr>() as u32,
            config: PERF_COUNT_SW_BPF_OUTPUT,
            sample_period: 1,
            sample_type: PERF_SAMPLE_TIME | PERF_SAMPLE_RAW,
            read_format: 0,
            flags: 0,
            wakeup_events: 1,
            bp_type: 0,
            config1: 0,
        };
        let (any_process, no_group) = (-1i32, -1i32);
        // SAFETY: the attribute is as long as its `size` says.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                attr.as_bytes().as_ptr(),
                any_process,
                slot.cpu as i32,
                no_group,
                PERF_FLAG_FD_CLOEXEC,
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        let page = page_size() as usize;
        let memory = Mapping::new(fd.as_fd(), 0, page * (1 + pages), true)?;
        // SAFETY: the request takes no pointer.
        if unsafe { libc::ioctl(fd.as_raw_fd(), PERF_EVENT_IOC_ENABLE as _, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OneCpu { slot, fd, memory, size: (page * pages) as u64, page })
    }

    fn records(&self, record: &mut Vec<u8>, each: &mut impl FnMut(PerfSlot, PerfRecord<'_>)) {
        let head = self.memory.word(DATA_HEAD).load(Ordering::Acquire);
        let mut at = self.memory.word(DATA_TAIL).load(Ordering::Relaxed);
        while at < head {
            self.bytes(at, 8, record);
            let (ty, len) = (number(record, 0), number(record, 4) >> 16);
            if len < 8 {
                break;
            }
            self.bytes(at + 8, len as usize - 8, record);
            match ty {
                PERF_RECORD_SAMPLE => {
                    let size = number(record, 8) as usize;
                    if let Some(data) = record.get(12..).and_then(|rest| rest.get(..size)) {
                        each(self.slot, PerfRecord::Sample { time: wide(record, 0), data });
                    }
                }
                PERF_RECORD_LOST => {
                    each(self.slot, PerfRecord::Lost { id: wide(record, 0), count: wide(record, 8) });
                }
                _ => {}
            }
            at += u64::from(len);
            self.memory.word(DATA_TAIL).store(at, Ordering::Release);
        }
    }

    /// Copies bytes that may stand partly at the end of the buffer and partly at its beginning.
    fn bytes(&self, at: u64, len: usize, into: &mut Vec<u8>) {
        into.clear();
        let start = (at & (self.size - 1)) as usize;
        let first = len.min(self.size as usize - start);
        self.memory.copy(self.page + start, first, into);
        self.memory.copy(self.page, (len - first).min(start), into);
    }
}

/// A number of 4 bytes; 0 where there is none.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_ne_bytes(*b))
}

/// A number of 8 bytes.
fn wide(bytes: &[u8], at: usize) -> u64 {
    u64::from(number(bytes, at)) | u64::from(number(bytes, at + 4)) << 32
}

/// The CPUs that are online.
fn online() -> io::Result<Vec<u32>> {
    let list = fs::read_to_string("/sys/devices/system/cpu/online")?;
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u32>().ok()?..=last.parse().ok()?)
    };
    Ok(list.trim().split(',').filter_map(range).flatten().collect())
}
