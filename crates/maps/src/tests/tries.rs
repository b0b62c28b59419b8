use super::*;
use crate::flags;

fn trie(max: u32) -> Arc<dyn Map> {
    make(&MapDef { flags: flags::BPF_F_NO_PREALLOC, ..def(MapType::LPM_TRIE, 8, 4, max) })
}

fn prefix(address: [u8; 4], bits: u32) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&bits.to_ne_bytes());
    key[4..].copy_from_slice(&address);
    key
}

fn add(map: &dyn Map, address: [u8; 4], bits: u32, value: u32) -> Result<(), Errno> {
    map.write(&prefix(address, bits), &value.to_ne_bytes(), 0)
}

fn get(map: &dyn Map, address: [u8; 4]) -> Option<u32> {
    map.lookup(0, &prefix(address, 32)).map(|value| u32::from_ne_bytes(through(value).try_into().unwrap()))
}

fn routes() -> Arc<dyn Map> {
    let map = trie(16);
    add(&*map, [0, 0, 0, 0], 0, 0).unwrap();
    add(&*map, [10, 0, 0, 0], 8, 8).unwrap();
    add(&*map, [10, 1, 0, 0], 16, 16).unwrap();
    add(&*map, [10, 1, 2, 3], 32, 32).unwrap();
    add(&*map, [10, 2, 0, 0], 16, 17).unwrap();
    map
}

#[test]
fn the_longest_prefix_wins() {
    let map = routes();
    let cases =
        [([10, 1, 2, 3], 32), ([10, 1, 2, 4], 16), ([10, 2, 2, 4], 17), ([10, 3, 0, 0], 8), ([192, 0, 2, 1], 0)];
    for (address, value) in cases {
        assert_eq!(get(&*map, address), Some(value), "{address:?}");
    }
    map.remove(&prefix([10, 1, 0, 0], 16)).unwrap();
    map.remove(&prefix([0; 4], 0)).unwrap();
    assert_eq!((get(&*map, [10, 1, 2, 4]), get(&*map, [192, 0, 2, 1])), (Some(8), None));
}

#[test]
fn more_specific_keys_come_first() {
    let map = routes();
    let expected = [([10, 1, 2, 3], 32), ([10, 1, 0, 0], 16), ([10, 2, 0, 0], 16), ([10, 0, 0, 0], 8), ([0; 4], 0)];
    assert_eq!(keys(&*map), expected.map(|(address, bits)| prefix(address, bits)));
}

#[test]
fn a_full_trie_and_wrong_keys_are_refused() {
    let map = trie(2);
    assert_eq!(add(&*map, [1, 0, 0, 0], 33, 1), Err(Errno::EINVAL));
    assert_eq!(map.write(&prefix([1, 0, 0, 0], 8), &[0; 4], flags::BPF_EXIST), Err(Errno::ENOENT));
    assert_eq!(map.write(&prefix([1, 0, 0, 0], 8), &[0; 4], 3), Err(Errno::EINVAL));
    add(&*map, [1, 0, 0, 0], 8, 1).unwrap();
    add(&*map, [2, 0, 0, 0], 8, 2).unwrap();
    assert_eq!(add(&*map, [3, 0, 0, 0], 8, 3), Err(Errno::ENOSPC));
    assert_eq!(add(&*map, [2, 0, 0, 0], 8, 4), Ok(()));
    assert_eq!(map.write(&prefix([2, 0, 0, 0], 8), &[0; 4], flags::BPF_NOEXIST), Err(Errno::EEXIST));
    assert_eq!(map.remove(&prefix([2, 0, 0, 0], 9)), Err(Errno::ENOENT));
    assert_eq!(map.remove(&prefix([2, 0, 0, 0], 40)), Err(Errno::EINVAL));
    assert_eq!(map.lookup(0, &prefix([2, 0, 0, 0], 40)), None);
}

#[test]
fn nodes_come_back() {
    let map = trie(3);
    for n in 0..10_000u32 {
        let address = n.wrapping_mul(0x9e37_79b9).to_be_bytes();
        add(&*map, address, 32, n).unwrap();
        add(&*map, address, 32, n + 1).unwrap();
        assert_eq!(get(&*map, address), Some(n + 1));
        map.remove(&prefix(address, 32)).unwrap();
    }
    assert_eq!(keys(&*map).len(), 0);
}
