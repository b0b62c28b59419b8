//! What is written is read again: by us, and by `pcap-parser`, which nobody here wrote.

mod common;

use std::path::Path;

use alveary_ports::{Capture, Format, LinkType, MAX_PACKET, Writer};
use common::{Owned, read, read_whole};
use pcap_parser::{Block, LegacyPcapReader, PcapBlockOwned, PcapError, PcapNGReader, traits::PcapReaderIterator};
use proptest::prelude::*;

/// A file that is removed with the test.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Scratch(std::env::temp_dir().join(format!("alveary-ports-{}-{name}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn packet(timestamp_ns: u64, original_len: u32, data: &[u8]) -> Owned {
    Owned { timestamp_ns, original_len, data: data.to_vec(), interface: 0, link: LinkType::Ethernet }
}

/// A capture of these packets, each with its number as a comment.
fn written(packets: &[Owned], format: Format) -> Vec<u8> {
    let mut writer = Writer::to_sink(Vec::new(), format, LinkType::Ethernet).unwrap();
    for (number, packet) in packets.iter().enumerate() {
        let comment = number.to_string();
        writer.write_with_comment(packet.timestamp_ns, packet.original_len, &packet.data, &comment).unwrap();
    }
    writer.finish().unwrap()
}

/// Length and bytes of each packet as `pcap-parser` reads them, with the comments that it finds.
fn oracle(bytes: &[u8], format: Format) -> Vec<(u32, Vec<u8>)> {
    let source = std::io::Cursor::new(bytes.to_vec());
    let mut reader: Box<dyn PcapReaderIterator> = match format {
        Format::Pcap => Box::new(LegacyPcapReader::new(1 << 20, source).unwrap()),
        Format::PcapNg => Box::new(PcapNGReader::new(1 << 20, source).unwrap()),
    };
    let mut packets = Vec::new();
    loop {
        match reader.next() {
            Ok((passed, block)) => {
                match block {
                    PcapBlockOwned::Legacy(packet) => packets.push((packet.origlen, packet.data.to_vec())),
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        let data = &packet.data[..packet.caplen as usize];
                        assert!(
                            packet
                                .options
                                .iter()
                                .any(|option| option.value.starts_with(packets.len().to_string().as_bytes()))
                        );
                        packets.push((packet.origlen, data.to_vec()));
                    }
                    _ => {}
                }
                reader.consume(passed);
            }
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(PcapError::Eof) => return packets,
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn a_name_says_the_format() {
    let rows = [
        ("a.pcap", Format::Pcap, false),
        ("a.pcapng", Format::PcapNg, false),
        ("a.ntar", Format::PcapNg, false),
        ("a.pcap.gz", Format::Pcap, true),
        ("d.pcapng/a.pcapng.gz", Format::PcapNg, true),
        ("a.cap", Format::Pcap, false),
        ("a", Format::Pcap, false),
    ];
    for (name, format, gzip) in rows {
        assert_eq!(Format::of(Path::new(name)), (format, gzip), "{name}");
    }
}

#[test]
fn files_of_each_kind_read_as_what_was_written() {
    let packets = [packet(1_700_000_000_123_456_789, 60, &[1; 60]), packet(1_700_000_001_000_000_001, 1500, &[2; 61])];
    for name in ["a.pcap", "a.pcapng", "a.pcap.gz", "a.pcapng.gz"] {
        let file = Scratch::new(name);
        let mut writer = Writer::create(&file.0, LinkType::Ethernet).unwrap();
        for packet in &packets {
            writer.write(packet.timestamp_ns, packet.original_len, &packet.data).unwrap();
        }
        assert_eq!(writer.packets(), 2);
        writer.finish().unwrap();
        let bytes = std::fs::read(&file.0).unwrap();
        assert_eq!(read_whole(&bytes), packets, "{name}");
        let mut capture = Capture::open(&file.0).unwrap();
        while let Some(packet) = capture.next() {
            packet.unwrap();
        }
        assert_eq!(capture.bytes_total(), Some(bytes.len() as u64));
        assert_eq!(capture.bytes_read(), bytes.len() as u64, "{name}");
    }
}

#[test]
fn what_no_capture_can_hold_is_refused() {
    let mut writer = Writer::to_sink(Vec::new(), Format::PcapNg, LinkType::Ethernet).unwrap();
    let longest = vec![0; MAX_PACKET];
    let comment = "c".repeat(65535);
    writer.write_with_comment(0, 0, &longest, &comment).unwrap();
    assert!(writer.write(0, 0, &vec![0; MAX_PACKET + 1]).is_err());
    assert!(writer.write_with_comment(0, 0, &[], &"c".repeat(65536)).is_err());
    assert_eq!(read_whole(&writer.finish().unwrap()).len(), 1, "the largest block that is written is read");
}

#[test]
fn a_file_that_cannot_be_created_or_filled_is_named() {
    let error = Writer::create("/nonexistent/a.pcap", LinkType::Ethernet).err().unwrap();
    assert_eq!((error.code.0, error.file.as_deref()), ("capture-write", Some("/nonexistent/a.pcap")));
    let mut full = Writer::create("/dev/full", LinkType::Ethernet).unwrap();
    full.write(0, 4, &[0; 4]).unwrap();
    let error = full.finish().err().unwrap();
    assert_eq!((error.code.0, error.file.as_deref()), ("capture-write", Some("/dev/full")));
}

fn packets() -> impl Strategy<Value = Vec<Owned>> {
    let one = (0..4_294_967_295_999_999_999u64, any::<u32>(), prop::collection::vec(any::<u8>(), 0..200));
    prop::collection::vec(one.prop_map(|(time, original_len, data)| packet(time, original_len, &data)), 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn round_trip(packets in packets()) {
        for format in [Format::Pcap, Format::PcapNg] {
            let bytes = written(&packets, format);
            prop_assert_eq!(&read_whole(&bytes), &packets);
            let seen: Vec<_> = packets.iter().map(|p| (p.original_len, p.data.clone())).collect();
            prop_assert_eq!(oracle(&bytes, format), seen);
        }
    }

    #[test]
    fn damage_never_panics_and_never_invents_packets(
        packets in packets(),
        ng in any::<bool>(),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = written(&packets, if ng { Format::PcapNg } else { Format::Pcap });
        let index = at.index(bytes.len());
        bytes[index] ^= flip;
        bytes.truncate(cut.index(bytes.len()) + 1);
        let (seen, _) = read(&bytes);
        let total: usize = seen.iter().map(|packet| packet.data.len()).sum();
        prop_assert!(total <= bytes.len());
    }

    #[test]
    fn bytes_of_any_kind_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0..4usize) {
        let head: &[u8] = [&[][..], &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0], &[0x0a, 0x0d, 0x0d, 0x0a], &[0x1f, 0x8b, 8, 0]][kind];
        let (seen, _) = read(&[head, &bytes].concat());
        for packet in seen {
            let _ = packet.link.ethernet_view(&packet.data);
        }
    }
}
