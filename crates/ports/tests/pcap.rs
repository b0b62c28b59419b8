//! pcap files: every kind of them, and every way in which one can be broken.

mod common;

use std::io::{self, Cursor, Read, Write};

use alveary_diag::Place;
use alveary_ports::{Capture, LinkType, MAX_PACKET};
use common::{MICROSECONDS, NANOSECONDS, Order, error_of, pcap_header, pcap_record, read, read_whole};
use flate2::{Compression, write::GzEncoder};

fn two_packets(order: Order, magic: u32) -> Vec<u8> {
    let mut bytes = pcap_header(order, magic, 1);
    bytes.extend(pcap_record(order, 1_700_000_000, 123_456, 60, &[0xaa; 60]));
    bytes.extend(pcap_record(order, 1_700_000_001, 7, 1500, &[0xbb; 64]));
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn both_byte_orders_and_both_resolutions() {
    for order in [Order::Little, Order::Big] {
        for (magic, unit) in [(MICROSECONDS, 1000), (NANOSECONDS, 1)] {
            let packets = read_whole(&two_packets(order, magic));
            assert_eq!(packets.len(), 2, "{order:?} {magic:x}");
            assert_eq!(packets[0].timestamp_ns, 1_700_000_000_000_000_000 + 123_456 * unit);
            assert_eq!(packets[0].data, [0xaa; 60]);
            assert_eq!((packets[1].original_len, packets[1].data.len()), (1500, 64));
            assert_eq!(packets[1].link, LinkType::Ethernet);
        }
    }
}

#[test]
fn a_compressed_capture_reads_as_itself() {
    let bytes = two_packets(Order::Little, MICROSECONDS);
    assert_eq!(read_whole(&gzip(&bytes)), read_whole(&bytes));
    // Two members one behind the other, as `cat a.gz b.gz` makes them.
    let members = [gzip(&bytes[..30]), gzip(&bytes[30..])].concat();
    assert_eq!(read_whole(&members), read_whole(&bytes));
}

#[test]
fn every_link_type_by_its_numbers() {
    let rows = [
        (0, LinkType::Null),
        (1, LinkType::Ethernet),
        (12, LinkType::Raw),
        (14, LinkType::Raw),
        (101, LinkType::Raw),
        (108, LinkType::Loop),
        (113, LinkType::LinuxSll),
        (228, LinkType::Ipv4),
        (229, LinkType::Ipv6),
        (276, LinkType::LinuxSll2),
        // Frames with a checksum of four bytes behind them say so in the upper half.
        (1 | 0x2400_0000 << 1, LinkType::Ethernet),
    ];
    for (number, link) in rows {
        let capture = Capture::from_reader("x", Cursor::new(pcap_header(Order::Big, MICROSECONDS, number))).unwrap();
        assert_eq!(capture.link_type(), link, "{number}");
    }
}

#[test]
fn a_link_type_that_is_not_read_is_named() {
    let error = error_of(&pcap_header(Order::Little, MICROSECONDS, 127));
    assert_eq!(error.code.0, "capture-link-type");
    assert_eq!(error.found.as_deref(), Some("link type 127 (IEEE802_11_RADIOTAP)"));
    assert_eq!(error.place(), &Place::Byte { at: 20 });
}

#[test]
fn a_capture_that_ends_inside_a_packet_gives_those_before_it() {
    let whole = two_packets(Order::Little, MICROSECONDS);
    let second = 24 + 16 + 60;
    let (packets, error) = read(&whole[..second + 16 + 12]);
    let error = error.unwrap();
    assert_eq!(packets.len(), 1);
    assert_eq!(
        error.to_string(),
        "test.pcap: offset 0x64: the capture ends inside packet 2 (expected 64 bytes of its packet, found 12)"
    );
    assert_eq!(error.notes, ["packets before it: 1"]);
    assert_eq!(error.place(), &Place::Byte { at: second as u64 });
}

#[test]
fn a_cut_anywhere_is_an_error_except_between_packets() {
    let whole = two_packets(Order::Big, NANOSECONDS);
    for cut in 0..whole.len() {
        let (packets, error) = read(&whole[..cut]);
        let boundary = cut == 24 || cut == 100;
        assert_eq!(error.is_none(), boundary, "cut at {cut}");
        assert_eq!(packets.len(), usize::from(cut >= 100), "cut at {cut}");
    }
}

#[test]
fn a_length_that_cannot_be_is_refused_before_memory_is_asked_for() {
    let mut bytes = two_packets(Order::Little, MICROSECONDS);
    bytes.extend([0, 0, 0xffff_fff0, 60].map(u32::to_le_bytes).as_flattened());
    let (packets, error) = read(&bytes);
    let error = error.unwrap();
    assert_eq!(packets.len(), 2);
    assert_eq!(error.code.0, "capture-packet-length");
    assert_eq!(error.message, "packet 3 cannot be as long as the capture says");
    assert_eq!(error.found.as_deref(), Some("4294967280"));
}

#[test]
fn the_longest_packet_is_read() {
    let mut bytes = pcap_header(Order::Little, MICROSECONDS, 1);
    for _ in 0..3 {
        bytes.extend(pcap_record(Order::Little, 0, 0, MAX_PACKET as u32, &vec![7; MAX_PACKET]));
    }
    let packets = read_whole(&bytes);
    assert!(packets.len() == 3 && packets.iter().all(|packet| packet.data.len() == MAX_PACKET));
}

#[test]
fn files_that_are_no_captures_are_told_what_they_are() {
    let rows: [(&[u8], &str); 6] = [
        (b"", "an empty file"),
        (b"hello, world\n", "a text file"),
        (b"\x7fELF\x02\x01\x01\0", "an ELF file"),
        (b"\xfd7zXZ\0\0\x04", "an xz file"),
        (b"\0\x01\x02\x03\x04", "a file that begins with 00 01 02 03"),
        (b"\x28\xb5\x2f\xfd\x04", "a zstd file"),
    ];
    for (bytes, what) in rows {
        let error = error_of(bytes);
        assert_eq!((error.code.0, error.found.as_deref()), ("capture-format", Some(what)));
        assert_eq!(error.file.as_deref(), Some("test.pcap"));
    }
    assert!(error_of(b"\x7fELF\x02\x01\x01\0").help[0].contains("--pcap CAPTURE"));
}

#[test]
fn another_version_is_refused() {
    let mut bytes = pcap_header(Order::Little, MICROSECONDS, 1);
    bytes[4] = 3;
    assert_eq!(error_of(&bytes).found.as_deref(), Some("version 3"));
}

#[test]
fn a_missing_file_and_a_directory_are_errors_that_name_them() {
    for path in ["/nonexistent/x.pcap", "/"] {
        let error = Capture::open(path).err().unwrap();
        assert_eq!((error.code.0, error.file.as_deref()), ("capture-read", Some(path)));
    }
}

#[test]
fn a_cut_gzip_file_gives_what_it_held() {
    // Incompressible packets, so that the first ones stand well before the cut.
    let mut bytes = pcap_header(Order::Little, MICROSECONDS, 1);
    let mut state = 1u32;
    for _ in 0..2000 {
        let data: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(64)
        .collect();
        bytes.extend(pcap_record(Order::Little, 0, 0, 64, &data));
    }
    let compressed = gzip(&bytes);
    let (packets, error) = read(&compressed[..compressed.len() / 2]);
    let error = error.unwrap();
    assert!(packets.len() > 500, "{} packets", packets.len());
    assert_eq!(packets[..500], read_whole(&bytes)[..500]);
    assert_eq!(error.code.0, "capture-read");
    assert!(error.notes.iter().any(|note| note.contains("compressed")));
}

/// Gives one byte at a time, with interruptions: the worst that a pipe may do.
struct Drip(Cursor<Vec<u8>>, bool);

impl Read for Drip {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let one = into.len().min(1);
        self.0.read(&mut into[..one])
    }
}

#[test]
fn a_slow_pipe_reads_as_a_file() {
    let bytes = two_packets(Order::Little, NANOSECONDS);
    let mut capture = Capture::from_reader("-", Drip(Cursor::new(bytes.clone()), false)).unwrap();
    let mut lengths = Vec::new();
    while let Some(packet) = capture.next() {
        lengths.push(packet.unwrap().data.len());
    }
    assert_eq!(lengths, [60, 64]);
    assert_eq!((capture.packets(), capture.bytes_read()), (2, bytes.len() as u64));
}
