//! Classic filters against tcpdump itself: the same packets of the capture, one by one.

use crate::session::Session;
use std::process::Command;

/// What people filter by: hosts, networks, ports, protocols, flags, lengths, tags, bytes.
const EXPRESSIONS: [&str; 40] = [
    "ip",
    "ip6",
    "arp",
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "not ip and not ip6",
    "port 53",
    "tcp port 80",
    "udp port 53",
    "src port 53",
    "dst port 80",
    "portrange 50-60",
    "tcp portrange 8000-9000",
    "host 192.0.2.2",
    "src host 192.0.2.2",
    "dst host 192.0.2.1",
    "net 192.0.2.0/24",
    "src net 192.0.2.0/30",
    "ip6 host 2001:db8::2",
    "ip6 net 2001:db8::/64",
    "host 192.0.2.2 and tcp port 80",
    "tcp port 80 or udp port 53",
    "not tcp port 80",
    "tcp[tcpflags] & tcp-syn != 0",
    "tcp[tcpflags] == tcp-ack",
    "tcp[tcpflags] & (tcp-fin|tcp-rst) != 0",
    "icmp[icmptype] == icmp-echo",
    "ip proto 17",
    "ip6 proto 58",
    "ip[8] < 64",
    "ip[6:2] & 0x3fff != 0",
    "ether broadcast",
    "ether multicast",
    "ether proto 0x0806",
    "len > 1000",
    "less 60",
    "vlan",
    "vlan and ip",
];

/// Runs tcpdump over the capture; `None` if it is not there.
fn tcpdump(session: &Session, options: &[&str]) -> Option<Vec<u8>> {
    let output =
        Command::new("tcpdump").args(["-r", "traffic.pcap"]).args(options).current_dir(session.directory()).output();
    let output = output.ok()?;
    assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

/// Time and bytes of each packet of a capture with times in microseconds or nanoseconds.
fn packets(pcap: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let word = |at: usize| u32::from_le_bytes(pcap[at..at + 4].try_into().expect("four bytes"));
    let unit = if word(0) == 0xa1b2_3c4d { 1 } else { 1000 };
    let mut at = 24;
    let mut found = Vec::new();
    while at < pcap.len() {
        let (time, len) = (u64::from(word(at)) * 1_000_000_000 + u64::from(word(at + 4)) * unit, word(at + 8) as usize);
        found.push((time, pcap[at + 16..at + 16 + len].to_vec()));
        at += 16 + len;
    }
    found
}

#[test]
fn forty_filters_select_what_tcpdump_selects() {
    let session = Session::new().example("traffic.pcap");
    if tcpdump(&session, &["-c", "1", "-w", "-"]).is_none() {
        eprintln!("SKIP forty_filters_select_what_tcpdump_selects: tcpdump is not installed");
        return;
    }
    let all = packets(&session.read("traffic.pcap"));
    let mut selected_some = 0;
    for expression in EXPRESSIONS {
        let code = tcpdump(&session, &["-ddd", expression]).expect("tcpdump is there");
        session.write("filter.txt", &code);
        let output = session.output("run --cbpf filter.txt --pcap traffic.pcap --packets verdicts.jsonl --json");
        assert_eq!((output.code, &*output.stderr), (Some(0), ""), "{expression}");
        let verdicts = String::from_utf8(session.read("verdicts.jsonl")).expect("it is text");
        let ours: Vec<_> = verdicts
            .lines()
            .zip(&all)
            .filter(|(line, _)| serde_json::from_str::<serde_json::Value>(line).expect("it is JSON")["verdict"] != "0")
            .map(|(_, packet)| packet.clone())
            .collect();
        let theirs = tcpdump(&session, &["--nano", "-w", "-", expression]).expect("tcpdump is there");
        let theirs = packets(&theirs);
        assert!(ours == theirs, "{expression}: {} packets, tcpdump selects {}", ours.len(), theirs.len());
        selected_some += usize::from(!ours.is_empty() && ours.len() < all.len());
    }
    assert!(selected_some >= 30, "the capture has something for {selected_some} of the expressions only");
}
