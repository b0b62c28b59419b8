//! Our maps against the running kernel's: the same calls, the same results.
//!
//! Needs bpf(2); where it is not permitted each test says so and does nothing. What is known to differ is not asked:
//! the order of hash keys (compared as a set), which entry an LRU map gives up, values of objects.

use alveary_abi::{MapDef, MapType};
use alveary_maps::{Domain, Environment, Errno, Map, create, flags};
use alveary_testing::bpf::{Map as KernelMap, permitted, possible_cpus};
use std::{collections::BTreeSet, sync::Arc};

fn def(ty: MapType, key_size: u32, value_size: u32, max_entries: u32) -> MapDef {
    let flags = if ty == MapType::LPM_TRIE { flags::BPF_F_NO_PREALLOC } else { 0 };
    MapDef { ty, key_size, value_size, max_entries, flags, extra: 0, special: Vec::new() }
}

fn env() -> Environment {
    Environment { cpus: possible_cpus(), page: 4096, seed: 1, domain: Domain::new() }
}

/// A small generator: the same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

type Keys = fn(&mut Random, u32) -> Vec<u8>;

/// A small number in a key of any size.
fn few(random: &mut Random, size: u32) -> Vec<u8> {
    let mut key = vec![0; size as usize];
    let n = random.below(12) as u32;
    key.iter_mut().zip(n.to_ne_bytes()).for_each(|(to, from)| *to = from);
    key
}

/// A prefix among few, sometimes too long.
fn prefixes(random: &mut Random, size: u32) -> Vec<u8> {
    let data = size - 4;
    let bits = [0, 1, 3, 8, 9, 12, 16, 17, data * 8, data * 8 - 1, data * 8 + 1][random.below(11) as usize];
    let mut key = bits.to_ne_bytes().to_vec();
    key.extend((0..data).map(|at| match at {
        0 | 1 => [0, 1, 0x80, 0xc0][random.below(4) as usize],
        _ => 7 * random.below(2) as u8,
    }));
    key
}

/// Both maps, and what was done to them.
struct Pair {
    ours: Arc<dyn Map>,
    kernels: KernelMap,
    ordered: bool,
    history: Vec<String>,
}

impl Pair {
    fn new(def: &MapDef, ordered: bool) -> Pair {
        let ours = create(def, None, &env()).unwrap_or_else(|error| panic!("{error}"));
        let kernels = KernelMap::create(def, None).unwrap_or_else(|errno| panic!("{def:?}: {errno}"));
        Pair { ours, kernels, ordered, history: Vec::new() }
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: String, ours: T, kernels: T) {
        self.history.push(format!("{what} = {kernels:x?}"));
        let last = &self.history[self.history.len().saturating_sub(20)..];
        assert_eq!(ours, kernels, "{:?}: ours, the kernel's, after\n{}", self.ours.def(), last.join("\n"));
    }

    fn step(&mut self, random: &mut Random, keys: Keys, value: &dyn Fn(&mut Random, usize) -> Vec<u8>) {
        let key = keys(random, self.ours.def().key_size);
        let size = self.ours.user_value_size();
        match random.below(10) {
            0..=3 => {
                let value = value(random, size);
                let flags = [0, 0, 0, 1, 1, 2, 2, 3, 4, 8][random.below(10) as usize];
                let results = (self.ours.write(&key, &value, flags), self.kernels.write(&key, &value, flags));
                self.same(format!("write {key:x?} {value:x?} {flags}"), results.0, results.1);
            }
            4 | 5 => {
                let asked = value(random, size);
                let (mut a, mut b) = (asked.clone(), asked);
                let results = (self.ours.read(&key, &mut a), self.kernels.read(&key, &mut b));
                self.same(format!("read {key:x?}"), results.0.map(|()| a), results.1.map(|()| b));
            }
            6 => {
                let results = (self.ours.remove(&key), self.kernels.remove(&key));
                self.same(format!("remove {key:x?}"), results.0, results.1);
            }
            7 => {
                let (mut a, mut b) = (vec![0; size], vec![0; size]);
                let results = (self.ours.take(&key, &mut a), self.kernels.take(&key, &mut b));
                self.same(format!("take {key:x?}"), results.0.map(|()| a), results.1.map(|()| b));
            }
            8 if self.ordered => {
                let (mut a, mut b) = (key.clone(), key.clone());
                let after = (random.below(8) > 0).then_some(&key[..]);
                let results = (self.ours.next_key(after, &mut a), self.kernels.next_key(after, &mut b));
                self.same(format!("next_key {after:x?}"), results.0.map(|()| a), results.1.map(|()| b));
            }
            _ => self.compare_walks(),
        }
    }

    fn compare_walks(&mut self) {
        let size = self.ours.def().key_size as usize;
        let ours = walk(size, |after, out| self.ours.next_key(after, out));
        let kernels = walk(size, |after, out| self.kernels.next_key(after, out));
        if self.ordered {
            self.same("walk".into(), ours, kernels);
        } else {
            let set = |(keys, end): (Vec<Vec<u8>>, _)| (keys.into_iter().collect::<BTreeSet<_>>(), end);
            self.same("walk".into(), set(ours), set(kernels));
        }
    }
}

fn walk(size: usize, next: impl Fn(Option<&[u8]>, &mut [u8]) -> Result<(), Errno>) -> (Vec<Vec<u8>>, Errno) {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut key = vec![0; size];
        match next(all.last().map(Vec::as_slice), &mut key) {
            Ok(()) if all.len() < 100 => all.push(key),
            Ok(()) => return (all, Errno(0)),
            Err(errno) => return (all, errno),
        }
    }
}

fn compare(def: &MapDef, ordered: bool, keys: Keys, value: &dyn Fn(&mut Random, usize) -> Vec<u8>) {
    let mut pair = Pair::new(def, ordered);
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ u64::from(def.key_size) << 32 ^ u64::from(def.value_size));
    for _ in 0..3000 {
        pair.step(&mut random, keys, value);
    }
    if pair.kernels.freeze().is_ok() {
        pair.ours.freeze();
        for _ in 0..50 {
            pair.step(&mut random, keys, value);
        }
    }
}

fn any(random: &mut Random, size: usize) -> Vec<u8> {
    random.bytes(size)
}

#[test]
fn arrays() {
    if !permitted("arrays") {
        return;
    }
    for ty in [MapType::ARRAY, MapType::PERCPU_ARRAY] {
        for value_size in [1, 4, 5, 8, 24] {
            compare(&def(ty, 4, value_size, 10), true, few, &any);
        }
    }
}

#[test]
fn hashes() {
    if !permitted("hashes") {
        return;
    }
    for ty in [MapType::HASH, MapType::PERCPU_HASH] {
        for (key_size, value_size) in [(1, 1), (3, 5), (4, 4), (8, 8), (16, 12), (27, 64)] {
            for extra in [0, flags::BPF_F_NO_PREALLOC] {
                compare(&MapDef { flags: extra, ..def(ty, key_size, value_size, 8) }, false, few, &any);
            }
        }
    }
}

#[test]
fn lru_hashes_within_their_capacity() {
    if !permitted("lru_hashes_within_their_capacity") {
        return;
    }
    for ty in [MapType::LRU_HASH, MapType::LRU_PERCPU_HASH] {
        for (key_size, value_size) in [(4, 4), (8, 5)] {
            compare(&def(ty, key_size, value_size, 4096), false, few, &any);
        }
    }
}

#[test]
fn tries() {
    if !permitted("tries") {
        return;
    }
    for key_size in [5, 8, 11, 12, 20] {
        for max in [4, 1000] {
            compare(&def(MapType::LPM_TRIE, key_size, 4, max), true, prefixes, &any);
        }
    }
}

#[test]
fn queues_stacks_and_bloom_filters() {
    if !permitted("queues_stacks_and_bloom_filters") {
        return;
    }
    for value_size in [1, 4, 12] {
        compare(&def(MapType::QUEUE, 0, value_size, 5), true, few, &any);
        compare(&def(MapType::STACK, 0, value_size, 5), true, few, &any);
    }
    compare(&def(MapType::BLOOM_FILTER, 0, 4, 1000), true, few, &few_values);
}

fn few_values(random: &mut Random, size: usize) -> Vec<u8> {
    few(random, size as u32)
}

/// Devices 0 (none) and 1 (the loopback device), queues of few sizes, no programs.
fn redirects(random: &mut Random, size: usize) -> Vec<u8> {
    let mut value = vec![0; size];
    value[0] = random.below(2) as u8;
    value
}

#[test]
fn redirect_targets() {
    if !permitted("redirect_targets") {
        return;
    }
    for size in [4, 8] {
        compare(&def(MapType::DEVMAP, 4, size, 8), true, few, &redirects);
        compare(&def(MapType::DEVMAP_HASH, 4, size, 8), false, few, &redirects);
        compare(&def(MapType::CPUMAP, 4, size, 8), true, few, &redirects);
    }
}

#[test]
fn ring_buffers_have_no_elements() {
    if !permitted("ring_buffers_have_no_elements") {
        return;
    }
    compare(&def(MapType::RINGBUF, 0, 0, 4096), true, few, &any);
}

/// Definitions, right and wrong: the kernel takes and refuses the same, with the same error.
#[test]
fn definitions() {
    if !permitted("definitions") {
        return;
    }
    let inner = def(MapType::ARRAY, 4, 4, 1);
    let kernels_inner = KernelMap::create(&inner, None).unwrap();
    let mut random = Random(42);
    let sizes = [0, 1, 3, 4, 5, 8, 260, 261, 32768, 32769, 4 << 20, (4 << 20) + 1, (4 << 20) - 52, (4 << 20) - 53];
    let mut taken = BTreeSet::new();
    for _ in 0..60_000 {
        let usual = random.below(2) == 0;
        let mut pick = |usual_ones: &[u32], all: &[u32]| {
            let from = if usual { usual_ones } else { all };
            from[random.below(from.len() as u64) as usize]
        };
        let ty = MapType(pick(
            &[1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 16, 17, 22, 23, 25, 27, 30],
            &[1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 16, 17, 22, 23, 25, 27, 30],
        ));
        let def = MapDef {
            ty,
            key_size: pick(&[0, 4, 8], &sizes),
            value_size: pick(&[0, 4, 8], &sizes),
            max_entries: pick(&[1, 2, 4096], &[0, 1, 3, 1000, 4096, 8192, 5000]),
            flags: [0, 1, pick(&[0], &[2, 4, 8, 16, 64, 128, 256, 1024, 2048, 4096, 24, 384, 1 << 20])]
                [random.below(3) as usize],
            extra: [0, 0, 3, 16][random.below(4) as usize],
            special: Vec::new(),
        };
        // What both would take is not made in sizes that cost the kernel memory.
        if u64::from(def.key_size + def.value_size) * u64::from(def.max_entries) > 64 << 20 {
            continue;
        }
        // How many CPUs a kernel is built for differs; and of two faults of a bloom filter it names the other one.
        let large = def.value_size > 4 << 20;
        if (ty == MapType::CPUMAP && def.max_entries > 3) || (ty == MapType::BLOOM_FILTER && large) {
            continue;
        }
        let inner_of = matches!(ty, MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS);
        let ours = create(&def, inner_of.then_some(&inner), &env());
        let kernels = KernelMap::create(&def, inner_of.then_some(&kernels_inner));
        let ours = ours.map(drop).map_err(|error| error.kernel.clone().unwrap());
        let kernels = kernels.map(drop).map_err(|errno| errno.to_string());
        assert_eq!(ours, kernels, "{def:?}: ours, the kernel's");
        if kernels.is_ok() {
            taken.insert(ty);
        }
    }
    assert_eq!(taken.len(), 19, "every type is made at least once: {taken:?}");
}
