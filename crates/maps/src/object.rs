//! What all map types have in common: the definition, who may read and write, sizes of keys and values.
//!
//! A type implements [`Kind`]; [`Object`] makes a [`Map`] of it and hands it only keys and values of the right size.

use crate::{Errno, Held, Layout, Map, Queue, Slots, Streams, Value, flags, memory::Memory};
use alveary_abi::{MapDef, SpecialKind};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// A map type. Keys are `key_size` bytes, a program's values `value_size`, user space's `user_value_size`.
pub(crate) trait Kind: Send + Sync + 'static {
    fn memory(&self) -> &Memory;
    fn layout(&self) -> Layout {
        Layout::Opaque
    }

    fn lookup(&self, cpu: u32, key: &[u8]) -> Option<Value>;
    fn update(&self, cpu: u32, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno>;
    fn delete(&self, key: &[u8]) -> Result<(), Errno>;

    fn user_value_size(&self, def: &MapDef) -> usize {
        def.value_size as usize
    }
    fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno>;
    fn write(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno>;
    fn take(&self, _key: &[u8], _out: &mut [u8]) -> Result<(), Errno> {
        Err(Errno::ENOTSUPP)
    }
    fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno>;

    fn slots(&self) -> Option<&dyn Slots> {
        None
    }
    fn streams(&self) -> Option<&dyn Streams> {
        None
    }
    fn queue(&self) -> Option<&dyn Queue> {
        None
    }
}

/// A map of one type.
pub(crate) struct Object<K> {
    def: MapDef,
    frozen: AtomicBool,
    kind: K,
}

impl<K: Kind> Object<K> {
    pub(crate) fn new(def: &MapDef, kind: K) -> Self {
        Object { def: def.clone(), frozen: AtomicBool::new(false), kind }
    }

    fn sized(found: usize, wanted: usize) -> Result<(), Errno> {
        if found == wanted { Ok(()) } else { Err(Errno::EINVAL) }
    }

    fn key(&self, key: &[u8]) -> Result<(), Errno> {
        Self::sized(key.len(), self.def.key_size as usize)
    }

    fn value(&self, value: &[u8]) -> Result<(), Errno> {
        Self::sized(value.len(), self.user_value_size())
    }

    fn queue_for(&self, value: &[u8]) -> Result<&dyn Queue, Errno> {
        Self::sized(value.len(), self.def.value_size as usize)?;
        self.kind.queue().ok_or(Errno::EINVAL)
    }

    fn program_may_write(&self) -> Result<(), Errno> {
        if self.def.flags & flags::BPF_F_RDONLY_PROG == 0 { Ok(()) } else { Err(Errno::EPERM) }
    }

    fn user_may_read(&self) -> Result<(), Errno> {
        if self.def.flags & flags::BPF_F_WRONLY == 0 { Ok(()) } else { Err(Errno::EPERM) }
    }

    fn user_may_write(&self) -> Result<(), Errno> {
        let may = self.def.flags & flags::BPF_F_RDONLY == 0 && !self.frozen.load(Relaxed);
        if may { Ok(()) } else { Err(Errno::EPERM) }
    }
}

// SAFETY: values stand in the type's `Memory`, a mapping that lives as long as the map, may be read and written, and is
// accessed through raw pointers and atomics alone; a type gives out no address beside it (`Kind::layout`, `lookup`).
unsafe impl<K: Kind> Map for Object<K> {
    fn def(&self) -> &MapDef {
        &self.def
    }

    fn layout(&self) -> Layout {
        self.kind.layout()
    }

    fn base(&self) -> *const u8 {
        self.kind.memory().base()
    }

    fn lookup(&self, cpu: u32, key: &[u8]) -> Option<Value> {
        self.key(key).ok()?;
        self.kind.lookup(cpu, key)
    }

    fn update(&self, cpu: u32, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.program_may_write()?;
        self.key(key)?;
        Self::sized(value.len(), self.def.value_size as usize)?;
        self.kind.update(cpu, key, value, flags)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.program_may_write()?;
        self.key(key)?;
        self.kind.delete(key)
    }

    fn user_value_size(&self) -> usize {
        self.kind.user_value_size(&self.def)
    }

    fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        self.user_may_read()?;
        self.key(key)?;
        self.value(out)?;
        self.kind.read(key, out)
    }

    fn write(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.user_may_write()?;
        let has_lock = self.def.special.iter().any(|part| part.kind == SpecialKind::SpinLock);
        if flags & flags::BPF_F_LOCK != 0 && !has_lock {
            return Err(Errno::EINVAL);
        }
        self.key(key)?;
        self.value(value)?;
        self.kind.write(key, value, flags)
    }

    fn remove(&self, key: &[u8]) -> Result<(), Errno> {
        self.user_may_write()?;
        self.key(key)?;
        self.kind.delete(key)
    }

    fn take(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        self.user_may_read()?;
        self.user_may_write()?;
        self.key(key)?;
        self.value(out)?;
        self.kind.take(key, out)
    }

    fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        self.user_may_read()?;
        after.map_or(Ok(()), |key| self.key(key))?;
        self.key(out)?;
        self.kind.next_key(after, out)
    }

    fn freeze(&self) {
        self.frozen.store(true, Relaxed);
    }

    fn slots(&self) -> Option<&dyn Slots> {
        self.kind.slots().map(|_| self as &dyn Slots)
    }

    fn streams(&self) -> Option<&dyn Streams> {
        self.kind.streams()
    }

    fn queue(&self) -> Option<&dyn Queue> {
        self.kind.queue().map(|_| self as &dyn Queue)
    }
}

/// The type's slots, for who may see them: setting one is user space's.
impl<K: Kind> Slots for Object<K> {
    fn set(&self, key: &[u8], object: Option<Arc<dyn Held>>, flags: u64) -> Result<(), Errno> {
        self.user_may_write()?;
        self.key(key)?;
        self.kind.slots().ok_or(Errno::EINVAL)?.set(key, object, flags)
    }

    fn get(&self, key: &[u8]) -> Option<Arc<dyn Held>> {
        self.key(key).ok()?;
        self.kind.slots()?.get(key)
    }

    fn word(&self, key: &[u8]) -> u64 {
        let slots = self.key(key).ok().and_then(|()| self.kind.slots());
        slots.map_or(0, |slots| slots.word(key))
    }
}

/// The type's queue, for programs.
impl<K: Kind> Queue for Object<K> {
    fn push(&self, value: &[u8], flags: u64) -> Result<(), Errno> {
        self.program_may_write()?;
        self.queue_for(value)?.push(value, flags)
    }

    fn pop(&self, out: &mut [u8]) -> Result<(), Errno> {
        self.program_may_write()?;
        self.queue_for(out)?.pop(out)
    }

    fn peek(&self, value: &mut [u8]) -> Result<(), Errno> {
        self.queue_for(value)?.peek(value)
    }
}

/// A key that is an index.
pub(crate) fn index(key: &[u8]) -> u32 {
    key.try_into().map_or(u32::MAX, u32::from_ne_bytes)
}

/// `BPF_MAP_GET_NEXT_KEY` of the types whose keys are 0 to `max - 1`, whether or not there is an entry.
pub(crate) fn next_index(max: u32, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
    let next = match after.map(index) {
        Some(last) if last == max - 1 => return Err(Errno::ENOENT),
        Some(before) if before < max => before + 1,
        _ => 0,
    };
    out.copy_from_slice(&next.to_ne_bytes());
    Ok(())
}
