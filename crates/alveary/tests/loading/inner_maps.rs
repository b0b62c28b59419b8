//! Maps of maps: filled by the loader and by user space, used by programs, as in the kernel.

use alveary::{Backend, Kind, Loaded, Loader, MapHandle, Object, Origin, Packet, Target, User};
use alveary_isa::{Inst, decode, encode};
use alveary_object::{Options, resolve};
use alveary_spec::{Initial, Resolved};
use alveary_testing::{bpf, compile, kernel};
use std::collections::BTreeMap;

/// The first byte of the packet says which outer map, the second which entry, the third which entry of the inner map.
/// Counts there, and returns the new count; 100 where the outer map has none, 101 where the inner map has none.
const COUNT: &str = r#"
struct inner { __uint(type, 2); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); };
struct inner one SEC(".maps"), two SEC(".maps");
struct {
    __uint(type, 12); __uint(max_entries, 3); __uint(key_size, 4);
    __array(values, struct inner);
} array SEC(".maps") = { .values = { [2] = &two, [0] = &one } };
struct {
    __uint(type, 13); __uint(max_entries, 3); __uint(key_size, 4);
    __array(values, struct inner);
} hash SEC(".maps") = { .values = { [1] = &two } };

SEC("xdp") int entry(struct xdp_md *ctx) {
    unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    if (data + 14 > end) return 99;
    __u32 key = data[1], index = data[2];
    void *map = data[0] ? bpf_map_lookup_elem(&hash, &key) : bpf_map_lookup_elem(&array, &key);
    if (!map) return 100;
    __u64 *value = bpf_map_lookup_elem(map, &index);
    return value ? (int)++*value : 101;
}
"#;

/// Which way the packets go, one after the other: outer map, its entry, the inner map's.
const WAYS: &[[u8; 3]] = &[
    [0, 0, 0], // `one` by the array
    [0, 0, 0],
    [0, 1, 0], // an empty entry
    [0, 2, 1], // `two` by the array
    [1, 1, 1], // `two` by the hash
    [0, 2, 1],
    [0, 3, 0], // behind the array's end
    [1, 0, 0], // no such key
    [0, 0, 4], // behind the inner array's end
    [1, 1, 3],
];

fn packet(way: [u8; 3]) -> [u8; 64] {
    let mut packet = [0; 64];
    packet[..3].copy_from_slice(&way);
    packet
}

fn resolved(test: &str, source: &str) -> Option<Resolved> {
    let object = compile(test, source, "bpf", &["-g"])?;
    Some(resolve(&alveary_object::read(&object).unwrap(), &kernel(1), &Options::default()).unwrap())
}

fn load(test: &str, source: &str) -> Option<Loaded<User>> {
    Some(Loader::new(Target::user()).load_resolved(resolved(test, source)?).unwrap())
}

/// What the program returns for each way.
fn ours(loaded: &Loaded<User>, ways: &[[u8; 3]]) -> Vec<u32> {
    let program = loaded.program("entry").unwrap();
    let mut cpu = loaded.target().vcpu(0).unwrap();
    let mut packets = program.packets(&mut cpu).unwrap();
    let mut run = |way: &[u8; 3]| {
        let verdict = packets.run(&Packet { data: &packet(*way), ..Packet::default() });
        verdict.map(|verdict| verdict.code() as u32).unwrap_or_else(|fault| panic!("{way:?}: {}", fault.diagnostic()))
    };
    ways.iter().map(&mut run).collect()
}

/// The same in the kernel.
fn theirs(resolved: &Resolved, ways: &[[u8; 3]]) -> Vec<u32> {
    let made = |name: &String, spec: &alveary_spec::MapSpec| {
        let inner = spec.inner.as_ref().map(|inner| bpf::Map::create(&inner.def, None).unwrap());
        (name.clone(), bpf::Map::create(&spec.def, inner.as_ref()).unwrap())
    };
    let maps: BTreeMap<_, _> = resolved.maps.iter().map(|(name, spec)| made(name, spec)).collect();
    for (name, spec) in &resolved.maps {
        let Initial::Maps(entries) = &spec.initial else { continue };
        for (index, entry) in (0u32..).zip(entries) {
            let Some(entry) = entry else { continue };
            maps[name].write(&index.to_ne_bytes(), &maps[entry].fd().to_ne_bytes(), 0).unwrap();
        }
    }
    let program = &resolved.programs[0];
    let mut insns = program.insns.clone();
    for at in 0..insns.len() {
        if let Ok(Inst::MapIdx { dst, idx }) = decode(&insns, at) {
            let fd = maps[&program.maps[idx as usize]].fd();
            insns[at..at + 2].copy_from_slice(&encode(&Inst::MapFd { dst, fd }));
        }
    }
    let prog = bpf::Prog::load(program.ty, &insns).unwrap();
    ways.iter().map(|way| prog.test_run(&packet(*way), &[]).unwrap().0).collect()
}

#[test]
fn a_program_counts_in_inner_maps_as_in_the_kernel() {
    let test = "a_program_counts_in_inner_maps_as_in_the_kernel";
    let Some(resolved) = resolved(test, COUNT) else { return };
    let loaded = Loader::new(Target::user()).load_resolved(resolved.clone()).unwrap();
    let returned = ours(&loaded, WAYS);
    assert_eq!(returned, [1, 2, 100, 1, 2, 3, 100, 100, 101, 1]);
    let counted = |name: &str, index: u32| loaded.map(name).unwrap().lookup(&index.to_ne_bytes()).unwrap().unwrap();
    assert_eq!((counted("one", 0), counted("two", 1)), (2u64.to_ne_bytes().to_vec(), 3u64.to_ne_bytes().to_vec()));
    if bpf::permitted(test) {
        assert_eq!(returned, theirs(&resolved, WAYS));
    }
}

#[test]
fn user_space_changes_entries_between_runs_and_during_them() {
    let Some(loaded) = load("user_space_changes_entries_between_runs_and_during_them", COUNT) else { return };
    let user = loaded.target();
    let map = |name| loaded.map(name).unwrap();
    let key = |n: u32| n.to_ne_bytes();
    let fresh = user.create_map(map("one").spec(), None, &Origin::default()).unwrap();
    assert_eq!(ours(&loaded, &[[0, 0, 0]]), [1]);
    user.set_map(map("array"), &key(0), &fresh).unwrap();
    assert_eq!(ours(&loaded, &[[0, 0, 0], [0, 0, 0]]), [1, 2], "the other map counts from the start");
    assert!(map("array").delete(&key(0)).unwrap());
    assert_eq!(ours(&loaded, &[[0, 0, 0]]), [100]);

    // While a CPU is ready to run, maps go and come; what it finds is what stands there.
    let program = loaded.program("entry").unwrap();
    let mut cpu = user.vcpu(0).unwrap();
    let mut packets = program.packets(&mut cpu).unwrap();
    let mut run = || packets.run(&Packet { data: &packet([0, 0, 0]), ..Packet::default() }).map(|v| v.code()).unwrap();
    for _ in 0..100 {
        let fresh = user.create_map(map("one").spec(), None, &Origin::default()).unwrap();
        user.set_map(map("array"), &key(0), &fresh).unwrap();
        drop(fresh);
        assert_eq!((run(), run()), (1, 2));
        map("array").delete(&key(0)).unwrap();
        assert_eq!(run(), 100);
    }
}

#[test]
fn user_space_sees_ids_and_is_refused_other_maps() {
    let Some(loaded) = load("user_space_sees_ids_and_is_refused_other_maps", COUNT) else { return };
    let user = loaded.target();
    let map = |name| loaded.map(name).unwrap();
    let key = |n: u32| n.to_ne_bytes();
    let id = |outer, n| map(outer).lookup(&key(n)).unwrap();
    assert_eq!((id("array", 2), id("array", 1)), (id("hash", 1), None));
    assert_ne!(id("array", 2), id("array", 0));

    let refused = |result: alveary::Result<()>| {
        let why = result.unwrap_err();
        (why.kind(), why.diagnostic().code.0, why.diagnostic().kernel.clone().unwrap_or_default())
    };
    let mut larger = map("one").spec().clone();
    larger.def.max_entries = 5;
    let larger = user.create_map(&larger, None, &Origin::default()).unwrap();
    let einval = (Kind::Map, "map-slot", "-EINVAL".to_owned());
    assert_eq!(refused(user.set_map(map("array"), &key(0), &larger)), einval);
    assert_eq!(refused(user.set_map(map("array"), &key(0), map("hash"))), einval);
    let e2big = (Kind::Map, "map-slot", "-E2BIG".to_owned());
    assert_eq!(refused(user.set_map(map("array"), &key(3), map("one"))), e2big);
    assert_eq!(refused(user.set_map(map("one"), &key(0), map("two"))).1, "map-slot");
    assert_eq!(refused(user.set_map(map("array"), &[0], map("two"))).1, "map-size");
    let foreign = Target::user().create_map(map("one").spec(), None, &Origin::default()).unwrap();
    assert_eq!(refused(user.set_map(map("array"), &key(0), &foreign)).1, "map-slot");
}

#[test]
fn an_inner_map_may_be_touched_in_its_run_alone() {
    let source = r#"
        struct inner { __uint(type, 2); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); };
        struct inner one SEC(".maps");
        struct {
            __uint(type, 12); __uint(max_entries, 3); __uint(key_size, 4);
            __array(values, struct inner);
        } array SEC(".maps") = { .values = { &one } };
        struct { __uint(type, 2); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64 *); } kept SEC(".maps");
        SEC("xdp") int entry(struct xdp_md *ctx) {
            __u32 zero = 0;
            __u64 **kept_one = bpf_map_lookup_elem(&kept, &zero);
            if (!kept_one) return 99;
            if (!*kept_one) {
                void *map = bpf_map_lookup_elem(&array, &zero);
                if (!map) return 100;
                *kept_one = bpf_map_lookup_elem(map, &zero);
            }
            return *kept_one ? (int)++**kept_one : 101;
        }
    "#;
    // The verifier would not have an address that was kept in a map.
    let Some(resolved) = resolved("an_inner_map_may_be_touched_in_its_run_alone", source) else { return };
    let loaded = Loader::new(Target::user().unverified()).load_resolved(resolved).unwrap();
    let program = loaded.program("entry").unwrap();
    assert_eq!(program.run(&[0; 64]).unwrap().value, 1);
    let why = program.run(&[0; 64]).unwrap_err();
    assert_eq!((why.kind(), why.diagnostic().code.0), (Kind::Trap, "trap-load"), "{why}");
}

#[test]
fn maps_of_another_target_are_refused() {
    let Some(resolved) = resolved("maps_of_another_target_are_refused", COUNT) else { return };
    let elsewhere = Target::user().create_map(&resolved.maps["one"], None, &Origin::default()).unwrap();
    let outer = Target::user().create_map(&resolved.maps["array"], None, &Origin::default()).unwrap();
    let why = Loader::new(Target::user()).map("array", outer).load_resolved(resolved.clone()).unwrap_err();
    assert_eq!(why.diagnostic().code.0, "map-foreign");
    let why = Loader::new(Target::user()).map("one", elsewhere).load_resolved(resolved).unwrap_err();
    assert_eq!(why.diagnostic().code.0, "map-slot");
}

#[test]
fn an_object_brings_its_inner_maps() {
    let Some(bytes) = compile("an_object_brings_its_inner_maps", COUNT, "bpf", &["-g"]) else { return };
    let loaded = Object::parse(&bytes).unwrap().load(Target::user()).unwrap();
    assert_eq!(loaded.program("entry").unwrap().run(&packet([1, 1, 0])).unwrap().value, 1);
}
