//! Lookups that native code makes by itself, in the maps whose layout they know: what they find is what the map finds.
#![cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux"))]

mod support;

use alveary_abi::{MapDef, MapType, flags::BPF_F_NO_PREALLOC};
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Wide, Width};
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
    let flags = if ty == MapType::LPM_TRIE { BPF_F_NO_PREALLOC } else { 0 };
    let def = MapDef { ty, key_size, value_size: 12, max_entries: entries, flags, extra: 0, special: Vec::new() };
    create(&def, None, &Environment { cpus: 2, page: 4096, seed: 7, domain: Domain::new() }).expect("it can be had")
}

/// A program that looks up what its argument points to.
fn program(map: &Arc<dyn Map>) -> Image {
    program_of(map, jit().expect("there is one for this machine"), 0)
}

/// The same, by this compiler, with so many instructions more.
fn program_of(map: &Arc<dyn Map>, jit: &Arc<Jit>, more: usize) -> Image {
    let idle = std::iter::repeat_n(add(3, 1), more);
    let insts: Vec<Inst> = [movr(2, 1)].into_iter().chain(idle).chain([call(0), EXIT]).collect();
    image(map, jit, &insts, 1 + more as u32, 0)
}

/// These instructions, which look a key up in the map at a slot.
fn image(map: &Arc<dyn Map>, jit: &Arc<Jit>, insts: &[Inst], slot: u32, stack: u16) -> Image {
    let table = match map.layout() {
        Layout::Hash {
            buckets, mask, slots, slot, next, key, values, value_stride, cpu_stride, seed, used, ..
        } => Table::Hash { buckets, mask, slots, slot, next, key, values, value_stride, cpu_stride, seed, used },
        Layout::Trie { version, root, nodes, node, child, bits, prefix, value, .. } => {
            Table::Trie { version, root, nodes, node, child, bits, prefix, value }
        }
        other => panic!("no table: {other:?}"),
    };
    let code = Code {
        insns: insts.iter().flat_map(|inst| alveary_isa::encode(inst).to_vec()).collect(),
        funcs: vec![Func { start: 0, stack }],
        calls: vec![Call { args: 2, returns: true, tag: 1 }],
        lookups: vec![Lookup { slot, map: 0, key_size: map.def().key_size, table }],
        ..Code::default()
    };
    let owner = Owner(map.clone());
    // SAFETY: the program reads the key that it is given, or that it has written.
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
    let sizes = [1_usize, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 23, 36, 63, 64];
    for (ty, key_size) in types.into_iter().flat_map(|ty| sizes.map(|size| (ty, size))) {
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
fn keys_that_are_written_field_by_field_are_found() {
    let map = map(MapType::HASH, 12, 64);
    let key = |n: u64| {
        let [low, high] = [n as u16, (n >> 32) as u16].map(u16::to_ne_bytes);
        let middle = ((n >> 8) as u32).to_ne_bytes();
        // A byte, one of an older store, two fields, one that is only partly new.
        [&[n as u8, 0x5a][..], &low, &middle, &high, &[7, 0x5a]].concat()
    };
    for n in 0..40_u64 {
        map.update(0, &key(n * 0x0123_4567_89ab), &[n as u8; 12], 0).expect("there is room");
    }
    let store = |width, off, src| Inst::Store { width, dst: Reg::FP, src, off };
    let number = Operand::Reg(Reg(1));
    let mut insts = vec![
        Inst::LoadImm64 { dst: Reg(3), value: 0x5a5a_5a5a_5a5a_5a5a },
        store(Width::B8, -24, Operand::Reg(Reg(3))),
        store(Width::B8, -16, Operand::Reg(Reg(3))),
        store(Width::B1, -24, number),
        store(Width::B2, -22, number),
        alu(AluOp::Mov, 4, number),
        alu(AluOp::Rsh, 4, Operand::Imm(8)),
        store(Width::B4, -20, Operand::Reg(Reg(4))),
        alu(AluOp::Rsh, 4, Operand::Imm(24)),
        store(Width::B2, -16, Operand::Reg(Reg(4))),
        store(Width::B1, -14, Operand::Imm(7)),
        alu(AluOp::Mov, 2, Operand::Reg(Reg::FP)),
        alu(AluOp::Add, 2, Operand::Imm(-24)),
    ];
    let slot: u32 = insts.iter().map(|inst| inst.slots() as u32).sum();
    insts.extend([call(0), EXIT]);
    // With the stores in front of the lookup, and in another node than that.
    for apart in [false, true] {
        let mut insts = insts.clone();
        if apart {
            insts.insert(11, Inst::Jmp { wide: Wide::W64, op: CmpOp::Eq, dst: Reg(4), src: Operand::Imm(-1), off: 0 });
        }
        let image = image(&map, jit().expect("there is one for this machine"), &insts, slot + u32::from(apart), 512);
        let env = Env::new();
        for n in (0..40_u64).map(|n| n * 0x0123_4567_89ab).chain([1, 0xffff]) {
            let expected = map.lookup(0, &key(n)).map_or(0, |value| value.addr as u64);
            let found = image.run(&env, 0, [n, 0, 0, 0, 0], None);
            assert!(matches!(found, Ok(Exit::Return(addr)) if addr == expected), "{n}: {found:?}, not {expected:#x}");
        }
    }
}

fn alu(op: AluOp, dst: u8, src: Operand) -> Inst {
    Inst::Alu { wide: Wide::W64, op, dst: Reg(dst), src }
}

/// Bytes that follow from each other, for keys.
fn drawn(state: &mut u64) -> u8 {
    *state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
    (*state >> 56) as u8
}

#[test]
fn the_longest_prefix_is_what_the_map_finds() {
    for data in [1_u32, 3, 4, 7, 8, 9, 15, 16] {
        let map = map(MapType::LPM_TRIE, 4 + data, 256);
        let (image, env, mut state) = (program(&map), Env::new(), u64::from(data));
        let mut key = |bits: u32| {
            let mut key = bits.to_ne_bytes().to_vec();
            // Few bytes differ, so that prefixes have much in common.
            key.extend((0..data).map(|_| if drawn(&mut state) < 40 { 0x80 } else { drawn(&mut state) & 3 }));
            key
        };
        let look_at = |key: &[u8]| {
            let expected = map.lookup(0, key).map_or(0, |value| value.addr as u64);
            assert_eq!(look(&image, &env, key), expected, "{data} bytes, key {key:?}");
            expected != 0
        };
        assert!(!look_at(&key(data * 8)), "nothing is in it yet");
        for n in 0..200 {
            let entry = key(n * 7 % (data * 8 + 1));
            map.update(0, &entry, &[n as u8; 12], 0).expect("there is room");
            // What is there, what is longer, what is too long to be a key.
            assert!(look_at(&entry));
            look_at(&[&(data * 8).to_ne_bytes(), &entry[4..]].concat());
            assert!(!look_at(&[&(data * 8 + 1).to_ne_bytes(), &entry[4..]].concat()));
            assert!(!look_at(&[&u32::MAX.to_ne_bytes(), &entry[4..]].concat()));
            if n % 5 == 0 {
                let _ = map.delete(&key(n % (data * 8 + 1)));
                let _ = map.delete(&entry);
                look_at(&entry);
            }
        }
        for bits in (0..=data * 8).chain(std::iter::repeat_n(data * 8, 500)) {
            look_at(&key(bits));
        }
    }
}

#[test]
fn a_prefix_is_found_while_others_come_and_go() {
    let map = map(MapType::LPM_TRIE, 8, 64);
    let prefix =
        |bits: u32, address: [u8; 4]| u64::from_ne_bytes([bits.to_ne_bytes(), address].concat().try_into().unwrap());
    let always = prefix(8, [10, 0, 0, 0]).to_ne_bytes();
    map.update(0, &always, &[1; 12], 0).expect("there is room");
    let image = program(&map);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in (0..24_u32).cycle().take(40_000) {
                let key = |n: u32| prefix(9 + n, [10, 1, 2, 3]).to_ne_bytes();
                let _ = map.update(1, &key(n), &[2; 12], 0);
                let _ = map.delete(&key((n + 7) % 24));
            }
            done.store(true, Ordering::Relaxed);
        });
        let env = Env::new();
        env.host.set((&raw const map).cast());
        while !done.load(Ordering::Relaxed) {
            assert_ne!(look(&image, &env, &prefix(32, [10, 1, 2, 3]).to_ne_bytes()), 0);
            assert_ne!(look(&image, &env, &prefix(32, [10, 200, 2, 3]).to_ne_bytes()), 0);
            assert_eq!(look(&image, &env, &prefix(32, [11, 1, 2, 3]).to_ne_bytes()), 0);
        }
    });
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

/// As the stress test of the map itself: two keys that share no part go from slot to slot. The parts lie in two lines of the
/// processor's cache; of eight such pairs some have all their keys in one bucket.
#[test]
fn what_was_never_there_is_not_found() {
    for other in 2..10 {
        let map = map(MapType::HASH, 64, 2);
        let key = |first: u8, last: u8| [&[first; 56][..], &[last; 8]].concat();
        let image = program(&map);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for key in [key(1, other), key(other, 1)].iter().cycle().take(200_000) {
                    map.update(1, key, &[2; 12], 0).expect("there is room");
                }
                done.store(true, Ordering::Relaxed);
            });
            let env = Env::new();
            env.host.set((&raw const map).cast());
            while !done.load(Ordering::Relaxed) {
                assert_eq!(look(&image, &env, &key(1, 1)), 0);
                assert_eq!(look(&image, &env, &key(other, other)), 0);
            }
        });
    }
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
