//! What the cases cover: each feature has some, each kind of malformed packet, each flag, way, policy and verdict.

use crate::{connections, decap, icmp, ids, malformed, nat, policy, services, site::Case, size, ways};
use alveary_lb::wire::{Way, flag};
use std::collections::BTreeSet;

/// Each flag of a service, each way to each family, each policy and each verdict has a case at least.
#[test]
fn each_feature_has_a_case() {
    let all = cases();
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

/// Features of the data plane, and what the names of their cases have in them.
const FEATURES: &[(&str, &[&str])] = &[
    ("TCP to a VIP of IPv4", &["TCP over IPv4, "]),
    ("TCP to a VIP of IPv6", &["TCP over IPv6, "]),
    ("UDP to a VIP of IPv4", &["UDP over IPv4, "]),
    ("UDP to a VIP of IPv6", &["UDP over IPv6, "]),
    ("ICMP to a VIP", &["ICMP over IPv"]),
    ("a table's slot by the flow", &[" by hash"]),
    ("at random", &["at random"]),
    ("by the client's address", &[" by source"]),
    ("without source port", &[" without source port"]),
    ("by destination port", &[" by destination port"]),
    ("clients' prefixes", &["prefix"]),
    ("the CPU's table, and behind it that of all", &["a flow that is known"]),
    ("the CPU's table alone", &["no global table"]),
    ("tables bypassed", &[": no tables"]),
    ("a real that drains", &["drains"]),
    ("a real that is gone", &["gone"]),
    ("datagrams with a pause", &["datagrams"]),
    ("IPIP", &["over IPv4, IP in IPv4"]),
    ("IP6IP6", &["over IPv6, IP in IPv6"]),
    ("6-in-4", &["over IPv6, IP in IPv4"]),
    ("4-in-6", &["over IPv4, IP in IPv6"]),
    ("GUE over IPv4", &["GUE over IPv4"]),
    ("GUE over IPv6", &["GUE over IPv6"]),
    ("L2 direct return", &[", L2"]),
    ("NAT, both directions", &["NAT of ", "there, back and there"]),
    ("NAT with another port", &["NAT of ", "to another port"]),
    ("NAT of ICMP errors", &["NAT of ", ": an error about"]),
    ("a local real", &[", local"]),
    ("QUIC, Katran's ids of version 1", &["QUIC to ", "version 1"]),
    ("QUIC, Katran's ids of version 2", &["QUIC to ", "version 2"]),
    ("QUIC, Katran's ids of version 3", &["QUIC to ", "version 3"]),
    ("QUIC, plaintext ids of the draft", &["QUIC-LB to "]),
    ("TCP's option", &["TCP's option to "]),
    ("UDP's stable routing", &["stable routing to "]),
    ("ICMP errors find their flow", &["unreachable for "]),
    ("packets too big are answered", &["one byte more"]),
    ("the MSS is clamped", &["an MSS "]),
    ("fragments by addresses", &["fragment, ", ": by addresses"]),
    ("fragments pass", &["fragment, ", ": pass"]),
    ("fragments are dropped", &["fragment, ", ": drop"]),
    ("fragments on the way to NAT", &["NAT of ", " fragment, "]),
    ("IP options as if they were not there", &["router alert", ": as if"]),
    ("IP options pass", &["router alert", ": pass"]),
    ("IP options are dropped", &["router alert", ": drop"]),
    ("a VLAN", &[", VLAN"]),
    ("QinQ", &[", QinQ"]),
    ("the hop limit", &["hops left"]),
    ("echo requests are answered", &["is answered"]),
    ("malformed: cut headers", &[" cut "]),
    ("malformed: total and payload lengths", &[" length "]),
    ("malformed: TCP's header", &["TCP header of "]),
    ("malformed: UDP's length", &["UDP length "]),
    ("malformed: nested VLANs", &["three tags"]),
    ("malformed: extension headers", &["extension header"]),
    ("malformed: ICMP errors", &["error that quotes "]),
    ("ports of 0", &["port", " 0"]),
    ("decapsulation of IPIP", &["decapsulation: ", "IP in IPv"]),
    ("decapsulation of GUE", &["decapsulation: ", "GUE over IPv"]),
];

fn cases() -> Vec<Case> {
    [
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
    .concat()
}

/// `--no-capture` prints how many cases each feature has, and the first one's name.
#[test]
fn each_feature_is_named_by_cases() {
    let own = cases().into_iter().map(|case| case.name);
    let ends = decap::cases().into_iter().map(|(name, ..)| format!("decapsulation: {name}"));
    let mut names: Vec<String> = own.chain(ends).collect();
    for (feature, words) in FEATURES {
        let of: Vec<&String> = names.iter().filter(|name| words.iter().all(|word| name.contains(word))).collect();
        let first = of.first().unwrap_or_else(|| panic!("no case has this feature: {feature}"));
        eprintln!("{feature:42} {:4}  {first}", of.len());
    }
    let count = names.len();
    eprintln!("{count} cases, each on the user target, and on the running kernel where bpf(2) is permitted");
    assert!(count >= 800, "{count}");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two cases have one name");
}
