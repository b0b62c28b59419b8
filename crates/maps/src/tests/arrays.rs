use super::*;
use crate::{Layout, flags};

#[test]
fn every_index_exists_and_none_can_be_deleted() {
    let map = make(&def(MapType::ARRAY, 4, 4, 3));
    assert_eq!(u32s(&*map, 2), Ok(0));
    assert_eq!(u32s(&*map, 3), Err(Errno::ENOENT));
    assert_eq!(put(&*map, 1, 5, flags::BPF_ANY), Ok(()));
    assert_eq!(put(&*map, 1, 6, flags::BPF_EXIST), Ok(()));
    assert_eq!(put(&*map, 1, 7, flags::BPF_NOEXIST), Err(Errno::EEXIST));
    assert_eq!(put(&*map, 3, 7, flags::BPF_ANY), Err(Errno::E2BIG));
    assert_eq!(put(&*map, 1, 7, 3), Err(Errno::EINVAL));
    assert_eq!(put(&*map, 1, 7, flags::BPF_F_LOCK), Err(Errno::EINVAL));
    // What a program is told: that there is no such element comes before that there is no lock.
    let value = 7u32.to_ne_bytes();
    let update = |key: u32, flags| map.update(0, &key.to_ne_bytes(), &value, flags);
    assert_eq!(update(3, flags::BPF_F_LOCK), Err(Errno::E2BIG));
    assert_eq!(update(1, flags::BPF_F_LOCK | flags::BPF_NOEXIST), Err(Errno::EEXIST));
    assert_eq!(update(1, flags::BPF_F_LOCK), Err(Errno::EINVAL));
    assert_eq!(update(3, flags::BPF_F_LOCK | 3), Err(Errno::EINVAL));
    assert_eq!(u32s(&*map, 1), Ok(6));
    assert_eq!(map.remove(&1u32.to_ne_bytes()), Err(Errno::EINVAL));
    assert_eq!(
        keys(&*map),
        [[0, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0]].map(|k: [u8; 4]| { u32::from_le_bytes(k).to_ne_bytes().to_vec() })
    );
}

#[test]
fn a_program_on_one_cpu_sees_its_own_value() {
    let map = make(&def(MapType::PERCPU_ARRAY, 4, 5, 2));
    assert_eq!(map.user_value_size(), 16);
    let key = 1u32.to_ne_bytes();
    map.update(0, &key, b"abcde", 0).unwrap();
    map.update(1, &key, b"vwxyz", 0).unwrap();
    assert_eq!(through(map.lookup(0, &key).unwrap()), b"abcde");
    assert_eq!(through(map.lookup(1, &key).unwrap()), b"vwxyz");
    assert_eq!(map.lookup(2, &key), None);
    let mut all = [1; 16];
    map.read(&key, &mut all).unwrap();
    assert_eq!(&all, b"abcde\0\0\0vwxyz\0\0\0");
}

#[test]
fn the_layout_leads_to_the_values() {
    for ty in [MapType::ARRAY, MapType::PERCPU_ARRAY] {
        let map = make(&def(ty, 4, 12, 5));
        let Layout::Array { data, stride, max, cpu_stride, cpus } = map.layout() else { panic!("no array") };
        assert_eq!((max, cpus), (5, if ty == MapType::ARRAY { 1 } else { 2 }));
        for cpu in 0..2 {
            let found = map.lookup(cpu, &4u32.to_ne_bytes()).unwrap().addr as u64;
            let at = data + u64::from(cpu) * cpu_stride + 4 * u64::from(stride);
            assert_eq!(found, map.base() as u64 + at);
        }
    }
}

#[test]
fn a_frozen_map_is_read_only_to_user_space_alone() {
    let map = make(&def(MapType::ARRAY, 4, 4, 1));
    map.freeze();
    assert_eq!(put(&*map, 0, 1, 0), Err(Errno::EPERM));
    assert_eq!(map.update(0, &[0; 4], &1u32.to_ne_bytes(), 0), Ok(()));
    assert_eq!(u32s(&*map, 0), Ok(1));
}

#[test]
fn access_flags_part_program_and_user_space() {
    let with = |flags| make(&MapDef { flags, ..def(MapType::ARRAY, 4, 4, 1) });
    assert_eq!(put(&*with(flags::BPF_F_RDONLY), 0, 1, 0), Err(Errno::EPERM));
    assert_eq!(u32s(&*with(flags::BPF_F_WRONLY), 0), Err(Errno::EPERM));
    assert_eq!(with(flags::BPF_F_RDONLY_PROG).update(0, &[0; 4], &[0; 4], 0), Err(Errno::EPERM));
    assert_eq!(put(&*with(flags::BPF_F_RDONLY_PROG), 0, 1, 0), Ok(()));
}

#[test]
fn a_huge_array_costs_what_is_touched() {
    let map = make(&def(MapType::ARRAY, 4, 4096, 1 << 22));
    assert_eq!(map.write(&(1u32 << 21).to_ne_bytes(), &[9; 4096], 0), Ok(()));
    let error = create(&def(MapType::ARRAY, 4, 1 << 20, u32::MAX), None, &env()).err().unwrap();
    assert_eq!(error.kernel.as_deref(), Some("-E2BIG"));
}
