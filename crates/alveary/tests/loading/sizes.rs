//! Sizes that an object leaves to its loader.

use alveary::{Kind, Loader, MapHandle, Object, User};
use alveary_abi::MapType;
use alveary_isa::Endian;
use alveary_spec::{MapSpec, Resolved};
use alveary_testing::{compile, def, map_spec};

/// Loads a map as an object defines it; how many entries it was given.
fn entries(spec: MapSpec) -> Result<u32, alveary::Error> {
    let user = User::builder().cpus(3).build();
    let maps = [("map".to_owned(), spec)].into();
    let loaded =
        Loader::new(user).load_resolved(Resolved { endian: Endian::HOST, maps, programs: vec![], btf: None })?;
    Ok(loaded.map("map")?.spec().def.max_entries)
}

#[test]
fn a_perf_event_array_without_a_size_has_an_entry_for_each_cpu() {
    let events = |max| entries(map_spec("map", def(MapType::PERF_EVENT_ARRAY, 4, 4, max))).unwrap();
    assert_eq!((events(0), events(2), events(8)), (3, 2, 8));
}

#[test]
fn a_ring_buffer_is_rounded_up_to_a_power_of_two_of_pages() {
    let ring = |bytes| entries(map_spec("map", def(MapType::RINGBUF, 0, 0, bytes)));
    let sizes = [1, 4096, 4097, 8192, 10_000, 3 << 20].map(|bytes| ring(bytes).unwrap());
    assert_eq!(sizes, [4096, 4096, 8192, 8192, 16_384, 4 << 20]);
    for none in [0, u32::MAX] {
        let why = ring(none).unwrap_err();
        assert_eq!((why.kind(), why.diagnostic().kernel.as_deref()), (Kind::Map, Some("-EINVAL")));
    }
}

#[test]
fn inner_maps_are_sized_as_well() {
    let mut outer = map_spec("map", def(MapType::ARRAY_OF_MAPS, 4, 4, 2));
    outer.inner = Some(Box::new(map_spec("map.inner", def(MapType::RINGBUF, 0, 0, 5000))));
    assert_eq!(entries(outer).unwrap(), 2);
}

#[test]
fn the_object_keeps_what_its_file_says() {
    let source = r#"
        struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
        struct { __uint(type, 27); __uint(max_entries, 5000); } ring SEC(".maps");
        SEC("xdp") int pass(struct xdp_md *ctx) { return 2; }
    "#;
    let Some(bytes) = compile("the_object_keeps_what_its_file_says", source, "bpf", &["-g"]) else { return };
    let object = Object::parse(&bytes).unwrap();
    let loaded = object.load(User::builder().cpus(2).build()).unwrap();
    let made = |name| loaded.map(name).unwrap().spec().def.max_entries;
    let said = |name| object.spec().maps[name].def.max_entries;
    assert_eq!((made("events"), made("ring")), (2, 8192));
    assert_eq!((said("events"), said("ring")), (0, 5000));
}
