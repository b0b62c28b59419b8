//! Any bytes as a capture.

use crate::budget::within;
use alveary_ports::{Capture, Format, MAX_PACKET, Writer};
use std::io::Cursor;

/// The reader's window, the decompressor, and something for each interface of a pcapng file.
const WINDOW: usize = 2 << 20;
/// What deflate makes of one byte at most.
const INFLATED: usize = 1032;

struct Kept {
    timestamp_ns: u64,
    original_len: u32,
    data: Vec<u8>,
}

/// Reading ends, with packets and at most one error, in memory that does not grow with the packets; what was read can
/// be written in both formats, and is the same when it is read again.
pub fn capture(bytes: &[u8]) {
    let source = bytes.to_vec();
    let gzip = bytes.starts_with(&[0x1f, 0x8b]);
    let size = if gzip { INFLATED * bytes.len() } else { bytes.len() };
    let mut packets = Vec::new();
    let mut kept = 0;
    let link = within(WINDOW + 16 * size, "reading a capture", || {
        let mut capture = match Capture::from_reader("fuzz", Cursor::new(source)) {
            Ok(capture) => capture,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return None;
            }
        };
        let mut total = 0;
        while let Some(next) = capture.next() {
            let packet = match next {
                Ok(packet) => packet,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    assert!(capture.next().is_none(), "after an error there is nothing");
                    break;
                }
            };
            total += packet.data.len();
            assert!(packet.data.len() <= MAX_PACKET && total <= size, "more data than the file can hold");
            if let Ok(view) = packet.ethernet_view() {
                assert_eq!(view.to_vec().len(), view.len());
            }
            // What is kept for the comparison counts against the budget too: in proportion, as everything.
            if kept < 1 << 16 {
                kept += packet.data.len() + 64;
                let (timestamp_ns, original_len) = (packet.timestamp_ns, packet.original_len);
                packets.push(Kept { timestamp_ns, original_len, data: packet.data.to_vec() });
            }
        }
        assert!(capture.next().is_none());
        Some(capture.link_type())
    });
    let Some(link) = link else { return };
    for format in [Format::Pcap, Format::PcapNg] {
        let mut writer = Writer::to_sink(Vec::new(), format, link).expect("memory takes it");
        for packet in &packets {
            writer.write(packet.timestamp_ns, packet.original_len, &packet.data).expect("memory takes it");
        }
        let written = writer.finish().expect("memory takes it");
        let mut again = Capture::from_reader("again", Cursor::new(written)).expect("what we wrote can be read");
        assert_eq!(again.link_type(), link);
        for packet in &packets {
            let read = again.next().expect("as many as were written").expect("what we wrote can be read");
            let time = match format {
                Format::PcapNg => packet.timestamp_ns,
                // Its seconds have 32 bits.
                Format::Pcap => packet.timestamp_ns % (1_000_000_000 << 32),
            };
            assert_eq!((read.timestamp_ns, read.original_len), (time, packet.original_len));
            assert_eq!(read.data, packet.data);
        }
        assert!(again.next().is_none());
    }
}
