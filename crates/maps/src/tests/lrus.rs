use super::*;
use crate::{Layout, flags};

const TYPES: [MapType; 2] = [MapType::LRU_HASH, MapType::LRU_PERCPU_HASH];

fn add(map: &dyn Map, key: u32, flags: u64) -> Result<(), Errno> {
    map.update(0, &key.to_ne_bytes(), &key.to_ne_bytes(), flags)
}

fn has(map: &dyn Map, key: u32) -> bool {
    map.read(&key.to_ne_bytes(), &mut vec![0; map.user_value_size()]).is_ok()
}

#[test]
fn a_full_map_gives_up_what_was_not_used() {
    for ty in TYPES {
        let map = make(&def(ty, 4, 4, 100));
        (0..100).for_each(|n| add(&*map, n, 0).unwrap());
        assert!((0..100).all(|n| has(&*map, n)), "nothing goes before the map is full");
        (0..50).for_each(|n| assert!(map.lookup(0, &(2 * n as u32).to_ne_bytes()).is_some()));
        (100..150).for_each(|n| add(&*map, n, 0).unwrap());
        assert!((0..50).all(|n| has(&*map, 2 * n)), "used entries stay");
        assert!((0..50).all(|n| !has(&*map, 2 * n + 1)), "unused ones go");
        assert_eq!(keys(&*map).len(), 100);
    }
}

#[test]
fn user_space_reading_does_not_count_as_use() {
    let map = make(&def(MapType::LRU_HASH, 4, 4, 4));
    (0..4).for_each(|n| add(&*map, n, 0).unwrap());
    assert!(has(&*map, 0));
    add(&*map, 4, 0).unwrap();
    assert!(!has(&*map, 0));
}

#[test]
fn a_map_of_one_entry_always_takes_the_newest() {
    for ty in TYPES {
        let map = make(&def(ty, 4, 4, 1));
        for n in 0..100 {
            add(&*map, n, flags::BPF_NOEXIST).unwrap();
            assert!(map.lookup(0, &n.to_ne_bytes()).is_some());
        }
        assert_eq!(keys(&*map).len(), 1);
    }
}

#[test]
fn an_update_evicts_nothing() {
    for ty in TYPES {
        let map = make(&def(ty, 4, 4, 10));
        (0..10).for_each(|n| add(&*map, n, 0).unwrap());
        (0..10).for_each(|n| add(&*map, n, flags::BPF_EXIST).unwrap());
        assert_eq!(add(&*map, 3, flags::BPF_NOEXIST), Err(Errno::EEXIST));
        assert_eq!(add(&*map, 30, flags::BPF_EXIST), Err(Errno::ENOENT));
        assert!((0..10).all(|n| has(&*map, n)));
    }
}

#[test]
fn deleted_entries_make_room() {
    for ty in TYPES {
        let map = make(&def(ty, 4, 4, 4));
        for round in 0..100 {
            (0..4).for_each(|n| add(&*map, 10 * round + n, 0).unwrap());
            assert!((0..4).all(|n| has(&*map, 10 * round + n)));
            (0..4u32).for_each(|n| map.delete(&(10 * round + n).to_ne_bytes()).unwrap());
        }
    }
}

#[test]
fn inlined_lookups_know_the_used_mark() {
    let map = make(&def(MapType::LRU_HASH, 4, 4, 2));
    let Layout::Hash { slots, slot, key, used, .. } = map.layout() else { panic!("no hash") };
    assert!(used != 0 && used < key);
    (0..2).for_each(|n| add(&*map, n, 0).unwrap());
    for n in 0..2u64 {
        let at = (slots + n * u64::from(slot)) as usize;
        // SAFETY: the layout says that this byte of the slot is the mark, and no one else is here.
        unsafe { map.base().add(at + used as usize).cast_mut().write((n == 0).into()) };
    }
    add(&*map, 2, 0).unwrap();
    assert!(has(&*map, 0) && !has(&*map, 1));
}
