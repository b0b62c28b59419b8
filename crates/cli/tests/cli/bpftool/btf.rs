//! `btf show`, and `btf dump` of what is loaded.

use super::{id, output, permitted, same, text};
use alveary_abi::MapType;
use alveary_btf::TypeId;
use alveary_linux::sys::{BtfLoad, Map, MapCreate, btf_info, map_info};
use std::os::fd::{AsFd, OwnedFd};

/// Types as compilers write them, by hand: `struct pair { int a; int b; }`, `enum kind { ONE = 1 }`.
fn types() -> OwnedFd {
    const INT: u32 = 1;
    let strings = b"\0int\0pair\0a\0b\0kind\0ONE\0";
    let types: [u32; 20] = [
        // int, 4 bytes, signed, 32 bits
        1,
        1 << 24,
        4,
        1 << 24 | 32, //
        // struct pair: two members
        5,
        4 << 24 | 2,
        8,
        10,
        INT,
        0,
        12,
        INT,
        32, //
        // enum kind: one enumerator
        14,
        6 << 24 | 1,
        4,
        19,
        1, //
        // Two words to spare are no type: left out below.
        0,
        0,
    ];
    let types: Vec<u8> = types[..18].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut bytes = Vec::new();
    bytes.extend(0xeb9f_u16.to_ne_bytes());
    bytes.extend([1, 0]);
    for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(&types);
    bytes.extend(strings);
    BtfLoad { bytes: &bytes, token: None }.load().expect("the kernel takes the types")
}

/// A map with those types.
fn typed() -> (OwnedFd, Map) {
    let types = types();
    let map = MapCreate {
        map_type: MapType::HASH.0,
        key_size: 4,
        value_size: 8,
        max_entries: 4,
        name: "cli_btf",
        btf: Some(types.as_fd()),
        btf_key_type: TypeId(1),
        btf_value_type: TypeId(2),
        ..MapCreate::default()
    };
    let map = map.create().expect("the kernel makes the map");
    (types, map)
}

#[test]
fn loaded_types_are_shown_as_by_bpftool() {
    if !permitted("loaded_types_are_shown_as_by_bpftool") {
        return;
    }
    let (types, map) = typed();
    let btf = btf_info(types.as_fd(), false).expect("the kernel tells").id.to_string();
    same(&["btf", "show", "id", &btf]);
    let all = output(env!("CARGO_BIN_EXE_alveary"), &["btf", "list"]);
    let line = format!("{btf}: name <anon>  size ");
    assert!(text(&all.stdout).lines().any(|l| l.starts_with(&line) && l.contains(&id(&map))), "{}", text(&all.stdout));
    // The kernel's own types are always the first.
    same(&["btf", "show", "id", "1"]);
    same(&["btf", "show", "id", "4294967295"]);
}

#[test]
fn loaded_types_are_dumped_as_by_bpftool() {
    if !permitted("loaded_types_are_dumped_as_by_bpftool") {
        return;
    }
    let (types, map) = typed();
    let btf = btf_info(types.as_fd(), false).expect("the kernel tells").id.to_string();
    let map_id = id(&map);
    same(&["btf", "dump", "id", &btf]);
    same(&["btf", "dump", "id", &btf, "format", "raw"]);
    for which in ["", "key", "value", "kv", "all"] {
        let words = ["btf", "dump", "map", "id", &map_id, which];
        same(&words[..words.len() - usize::from(which.is_empty())]);
    }
    let c = output(env!("CARGO_BIN_EXE_alveary"), &["btf", "dump", "map", "id", &map_id, "value", "format", "c"]);
    let c = text(&c.stdout);
    assert!(c.contains("struct pair {") && !c.contains("enum kind"), "{c}");

    let plain = super::map(MapType::HASH, "cli_untyped", (4, 4), 4, 0);
    let none = output(env!("CARGO_BIN_EXE_alveary"), &["btf", "dump", "map", "id", &id(&plain)]);
    assert!(!none.status.success() && text(&none.stderr).contains("the map has no types"), "{}", text(&none.stderr));
}

#[test]
fn an_exported_map_is_imported_with_its_types() {
    if !permitted("an_exported_map_is_imported_with_its_types") {
        return;
    }
    let (_types, map) = typed();
    map.update(&7u32.to_ne_bytes(), &[1, 0, 0, 0, 2, 0, 0, 0], 0).expect("there is room");
    let ours = env!("CARGO_BIN_EXE_alveary");
    let id = id(&map);
    let script = format!(
        "set -e; at=$(mktemp -d -t alvearyXXXXXX); mount -t bpf bpf $at
         {ours} map export id {id} | {ours} map import - pinned $at/again
         {ours} map show pinned $at/again; {ours} map dump pinned $at/again
         {ours} map export id {id} > $at.one; {ours} map export pinned $at/again > $at.two; cmp $at.one $at.two
         rm $at.one $at.two; umount $at; rmdir $at"
    );
    let done = output("unshare", &["--mount", "--propagation", "private", "sh", "-c", &script]);
    let told = text(&done.stdout);
    assert!(done.status.success(), "{told}{}", text(&done.stderr));
    for expected in ["hash  name cli_btf", "max_entries 4", "btf_id", "\"a\": 1", "\"b\": 2", "\"key\": 7"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    assert_ne!(map_info(map.as_fd()).expect("the kernel tells").btf_id, 0);
}
