//! Nanoseconds of lookups and updates: `cargo bench -p alveary-maps`.
//!
//! Each figure is the smallest of several batches, so that other load on the machine does not count.

use alveary_abi::{MapDef, MapType};
use alveary_maps::{Domain, Environment, Map, create, flags, hash};
use std::{hint::black_box, thread, time::Instant};

const BATCHES: u32 = 15;
const CALLS: u32 = 1 << 18;

fn make(ty: MapType, key_size: u32, value_size: u32, max_entries: u32) -> std::sync::Arc<dyn Map> {
    let flags = if ty == MapType::LPM_TRIE { flags::BPF_F_NO_PREALLOC } else { 0 };
    let def = MapDef { ty, key_size, value_size, max_entries, flags, extra: 0, special: Vec::new() };
    let env = Environment { cpus: 2, page: 4096, seed: 0x5eed, domain: Domain::new() };
    create(&def, None, &env).unwrap_or_else(|error| panic!("{error}"))
}

fn measure(name: &str, mut call: impl FnMut(u32)) {
    let batch = |call: &mut dyn FnMut(u32)| {
        let start = Instant::now();
        (0..CALLS).for_each(&mut *call);
        start.elapsed().as_nanos() as f64 / f64::from(CALLS)
    };
    let best = (0..BATCHES).map(|_| batch(&mut call)).fold(f64::INFINITY, f64::min);
    println!("{name:<44} {best:7.1} ns");
}

/// A key that begins with `n`, written in one piece as programs do: parts would measure the CPU's store buffer.
fn key(n: u32) -> [u8; 16] {
    u128::from(n).to_le_bytes()
}

fn main() {
    for size in [4, 8, 16] {
        measure(&format!("hash function, {size} bytes"), |n| {
            black_box(hash(&key(n)[..size], 7));
        });
    }
    for ty in [MapType::ARRAY, MapType::PERCPU_ARRAY] {
        let map = make(ty, 4, 8, 1024);
        let name = format!("type {}, 1024 entries", ty.0);
        measure(&format!("{name}: lookup"), |n| {
            black_box(map.lookup(0, &(n % 1024).to_ne_bytes()));
        });
        measure(&format!("{name}: update"), |n| map.update(0, &(n % 1024).to_ne_bytes(), &[1; 8], 0).unwrap());
    }
    for ty in [MapType::HASH, MapType::PERCPU_HASH, MapType::LRU_HASH] {
        for (size, entries) in [(4, 1024), (8, 1024), (16, 1024), (16, 1 << 20)] {
            let map = make(ty, size as u32, 8, entries);
            let name = format!("type {}, {size}-byte keys, {entries} entries", ty.0);
            (0..entries).for_each(|n| map.update(0, &key(n)[..size], &[1; 8], 0).unwrap());
            let spread = |n: u32| n.wrapping_mul(0x9e37_79b1) % entries;
            measure(&format!("{name}: hit"), |n| {
                black_box(map.lookup(0, &key(spread(n))[..size]));
            });
            measure(&format!("{name}: miss"), |n| {
                black_box(map.lookup(0, &key(entries + n)[..size]));
            });
            measure(&format!("{name}: update"), |n| {
                map.update(0, &key(spread(n))[..size], &[1; 8], 0).unwrap();
            });
        }
    }
    lru_churn();
    trie();
    two_writers();
    streams();
}

fn lru_churn() {
    let map = make(MapType::LRU_HASH, 8, 8, 1 << 14);
    measure("lru_hash, 16384 entries: insert and evict", |n| {
        map.update(0, &(u64::from(n) << 8).to_ne_bytes(), &[1; 8], 0).unwrap();
    });
}

fn trie() {
    let map = make(MapType::LPM_TRIE, 8, 8, 1 << 16);
    let prefix = |n: u32, bits: u32| {
        let mut key = [0; 8];
        key[..4].copy_from_slice(&bits.to_ne_bytes());
        key[4..].copy_from_slice(&n.wrapping_mul(0x9e37_79b1).to_be_bytes());
        key
    };
    (0..50_000).for_each(|n| map.update(0, &prefix(n, 16 + n % 17), &[1; 8], 0).unwrap());
    measure("lpm_trie, 50000 IPv4 prefixes: lookup", |n| {
        black_box(map.lookup(0, &prefix(n, 32)));
    });
}

/// Two threads that update different keys of one table.
fn two_writers() {
    let map = make(MapType::HASH, 8, 8, 1 << 16);
    let start = Instant::now();
    thread::scope(|scope| {
        for cpu in 0..2u32 {
            let map = &map;
            scope.spawn(move || {
                for n in 0..CALLS {
                    let key = (u64::from(n % (1 << 14)) << 1 | u64::from(cpu)).to_ne_bytes();
                    map.update(cpu, &key, &[1; 8], 0).unwrap();
                }
            });
        }
    });
    let each = start.elapsed().as_nanos() as f64 / f64::from(CALLS);
    println!("{:<44} {each:7.1} ns", "hash, two threads at once: update");
}

fn streams() {
    let map = make(MapType::RINGBUF, 0, 0, 1 << 20);
    let ring = map.streams().expect("a ring buffer has a stream");
    measure("ringbuf, 64 bytes: reserve, commit, drain", |n| {
        let record = ring.reserve(64, 0).expect("there is room");
        ring.commit(record.addr as u64, false, 0).unwrap();
        if n % 1024 == 0 {
            ring.drain(&mut |event| {
                black_box(event.data.len());
            });
        }
    });
}
