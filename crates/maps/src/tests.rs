//! What users of maps notice, type by type.

mod arrays;
mod definitions;
mod domains;
mod hashes;
mod lines;
mod lrus;
mod objects;
mod redirects;
mod streams;
mod tries;

use crate::{Domain, Environment, Errno, Map, create};
use alveary_abi::{MapDef, MapType};
use std::sync::Arc;

/// A machine of two CPUs.
fn env() -> Environment {
    Environment { cpus: 2, page: 4096, seed: 7, domain: Domain::new() }
}

fn def(ty: MapType, key_size: u32, value_size: u32, max_entries: u32) -> MapDef {
    MapDef { ty, key_size, value_size, max_entries, flags: 0, extra: 0, special: Vec::new() }
}

fn make(def: &MapDef) -> Arc<dyn Map> {
    create(def, None, &env()).unwrap()
}

fn u32s(map: &dyn Map, key: u32) -> Result<u32, Errno> {
    let mut out = [0; 4];
    map.read(&key.to_ne_bytes(), &mut out).map(|()| u32::from_ne_bytes(out))
}

fn put(map: &dyn Map, key: u32, value: u32, flags: u64) -> Result<(), Errno> {
    map.write(&key.to_ne_bytes(), &value.to_ne_bytes(), flags)
}

/// All keys, as user space walks them.
fn keys(map: &dyn Map) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut next = vec![0; map.def().key_size as usize];
    while map.next_key(all.last().map(Vec::as_slice), &mut next).is_ok() {
        all.push(next.clone());
        assert!(all.len() <= 1 << 20, "next_key does not end");
    }
    all
}

/// What a program reads through an address that a lookup gave.
fn through(value: crate::Value) -> Vec<u8> {
    // SAFETY: the value is inside a map that the test keeps.
    (0..value.len as usize).map(|i| unsafe { value.addr.add(i).read() }).collect()
}

#[test]
fn an_unknown_type_is_refused_by_number() {
    let error = create(&def(MapType(99), 4, 4, 1), None, &env()).err().unwrap();
    assert_eq!(error.found.as_deref(), Some("type 99"));
    assert!(error.expected.as_ref().unwrap().contains("percpu_hash"));
}
