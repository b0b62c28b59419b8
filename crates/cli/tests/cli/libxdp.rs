//! Debian's `libxdp1` has compiled objects that nobody here wrote. Installs nothing: uses them where they are.

use crate::session::Session;
use std::{net::IpAddr, process::Command};

/// The objects, by path; `None` (and a word on stderr) where the package is not installed.
fn objects(test: &str) -> Option<Vec<String>> {
    let listed = Command::new("dpkg").args(["-L", "libxdp1"]).output().ok().filter(|o| o.status.success());
    let Some(listed) = listed else {
        eprintln!("SKIP {test}: the package libxdp1 is not installed");
        return None;
    };
    let list = String::from_utf8(listed.stdout).expect("paths are text");
    Some(list.lines().filter(|l| l.ends_with(".o")).map(str::to_owned).collect())
}

#[test]
fn every_object_is_shown_and_disassembled() {
    let Some(objects) = objects("every_object_is_shown_and_disassembled") else { return };
    assert_eq!(objects.len(), 15);
    let session = Session::new();
    for path in objects {
        let show = session.output(&format!("show {path} --json"));
        assert_eq!((show.code, &*show.stderr), (Some(0), ""), "{path}");
        let shown: serde_json::Value = serde_json::from_str(&show.stdout).expect("it is JSON");
        let programs = shown["programs"].as_array().expect("there are programs");
        assert!(!programs.is_empty(), "{path}");
        for program in programs {
            let name = program["name"].as_str().expect("a program has a name");
            let disasm = session.output(&format!("disasm {path} --prog {name}"));
            assert_eq!(disasm.code, Some(0), "{path}");
            let insns = disasm.stdout.lines().filter(|l| l.starts_with(' ')).count();
            assert!(insns > 0 && insns as u64 <= program["insns_total"].as_u64().expect("a number"), "{path}: {name}");
            assert!(!disasm.stdout.contains("(no instruction"), "{path}: {name}");
        }
    }
}

/// What a packet says, behind its VLAN tags.
struct Frame {
    source_mac: String,
    source: Option<IpAddr>,
    /// IP protocol, source and destination port.
    ports: Option<(u8, u16, u16)>,
}

/// The packets of the example capture. Fragments behind the first have no ports.
fn frames(pcap: &[u8]) -> Vec<Frame> {
    let mut at = 24;
    let mut frames = Vec::new();
    while at < pcap.len() {
        let len = u32::from_le_bytes(pcap[at + 8..at + 12].try_into().expect("four bytes")) as usize;
        frames.push(frame(&pcap[at + 16..at + 16 + len]));
        at += 16 + len;
    }
    frames
}

fn frame(bytes: &[u8]) -> Frame {
    let half = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let mac = bytes[6..12].iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":");
    let mut at = 12;
    while matches!(half(at), 0x8100 | 0x88a8) {
        at += 4;
    }
    let (source, protocol, transport) = match half(at) {
        0x0800 => {
            let source: [u8; 4] = bytes[at + 14..at + 18].try_into().expect("four bytes");
            let first = half(at + 8) & 0x1fff == 0;
            let transport = at + 2 + 4 * usize::from(bytes[at + 2] & 15);
            (Some(source.into()), bytes[at + 11], first.then_some(transport))
        }
        0x86dd => {
            let source: [u8; 16] = bytes[at + 10..at + 26].try_into().expect("sixteen bytes");
            (Some(source.into()), bytes[at + 8], Some(at + 42))
        }
        _ => (None, 0, None),
    };
    let ports = transport.filter(|_| matches!(protocol, 6 | 17)).map(|t| (protocol, half(t), half(t + 2)));
    Frame { source_mac: mac, source, ports }
}

#[test]
fn xdp_filter_blocks_what_its_maps_say() {
    let Some(objects) = objects("xdp_filter_blocks_what_its_maps_say") else { return };
    let session = Session::new().example("traffic.pcap");
    let frames = frames(&session.read("traffic.pcap"));
    let (v4, v6): (IpAddr, IpAddr) = ("192.0.2.2".parse().expect("an address"), "2001:db8::2".parse().expect("one"));
    let mac = frames.iter().find(|f| f.ports.is_some()).expect("there is traffic").source_mac.clone();
    // Flags of xdp-filter's values: 1 source, 2 destination, 4 TCP, 8 UDP. Ports are in network order.
    let by_address: (String, Select<'_>) = (format!("--map filter_ipv4:{v4}=1 --map filter_ipv6:{v6}=1"), &|f| {
        f.source == Some(v4) || f.source == Some(v6)
    });
    let by_tcp: (String, Select<'_>) =
        (format!("--map filter_ports:{}=6", 80u16.to_be()), &|f| matches!(f.ports, Some((6, _, 80))));
    let by_udp: (String, Select<'_>) =
        (format!("--map filter_ports:{}=11", 53u16.to_be()), &|f| matches!(f.ports, Some((17, 53, _) | (17, _, 53))));
    let by_mac: (String, Select<'_>) = (format!("--map filter_ethernet:{mac}=1"), &|f| f.source_mac == mac);
    for (name, cases) in [
        ("ip", vec![&by_address]),
        ("tcp", vec![&by_tcp]),
        ("udp", vec![&by_udp]),
        ("eth", vec![&by_mac]),
        ("all", vec![&by_address, &by_tcp, &by_udp, &by_mac]),
    ] {
        for (options, select) in cases {
            let selected = frames.iter().filter(|f| select(f)).count() as u64;
            assert!(selected > 0 && selected < frames.len() as u64, "{options} selects some");
            for (policy, dropped) in [("alw", selected), ("dny", frames.len() as u64 - selected)] {
                let ending = format!("xdpfilt_{policy}_{name}.o");
                let path = objects.iter().find(|o| o.ends_with(&ending)).expect("the package has it");
                let run = run(&session, &format!("{path} {options}"));
                let passed = frames.len() as u64 - dropped;
                assert_eq!(
                    (&run["verdicts"]["XDP_DROP"], &run["verdicts"]["XDP_PASS"]),
                    (&dropped.into(), &passed.into())
                );
                let stats = run["maps"]["xdp_stats_map"]["entries"].as_array().expect("there are entries");
                let counted: Vec<_> = stats.iter().map(|e| (&e["key"], &e["value"]["packets"])).collect();
                assert_eq!(counted, [(&1.into(), &dropped.into()), (&2.into(), &passed.into())], "{ending} {options}");
            }
        }
    }
}

type Select<'a> = &'a dyn Fn(&Frame) -> bool;

fn run(session: &Session, arguments: &str) -> serde_json::Value {
    let output = session.output(&format!("run {arguments} --pcap traffic.pcap --json"));
    assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{arguments}");
    serde_json::from_str(&output.stdout).expect("it is JSON")
}

/// The dispatcher without programs, the packet dumper, the default programs of AF_XDP sockets (two ages of them).
#[test]
fn the_other_xdp_programs_pass_everything() {
    let Some(objects) = objects("the_other_xdp_programs_pass_everything") else { return };
    let session = Session::new().example("traffic.pcap");
    for (object, program) in [
        ("xdp-dispatcher.o", "xdp_dispatcher"),
        ("xdp-dispatcher.o", "xdp_pass"),
        ("xdpdump_xdp.o", "xdpdump"),
        ("xsk_def_xdp_prog.o", "xsk_def_prog"),
        ("xsk_def_xdp_prog_5.3.o", "xsk_def_prog"),
    ] {
        let path = objects.iter().find(|o| o.ends_with(object)).expect("the package has it");
        let run = run(&session, &format!("{path} --prog {program}"));
        assert_eq!(run["verdicts"]["XDP_PASS"], run["packets"], "{object}: {program}");
    }
}
