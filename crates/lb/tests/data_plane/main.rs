//! The data plane, packet by packet: each case names what the maps hold, packets that come in, and what becomes of them,
//! byte for byte. All run on the user target and on the running kernel (there, where bpf(2) is permitted).

mod connections;
mod decap;
mod hash;
mod icmp;
mod ids;
mod malformed;
mod nat;
mod packet;
mod pieces;
mod policy;
mod services;
mod site;
mod size;
mod steps;
mod watched;
mod ways;

use alveary_lb::wire::{Way, flag};
use std::collections::BTreeSet;

/// Each flag of a service, each way to each family, each policy and each verdict has a case at least.
#[test]
fn each_feature_has_a_case() {
    let all = [
        ways::cases(),
        malformed::cases(),
        services::cases(),
        connections::cases(),
        nat::cases(),
        icmp::cases(),
        ids::cases(),
        policy::cases(),
        size::cases(),
    ]
    .concat();
    let flags = all.iter().fold(0, |flags, case| flags | case.setup.flags());
    for (name, bit) in [
        ("no source port", flag::NO_SOURCE_PORT),
        ("destination port", flag::DESTINATION_PORT),
        ("source", flag::SOURCE),
        ("random", flag::RANDOM),
        ("no tables", flag::NO_CONNECTIONS),
        ("the CPU's table alone", flag::NO_GLOBAL),
        ("QUIC, Katran's", flag::QUIC),
        ("QUIC-LB", flag::QUIC_LB),
        ("TCP's option", flag::TCP_ID),
        ("UDP's payload", flag::UDP_STABLE),
        ("prefixes of clients", flag::PREFIXES),
        ("echo", flag::ECHO),
        ("left to the host", flag::HOST),
        ("dropped", flag::DROP),
        ("MSS", flag::CLAMP),
        ("hop limit", flag::TTL),
        ("fragments pass", 1 << flag::FRAGMENTS),
        ("fragments are dropped", 2 << flag::FRAGMENTS),
        ("options pass", 1 << flag::OPTIONS),
        ("options are dropped", 2 << flag::OPTIONS),
    ] {
        assert!(flags & bit != 0, "no case has this flag: {name}");
    }
    let ways: BTreeSet<(u8, bool)> = all.iter().flat_map(|case| case.setup.ways()).collect();
    for way in [Way::Ip, Way::Gue, Way::L2, Way::Nat, Way::Local] {
        assert!(ways.contains(&(way as u8, false)), "no case goes this way to IPv4: {way:?}");
        let six = ways.contains(&(way as u8, true)) || matches!(way, Way::L2 | Way::Local);
        assert!(six, "no case goes this way to IPv6: {way:?}");
    }
    let seen: BTreeSet<u32> = all.iter().flat_map(|case| &case.packets).map(|(_, want)| want.verdict as u32).collect();
    // Test runs have room for every header there is.
    let no_room = 24;
    let missing: Vec<u32> = (0..28).filter(|verdict| *verdict != no_room && !seen.contains(verdict)).collect();
    assert!(missing.is_empty(), "no case has these verdicts: {missing:?}");
}

#[test]
fn there_are_as_many_cases_as_promised() {
    let all = [ways::cases(), malformed::cases(), services::cases(), connections::cases(), nat::cases()];
    let count: usize = all.iter().map(Vec::len).sum();
    assert!(count >= 400, "{count}");
    let mut names: Vec<&str> = all.iter().flatten().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two cases have one name");
}
