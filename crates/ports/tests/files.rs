//! The captures that the repository carries.
//!
//! `fixtures/` holds the first twelve packets of `examples/traffic.pcap` twice: compressed by gzip, and as a big-endian
//! pcapng file with two interfaces of different clocks, comments, and blocks that hold no packets.

use std::path::{Path, PathBuf};

use alveary_ports::{Capture, LinkType};

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// Time and bytes of the first packets of a file.
fn first(relative: &str, count: usize) -> Vec<(u64, Vec<u8>)> {
    let mut capture = Capture::open(path(relative)).unwrap();
    let mut packets = Vec::new();
    while packets.len() < count {
        let Some(packet) = capture.next() else { break };
        let packet = packet.unwrap();
        packets.push((packet.timestamp_ns, packet.data.to_vec()));
    }
    packets
}

#[test]
fn the_example_has_what_its_readme_says() {
    let mut capture = Capture::open(path("../../examples/traffic.pcap")).unwrap();
    assert_eq!(capture.link_type(), LinkType::Ethernet);
    let (mut ipv4, mut ipv6, mut tagged) = (0, 0, 0);
    while let Some(packet) = capture.next() {
        let data = packet.unwrap().data;
        match u16::from_be_bytes([data[12], data[13]]) {
            0x0800 => ipv4 += 1,
            0x86dd => ipv6 += 1,
            0x8100 | 0x88a8 => tagged += 1,
            _ => {}
        }
    }
    assert!(capture.packets() >= 2000 && capture.bytes_read() < 2_000_000);
    assert!(ipv4 > 500 && ipv6 > 500 && tagged > 50, "{ipv4} {ipv6} {tagged}");
}

#[test]
fn the_same_packets_in_every_format() {
    let expected = first("../../examples/traffic.pcap", 12);
    assert_eq!(expected.len(), 12);
    for fixture in ["tests/fixtures/twelve.pcap.gz", "tests/fixtures/twelve.pcapng"] {
        assert_eq!(first(fixture, 100), expected, "{fixture}");
    }
}
