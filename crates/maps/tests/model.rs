//! Maps against the simplest thing that does the same: generated calls, shrunk when they differ.

use alveary_abi::{MapDef, MapType};
use alveary_maps::{Domain, Environment, Errno, Map, create, flags};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

const MAX: usize = 8;

fn make(ty: MapType, key_size: u32) -> Arc<dyn Map> {
    let flags = if ty == MapType::LPM_TRIE { flags::BPF_F_NO_PREALLOC } else { 0 };
    let def = MapDef { ty, key_size, value_size: 4, max_entries: MAX as u32, flags, extra: 0, special: Vec::new() };
    create(&def, None, &Environment { cpus: 1, page: 4096, seed: 0, domain: Domain::new() }).unwrap()
}

#[derive(Clone, Debug)]
enum Call {
    Update(Vec<u8>, u32, u64),
    Delete(Vec<u8>),
    Lookup(Vec<u8>),
}

fn calls(key: impl Strategy<Value = Vec<u8>> + Clone) -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        3 => (key.clone(), any::<u32>(), 0..=2u64).prop_map(|(key, value, flags)| Call::Update(key, value, flags)),
        2 => key.clone().prop_map(Call::Delete),
        2 => key.prop_map(Call::Lookup),
    ];
    prop::collection::vec(call, 0..200)
}

fn seen(map: &dyn Map, key: &[u8]) -> Option<u32> {
    let mut out = [0; 4];
    let by_user = map.read(key, &mut out).ok().map(|()| u32::from_ne_bytes(out));
    let found = map.lookup(0, key).map(|value| {
        // SAFETY: a value of four bytes of a map that nobody else uses.
        unsafe { value.addr.cast::<u32>().read() }
    });
    assert_eq!(found, by_user, "a program and user space see the same");
    found
}

/// What an update should give, and the model after it.
fn update(model: &mut BTreeMap<Vec<u8>, u32>, key: &[u8], value: u32, flags: u64, full: Errno) -> Result<(), Errno> {
    match (model.contains_key(key), flags) {
        (true, flags::BPF_NOEXIST) => Err(Errno::EEXIST),
        (false, flags::BPF_EXIST) => Err(Errno::ENOENT),
        (false, _) if model.len() == MAX => Err(full),
        _ => {
            model.insert(key.to_vec(), value);
            Ok(())
        }
    }
}

/// The prefix of a trie's key without the bits behind it.
fn masked(key: &[u8]) -> Vec<u8> {
    let bits = u32::from_ne_bytes(key[..4].try_into().unwrap());
    let mut key = key.to_vec();
    for at in bits..(key.len() as u32 - 4) * 8 {
        key[4 + at as usize / 8] &= !(0x80 >> (at % 8));
    }
    key
}

fn covers(prefix: &[u8], key: &[u8]) -> bool {
    let bits = u32::from_ne_bytes(prefix[..4].try_into().unwrap());
    let own = u32::from_ne_bytes(key[..4].try_into().unwrap());
    bits <= own && masked(&[&prefix[..4], &key[4..]].concat()) == *prefix
}

fn small_keys() -> impl Strategy<Value = Vec<u8>> + Clone {
    (0..12u8).prop_map(|n| vec![n, 0, 0, 0, n, 0, 0, 0, 0, 0, n])
}

fn prefixes() -> impl Strategy<Value = Vec<u8>> + Clone {
    let bits = prop_oneof![0..=24u32, Just(24)];
    let byte = prop_oneof![Just(0u8), Just(0x80), Just(0xff), Just(0x41)];
    (bits, [byte.clone(), byte.clone(), byte]).prop_map(|(bits, data)| [&bits.to_ne_bytes()[..], &data].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_hash_is_a_map(calls in calls(small_keys())) {
        let map = make(MapType::HASH, 11);
        let mut model = BTreeMap::new();
        for call in calls {
            match call {
                Call::Update(key, value, flags) => {
                    let ours = map.update(0, &key, &value.to_ne_bytes(), flags);
                    prop_assert_eq!(ours, update(&mut model, &key, value, flags, Errno::E2BIG));
                }
                Call::Delete(key) => {
                    prop_assert_eq!(map.delete(&key), model.remove(&key).map(drop).ok_or(Errno::ENOENT));
                }
                Call::Lookup(key) => prop_assert_eq!(seen(&*map, &key), model.get(&key).copied()),
            }
        }
    }

    #[test]
    fn a_trie_finds_the_longest_prefix_that_covers(calls in calls(prefixes())) {
        let map = make(MapType::LPM_TRIE, 7);
        let mut model = BTreeMap::new();
        for call in calls {
            match call {
                Call::Update(key, value, flags) => {
                    let ours = map.update(0, &key, &value.to_ne_bytes(), flags);
                    // A full trie looks whether the key may be added only after the flags.
                    prop_assert_eq!(ours, update(&mut model, &masked(&key), value, flags, Errno::ENOSPC));
                }
                Call::Delete(key) => {
                    prop_assert_eq!(map.delete(&key), model.remove(&masked(&key)).map(drop).ok_or(Errno::ENOENT));
                }
                Call::Lookup(key) => {
                    let longest = model.iter().filter(|(prefix, _)| covers(prefix, &key));
                    let longest = longest.max_by_key(|(prefix, _)| u32::from_ne_bytes(prefix[..4].try_into().unwrap()));
                    prop_assert_eq!(seen(&*map, &key), longest.map(|(_, value)| *value));
                }
            }
        }
    }
}
