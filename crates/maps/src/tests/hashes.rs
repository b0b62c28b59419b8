use super::*;
use crate::{Layout, flags, hash};
use std::collections::BTreeSet;

#[test]
fn flags_say_what_may_be_there() {
    for ty in [MapType::HASH, MapType::PERCPU_HASH] {
        let map = make(&def(ty, 4, 8, 2));
        let write = |key: u32, flags| map.write(&key.to_ne_bytes(), &vec![1; map.user_value_size()], flags);
        assert_eq!(write(1, flags::BPF_EXIST), Err(Errno::ENOENT));
        assert_eq!(write(1, flags::BPF_NOEXIST), Ok(()));
        assert_eq!(write(1, flags::BPF_NOEXIST), Err(Errno::EEXIST));
        assert_eq!(write(1, flags::BPF_EXIST), Ok(()));
        assert_eq!(write(1, 3), Err(Errno::EINVAL));
        assert_eq!(write(2, flags::BPF_ANY), Ok(()));
        assert_eq!(write(3, flags::BPF_ANY), Err(Errno::E2BIG));
        assert_eq!(write(2, flags::BPF_ANY), Ok(()), "a full map takes updates");
        assert_eq!(map.remove(&1u32.to_ne_bytes()), Ok(()));
        assert_eq!(map.remove(&1u32.to_ne_bytes()), Err(Errno::ENOENT));
        assert_eq!(write(3, flags::BPF_ANY), Ok(()));
    }
}

#[test]
fn keys_of_every_length_are_told_apart() {
    for key_size in 1..=40 {
        let map = make(&def(MapType::HASH, key_size, 4, 256));
        let key = |n: u8, at: usize| {
            let mut key = vec![0; key_size as usize];
            key[at] = n;
            key
        };
        for at in 0..key_size as usize {
            map.write(&key(1, at), &(at as u32).to_ne_bytes(), flags::BPF_NOEXIST).unwrap();
        }
        let mut out = [0; 4];
        for at in 0..key_size as usize {
            map.read(&key(1, at), &mut out).unwrap();
            assert_eq!(u32::from_ne_bytes(out), at as u32);
            assert_eq!(map.read(&key(2, at), &mut out), Err(Errno::ENOENT));
        }
    }
}

#[test]
fn walking_gives_every_key_once_in_an_order_that_the_seed_decides() {
    let fill = |seed| {
        let map = create(&def(MapType::HASH, 4, 4, 1000), None, &Environment { seed, ..env() }).unwrap();
        (0..1000).for_each(|n| put(&*map, n, n, 0).unwrap());
        keys(&*map)
    };
    let walk = fill(1);
    assert_eq!(walk.len(), 1000);
    assert_eq!(walk.iter().collect::<BTreeSet<_>>().len(), 1000);
    assert_eq!(walk, fill(1));
    assert_ne!(walk, fill(2));
}

#[test]
fn a_key_that_is_gone_restarts_the_walk() {
    let map = make(&def(MapType::HASH, 4, 4, 16));
    (0..10).for_each(|n| put(&*map, n, n, 0).unwrap());
    let first = keys(&*map)[0].clone();
    let mut next = [0; 4];
    map.next_key(Some(&99u32.to_ne_bytes()), &mut next).unwrap();
    assert_eq!(next.to_vec(), first);
}

#[test]
fn an_old_value_stays_what_it_was_after_an_update() {
    let map = make(&def(MapType::HASH, 4, 4, 4));
    put(&*map, 1, 10, 0).unwrap();
    let old = map.lookup(0, &1u32.to_ne_bytes()).unwrap();
    map.update(0, &1u32.to_ne_bytes(), &11u32.to_ne_bytes(), 0).unwrap();
    assert_eq!(through(old), 10u32.to_ne_bytes());
    assert_eq!(u32s(&*map, 1), Ok(11));
}

#[test]
fn a_program_adds_a_value_for_its_cpu_and_zeroes_for_the_others() {
    let map = make(&def(MapType::PERCPU_HASH, 8, 8, 1));
    map.update(0, &[1; 8], &[9; 8], 0).unwrap();
    map.update(1, &[1; 8], &[8; 8], 0).unwrap();
    map.delete(&[1; 8]).unwrap();
    map.update(1, &[2; 8], &[7; 8], 0).unwrap();
    let mut all = [1; 16];
    map.read(&[2; 8], &mut all).unwrap();
    assert_eq!(all, [0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7]);
}

#[test]
fn take_reads_and_removes() {
    let map = make(&def(MapType::HASH, 4, 4, 4));
    put(&*map, 1, 10, 0).unwrap();
    let mut out = [0; 4];
    assert_eq!(map.take(&1u32.to_ne_bytes(), &mut out), Ok(()));
    assert_eq!(out, 10u32.to_ne_bytes());
    assert_eq!(map.take(&1u32.to_ne_bytes(), &mut out), Err(Errno::ENOENT));
}

/// What inlined code does, done by hand.
#[test]
fn the_layout_leads_to_the_values() {
    for ty in [MapType::HASH, MapType::PERCPU_HASH] {
        let map = make(&def(ty, 8, 8, 100));
        for n in 0..100u64 {
            map.update(0, &n.to_ne_bytes(), &n.to_ne_bytes(), 0).unwrap();
        }
        let Layout::Hash { buckets, mask, slots, slot, next, key, values, value_stride, cpu_stride, seed, .. } =
            map.layout()
        else {
            panic!("no hash")
        };
        // SAFETY: the layout says that these offsets are inside the map.
        let word = |at: u64| unsafe { map.base().add(at as usize).cast::<u32>().read() };
        for n in 0..100u64 {
            let mut link = word(buckets + u64::from(hash(&n.to_ne_bytes(), seed) & mask) * 8);
            loop {
                assert_ne!(link, 0, "key {n} is not in its chain");
                let at = slots + u64::from(link - 1) * u64::from(slot);
                let low = word(at + u64::from(key)) as u64 | (word(at + u64::from(key) + 4) as u64) << 32;
                if u64::from_le(low) == u64::from_le(n) {
                    break;
                }
                link = word(at + u64::from(next));
            }
            for cpu in 0..2 {
                let at = values + cpu * cpu_stride + u64::from(link - 1) * u64::from(value_stride);
                let found = map.lookup(cpu as u32, &n.to_ne_bytes()).unwrap();
                assert_eq!(found.addr as u64, map.base() as u64 + at);
            }
        }
    }
}

#[test]
fn a_seed_of_zero_can_be_asked_for() {
    let map = make(&MapDef { flags: flags::BPF_F_ZERO_SEED, ..def(MapType::HASH, 4, 4, 4) });
    assert!(matches!(map.layout(), Layout::Hash { seed: 0, .. }));
}

#[test]
fn short_keys_spread_over_the_buckets() {
    for (what, step) in [("counting", 1u32), ("addresses in a /8", 0x100), ("ports in network order", 0x1_0000)] {
        let mut used = vec![0u32; 1 << 12];
        for n in 0..1u32 << 12 {
            used[hash(&n.wrapping_mul(step).to_ne_bytes(), 7) as usize & 0xfff] += 1;
        }
        let longest = used.iter().max().unwrap();
        assert!(*longest <= 10, "{what}: a chain of {longest} in a table that is just full");
    }
}
