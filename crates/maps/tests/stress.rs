//! Many CPUs on one map. Each test can fail: what it would take is said beside it.

use alveary_abi::{MapDef, MapType};
use alveary_maps::{Domain, Environment, Errno, Held, Map, create, flags};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*},
    },
    thread,
};

const CPUS: u32 = 4;

fn env() -> Environment {
    Environment { cpus: CPUS, page: 4096, seed: 3, domain: Domain::new() }
}

fn make(ty: MapType, key_size: u32, value_size: u32, max_entries: u32) -> Arc<dyn Map> {
    let flags = if ty == MapType::LPM_TRIE { flags::BPF_F_NO_PREALLOC } else { 0 };
    let def = MapDef { ty, key_size, value_size, max_entries, flags, extra: 0, special: Vec::new() };
    create(&def, None, &env()).unwrap()
}

/// Runs `writers` to their end, and `readers` again and again meanwhile.
fn race(writers: u32, writer: impl Fn(u32) + Sync, reader: impl Fn() + Sync) {
    let left = AtomicU32::new(writers);
    thread::scope(|scope| {
        for cpu in 0..writers {
            let (writer, left) = (&writer, &left);
            scope.spawn(move || {
                // Also counts down if the writer panics: readers must come to an end.
                struct Done<'a>(&'a AtomicU32);
                impl Drop for Done<'_> {
                    fn drop(&mut self) {
                        self.0.fetch_sub(1, SeqCst);
                    }
                }
                let _done = Done(left);
                writer(cpu);
            });
        }
        scope.spawn(|| {
            while left.load(SeqCst) > 0 {
                reader();
            }
        });
    });
}

/// Different numbers for each writer.
fn numbers(cpu: u32) -> impl FnMut(u32) -> u32 {
    let mut state = 0x9e37_79b9 ^ (cpu + 1).wrapping_mul(0x85eb_ca6b);
    move |below| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state % below
    }
}

fn keys(map: &dyn Map) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    let mut last: Option<Vec<u8>> = None;
    let mut next = vec![0; map.def().key_size as usize];
    while map.next_key(last.as_deref(), &mut next).is_ok() {
        assert!(all.insert(next.clone()), "a key comes twice");
        last = Some(next.clone());
    }
    all
}

/// Keys that are there all the time are updated while others in the same chains come and go. A lookup that trusted a
/// miss without looking at the bucket's version would miss one of them.
#[test]
fn a_key_that_is_there_is_never_missed() {
    for ty in [MapType::HASH, MapType::PERCPU_HASH] {
        let map = make(ty, 8, 8, 16);
        let key = |n: u32| u64::from(n).to_ne_bytes();
        let permanent = 0..6;
        permanent.clone().for_each(|n| map.update(0, &key(n), &[1; 8], 0).unwrap());
        let writer = |cpu| {
            let mut number = numbers(cpu);
            for _ in 0..30_000 {
                map.update(cpu, &key(number(6)), &[2; 8], flags::BPF_EXIST).unwrap();
                let other = key(100 + cpu * 3 + number(3));
                if map.update(cpu, &other, &[3; 8], flags::BPF_NOEXIST).is_err() {
                    map.delete(&other).unwrap();
                }
            }
        };
        race(3, writer, || {
            for n in permanent.clone() {
                assert!(map.lookup(3, &key(n)).is_some(), "key {n} is missed");
            }
        });
        assert!(permanent.clone().all(|n| keys(&*map).contains(&key(n)[..])));
    }
}

/// Two keys have the map's one slot in turns, and share neither their first nor their last half. A lookup that took a slot
/// whose halves it read at different times would find a key that was never there.
#[test]
fn a_key_that_was_never_there_is_never_found() {
    for (ty, half) in [MapType::HASH, MapType::PERCPU_HASH].into_iter().flat_map(|ty| [1, 8, 32].map(|half| (ty, half)))
    {
        let map = make(ty, 2 * half, 8, 1);
        let key = |first: u8, last: u8| [first, last].map(|byte| vec![byte; half as usize]).concat();
        let writer = |cpu| {
            for key in [key(1, 2), key(2, 1)].iter().cycle().take(100_000) {
                map.update(cpu, key, &[1; 8], 0).unwrap();
                map.delete(key).unwrap();
            }
        };
        race(1, writer, || {
            assert!(map.lookup(3, &key(1, 1)).is_none(), "{ty:?} {half}");
            assert!(map.lookup(3, &key(2, 2)).is_none(), "{ty:?} {half}");
        });
    }
}

/// Entries come and go on all CPUs at the limit of the map. A slot that were lost or given out twice would show: at
/// the end the map takes exactly as many entries as it says, each with a place of its own.
#[test]
fn no_slot_is_lost_or_given_out_twice() {
    for ty in [MapType::HASH, MapType::LRU_HASH, MapType::LRU_PERCPU_HASH] {
        let map = make(ty, 4, 8, 64);
        race(
            CPUS,
            |cpu| {
                let mut number = numbers(cpu);
                for _ in 0..20_000 {
                    let key = number(96).to_ne_bytes();
                    match number(3) {
                        0 => _ = map.delete(&key),
                        _ => match map.update(cpu, &key, &[cpu as u8; 8], 0) {
                            Ok(()) | Err(Errno::E2BIG | Errno::ENOMEM) => {}
                            Err(errno) => panic!("{errno}"),
                        },
                    }
                }
            },
            || {
                assert!(keys_seen(&*map) <= 96);
            },
        );
        for key in keys(&*map) {
            map.delete(&key).unwrap();
        }
        assert!(keys(&*map).is_empty());
        let mut places = BTreeSet::new();
        for n in 0..64u32 {
            map.update(0, &n.to_ne_bytes(), &[0; 8], 0).unwrap();
        }
        for n in 0..64u32 {
            let value = map.lookup(0, &n.to_ne_bytes()).unwrap_or_else(|| panic!("entry {n} of 64 is not there"));
            assert!(places.insert(value.addr as usize), "two entries in one place");
        }
        if ty == MapType::HASH {
            assert_eq!(map.update(0, &64u32.to_ne_bytes(), &[0; 8], 0), Err(Errno::E2BIG));
        }
    }
}

/// Keys that a walk beside writers gives; it may start again when a key goes.
fn keys_seen(map: &dyn Map) -> usize {
    let mut seen = BTreeSet::new();
    let mut last = None;
    let mut next = [0; 4];
    for _ in 0..200 {
        if map.next_key(last.as_ref().map(|key: &[u8; 4]| &key[..]), &mut next).is_err() {
            break;
        }
        seen.insert(next);
        last = Some(next);
    }
    seen.len()
}

/// A reader that did not look again after a change would sometimes fall through to no prefix at all, or to one that
/// never covered the address.
#[test]
fn a_route_that_is_there_is_never_missed() {
    let map = make(MapType::LPM_TRIE, 8, 8, 64);
    let prefix = |address: [u8; 4], bits: u32| [bits.to_ne_bytes(), address].concat();
    map.update(0, &prefix([10, 0, 0, 0], 8), &8u64.to_ne_bytes(), 0).unwrap();
    map.update(0, &prefix([10, 1, 1, 0], 24), &24u64.to_ne_bytes(), 0).unwrap();
    let writer = |cpu: u32| {
        let mut number = numbers(cpu);
        for _ in 0..20_000 {
            let bits = 9 + number(15);
            let key = prefix([10, 1 << number(8), cpu as u8, 0], bits);
            if number(2) == 0 {
                let _ = map.update(cpu, &key, &0u64.to_ne_bytes(), 0);
            } else {
                let _ = map.delete(&key);
            }
        }
    };
    race(3, writer, || {
        let value = map.lookup(3, &prefix([10, 1, 1, 9], 32)).expect("the /24 is there");
        let mut out = [0; 8];
        map.read(&prefix([10, 1, 1, 0], 24), &mut out).unwrap();
        assert_eq!(u64::from_ne_bytes(out), 24);
        // SAFETY: a value of the map, 8 bytes, aligned; other threads write it word by word.
        let seen = unsafe { AtomicU64::from_ptr(value.addr.cast()) }.load(Relaxed);
        assert_eq!(seen, 24, "the permanent /24 is the longest prefix of this address");
    });
}

/// Producers reserve, fill and commit out of step. A record handed over before it was filled, twice, or out of order
/// would show.
#[test]
fn records_are_whole_and_in_order() {
    let map = make(MapType::RINGBUF, 0, 0, 4096);
    let ring = map.streams().unwrap();
    const EACH: u64 = 4_000;
    let sent: Vec<_> = (0..3).map(|_| AtomicU64::new(0)).collect();
    let seen: Vec<_> = (0..3).map(|_| (AtomicU64::new(0), AtomicU64::new(0))).collect();
    let drain = || {
        ring.drain(&mut |event| {
            let word = |at: usize| u64::from_ne_bytes(event.data[at * 8..at * 8 + 8].try_into().unwrap());
            let (cpu, n) = (word(0) as usize, word(1));
            assert!((2..event.data.len() / 8).all(|at| word(at) == n), "a record is torn");
            assert!(seen[cpu].0.swap(n + 1, Relaxed) <= n, "records of one CPU are out of order");
            seen[cpu].1.fetch_add(1, Relaxed);
        })
    };
    let writer = |cpu: u32| {
        let mut number = numbers(cpu);
        for n in 0..EACH {
            let words = 2 + number(20) as usize;
            let record = loop {
                match ring.reserve(words as u64 * 8, 0) {
                    Some(record) => break record,
                    None => thread::yield_now(),
                }
            };
            for at in 0..words {
                let word = [u64::from(cpu), n][at.min(1)];
                // SAFETY: the reservation is `words` words of the map, aligned, and this thread's until it is committed.
                unsafe { record.addr.cast::<u64>().add(at).write(word) };
            }
            let discard = number(8) == 0;
            ring.commit(record.addr as u64, discard, 0).unwrap();
            sent[cpu as usize].fetch_add(u64::from(!discard), Relaxed);
        }
    };
    race(3, writer, || _ = drain());
    drain();
    for (sent, (_, seen)) in sent.iter().zip(&seen) {
        assert_eq!(sent.load(Relaxed), seen.load(Relaxed), "what was committed was handed over");
    }
}

/// An object that says when it is gone.
struct Thing {
    id: u32,
    alive: Arc<Vec<AtomicBool>>,
}

// SAFETY: nobody takes the word for anything.
unsafe impl Held for Thing {
    fn word(&self) -> u64 {
        u64::from(self.id) + 1
    }

    fn id(&self) -> u32 {
        self.id
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.alive[self.id as usize].store(false, SeqCst);
    }
}

/// CPUs use programs while they are swapped. Dropping at once, or a reader that entered without its fence being seen,
/// would leave one with a program that is gone.
#[test]
fn a_program_in_use_is_not_dropped() {
    const SWAPS: u32 = 20_000;
    let env = env();
    let def = MapDef {
        ty: MapType::PROG_ARRAY,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        flags: 0,
        extra: 0,
        special: Vec::new(),
    };
    let map = create(&def, None, &env).unwrap();
    let slots = map.slots().unwrap();
    let alive: Arc<Vec<_>> = Arc::new((0..SWAPS).map(|_| AtomicBool::new(true)).collect());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            let reader = env.domain.reader();
            let (alive, done) = (&alive, &done);
            scope.spawn(move || {
                while !done.load(SeqCst) {
                    let _batch = reader.enter();
                    for _ in 0..4 {
                        let word = slots.word(&[0; 4]);
                        std::hint::spin_loop();
                        assert!(word == 0 || alive[word as usize - 1].load(SeqCst), "program {word} is gone");
                    }
                }
            });
        }
        for id in 0..SWAPS {
            slots.set(&[0; 4], Some(Arc::new(Thing { id, alive: alive.clone() })), 0).unwrap();
        }
        done.store(true, SeqCst);
    });
    assert_eq!(env.domain.collect(), 0);
    assert_eq!(alive.iter().filter(|alive| alive.load(SeqCst)).count(), 1, "all but the last are dropped");
}
