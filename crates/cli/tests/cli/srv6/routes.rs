//! `alveary srv6 route`, `tunsrc` and `hmac` beside `ip`, in network namespaces of the tests' own.

use super::{PROGRAMS, capture};
use crate::session::{Output, Session};
use alveary_testing::{
    bpf,
    network::{self, Tun, ip, set},
};
use serde_json::Value;
use std::process::Command;

/// Two devices in a namespace of this thread; `None`, and a line about it, where that is not permitted.
fn lab(test: &str) -> Option<[Tun; 2]> {
    if !bpf::permitted(test) {
        return None;
    }
    network::enter().expect("a network namespace");
    let devices = Tun::new("in").and_then(|inside| Ok([inside, Tun::new("out")?]));
    let devices = devices.map_err(|why| eprintln!("SKIP {test}: no TUN device: {why}")).ok()?;
    set("ipv6/conf/all/forwarding", "1");
    set("ipv6/conf/all/seg6_enabled", "1");
    set("ipv6/conf/in/seg6_enabled", "1");
    ip("-6 route add default dev out");
    Some(devices)
}

/// What `ip` says of a destination, or of something else.
fn told(words: &str) -> String {
    let output = Command::new("ip").args(words.split(' ')).output().expect("`ip` (package iproute2)");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn good(session: &Session, line: &str) -> String {
    let Output { stdout, stderr, code } = session.output(line);
    assert_eq!(code, Some(0), "alveary {line}: {stderr}");
    stdout
}

/// Each behaviour as we and as `ip` call it.
const BEHAVIOURS: [(&str, &str); 17] = [
    ("End --counters", "seg6local action End count"),
    ("End --flavours psp", "seg6local action End flavors psp"),
    (
        "End --flavours next-csid --block-bits 48 --node-bits 16",
        "seg6local action End flavors next-csid lblen 48 nflen 16",
    ),
    ("End.X --nh6 fc00::9", "seg6local action End.X nh6 fc00::9"),
    ("End.T --lookup 77", "seg6local action End.T table 77"),
    ("End.DX2 --oif out", "seg6local action End.DX2 oif out"),
    ("End.DX4 --nh4 10.0.0.1 --counters", "seg6local action End.DX4 nh4 10.0.0.1 count"),
    ("End.DX6 --nh6 ::", "seg6local action End.DX6 nh6 ::"),
    ("End.DT6 --lookup 254", "seg6local action End.DT6 table 254"),
    ("End.B6 --segments fc00:1::1,fc00:2::1", "seg6local action End.B6 srh segs fc00:1::1,fc00:2::1"),
    (
        "End.B6.Encaps --segments fc00:1::1,fc00:2::1 --hmac 9",
        "seg6local action End.B6.Encaps srh segs fc00:1::1,fc00:2::1 hmac 9",
    ),
    ("H.Encaps --segments fc00:1::1,fc00:2::1", "seg6 mode encap segs fc00:1::1,fc00:2::1"),
    ("H.Encaps --segments fc00:1::1 --hmac 4", "seg6 mode encap segs fc00:1::1 hmac 4"),
    ("H.Encaps.Red --segments fc00:1::1,fc00:2::1", "seg6 mode encap.red segs fc00:1::1,fc00:2::1"),
    ("H.L2Encaps --segments fc00:1::1", "seg6 mode l2encap segs fc00:1::1"),
    ("H.L2Encaps.Red --segments fc00:1::1,fc00:2::1", "seg6 mode l2encap.red segs fc00:1::1,fc00:2::1"),
    ("H.Insert --segments fc00:1::1", "seg6 mode inline segs fc00:1::1"),
];

#[test]
fn a_route_of_ours_is_one_of_ips() {
    let Some(_devices) = lab("a_route_of_ours_is_one_of_ips") else { return };
    let session = Session::new();
    for (ours, theirs) in BEHAVIOURS {
        let shown = || (told("-s -6 route show fc00:e::/64"), good(&session, "srv6 route show fc00:e::/64 --json"));
        good(&session, &format!("srv6 route add fc00:e::/64 {ours} --dev in --metric 7"));
        let of_ours = shown();
        assert!(of_ours.0.contains("encap"), "{}", of_ours.0);
        good(&session, "srv6 route del fc00:e::/64 --dev in");
        assert_eq!(told("-6 route show fc00:e::/64"), "", "{ours} is gone");
        ip(&format!("-6 route add fc00:e::/64 encap {theirs} dev in metric 7"));
        assert_eq!(of_ours, shown(), "{ours}");
        good(&session, "srv6 route del fc00:e::/64");
        // What is shown says what was asked for.
        let shown: Value = serde_json::from_str(&of_ours.1).expect("JSON");
        let route = &shown["routes"][0];
        assert_eq!(route["behaviour"], ours.split(' ').next().expect("a name"));
        for (name, value) in ours.split(' ').skip(1).collect::<Vec<_>>().chunks_exact(2).map(|two| (two[0], two[1])) {
            let name = name.trim_start_matches('-').replace('-', "_");
            assert_eq!(route[&*name], *value, "{ours}: {route}");
        }
    }
}

#[test]
fn routes_of_other_tables_and_ways_are_told_apart() {
    let Some(_devices) = lab("routes_of_other_tables_and_ways") else { return };
    let session = Session::new();
    ip("-6 addr add fc00:1::2/64 dev in nodad");
    good(&session, "srv6 route add fc00:e::/64 End --dev in");
    good(&session, "srv6 route add fc00:e::/64 End --dev in --table 77 --via fc00:1::1");
    good(&session, "srv6 route add 10.1.2.3/16 H.Encaps --segments fc00:1::1 --dev out");
    ip("-6 route add fc00:f::/64 nexthop via fc00:1::1 encap seg6 mode encap segs fc00:1::1 dev in \
        nexthop via fc00:1::3 dev in");
    assert!(told("route show").contains("10.1.0.0/16"), "{}", told("route show"));
    let text = good(&session, "srv6 route show");
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(lines.contains(&vec!["fc00:e::/64", "End", "in", "fc00:1::1", "77", "1024"]), "{text}");
    assert!(lines.contains(&vec!["10.1.0.0/16", "H.Encaps", "segments", "fc00:1::1", "out", "0"]), "{text}");
    assert!(lines.contains(&vec!["in", "fc00:1::3"]), "the second way of fc00:f::/64: {text}");
    let which = session.output("srv6 route del fc00:e::/64");
    assert!(which.code == Some(1) && which.stderr.contains("which route to fc00:e::/64?"), "{}", which.stderr);
    good(&session, "srv6 route del fc00:e::/64 --table 77");
    good(&session, "srv6 route del fc00:e::/64");
    good(&session, "srv6 route del fc00:f::/64");
    let none = session.output("srv6 route del fc00:e::/64");
    assert!(none.stderr.contains("there is no such route to fc00:e::/64"), "{}", none.stderr);
    let text = good(&session, "srv6 route show");
    assert_eq!(text.lines().count(), 2, "the heading and one route: {text}");
}

#[test]
fn a_program_behind_a_segment_sees_packets() {
    let Some([inside, outside]) = lab("a_program_behind_a_segment") else { return };
    let session = Session::new().file("routes.s", PROGRAMS).run("asm routes.s -o routes.o");
    let which = session.output("srv6 route add fcfc::/16 End.BPF routes.o --dev out");
    assert!(which.stderr.contains("several programs") && which.stderr.contains("tag, broken"), "{}", which.stderr);
    let other = session.output("srv6 route add fcfc::/16 End.BPF routes.o:twist --dev out");
    assert!(other.stderr.contains("`twist` does not go behind End.BPF"), "{}", other.stderr);
    good(&session, "srv6 route add fcfc::/16 End.BPF routes.o:tag --dev out --counters");
    good(&session, "srv6 route add 10.0.0.0/8 lwt_xmit routes.o --dev out");
    // The first packet of the capture, without its Ethernet header.
    let packet = &capture()[24 + 16 + 14..][..64];
    assert!(inside.send(packet), "the packet");
    let came = (0..10_000).find_map(|_| {
        std::thread::yield_now();
        outside.receive().filter(|packet| packet.get(6) == Some(&43))
    });
    let came = came.expect("the packet comes out");
    assert_eq!((&came[24..40], came[47]), (&[0xfd; 16][..], 42), "on to the next segment, the tag one more");
    let shown: Value = serde_json::from_str(&good(&session, "srv6 route show fcfc::/16 --json")).expect("JSON");
    let route = &shown["routes"][0];
    assert_eq!(route["program"], "routes.o:tag");
    assert_eq!(route["counters"], serde_json::json!({ "packets": 1, "bytes": 64, "errors": 0 }));
    let id = route["id"].as_str().expect("an id");
    assert!(good(&session, &format!("prog show id {id}")).contains("name tag"));
    let net = good(&session, "net show");
    assert!(net.contains(&format!("fcfc::/16 seg6local routes.o:tag prog_id {id} dev out(3) table 254\n")), "{net}");
    assert!(net.contains("10.0.0.0/8 lwt/xmit routes.o:twist dev out(3) table 254\n"), "{net}");
    good(&session, "srv6 route del fcfc::/16");
    good(&session, "srv6 route del 10.0.0.0/8");
    assert!(!good(&session, "net show").contains("routes:"));
}

#[test]
fn tunnels_have_a_source_and_headers_keys() {
    let Some(_devices) = lab("tunnels_have_a_source") else { return };
    let session = Session::new().file("key", "a secret\n").file("long", [b'x'; 65]);
    assert_eq!(good(&session, "srv6 tunsrc show"), "::\n");
    good(&session, "srv6 tunsrc set fc00:99::1");
    assert_eq!(told("sr tunsrc show"), "tunsrc addr fc00:99::1\n");
    good(&session, "srv6 hmac set 7 sha256 --secret key");
    good(&session, "srv6 hmac set 8 sha1 --secret key");
    let keys = told("sr hmac show");
    assert!(keys.contains("hmac 7 algo sha256 secret \"a secret\""), "{keys}");
    let shown = good(&session, "srv6 hmac show");
    assert!(shown.contains("key 7 sha256 secret of 8 bytes\n") && shown.contains("key 8 sha1"), "{shown}");
    good(&session, "srv6 hmac del 7");
    assert_eq!(good(&session, "srv6 hmac show"), "key 8 sha1 secret of 8 bytes\n");
    let long = session.output("srv6 hmac set 9 sha256 --secret long");
    assert!(long.stderr.contains("1 to 64 bytes") && long.stderr.contains("65 bytes"), "{}", long.stderr);
}

#[test]
fn what_a_behaviour_lacks_or_does_not_take_is_said() {
    let session = Session::new();
    for (line, expected) in [
        ("End.X --dev lo", "End.X lacks a next hop (nh6)"),
        ("End.DT6 --dev lo", "End.DT6 lacks a table (lookup) or the table of a VRF (vrf)"),
        ("End --nh6 :: --dev lo", "End does not take a next hop (nh6)"),
        ("End --block-bits 16 --dev lo", "say `next-csid` among the flavours"),
        ("End.BPF --dev lo", "End.BPF lacks a program"),
        ("End --dev lo", "another device than `lo`"),
        ("End.T --lookup blue --dev lo", "`blue` is no table"),
        ("End --dev nowhere", "there is no network device `nowhere`"),
        ("End.Y --dev lo", "a similar value exists"),
    ] {
        let output = session.output(&format!("srv6 route add fc00:e::/64 {line}"));
        assert!(output.code != Some(0) && output.stderr.contains(expected), "{line}: {}", output.stderr);
    }
    let output = session.output("srv6 route add fc00::/129 End --dev lo");
    assert!(output.stderr.contains("such an address has 128 bits"), "{}", output.stderr);
}

#[test]
fn a_device_that_is_down_is_said_to_be() {
    let Some(_devices) = lab("a_device_that_is_down_is_said_to_be") else { return };
    ip("link set out down");
    let output = Session::new().output("srv6 route add fc00:e::/64 End --dev out");
    assert_eq!(output.code, Some(1));
    for said in ["netlink: -ENETDOWN", "`ip link set DEVICE up`"] {
        assert!(output.stderr.contains(said), "{}", output.stderr);
    }
}
