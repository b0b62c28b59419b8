use crate::support::{allowed, map};
use alveary_abi::Errno;
use alveary_linux::sys::{Cursor, Map, possible_cpus};

#[test]
fn elements_are_set_read_walked_taken() {
    if !allowed("elements_are_set_read_walked_taken") {
        return;
    }
    let hash = map(1, 4, 8, 16);
    for i in 0..3u32 {
        hash.update(&i.to_ne_bytes(), &u64::from(i * 10).to_ne_bytes(), 0).expect("room");
    }
    let mut value = [0; 8];
    hash.lookup(&2u32.to_ne_bytes(), &mut value, 0).expect("an element");
    assert_eq!(u64::from_ne_bytes(value), 20);
    let (mut key, mut keys, mut after) = ([0; 4], Vec::new(), None);
    while hash.next_key(after.as_ref().map(<[u8; 4]>::as_slice), &mut key).is_ok() {
        keys.push(u32::from_ne_bytes(key));
        after = Some(key);
    }
    keys.sort_unstable();
    assert_eq!(keys, [0, 1, 2]);
    hash.take(&1u32.to_ne_bytes(), &mut value, 0).expect("an element");
    assert_eq!(u64::from_ne_bytes(value), 10);
    let gone = hash.delete(&1u32.to_ne_bytes()).expect_err("no element");
    assert_eq!(gone.errno(), Errno::ENOENT);
    assert!(gone.to_string().contains("no element of this key"), "{gone}");
}

/// The kernel would write past the end of a value that is too short.
#[test]
fn wrong_lengths_never_reach_the_kernel() {
    if !allowed("wrong_lengths_never_reach_the_kernel") {
        return;
    }
    let array = map(2, 4, 8, 1);
    let key = 0u32.to_ne_bytes();
    assert_eq!(array.lookup(&key, &mut [0; 7], 0).expect_err("too short").errno(), Errno::EINVAL);
    assert_eq!(array.update(&key[..3], &[0; 8], 0).expect_err("too short").errno(), Errno::EINVAL);
    assert_eq!(array.next_key(None, &mut [0; 3]).expect_err("too short").errno(), Errno::EINVAL);
    assert_eq!(array.update_batch(&key, &[0; 9], 0).expect_err("too long").errno(), Errno::EINVAL);
}

#[test]
fn a_per_cpu_value_has_one_for_each_possible_cpu() {
    if !allowed("a_per_cpu_value_has_one_for_each_possible_cpu") {
        return;
    }
    let per_cpu = map(6, 4, 4, 1);
    let cpus = possible_cpus().expect("/sys");
    assert_eq!(per_cpu.value_size(), 8 * cpus);
    let value: Vec<u8> = (1..=cpus as u64).flat_map(u64::to_ne_bytes).collect();
    per_cpu.update(&[0; 4], &value, 0).expect("a value");
    // A second handle learns the lengths from the kernel.
    let again = Map::from_fd(per_cpu.try_clone().expect("a descriptor").into()).expect("a map");
    let mut read = vec![0; again.value_size()];
    again.lookup(&[0; 4], &mut read, 0).expect("a value");
    assert_eq!(read, value);
}

#[test]
fn batches_go_through_a_whole_hash() {
    if !allowed("batches_go_through_a_whole_hash") {
        return;
    }
    let hash = map(1, 4, 4, 1000);
    let keys: Vec<u8> = (0..1000u32).flat_map(u32::to_ne_bytes).collect();
    assert_eq!(hash.update_batch(&keys, &keys, 0).expect("room"), 1000);
    let (mut cursor, mut found) = (Cursor::new(), Vec::new());
    let (mut keys, mut values) = (vec![0; 4 * 128], vec![0; 4 * 128]);
    while !cursor.done() {
        let n = hash.lookup_batch(&mut cursor, &mut keys, &mut values, 0).expect("elements");
        found.extend(values[..4 * n].chunks_exact(4).map(|b| u32::from_ne_bytes(b.try_into().expect("four bytes"))));
    }
    found.sort_unstable();
    assert_eq!(found, (0..1000).collect::<Vec<_>>());
    assert_eq!(hash.delete_batch(&keys[..4 * 4]).expect("elements"), 4);
}

#[test]
fn a_frozen_map_says_so() {
    if !allowed("a_frozen_map_says_so") {
        return;
    }
    let array = map(2, 4, 4, 1);
    array.freeze().expect("a map that nobody has mapped");
    let refused = array.update(&[0; 4], &[0; 4], 0).expect_err("a frozen map");
    assert_eq!(refused.errno(), Errno::EPERM);
    assert!(refused.to_string().contains("frozen"), "{refused}");
}
