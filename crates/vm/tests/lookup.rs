//! Lookups that native code makes by itself, in the maps whose layout they know: what they find is what the map finds.
#![cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux"))]

mod support;

use alveary_abi::{MapDef, MapType};
use alveary_isa::Inst;
use alveary_maps::{Domain, Environment, Layout, Map, create};
use alveary_vm::{Call, Code, Env, Exit, Func, HelperFn, Image, Jit, Link, Lookup, Settings, Table};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use support::{EXIT, add, call, jit, movr, shelf::Shelf};

/// How often the helper was called, on environments without a map.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Gives links to a map's memory.
struct Owner(Arc<dyn Map>);

// SAFETY: the tests keep the map, and hand keys of its size over.
unsafe impl Link for Owner {
    fn map(&self, _: u16) -> u64 {
        Arc::as_ptr(&self.0) as *const () as u64
    }
    fn map_value(&self, _: u16, _: u32) -> u64 {
        0
    }
    fn memory(&self, _: u16, off: u64) -> u64 {
        self.0.base() as u64 + off
    }
    fn helper(&self, _: u16) -> HelperFn {
        look_up
    }
}

/// Looks an 8-byte key up in the map that [`Env::host`] leads to.
unsafe extern "C" fn look_up(env: *const Env, _: u64, key: u64, _: u64, _: u64, _: u64) -> u64 {
    // SAFETY: the engine hands its own environment; what `host` is, the tests set.
    let map = unsafe { (*env).host.get().cast::<Arc<dyn Map>>().as_ref() };
    let Some(map) = map else { return ASKED.fetch_add(1, Ordering::Relaxed) + 1 };
    // SAFETY: the tests hand keys of 8 bytes over where they set `host`.
    let key = unsafe { (key as *const [u8; 8]).read_unaligned() };
    map.lookup(0, &key).map_or(0, |value| value.addr as u64)
}

fn map(ty: MapType, key_size: u32, entries: u32) -> Arc<dyn Map> {
    let def = MapDef { ty, key_size, value_size: 12, max_entries: entries, flags: 0, extra: 0, special: Vec::new() };
    create(&def, None, &Environment { cpus: 2, page: 4096, seed: 7, domain: Domain::new() }).expect("it can be had")
}

/// A program that looks up what its argument points to.
fn program(map: &Arc<dyn Map>) -> Image {
    program_of(map, jit().expect("there is one for this machine"), 0)
}

/// The same, by this compiler, with so many instructions more.
fn program_of(map: &Arc<dyn Map>, jit: &Arc<Jit>, more: usize) -> Image {
    let Layout::Hash { buckets, mask, slots, slot, next, key, values, value_stride, cpu_stride, seed, used, .. } =
        map.layout()
    else {
        panic!("no hash table")
    };
    let table = Table::Hash { buckets, mask, slots, slot, next, key, values, value_stride, cpu_stride, seed, used };
    let idle = std::iter::repeat_n(add(3, 1), more);
    let insts: Vec<Inst> = [movr(2, 1)].into_iter().chain(idle).chain([call(0), EXIT]).collect();
    let code = Code {
        insns: insts.iter().flat_map(|inst| alveary_isa::encode(inst).to_vec()).collect(),
        funcs: vec![Func { start: 0, stack: 0 }],
        calls: vec![Call { args: 2, returns: true, tag: 1 }],
        lookups: vec![Lookup { slot: 1 + more as u32, map: 0, key_size: map.def().key_size, table }],
        ..Code::default()
    };
    let owner = Owner(map.clone());
    // SAFETY: the program reads the key that it is given.
    unsafe { Image::native(&code, &owner, jit) }.expect("well-formed")
}

fn look(image: &Image, env: &Env, key: &[u8]) -> u64 {
    match image.run(env, 0, [key.as_ptr() as u64, 0, 0, 0, 0], None) {
        Ok(Exit::Return(addr)) => addr,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_found_is_what_the_map_finds() {
    let types = [MapType::HASH, MapType::PERCPU_HASH, MapType::LRU_HASH, MapType::LRU_PERCPU_HASH];
    for (ty, key_size) in types.into_iter().flat_map(|ty| [4_usize, 8, 16].map(|size| (ty, size))) {
        // Half of the keys are there, some of them in one chain.
        let map = map(ty, key_size as u32, 64);
        let key = |n: u8| (0..key_size).map(|at| n.wrapping_mul(at as u8 + 3)).collect::<Vec<u8>>();
        for n in (0..60).step_by(2) {
            map.update(0, &key(n), &[n; 12], 0).expect("there is room");
        }
        let image = program(&map);
        let env = Env::new();
        for (cpu, n) in (0..2).flat_map(|cpu| (0..60).map(move |n| (cpu, n))) {
            env.cpu.set(cpu);
            let expected = map.lookup(cpu as u32, &key(n)).map_or(0, |value| value.addr as u64);
            assert_eq!(look(&image, &env, &key(n)), expected, "{ty:?}, {key_size} bytes, key {n}, CPU {cpu}");
            assert_eq!(expected != 0, n % 2 == 0);
        }
    }
    assert_eq!(ASKED.load(Ordering::Relaxed), 0, "nobody changed the maps, so no helper had to be asked");
}

#[test]
fn what_is_there_is_found_while_others_come_and_go() {
    let map = map(MapType::HASH, 8, 8);
    let always = 1_u64.to_ne_bytes();
    map.update(0, &always, &[1; 12], 0).expect("there is room");
    let image = program(&map);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in (2..6_u64).cycle().take(40_000) {
                let _ = map.update(1, &n.to_ne_bytes(), &[2; 12], 0);
                let _ = map.delete(&(n - 1).max(2).to_ne_bytes());
            }
            done.store(true, Ordering::Relaxed);
        });
        let env = Env::new();
        env.host.set((&raw const map).cast());
        while !done.load(Ordering::Relaxed) {
            assert_ne!(look(&image, &env, &always), 0);
            look(&image, &env, &9_u64.to_ne_bytes());
        }
    });
}

#[test]
fn code_that_was_kept_searches_the_map_that_is_there() {
    let shelf = Shelf::default();
    let image = |map: &Arc<dyn Map>| program_of(map, &shelf.jit(Settings::default()), 1_000);
    let maps = [1_u64, 2].map(|key| {
        let map = map(MapType::HASH, 8, 64);
        map.update(0, &key.to_ne_bytes(), &[key as u8; 12], 0).expect("there is room");
        map
    });
    for map in &maps {
        let (image, env) = (image(map), Env::new());
        for key in [1_u64, 2, 3] {
            let expected = map.lookup(0, &key.to_ne_bytes()).map_or(0, |value| value.addr as u64);
            assert_eq!(look(&image, &env, &key.to_ne_bytes()), expected, "key {key}");
        }
    }
    assert_eq!(shelf.puts(), 1, "the second map's code is the first one's");
}
