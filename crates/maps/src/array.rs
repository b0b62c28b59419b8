//! array and percpu_array.
//!
//! # Layout
//! Value i of CPU c is at `c * cpu_stride + i * stride`: the values of one CPU stand together, on cache lines of their
//! own; a plain array is that of one CPU with `cpu_stride` 0.

use crate::{
    Errno, Layout, Value, flags,
    memory::{LINE, Memory, round_up},
    object::{Kind, index, next_index},
    value::Form,
};
use alveary_abi::MapDef;

/// An array of values, one for all CPUs or one for each.
#[derive(Debug)]
pub(crate) struct Array {
    memory: Memory,
    form: Form,
    max: u32,
    stride: u32,
    /// 0: one value for all.
    cpu_stride: u64,
    cpus: u32,
}

impl Array {
    /// An array for all CPUs.
    pub(crate) fn shared(def: &MapDef) -> Result<Array, Errno> {
        Self::new(def, 1, false)
    }

    /// An array for each of `cpus` CPUs.
    pub(crate) fn per_cpu(def: &MapDef, cpus: u32) -> Result<Array, Errno> {
        Self::new(def, cpus, true)
    }

    fn new(def: &MapDef, cpus: u32, per_cpu: bool) -> Result<Array, Errno> {
        let form = Form::of(def);
        let stride = u32::try_from(form.rounded()).map_err(|_| Errno::E2BIG)?;
        let one = round_up(u64::from(stride) * u64::from(def.max_entries), LINE);
        let memory = Memory::reserve(one.checked_mul(u64::from(cpus)).ok_or(Errno::E2BIG)?)?;
        let cpu_stride = if per_cpu { one } else { 0 };
        Ok(Array { memory, form, max: def.max_entries, stride, cpu_stride, cpus })
    }

    fn is_per_cpu(&self) -> bool {
        self.cpu_stride != 0
    }

    /// Where the value of `key` on `cpu` is.
    #[inline]
    fn at(&self, cpu: u32, key: &[u8]) -> Option<u64> {
        let index = index(key);
        let there = index < self.max && (cpu < self.cpus || !self.is_per_cpu());
        there.then(|| u64::from(cpu) * self.cpu_stride + u64::from(index) * u64::from(self.stride))
    }

    /// In the order of `array_map_update_elem`.
    fn check(&self, key: &[u8], flags: u64) -> Result<(), Errno> {
        if flags & !flags::BPF_F_LOCK > flags::BPF_EXIST {
            return Err(Errno::EINVAL);
        }
        if index(key) >= self.max {
            return Err(Errno::E2BIG);
        }
        if flags & flags::BPF_NOEXIST != 0 {
            return Err(Errno::EEXIST);
        }
        self.form.check_lock(flags)
    }
}

impl Kind for Array {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn layout(&self) -> Layout {
        Layout::Array { data: 0, stride: self.stride, max: self.max, cpu_stride: self.cpu_stride, cpus: self.cpus }
    }

    #[inline]
    fn lookup(&self, cpu: u32, key: &[u8]) -> Option<Value> {
        let at = self.at(cpu, key)?;
        Some(Value { addr: self.memory.address(at, self.form.size), len: self.form.size as u32 })
    }

    fn update(&self, cpu: u32, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.check(key, flags)?;
        let at = self.at(cpu, key).ok_or(Errno::EINVAL)?;
        self.form.update(&self.memory, at, value, flags)
    }

    fn delete(&self, _key: &[u8]) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn user_value_size(&self, _def: &MapDef) -> usize {
        if self.is_per_cpu() { self.form.rounded() * self.cpus as usize } else { self.form.size }
    }

    fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        for (cpu, out) in out.chunks_mut(self.form.rounded()).enumerate() {
            let at = self.at(cpu as u32, key).ok_or(Errno::ENOENT)?;
            self.form.load(&self.memory, at, out);
        }
        Ok(())
    }

    fn write(&self, key: &[u8], value: &[u8], flags: u64) -> Result<(), Errno> {
        self.check(key, flags)?;
        if self.is_per_cpu() && flags & flags::BPF_F_LOCK != 0 {
            return Err(Errno::EINVAL);
        }
        for (cpu, value) in value.chunks(self.form.rounded()).enumerate() {
            let at = self.at(cpu as u32, key).ok_or(Errno::EINVAL)?;
            self.form.update(&self.memory, at, value, flags)?;
        }
        Ok(())
    }

    fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        next_index(self.max, after, out)
    }
}
