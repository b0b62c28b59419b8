//! What generated skeletons stand on: maps and global variables by type.
//!
//! `alveary gen skeleton OBJ --lang rust` prints a module, and so does [`Skeleton::rust`] in a `build.rs`:
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/count.bpf.o");
//! let bytes = std::fs::read(path)?;
//! let object = alveary::Object::parse(&bytes)?;
//! let text = alveary::skeleton::Skeleton::new(object.spec(), &bytes, "count").rust()?;
//! assert!(text.contains("pub struct Count<B: Backend>"));
//! # Ok(())
//! # }
//! ```

pub use alveary_btf::plain;
pub use alveary_btf::{bits, enumeration, layout, variants};
pub use alveary_object::Skeleton;

use crate::{Backend, Error, Kind, Loaded, MapHandle, Result, object};
use alveary_diag::{Diagnostic, Place};
use plain::Plain;
use std::{fmt, marker::PhantomData};

/// A map whose keys are `K` and whose values are `V`.
pub struct TypedMap<M, K, V> {
    map: M,
    types: PhantomData<fn() -> (K, V)>,
}

/// A map that has a value `V` for each CPU.
pub struct PerCpuMap<M, K, V> {
    map: M,
    types: PhantomData<fn() -> (K, V)>,
}

/// The variables of a data section.
pub struct Global<M, T> {
    map: M,
    types: PhantomData<fn() -> T>,
}

impl<M: MapHandle + Clone + 'static, K: Plain, V: Plain> TypedMap<M, K, V> {
    /// The loaded map of this name.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Map`] if the types have not the sizes of its keys and values.
    pub fn of<B: Backend<Map = M>>(loaded: &Loaded<B>, name: &str) -> Result<Self> {
        Ok(TypedMap { map: checked::<B, K, V>(loaded, name)?, types: PhantomData })
    }

    /// The target's own handle.
    pub fn handle(&self) -> &M {
        &self.map
    }

    /// The value of `key`; `None` if there is none.
    ///
    /// # Errors
    /// As [`MapHandle::lookup`]; so for the others, as the function of the same name.
    pub fn lookup(&self, key: &K) -> Result<Option<V>> {
        Ok(self.map.lookup(&bytes(key))?.map(|value| V::from_bytes(&value)))
    }

    /// Writes a value; `flags` are `BPF_ANY` (0), `BPF_NOEXIST` (1), `BPF_EXIST` (2).
    ///
    /// # Errors
    /// As [`MapHandle::update`].
    pub fn update(&self, key: &K, value: &V, flags: u64) -> Result<()> {
        self.map.update(&bytes(key), &bytes(value), flags)
    }

    /// Removes an entry; `false` if there was none.
    ///
    /// # Errors
    /// As [`MapHandle::delete`].
    pub fn delete(&self, key: &K) -> Result<bool> {
        self.map.delete(&bytes(key))
    }

    /// Every key and value.
    ///
    /// # Errors
    /// As [`MapHandle::entries`].
    pub fn entries(&self) -> Result<Vec<(K, V)>> {
        let entries = self.map.entries()?;
        Ok(entries.iter().map(|(key, value)| (K::from_bytes(key), V::from_bytes(value))).collect())
    }
}

impl<M: MapHandle + Clone + 'static, K: Plain, V: Plain> PerCpuMap<M, K, V> {
    /// The loaded map of this name.
    ///
    /// # Errors
    /// As [`TypedMap::of`].
    pub fn of<B: Backend<Map = M>>(loaded: &Loaded<B>, name: &str) -> Result<Self> {
        Ok(PerCpuMap { map: checked::<B, K, V>(loaded, name)?, types: PhantomData })
    }

    /// The target's own handle.
    pub fn handle(&self) -> &M {
        &self.map
    }

    /// The values of `key`, one for each CPU; `None` if there are none.
    ///
    /// # Errors
    /// As [`MapHandle::lookup`].
    pub fn lookup(&self, key: &K) -> Result<Option<Vec<V>>> {
        Ok(self.map.lookup(&bytes(key))?.map(|all| each_cpu(&all)))
    }

    /// Writes the values of a key, one for each CPU; those that are missing become zero. Flags as in
    /// [`TypedMap::update`].
    ///
    /// # Errors
    /// As [`MapHandle::update`].
    pub fn update(&self, key: &K, values: &[V], flags: u64) -> Result<()> {
        let mut all = vec![0; self.map.entry_size()];
        all.chunks_mut(stride::<V>()).zip(values).for_each(|(to, value)| value.to_bytes(to));
        self.map.update(&bytes(key), &all, flags)
    }

    /// Removes an entry; `false` if there was none.
    ///
    /// # Errors
    /// As [`MapHandle::delete`].
    pub fn delete(&self, key: &K) -> Result<bool> {
        self.map.delete(&bytes(key))
    }

    /// Every key with its values.
    ///
    /// # Errors
    /// As [`MapHandle::entries`].
    pub fn entries(&self) -> Result<Vec<(K, Vec<V>)>> {
        Ok(self.map.entries()?.iter().map(|(key, all)| (K::from_bytes(key), each_cpu(all))).collect())
    }
}

impl<M: MapHandle + Clone + 'static, T: Plain> Global<M, T> {
    /// The variables of this loaded map.
    ///
    /// # Errors
    /// As [`TypedMap::of`].
    pub fn of<B: Backend<Map = M>>(loaded: &Loaded<B>, name: &str) -> Result<Self> {
        Ok(Global { map: checked::<B, u32, T>(loaded, name)?, types: PhantomData })
    }

    /// The target's own handle.
    pub fn handle(&self) -> &M {
        &self.map
    }

    /// The variables as they are now.
    ///
    /// # Errors
    /// As [`MapHandle::lookup`].
    pub fn read(&self) -> Result<T> {
        let value = self.map.lookup(&bytes(&0u32))?.ok_or_else(|| {
            let message = format!("map `{}` has no value", self.map.spec().name);
            Error::new(Kind::Map, Diagnostic::new("map-operation", message, Place::Nowhere))
        })?;
        Ok(T::from_bytes(&value))
    }

    /// Writes all of them: what programs changed since they were read is lost.
    ///
    /// # Errors
    /// As [`MapHandle::update`]; those of `.rodata` cannot be written once they are loaded.
    pub fn write(&self, value: &T) -> Result<()> {
        self.map.update(&bytes(&0u32), &bytes(value), 0)
    }
}

/// The map of this name, if its keys and values have the sizes of these types.
fn checked<B: Backend, K, V>(loaded: &Loaded<B>, name: &str) -> Result<B::Map> {
    let map = loaded.map(name)?;
    object::sized::<K>(map.spec(), "key", map.spec().def.key_size)?;
    object::fits::<V>(map.spec())?;
    Ok(map.clone())
}

fn bytes<T: Plain>(value: &T) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<T>()];
    value.to_bytes(&mut bytes);
    bytes
}

/// Bytes from one CPU's value to the next one's.
fn stride<V>() -> usize {
    size_of::<V>().next_multiple_of(8).max(8)
}

fn each_cpu<V: Plain>(all: &[u8]) -> Vec<V> {
    all.chunks(stride::<V>()).map(V::from_bytes).collect()
}

impl<M: fmt::Debug, K, V> fmt::Debug for TypedMap<M, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedMap").field(&self.map).finish()
    }
}

impl<M: fmt::Debug, K, V> fmt::Debug for PerCpuMap<M, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PerCpuMap").field(&self.map).finish()
    }
}

impl<M: fmt::Debug, T> fmt::Debug for Global<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Global").field(&self.map).finish()
    }
}
