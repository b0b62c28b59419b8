//! prog_array, array_of_maps, hash_of_maps: entries that are objects.
//!
//! A program reads an entry's word and uses the object behind it until it leaves the domain; so an object that is
//! taken out is retired, not dropped. The words stand in the mapping, for inlined lookups; the objects beside it.

use crate::{
    Domain, Errno, Held, Layout, Slots, Value, flags,
    htab::Hash,
    memory::Memory,
    object::{Kind, index, next_index},
};
use alveary_abi::{MapDef, MapType};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::*},
};

/// What the entries may be.
enum Holds {
    Programs,
    /// Maps like this one.
    Maps(Box<MapDef>),
}

type ByKey = BTreeMap<Box<[u8]>, Arc<dyn Held>>;

/// The objects, by key, and when they may go.
struct Objects {
    holds: Holds,
    by_key: Mutex<ByKey>,
    domain: Arc<Domain>,
}

impl Objects {
    fn new(inner: Option<&MapDef>, domain: &Arc<Domain>) -> Objects {
        let holds = inner.map_or(Holds::Programs, |def| Holds::Maps(Box::new(def.clone())));
        Objects { holds, by_key: Mutex::default(), domain: domain.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, ByKey> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses an object that is not of the kind.
    fn check(&self, object: &dyn Held) -> Result<(), Errno> {
        let fits = match (&self.holds, object.map()) {
            (Holds::Programs, None) => true,
            (Holds::Maps(template), Some(def)) => alike(template, def),
            _ => false,
        };
        if fits && object.word() != 0 { Ok(()) } else { Err(Errno::EINVAL) }
    }

    fn id(&self, key: &[u8]) -> Option<u32> {
        self.lock().get(key).map(|object| object.id())
    }

    fn retire(&self, object: Option<Arc<dyn Held>>) {
        if let Some(object) = object {
            self.domain.retire(Box::new(object));
        }
    }
}

/// Whether a map may stand where a template was promised: programs were checked against the template.
fn alike(template: &MapDef, def: &MapDef) -> bool {
    let permanent = |def: &MapDef| def.flags & !(flags::BPF_F_RDONLY | flags::BPF_F_WRONLY);
    let fixed = template.ty == MapType::ARRAY && template.flags & flags::BPF_F_INNER_MAP == 0;
    template.ty == def.ty
        && template.key_size == def.key_size
        && template.value_size == def.value_size
        && permanent(template) == permanent(def)
        && template.special == def.special
        && (!fixed || template.max_entries == def.max_entries)
}

/// prog_array and array_of_maps: entry i's word is at `i * 8`.
pub(crate) struct Words {
    memory: Memory,
    max: u32,
    objects: Objects,
}

impl Words {
    /// An array of maps like `inner`, or of programs if it is `None`.
    pub(crate) fn new(def: &MapDef, inner: Option<&MapDef>, domain: &Arc<Domain>) -> Result<Words, Errno> {
        let memory = Memory::reserve(u64::from(def.max_entries) * 8)?;
        Ok(Words { memory, max: def.max_entries, objects: Objects::new(inner, domain) })
    }

    fn swap(&self, key: &[u8], object: Option<Arc<dyn Held>>) -> Result<bool, Errno> {
        let index = index(key);
        if index >= self.max {
            return Err(Errno::E2BIG);
        }
        let word = object.as_ref().map_or(0, |object| object.word());
        let mut objects = self.objects.lock();
        let old = match object {
            Some(object) => objects.insert(key.into(), object),
            None => objects.remove(key),
        };
        self.memory.word64(u64::from(index) * 8).store(word, Release);
        drop(objects);
        let was_there = old.is_some();
        self.objects.retire(old);
        Ok(was_there)
    }
}

impl Kind for Words {
    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn layout(&self) -> Layout {
        Layout::Words { data: 0, max: self.max }
    }

    fn lookup(&self, _cpu: u32, _key: &[u8]) -> Option<Value> {
        None
    }

    fn update(&self, _cpu: u32, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        if self.swap(key, None)? { Ok(()) } else { Err(Errno::ENOENT) }
    }

    fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        let id = self.objects.id(key).ok_or(Errno::ENOENT)?;
        out.copy_from_slice(&id.to_ne_bytes());
        Ok(())
    }

    /// Objects have no numbers that could be written: they come by [`Slots::set`].
    fn write(&self, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        next_index(self.max, after, out)
    }

    fn slots(&self) -> Option<&dyn Slots> {
        Some(self)
    }
}

impl Slots for Words {
    fn set(&self, key: &[u8], object: Option<Arc<dyn Held>>, flags: u64) -> Result<(), Errno> {
        if flags != flags::BPF_ANY {
            return Err(Errno::EINVAL);
        }
        object.as_ref().map_or(Ok(()), |object| self.objects.check(&**object))?;
        self.swap(key, object).map(drop)
    }

    fn get(&self, key: &[u8]) -> Option<Arc<dyn Held>> {
        self.objects.lock().get(key).cloned()
    }

    fn word(&self, key: &[u8]) -> u64 {
        let index = index(key);
        if index < self.max { self.memory.word64(u64::from(index) * 8).load(Acquire) } else { 0 }
    }
}

/// hash_of_maps: a hash table whose values are words.
pub(crate) struct HashOfMaps {
    words: Hash,
    objects: Objects,
}

impl HashOfMaps {
    /// A table of maps like `inner`.
    pub(crate) fn new(
        def: &MapDef,
        inner: Option<&MapDef>,
        cpus: u32,
        seed: u64,
        domain: &Arc<Domain>,
    ) -> Result<HashOfMaps, Errno> {
        let words = Hash::shared(&MapDef { value_size: 8, ..def.clone() }, cpus, seed)?;
        Ok(HashOfMaps { words, objects: Objects::new(inner, domain) })
    }
}

impl Kind for HashOfMaps {
    fn memory(&self) -> &Memory {
        self.words.memory()
    }

    fn layout(&self) -> Layout {
        self.words.layout()
    }

    fn lookup(&self, _cpu: u32, _key: &[u8]) -> Option<Value> {
        None
    }

    fn update(&self, _cpu: u32, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn delete(&self, key: &[u8]) -> Result<(), Errno> {
        let mut objects = self.objects.lock();
        self.words.delete(key)?;
        let old = objects.remove(key);
        drop(objects);
        self.objects.retire(old);
        Ok(())
    }

    fn read(&self, key: &[u8], out: &mut [u8]) -> Result<(), Errno> {
        let id = self.objects.id(key).ok_or(Errno::ENOENT)?;
        out.copy_from_slice(&id.to_ne_bytes());
        Ok(())
    }

    /// Objects have no numbers that could be written: they come by [`Slots::set`].
    fn write(&self, _key: &[u8], _value: &[u8], _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn next_key(&self, after: Option<&[u8]>, out: &mut [u8]) -> Result<(), Errno> {
        self.words.next_key(after, out)
    }

    fn slots(&self) -> Option<&dyn Slots> {
        Some(self)
    }
}

impl Slots for HashOfMaps {
    fn set(&self, key: &[u8], object: Option<Arc<dyn Held>>, flags: u64) -> Result<(), Errno> {
        let Some(object) = object else { return self.delete(key) };
        self.objects.check(&*object)?;
        let mut objects = self.objects.lock();
        self.words.write(key, &object.word().to_ne_bytes(), flags)?;
        let old = objects.insert(key.into(), object);
        drop(objects);
        self.objects.retire(old);
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Option<Arc<dyn Held>> {
        self.objects.lock().get(key).cloned()
    }

    fn word(&self, key: &[u8]) -> u64 {
        let mut word = [0; 8];
        self.words.read(key, &mut word).map_or(0, |()| u64::from_ne_bytes(word))
    }
}
