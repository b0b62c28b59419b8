//! hash, percpu_hash, lru_hash, lru_percpu_hash.

use crate::{
    Errno, Layout, Value, flags,
    lru::{self, Lru},
    memory::Memory,
    object::Kind,
    table::{Geometry, Shape, Slot, Table},
    value::Form,
};
use alveary_abi::MapDef;

/// A hash map with one value for all CPUs or one for each.
#[derive(Debug)]
pub(crate) struct Hash {
    table: Table,
    form: Form,
    /// Makes room when it is full.
    lru: Option<Lru>,
}

/// Who writes a value, and of which CPUs.
#[derive(Clone, Copy)]
enum Side {
    /// A program on this CPU: its own.
    Program(u32),
    /// User space: all.
    User,
}

impl Hash {
    /// A table with one value for all CPUs.
    pub(crate) fn shared(def: &MapDef, cpus: u32, seed: u64) -> Result<Hash, Errno> {
        Self::new(def, 0, cpus, seed, None)
    }

    /// A table with one value for each CPU.
    pub(crate) fn per_cpu(def: &MapDef, cpus: u32, seed: u64) -> Result<Hash, Errno> {
        Self::new(def, cpus, cpus, seed, None)
    }

    /// A table with one value for all CPUs that makes room for new entries.
    pub(crate) fn lru(def: &MapDef, cpus: u32, seed: u64) -> Result<Hash, Errno> {
        Self::new(def, 0, cpus, seed, Some(Lru::default()))
    }

    /// A table with one value for each CPU that makes room for new entries.
    pub(crate) fn lru_per_cpu(def: &MapDef, cpus: u32, seed: u64) -> Result<Hash, Errno> {
        Self::new(def, cpus, cpus, seed, Some(Lru::default()))
    }

    fn new(def: &MapDef, cpus: u32, writers: u32, seed: u64, lru: Option<Lru>) -> Result<Hash, Errno> {
        let form = Form::of(def);
        let shape = Shape {
            key_size: def.key_size,
            value_size: form.rounded() as u32,
            extra: if lru.is_some() { lru::EXTRA } else { 0 },
            max: def.max_entries,
            cpus,
            writers,
            seed,
        };
        Ok(Hash { table: Table::new(shape)?, form, lru })
    }

    fn is_per_cpu(&self) -> bool {
        self.table.shape.cpus != 0
    }

    fn put(&self, key: &[u8], value: &[u8], flags: u64, side: Side) -> Result<(), Errno> {
        self.form.check_flags(flags)?;
        let hash = self.table.hash(key);
        let Some(lru) = &self.lru else { return self.put_at(hash, key, value, flags, side, || self.table.allocate()) };
        loop {
            // Room is made before the bucket is locked: the entry that goes may be in the same one.
            let wanted = flags != flags::BPF_EXIST && self.table.find(key, hash).is_none();
            let mut room = match wanted {
                true => Some(lru.allocate(&self.table, hash).ok_or(Errno::ENOMEM)?),
                false => None,
            };
            let done = self.put_at(hash, key, value, flags, side, || room.take());
            if let Some(unused) = room {
                lru.release(&self.table, unused);
            }
            // Without room there was an entry to be updated. If it has gone meanwhile, once more.
            if wanted || done != Err(Errno::E2BIG) {
                return done;
            }
        }
    }

    /// Updates the entry of `key`, or makes one in the slot that `allocate` gives.
    fn put_at(
        &self,
        hash: u32,
        key: &[u8],
        value: &[u8],
        flags: u64,
        side: Side,
        allocate: impl FnOnce() -> Option<Slot>,
    ) -> Result<(), Errno> {
        let table = &self.table;
        let bucket = table.lock(hash);
        match (bucket.find(key), flags & !flags::BPF_F_LOCK) {
            (Some(_), flags::BPF_NOEXIST) => Err(Errno::EEXIST),
            (None, flags::BPF_EXIST) => Err(Errno::ENOENT),
            (Some(slot), _) if self.is_per_cpu() => {
                self.store_per_cpu(slot, value, side);
                self.mark_used(slot);
                Ok(())
            }
            (Some(slot), _) if flags & flags::BPF_F_LOCK != 0 => {
                self.form.update(&table.memory, table.value_at(slot, 0), value, flags)
            }
            (Some(old), _) => {
                let writer = side.writer();
                let new = table.take_spare(writer);
                self.fill(new, key, value, side);
                bucket.replace(old, new);
                if let Some(lru) = &self.lru {
                    lru.replace(table, old, new, hash);
                }
                drop(bucket);
                table.leave_spare(writer, old);
                Ok(())
            }
            (None, _) => {
                let slot = allocate().ok_or(Errno::E2BIG)?;
                self.fill(slot, key, value, side);
                bucket.insert(slot);
                Ok(())
            }
        }
    }

    /// Takes the entry of `key` out, after `last` has seen it.
    fn remove(&self, key: &[u8], last: impl FnOnce(Slot)) -> Result<(), Errno> {
        let bucket = self.table.lock(self.table.hash(key));
        let slot = bucket.find(key).ok_or(Errno::ENOENT)?;
        last(slot);
        bucket.unlink(slot);
        drop(bucket);
        match &self.lru {
            Some(lru) => lru.release(&self.table, slot),
            None => self.table.release(slot),
        }
        Ok(())
    }

    /// A program used the entry.
    #[inline]
    fn mark_used(&self, slot: Slot) {
        if self.lru.is_some() {
            lru::mark_used(&self.table, slot);
        }
    }

    /// Fills a slot that is in no chain.
    fn fill(&self, slot: Slot, key: &[u8], value: &[u8], side: Side) {
        let Table { memory, shape, .. } = &self.table;
        self.table.write_key(slot, key);
        match side {
            Side::Program(own) if self.is_per_cpu() => {
                for cpu in (0..shape.cpus).filter(|cpu| *cpu != own) {
                    memory.zero(self.table.value_at(slot, cpu), shape.value_size as usize);
                }
                self.form.store_new(memory, self.table.value_at(slot, own), value);
            }
            Side::User if self.is_per_cpu() => {
                for (cpu, value) in value.chunks(self.form.rounded()).enumerate() {
                    self.form.store_new(memory, self.table.value_at(slot, cpu as u32), value);
                }
            }
            _ => self.form.store_new(memory, self.table.value_at(slot, 0), value),
        }
    }

    /// Writes into the values of an entry that is there: per-CPU maps are updated in place.
    fn store_per_cpu(&self, slot: Slot, value: &[u8], side: Side) {
        let memory = &self.table.memory;
        match side {
            Side::Program(cpu) => self.form.store(memory, self.table.value_at(slot, cpu), value),
            Side::User => {
                for (cpu, value) in value.chunks(self.form.rounded()).enumerate() {
                    self.form.store(memory, self.table.value_at(slot, cpu as u32), value);
                }
            }
        }
    }

    fn load(&self, slot: Slot, out: &mut [u8]) {
        for (cpu, out) in out.chunks_mut(self.form.rounded()).enumerate() {
            self.form.load(&self.table.memory, self.table.value_at(slot, cpu as u32), out);
        }
    }
}

impl Side {
    /// Whose spare slot it uses: the last one is user space's.
    fn writer(self) -> u32 {
        match self {
            Side::Program(cpu) => cpu,
            Side::User => u32::MAX,
        }
    }
}

impl Kind for Hash {
    fn memory(&self) -> &Memory {
        &self.table.memory
    }

    fn layout(&self) -> Layout {
        let Geometry { mask, slots, slot, key, values, value_stride, cpu_stride, total } = self.table.geometry;
        let seed = self.table.shape.seed;
        Layout::Hash {
            buckets: 0,
            mask,
            slots,
            slot,
            next: 0,
            key,
            values,
            value_stride,
            max: total,
            cpu_stride,
            cpus: self.table.shape.cpus.max(1),
            seed,
            used: if self.lru.is_some() { lru::USED } else { 0 },
        }
    }

    fn lookup(&self, cpu: u32, key: &[u8]) -> Option<Value> {
        if self.is_per_cpu() && cpu >= self.table.shape.cpus {
            return None;
        }
        let slot = self.table.find(key, self.table.hash(key))?;
        self.mark_used(slot);
        let addr = self.table.memory.address(self.table.value_at(slot, cpu), self.form.size);
        Some(Value { addr, len: self.form.size as u32 })
    }

    fn update(&self, cpu: u32, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        if cpu >= self.table.shape.writers {
            return Err(Errno::EINVAL);
        }
        self.put(key, value, flags, Side::Program(cpu))
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        self.remove(key, |_| ())
    }

    fn user_value_size(&self, _def: &MapDef) -> usize {
        if self.is_per_cpu() { self.form.rounded() * self.table.shape.cpus as usize } else { self.form.size }
    }

    fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        let slot = self.table.find(key, self.table.hash(key)).ok_or(Errno::ENOENT)?;
        self.load(slot, out);
        Ok(())
    }

    fn write(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.put(key, value, flags, Side::User)
    }

    fn take(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        self.remove(key, |slot| self.load(slot, out))
    }

    fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        self.table.next_key(after, out)
    }
}
