//! queue and stack: values without keys, first in first out or last in first out.
//!
//! # Layout
//! A ring: value i is at `i * stride`. Values are only ever copied in and out, so nothing of it is given away.

use crate::{
    Errno, Queue, Value, flags,
    memory::{Memory, round_up},
    object::Kind,
};
use alveary_abi::MapDef;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Which value is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The oldest.
    First,
    /// The newest.
    Last,
}

/// A queue or a stack.
#[derive(Debug)]
pub(crate) struct Line {
    memory: Memory,
    next: Next,
    max: u32,
    stride: u64,
    filled: Mutex<Filled>,
}

/// The part of the ring that holds values.
#[derive(Debug, Default)]
struct Filled {
    oldest: u32,
    count: u32,
}

impl Line {
    pub(crate) fn new(def: &MapDef, next: Next) -> Result<Line, Errno> {
        let stride = round_up(u64::from(def.value_size), 8);
        let memory = Memory::reserve(stride.checked_mul(u64::from(def.max_entries)).ok_or(Errno::E2BIG)?)?;
        Ok(Line { memory, next, max: def.max_entries, stride, filled: Mutex::default() })
    }

    fn filled(&self) -> MutexGuard<'_, Filled> {
        self.filled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the value is that stands `place` places behind the oldest.
    fn at(&self, filled: &Filled, place: u32) -> u64 {
        let index = (u64::from(filled.oldest) + u64::from(place)) % u64::from(self.max);
        index * self.stride
    }

    fn copy_next(&self, filled: &Filled, out: &mut [u8]) -> Result<(), Errno> {
        if filled.count == 0 {
            out.fill(0);
            return Err(Errno::ENOENT);
        }
        let place = if self.next == Next::First { 0 } else { filled.count - 1 };
        self.memory.read(self.at(filled, place), out);
        Ok(())
    }
}

impl Queue for Line {
    fn push(&self, value: &[u8], flags: u64) -> Result<(), Errno> {
        if flags != flags::BPF_ANY && flags != flags::BPF_EXIST {
            return Err(Errno::EINVAL);
        }
        let mut filled = self.filled();
        if filled.count == self.max {
            if flags != flags::BPF_EXIST {
                return Err(Errno::E2BIG);
            }
            // The oldest makes room.
            filled.oldest = (filled.oldest + 1) % self.max;
            filled.count -= 1;
        }
        self.memory.write(self.at(&filled, filled.count), value);
        filled.count += 1;
        Ok(())
    }

    fn pop(&self, out: &mut [u8]) -> Result<(), Errno> {
        let mut filled = self.filled();
        self.copy_next(&filled, out)?;
        if self.next == Next::First {
            filled.oldest = (filled.oldest + 1) % self.max;
        }
        filled.count -= 1;
        Ok(())
    }

    fn peek(&self, value: &mut [u8]) -> Result<(), Errno> {
        self.copy_next(&self.filled(), value)
    }
}

impl Kind for Line {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn lookup(&self, _cpu: u32, _key: &[u8]) -> Option<Value> {
        None
    }

    fn update(&self, _cpu: u32, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn delete(&self, _key: &[u8]) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn read(&self, _key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        self.peek(out)
    }

    fn write(&self, _key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.push(value, flags)
    }

    fn take(&self, _key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        self.pop(out)
    }

    fn next_key(&self, _after: Option<&[u8]>, _out: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn queue(&self) -> Option<&dyn Queue> {
        Some(self)
    }
}
