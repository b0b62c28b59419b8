use super::*;
use crate::flags;

#[test]
fn a_device_is_an_index_and_no_program() {
    let map = make(&def(MapType::DEVMAP, 4, 8, 4));
    let write =
        |key: u32, value: [u32; 2], flags| map.write(&key.to_ne_bytes(), &value.map(u32::to_ne_bytes).concat(), flags);
    let mut out = [0; 8];
    assert_eq!(map.read(&[0; 4], &mut out), Err(Errno::ENOENT));
    assert_eq!(write(0, [3, u32::MAX], 0), Ok(()));
    assert_eq!(map.read(&[0; 4], &mut out), Ok(()));
    assert_eq!(out, [3u32, 0].map(u32::to_ne_bytes).concat()[..], "no program reads as id 0");
    assert_eq!(through(map.lookup(0, &[0; 4]).unwrap()), out);
    assert_eq!(write(0, [3, 7], 0), Err(Errno::EINVAL));
    assert_eq!(write(0, [3, 0], flags::BPF_NOEXIST), Err(Errno::EEXIST));
    assert_eq!(write(4, [3, 0], 0), Err(Errno::E2BIG));
    assert_eq!(map.update(0, &[0; 4], &[0; 8], 0), Err(Errno::EPERM), "programs read only");
    assert_eq!(write(0, [0, 0], 0), Ok(()));
    assert_eq!(map.lookup(0, &[0; 4]), None);
    assert_eq!(map.remove(&0u32.to_ne_bytes()), Ok(()));
    assert_eq!(map.remove(&4u32.to_ne_bytes()), Err(Errno::EINVAL));
    assert_eq!(keys(&*map).len(), 4);
}

#[test]
fn devices_under_any_number() {
    let map = make(&def(MapType::DEVMAP_HASH, 4, 4, 2));
    assert_eq!(put(&*map, 1000, 0, 0), Err(Errno::EINVAL));
    assert_eq!(put(&*map, 1000, 2, flags::BPF_EXIST), Ok(()), "as in the kernel");
    assert_eq!(put(&*map, 1000, 2, flags::BPF_NOEXIST), Err(Errno::EEXIST));
    assert_eq!(put(&*map, 1001, 3, 0), Ok(()));
    assert_eq!(put(&*map, 1002, 3, 0), Err(Errno::E2BIG));
    assert_eq!((u32s(&*map, 1000), u32s(&*map, 1002)), (Ok(2), Err(Errno::ENOENT)));
    assert_eq!(map.remove(&1000u32.to_ne_bytes()), Ok(()));
    assert_eq!(keys(&*map), [1001u32.to_ne_bytes()]);
}

#[test]
fn a_cpu_must_be_there() {
    let map = make(&def(MapType::CPUMAP, 4, 4, 8));
    assert_eq!(put(&*map, 1, 192, 0), Ok(()));
    assert_eq!(put(&*map, 2, 192, 0), Err(Errno::ENODEV));
    assert_eq!(put(&*map, 8, 192, 0), Err(Errno::E2BIG));
    assert_eq!(put(&*map, 1, 16385, 0), Err(Errno::EOVERFLOW));
    assert_eq!(put(&*map, 1, 192, flags::BPF_NOEXIST), Err(Errno::EEXIST));
    assert_eq!(u32s(&*map, 1), Ok(192));
}

#[test]
fn a_socket_may_have_number_zero() {
    let map = make(&def(MapType::XSKMAP, 4, 4, 2));
    assert_eq!(put(&*map, 1, 0, flags::BPF_EXIST), Err(Errno::ENOENT));
    assert_eq!(put(&*map, 1, 0, flags::BPF_NOEXIST), Ok(()));
    assert_eq!(put(&*map, 1, 0, flags::BPF_NOEXIST), Err(Errno::EEXIST));
    assert_eq!(u32s(&*map, 1), Ok(0));
}
