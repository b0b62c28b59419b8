//! devmap, devmap_hash, cpumap, xskmap: where `bpf_redirect_map` can send a packet.
//!
//! An entry is a value: a device's index, a CPU's queue size, a socket's number. What stands behind the number is the
//! host's affair, so any device and any socket is taken. Programs of entries (`bpf_prog.fd`) are refused: there is
//! nothing here that an fd could name.
//!
//! # Layout
//! Entry i of the arrays is at `i * 16`: its value (8 bytes, of which 4 may be used), then 1 if it is there (32 bits).

use crate::{
    Errno, Layout, Value, flags,
    htab::Hash,
    memory::Memory,
    object::{Kind, index, next_index},
};
use alveary_abi::MapDef;
use std::sync::atomic::Ordering::*;

const STRIDE: u32 = 16;
/// Largest queue of a CPU.
const LARGEST_QUEUE: u32 = 16384;

/// What the entries are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// `bpf_devmap_val`: ifindex, program.
    Device,
    /// `bpf_cpumap_val`: queue size, program; and how many CPUs there are.
    Cpu(u32),
    /// The number of an AF_XDP socket.
    Socket,
}

/// devmap, cpumap, xskmap.
#[derive(Debug)]
pub(crate) struct Targets {
    memory: Memory,
    target: Target,
    max: u32,
    size: u32,
}

impl Targets {
    pub(crate) fn new(def: &MapDef, target: Target) -> Result<Targets, Errno> {
        let memory = Memory::reserve(u64::from(def.max_entries) * u64::from(STRIDE))?;
        Ok(Targets { memory, target, max: def.max_entries, size: def.value_size })
    }

    /// Where the entry is, if it is there.
    fn at(&self, key: &[u8]) -> Option<u64> {
        let index = index(key);
        let at = u64::from(index) * u64::from(STRIDE);
        (index < self.max && self.memory.word32(at + 8).load(Acquire) != 0).then_some(at)
    }

    fn check(&self, key: &[u8], first: u32, program: u32, flags: u64) -> Result<(), Errno> {
        let there = self.at(key).is_some();
        match self.target {
            _ if flags > flags::BPF_EXIST => Err(Errno::EINVAL),
            _ if index(key) >= self.max => Err(Errno::E2BIG),
            Target::Device | Target::Cpu(_) if flags == flags::BPF_NOEXIST => Err(Errno::EEXIST),
            Target::Cpu(_) if first > LARGEST_QUEUE => Err(Errno::EOVERFLOW),
            Target::Cpu(cpus) if index(key) >= cpus => Err(Errno::ENODEV),
            Target::Socket if there && flags == flags::BPF_NOEXIST => Err(Errno::EEXIST),
            Target::Socket if !there && flags == flags::BPF_EXIST => Err(Errno::ENOENT),
            _ if program as i32 > 0 => Err(Errno::EINVAL),
            _ => Ok(()),
        }
    }
}

/// The two halves of a value: what it is about, and its program.
fn halves(value: &[u8]) -> (u32, u32) {
    let half = |at| value.get(at..at + 4).map_or(0, index);
    (half(0), half(4))
}

impl Kind for Targets {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn layout(&self) -> Layout {
        Layout::Values { data: 0, stride: STRIDE, max: self.max }
    }

    fn lookup(&self, _cpu: u32, key: &[u8]) -> Option<Value> {
        let addr = self.memory.address(self.at(key)?, self.size as usize);
        Some(Value { addr, len: self.size })
    }

    fn update(&self, _cpu: u32, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.write(key, value, flags)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        let index = index(key);
        if index >= self.max {
            return Err(Errno::EINVAL);
        }
        self.memory.word32(u64::from(index) * u64::from(STRIDE) + 8).store(0, Release);
        Ok(())
    }

    fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        let at = self.at(key).ok_or(Errno::ENOENT)?;
        self.memory.read(at, out);
        Ok(())
    }

    fn write(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        let (first, program) = halves(value);
        self.check(key, first, program, flags)?;
        if first == 0 && !matches!(self.target, Target::Socket) {
            return self.delete(key);
        }
        let at = u64::from(index(key)) * u64::from(STRIDE);
        // The kernel shows the program's id here, 0 for none, whichever way "none" was written.
        let word = [first.to_ne_bytes(), [0; 4]].concat();
        self.memory.write(at, &word);
        self.memory.word32(at + 8).store(1, Release);
        Ok(())
    }

    fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        next_index(self.max, after, out)
    }
}

/// devmap_hash.
#[derive(Debug)]
pub(crate) struct DeviceHash(Hash);

impl DeviceHash {
    pub(crate) fn new(def: &MapDef, cpus: u32, seed: u64) -> Result<DeviceHash, Errno> {
        Hash::shared(def, cpus, seed).map(DeviceHash)
    }
}

impl Kind for DeviceHash {
    fn memory(&self) -> &Memory {
        self.0.memory()
    }

    fn layout(&self) -> Layout {
        self.0.layout()
    }

    fn lookup(&self, cpu: u32, key: &[u8]) -> Option<Value> {
        self.0.lookup(cpu, key)
    }

    fn update(&self, _cpu: u32, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.write(key, value, flags)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.0.delete(key)
    }

    fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        self.0.read(key, out)
    }

    fn write(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        let (ifindex, program) = halves(value);
        if flags > flags::BPF_EXIST || ifindex == 0 || program as i32 > 0 {
            return Err(Errno::EINVAL);
        }
        let word = [ifindex.to_ne_bytes(), [0; 4]].concat();
        // The kernel looks at BPF_NOEXIST alone.
        self.0.write(key, &word[..value.len()], flags & flags::BPF_NOEXIST)
    }

    fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        self.0.next_key(after, out)
    }
}
