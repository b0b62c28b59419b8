//! Memory does not grow with the capture.

#![cfg(target_os = "linux")]

mod common;

use std::io::{self, Read};

use alveary_ports::Capture;
use common::{MICROSECONDS, Order, pcap_header, pcap_record};

const PACKETS: u64 = 2_000_000;

/// A capture of many packets that stands nowhere: its bytes are made as they are asked for.
struct Endless {
    head: io::Cursor<Vec<u8>>,
    record: Vec<u8>,
    at: u64,
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let head = self.head.read(into)?;
        if head > 0 || into.is_empty() {
            return Ok(head);
        }
        let len = self.record.len() as u64;
        let begin = (self.at % len) as usize;
        let count = if self.at < PACKETS * len { into.len().min(self.record.len() - begin) } else { 0 };
        into[..count].copy_from_slice(&self.record[begin..begin + count]);
        self.at += count as u64;
        Ok(count)
    }
}

/// Memory of this process that no file stands behind, in KiB.
fn anonymous_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn two_million_packets_need_no_more_than_a_few() {
    let source = Endless {
        head: io::Cursor::new(pcap_header(Order::Little, MICROSECONDS, 1)),
        record: pcap_record(Order::Little, 1, 2, 64, &[7; 64]),
        at: 0,
    };
    let mut capture = Capture::from_reader("endless", source).unwrap();
    let before = anonymous_kib();
    let mut peak = before;
    while let Some(packet) = capture.next() {
        assert_eq!(packet.unwrap().data.len(), 64);
        if capture.packets().is_multiple_of(500_000) {
            peak = peak.max(anonymous_kib());
        }
    }
    assert_eq!(capture.packets(), PACKETS);
    assert!(peak - before < 16 << 10, "{} KiB more than at the start", peak - before);
}
