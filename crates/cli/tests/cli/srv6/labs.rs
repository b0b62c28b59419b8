//! `alveary srv6 lab`: programs, daemons and real traffic in network namespaces. What packets are and where they come is
//! asserted; how long that takes is not.

use super::discover::{expected, ways};
use crate::session::Session;
use alveary_testing::bpf;
use serde_json::Value;

fn lab(line: &str) -> Value {
    let output = Session::new().output(&format!("srv6 lab {line} --json"));
    assert_eq!(output.code, Some(0), "srv6 lab {line}: {}", output.stderr);
    serde_json::from_str(&output.stdout).expect("JSON")
}

/// The bytes that hexadecimal digits say.
fn bytes(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("a text");
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..][..2], 16).expect("digits")).collect()
}

/// An address in the middle of a packet.
fn address(packet: &[u8], at: usize) -> String {
    std::net::Ipv6Addr::from(*packet[at..].first_chunk::<16>().expect("16 bytes")).to_string()
}

#[test]
fn each_measured_packet_is_reported_and_goes_on() {
    if !bpf::permitted("each_measured_packet_is_reported") {
        return;
    }
    let told = lab("delay --packets 200 --share 2 --transfer 64");
    let paths = told["paths"].as_array().expect("paths");
    assert_eq!(paths.len(), 3);
    for path in paths {
        assert_eq!(path["datagrams"]["received"], 200, "{path}");
        assert_eq!(path["transfer"]["bytes"], 64 << 10, "{path}");
        assert_eq!(path["transfer"]["right"], true, "{path}");
        assert_eq!((&path["measured"], &path["lost"]), (&path["transmitted"]["sent"], &Value::from(0)), "{path}");
        let (seen, sent) = (path["transmitted"]["seen"].as_u64(), path["transmitted"]["sent"].as_u64());
        assert!(seen.is_some_and(|seen| seen > 200 && sent == Some(seen.div_ceil(2))), "one of two: {path}");
        if path["two_way"] == false {
            assert_eq!(path["datagrams"]["overtaken"], 0, "measured packets are as fast as others: {path}");
            assert_eq!(path["overtaken"], 0, "{path}");
        }
        // No packet is faster than its links; the clock's comparison may be off by less than a millisecond.
        let least = path["min"].as_i64().expect("a delay");
        assert!(least > path["link_delay"].as_i64().expect("one") - 1_000_000, "{path}");
    }
    let [far, ours] = [&told["collectors"][0], &told["collectors"][1]];
    assert_eq!(far["counts"]["reflected"], paths[2]["transmitted"]["sent"]);
    assert_eq!(ours["counts"]["reported"], paths[2]["transmitted"]["sent"]);
    for name in ["malformed", "unreported", "without"] {
        assert_eq!((&far["counts"][name], &ours["counts"][name]), (&Value::from(0), &Value::from(0)), "{name}");
    }
}

#[test]
fn measured_packets_carry_their_path() {
    if !bpf::permitted("measured_packets_carry_their_path") {
        return;
    }
    let told = lab("delay --packets 40 --share 2 --transfer 1");
    let packets = told["towards_north"].as_array().expect("packets");
    assert!(packets.len() >= 8, "{told}");
    let mut next = 0;
    for packet in packets.iter().map(bytes) {
        // IPv6, routing header, three or five segments, the delay TLV, the packet.
        let (length, last) = (usize::from(packet[41]), usize::from(packet[44]));
        assert_eq!(address(&packet, 8), "fc00:1::1");
        assert_eq!((packet[6], packet[40], packet[42]), (43, 41, 4));
        assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])) + 40, packet.len());
        let tlv = 48 + 16 * (last + 1);
        assert_eq!(tlv + 32, 40 + 8 * (length + 1), "the TLV is the header's last");
        assert_eq!(address(&packet, 48 + 16 * last), "fc00:2::e", "the first segment is the last of the list");
        let (kind, path) = (packet[tlv], packet[tlv + 7]);
        assert!((kind, path, last) == (124, 1, 2) || (kind, path, last) == (252, 3, 4), "{kind} {path} {last}");
        assert_eq!(address(&packet, tlv + 32 + 24), format!("2001:db8:b{path}::1"));
        if path == 1 {
            let number = u64::from_be_bytes(*packet[tlv + 8..].first_chunk().expect("8 bytes"));
            assert_eq!(number, next, "numbers have no gaps");
            next += 1;
        }
    }
}

/// Eight routers, three of them with two ways: six tell, the ways behind two are found by flows.
#[test]
fn a_network_is_discovered_as_it_was_built() {
    if !bpf::permitted("a_network_is_discovered") {
        return;
    }
    let told = lab("discover");
    let mut found = ways(&told["found"]);
    found.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(found, expected());
    assert_eq!((&told["found"]["reached"], &told["as_built"]), (&Value::from(true), &Value::from(true)));
    let probes: Vec<_> = told["probes"].as_array().expect("probes").iter().map(bytes).collect();
    assert!(probes.len() >= 8, "{told}");
    for probe in &probes {
        // IPv6, routing header, two segments, the question.
        assert_eq!((probe.len(), probe[6], probe[40], probe[42], probe[44]), (88, 43, 58, 4, 1));
        assert_eq!((probe[80], probe[81]), (200, 0));
        let (segment, target) = (address(probe, 64), address(probe, 48));
        assert!(segment.starts_with("fc00:") && segment.ends_with("::a"), "{segment}");
        assert_eq!((&*address(probe, 8), &*target, address(probe, 24)), ("2001:db8:a::1", "2001:db8:b::1", segment));
    }
    let answers: Vec<_> = told["answers"].as_array().expect("answers").iter().map(bytes).collect();
    let from = |number: u32| {
        answers.iter().find(|answer| address(answer, 8) == format!("fc00:{number}::1")).expect("an answer")
    };
    // Two next hops, each with its share.
    let (first, share) = (address(from(1), 48), &from(1)[64..68]);
    assert_eq!((from(1).len(), from(1)[41], &*first, share), (40 + 8 + 2 * 20, 0, "fc00:2::1", &[0, 0, 0, 1][..]));
    assert_eq!((from(8).len(), address(from(8), 48)), (40 + 8 + 20, "2001:db8:b::1".to_owned()));
}

#[test]
fn packets_are_spread_over_links() {
    if !bpf::permitted("packets_are_spread_over_links") {
        return;
    }
    let told = lab("hybrid --transfer 512");
    let cases = told["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 4);
    for case in cases {
        assert_eq!(case["right"], true, "every byte comes, in order: {case}");
        for link in case["ends"].as_array().expect("ends").iter().flat_map(|end| end.as_array().expect("links")) {
            assert!(link["sent"]["bytes"].as_u64().is_some_and(|bytes| bytes > 5_000), "both ends use all: {link}");
            let held = link["hold"].as_u64().is_some_and(|hold| hold > 0);
            // The other one may be held as well, when it is no longer slower because this machine is.
            assert!(!held || case["compensated"] == true, "{case}");
            assert!(held || case["compensated"] == false || link["name"] == "lte", "{case}");
        }
    }
    assert_eq!(told["datagrams"]["received"], 100);
    let mut numbers = Vec::new();
    for (number, packets) in (1..).zip(told["towards_office"].as_array().expect("links")) {
        let mut before = None;
        for packet in packets.as_array().expect("packets").iter().map(bytes) {
            // IPv6, routing header with one segment, the packet.
            assert_eq!(usize::from(u16::from_be_bytes([packet[4], packet[5]])) + 40, packet.len());
            assert_eq!((packet[6], address(&packet, 24)), (43, format!("fc00:2:{number}::6")));
            assert_eq!(packet[40..48], [41, 2, 4, 0, 0, 0, 0, 0], "of type 4, without segments left");
            assert_eq!(address(&packet, 48), format!("fc00:2:{number}::6"));
            assert_eq!((address(&packet, 72), address(&packet, 88)), ("2001:db8:a::1".into(), "2001:db8:b::1".into()));
            let sent = u64::from_be_bytes(*packet[64 + 48..].first_chunk().expect("8 bytes"));
            assert!(before < Some(sent), "a link keeps the order: {sent} behind {before:?}");
            before = Some(sent);
            numbers.push(sent);
        }
    }
    let first = told["towards_office"][0].as_array().map_or(0, Vec::len);
    assert!((50..70).contains(&first), "{first} of 100 by the link that has 60 % of the weights");
    numbers.sort_unstable();
    assert!(numbers.iter().copied().eq(0..100), "each by one link: {numbers:?}");
    assert_eq!((&told["cut"]["noticed"], &told["cut"]["back"]), (&Value::from(true), &Value::from(true)));
    assert_eq!(told["cut"]["datagrams"]["received"], 100, "the link that is left takes all");
}

#[test]
fn a_drawing_is_written() {
    if !bpf::permitted("a_drawing_is_written") {
        return;
    }
    let session = Session::new();
    let output = session.output("srv6 lab discover --plot ways.svg");
    assert!(output.code == Some(0) && output.stdout.contains("found as they were built"), "{}", output.stderr);
    let drawn = String::from_utf8(session.read("ways.svg")).expect("text");
    assert_eq!(drawn.matches("<path d=").count(), 12, "{drawn}");
    let output = session.output("srv6 lab delay --packets 20 --transfer 1 --plot delays.svg");
    assert!(output.code == Some(0) && output.stdout.contains("3 north, there and back"), "{}", output.stderr);
    let drawn = String::from_utf8(session.read("delays.svg")).expect("text");
    assert_eq!(drawn.matches("<polyline").count(), 3, "{drawn}");
}

#[test]
fn what_cannot_be_measured_is_said() {
    let session = Session::new();
    let told = |line: &str| session.output(line).stderr;
    let probe = "srv6 delay probe --dev lo --source fc00::1";
    let text = told(&format!("{probe} --to 10.0.0.0/8 --segments fc00:2::d,fc00:2::6"));
    assert!(text.contains("packets of IPv4 are not measured"), "{text}");
    let text = told(&format!("{probe} --to fc00:b::/64 --segments fc00:2::d"));
    assert!(text.contains("from 2 to 10") && text.contains("found: 1"), "{text}");
    let text = told(&format!("{probe} --to fc00:b::/64 --segments fc00:2::d,fc00:1::d,fc00:1::6 --back fc00:1::e"));
    assert!(text.contains("packets do not come back to that segment"), "{text}");
    let text = told(&format!("{probe} --to fc00:b::/64 --segments fc00:2::d,fc00:2::6 --share 3"));
    assert!(text.contains("`3` is no part of packets: 1/100, 1/1"), "{text}");
    let text = told("srv6 delay collect --sid fc00:2::d --dev nowhere0");
    assert!(text.contains("there is no network device `nowhere0`"), "{text}");
}

#[test]
fn virtual_time_needs_no_privilege_and_repeats() {
    let run = || lab("hybrid --simulated --transfer 1024");
    let told = run();
    let rates: Vec<_> = (0..4).filter_map(|case| told["cases"][case]["bits_per_second"].as_u64()).collect();
    assert!((0..4).all(|case| told["cases"][case]["right"] == true), "every byte comes, in order: {told}");
    let [dsl, lte, apart, alike] = rates[..] else { panic!("{told}") };
    assert!(apart < lte && lte < alike && lte < dsl, "{rates:?}");
    assert_eq!(told["cases"][3]["ends"][0][1]["hold"], 0);
    assert!(told["cases"][3]["ends"][0][0]["hold"].as_u64().is_some_and(|hold| hold > 0), "{told}");
    assert_eq!(run(), told);
}

/// An end as the documentation has it.
const HOME: &str = "\
to = \"2001:db8:b::/48\"
source = \"fc00:1::1\"

[[link]]
name = \"dsl\"
dev = \"nowhere0\"
weight = 20
segments = [\"fc00:2:1::6\"]
far-monitor = \"fc00:2:1::d\"
monitor = \"fc00:1:1::d\"
decapsulate = \"fc00:1:1::6\"
";

#[test]
fn what_is_wrong_with_an_end_is_said_where_it_is() {
    let told = |from: &str, to: &str| {
        let session = Session::new().file("home.toml", HOME.replace(from, to));
        session.output("srv6 hybrid run home.toml").stderr
    };
    for (from, to, message, place) in [
        ("weight = 20", "weight = 0", "a link's weight", "home.toml:7"),
        ("[\"fc00:2:1::6\"]", "[]", "a link's segments", "home.toml:8"),
        ("2001:db8:b::/48", "10.0.0.0/8", "packets of IPv4 are not spread", "home.toml:1"),
        ("weight = 20", "weight = 20\nspeed = 3", "unknown field `speed`", "home.toml:8"),
        ("\"fc00:2:1::d\"", "\"here\"", "invalid IPv6 address syntax", "home.toml:9"),
        ("[[link]]", "probes = 0\n[[link]]", "links cannot be measured that often", "home.toml:4"),
        ("[[link]]", "compensation = \"netem\"\n[[link]]", "unknown variant `netem`", "home.toml:4"),
    ] {
        let text = told(from, to);
        assert!(text.contains(message) && text.contains(place), "{text}");
    }
    if bpf::permitted("what_is_wrong_with_an_end_is_said") {
        let text = told("nothing", "");
        assert!(text.contains("there is no network device `nowhere0`") && text.contains("home.toml:6"), "{text}");
    }
}
