//! Large tables in little room; what is asked for.

use super::*;
use alveary::{
    Backend as _, Linux, MapHandle as _, Origin,
    abi::{MapDef, MapType},
    spec::MapSpec,
};
use std::fs;

/// A table of flows of IPv4 with room for so many.
fn connections(max_entries: u32) -> MapSpec {
    let def =
        MapDef { ty: MapType::HASH, key_size: 16, value_size: 8, max_entries, flags: 0, extra: 0, special: Vec::new() };
    MapSpec::new("connections4", def, "maps")
}

/// The key of a flow of IPv4.
fn key(client: u32, real: u8) -> [u8; 16] {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&client.to_be_bytes());
    key[4..8].copy_from_slice(&[192, 0, 2, real]);
    key[8..13].copy_from_slice(&[0x9c, 0x40, 1, 187, 6]);
    key
}

/// Memory of this process: the most that it has had since it was asked to forget that.
fn most_resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("it is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// All entries were copied before one was looked at: 150 MB of a million.
#[test]
fn a_million_flows_are_read_in_little_room() {
    const ALL: u32 = 1_000_000;
    if !alveary_testing::bpf::permitted("a_million_flows_are_read_in_little_room") {
        return;
    }
    let linux = Linux::builder().without_pins().build();
    let map = linux.create_map(&connections(ALL), None, &Origin::default()).expect("a map");
    for first in (0..ALL).step_by(10_000) {
        let keys: Vec<u8> = (first..first + 10_000).flat_map(|client| key(0x0a00_0000 + client, 1)).collect();
        let values: Vec<u8> =
            (first..first + 10_000).flat_map(|client| u64::from(client % 100 + 1).to_ne_bytes()).collect();
        assert_eq!(map.sys().update_batch(&keys, &values, 0).expect("there is room"), 10_000);
    }
    // The most is what is there now.
    fs::write("/proc/self/clear_refs", "5").expect("it is ours");
    let before = most_resident();
    let mut count = 0;
    Linux::each(&map, &mut |_, _| {
        count += 1;
        true
    })
    .expect("it is read");
    assert_eq!(count, ALL);
    let find = |which: &Which, most| {
        let mut found = Flows::default();
        read::<Linux>(&map, 4, which, most, &mut found).expect("it is read");
        found
    };
    let all = find(&Which::default(), 10_000);
    assert_eq!((all.flows.len(), all.more), (10_000, true));
    let few = find(&Which { client: Some("10.0.1.0/24".parse().expect("a prefix")), ..Which::default() }, 10_000);
    assert_eq!((few.flows.len(), few.more), (256, false));
    let real = find(&Which { reals: Some([7].into()), ..Which::default() }, 10_000);
    assert_eq!((real.flows.len(), real.more), (10_000, false), "exactly as many as are told");
    assert!(real.flows.iter().all(|flow| flow.real == 7));
    let grown = most_resident() - before;
    assert!(grown < 16 << 20, "{grown} bytes more than before");
}

#[test]
fn flows_are_found_by_client_vip_and_real() {
    let flow = |text: &str, port, real| Flow {
        client: (text.parse().expect("an address"), 40_000),
        to: ("192.0.2.1".parse().expect("an address"), port),
        protocol: 6,
        real,
    };
    let one = flow("198.51.100.7", 443, 2);
    let vip = |address: &str, ports: &[u16]| Which {
        vip: Some((address.parse().expect("an address"), ports.into())),
        ..Which::default()
    };
    let client = |prefix: &str| Which { client: Some(prefix.parse().expect("a prefix")), ..Which::default() };
    for (which, holds) in [
        (Which::default(), true),
        (client("198.51.100.0/24"), true),
        (client("198.51.100.7"), true),
        (client("198.51.100.8/29"), false),
        (client("0.0.0.0/0"), true),
        (client("::/0"), false),
        (vip("192.0.2.1", &[]), true),
        (vip("192.0.2.1", &[80, 443]), true),
        (vip("192.0.2.1", &[80]), false),
        (vip("192.0.2.2", &[]), false),
        (Which { reals: Some([2, 3].into()), ..Which::default() }, true),
        (Which { reals: Some([3].into()), ..Which::default() }, false),
    ] {
        assert_eq!(which.holds(&one), holds, "{which:?}");
    }
    assert!(client("2001:db8::/32").holds(&flow("2001:db8::7", 443, 2)));
    assert!(!client("2001:db8::/32").holds(&flow("2001:db9::7", 443, 2)));
}

#[test]
fn user_s_tables_are_read_to_their_end_or_as_far_as_is_asked() {
    use alveary::User;
    let map = User::builder().build().create_map(&connections(100), None, &Origin::default());
    let map = map.expect("a map");
    for client in 0..100 {
        map.update(&key(client, 1), &1u64.to_ne_bytes(), 0).expect("there is room");
    }
    for (most, expected) in [(1000, (100, false)), (100, (100, false)), (99, (99, true)), (0, (0, true))] {
        let mut found = Flows::default();
        read::<User>(&map, 4, &Which::default(), most, &mut found).expect("it is read");
        assert_eq!((found.flows.len(), found.more), expected);
    }
}
