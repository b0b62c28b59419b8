//! The texts of tcpdump: what `-ddd` writes is read, and printed to the letter as `-d` writes it.
//! Skipped by name where tcpdump is missing.

use alveary_isa::cbpf::{Filter, parse, print, translate};
use std::process::Command;

const EXPRESSIONS: [&str; 48] = [
    "",
    "ip",
    "ip6",
    "arp",
    "rarp",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "sctp",
    "vlan",
    "vlan 5 and ip6",
    "vlan 5 and vlan 6 and tcp port 80",
    "mpls 100",
    "pppoes and ip",
    "tcp port 80",
    "udp port 53",
    "port 443 and not host 10.0.0.1",
    "portrange 1000-2000",
    "src portrange 5-9 or dst port 7",
    "host 192.168.1.1",
    "src host 10.0.0.1 and dst net 192.168.0.0/16",
    "net 10.0.0.0/8",
    "ip6 host 2001:db8::1",
    "ip6 net 2001:db8::/32",
    "ether host 1:2:3:4:5:6",
    "ether src 1:2:3:4:5:6 and ether dst 7:8:9:a:b:c",
    "ether broadcast",
    "ether multicast",
    "ip broadcast or ip multicast",
    "ip proto 47 or ether[0] & 1 = 1",
    "ether proto 0x88cc",
    "len > 100",
    "greater 5 and less 500",
    "len / 4 << 2 | 1 = 5",
    "ip[6:2] & 0x1fff != 0",
    "ip[0] * 2 + ip[1] / 3 - 1 = ip[2] ^ 4",
    "ip[8] % 7 = 3 or ip[9] >> 2 = ip[1] << 1",
    "ip[0] / ip[1] = 4 and ip[2] % ip[3] = 1",
    "tcp[((tcp[12] & 0xf0) >> 2)] = 0x47",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[2:2] > ip[4:2] or udp[4:2] >= 8",
    "ip6[40:4] = 0xdeadbeef",
    "ether[100:4] > 0x80000000",
    "icmp[icmptype] = icmp-echo",
    "ip6 protochain 6",
    "geneve 5 and ip",
    "inbound",
];

#[test]
fn filters_are_printed_as_tcpdump_prints_them() {
    if Command::new("tcpdump").arg("--version").output().is_err() {
        eprintln!("SKIP tcpdump is not installed");
        return;
    }
    let tcpdump = |form: &str, expression: &str| {
        let output = Command::new("tcpdump").args(["-y", "EN10MB", form, expression]).output().expect("tcpdump starts");
        assert!(output.status.success(), "{expression}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for expression in EXPRESSIONS {
        let insns = parse(&tcpdump("-ddd", expression)).unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert_eq!(print(&insns).to_string(), tcpdump("-d", expression), "{expression}");
        match Filter::new(insns) {
            Ok(filter) => assert!(translate(&filter).is_ok(), "{expression}"),
            // libpcap walks header chains with backward jumps, which Linux refuses too.
            Err(error) => assert_eq!((expression, error.field), ("ip6 protochain 6", "k")),
        }
    }
}
