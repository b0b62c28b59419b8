//! pcapng files: blocks in either byte order, interfaces with clocks of their own, broken blocks.

mod common;

use std::io::Cursor;

use alveary_ports::{Capture, LinkType, MAX_PACKET};
use common::{Order, block, enhanced, error_of, interface, obsolete, read, read_whole, section, simple};

const L: Order = Order::Little;

/// A section with one Ethernet interface.
fn head(order: Order) -> Vec<u8> {
    [section(order), interface(order, 1, 65535, &[])].concat()
}

/// The time of one packet with `ticks`, on an interface with these options.
fn time_of(options: &[(u16, &[u8])], ticks: u64) -> u64 {
    let bytes = [section(L), interface(L, 1, 0, options), enhanced(L, 0, ticks, 4, &[1; 4])].concat();
    read_whole(&bytes)[0].timestamp_ns
}

#[test]
fn the_three_packet_blocks_in_both_byte_orders() {
    for order in [Order::Little, Order::Big] {
        let mut bytes = head(order);
        bytes.extend(enhanced(order, 0, 1_700_000_000_000_001, 1500, &[1; 61]));
        bytes.extend(obsolete(order, 0, 5, 62, &[2; 62]));
        bytes.extend(simple(order, 63, &[3; 63]));
        let packets = read_whole(&bytes);
        let seen: Vec<_> = packets.iter().map(|p| (p.timestamp_ns, p.original_len, p.data.clone())).collect();
        assert_eq!(
            seen,
            [(1_700_000_000_000_001_000, 1500, vec![1; 61]), (5000, 62, vec![2; 62]), (0, 63, vec![3; 63]),],
            "{order:?}"
        );
    }
}

#[test]
fn a_simple_packet_is_as_long_as_the_first_interface_left_it() {
    let bytes = [section(L), interface(L, 1, 60, &[]), simple(L, 1500, &[3; 60])].concat();
    let packet = &read_whole(&bytes)[0];
    assert_eq!((packet.original_len, packet.data.len()), (1500, 60));
}

#[test]
fn clocks() {
    assert_eq!(time_of(&[], 7), 7_000, "microseconds unless said otherwise");
    assert_eq!(time_of(&[(9, &[0])], 7), 7_000_000_000, "seconds");
    assert_eq!(time_of(&[(9, &[3])], 7), 7_000_000, "milliseconds");
    assert_eq!(time_of(&[(9, &[9])], 7), 7, "nanoseconds");
    assert_eq!(time_of(&[(9, &[12])], 7_999), 7, "picoseconds");
    assert_eq!(time_of(&[(9, &[0x8a])], 512), 500_000_000, "1024ths of a second");
    assert_eq!(time_of(&[(9, &[0xff])], u64::MAX), 0, "finer than anything");
    assert_eq!(time_of(&[(9, &[127])], u64::MAX - 1), 0, "finer than anything");
    assert_eq!(time_of(&[(9, &[0x80])], u64::MAX), u64::MAX, "past the end of time");
    assert_eq!(time_of(&[(9, &[0])], u64::MAX), u64::MAX, "past the end of time");
    assert_eq!(time_of(&[(9, &[9]), (14, &3i64.to_le_bytes())], 7), 3_000_000_007, "offset");
    assert_eq!(time_of(&[(14, &(-3i64).to_le_bytes())], 4_000_000), 1_000_000_000, "negative offset");
    assert_eq!(time_of(&[(14, &i64::MIN.to_le_bytes())], 4), 0, "before 1970");
}

#[test]
fn interfaces_of_different_links_and_clocks_in_several_sections() {
    let bytes = [
        section(L),
        interface(L, 1, 0, &[(2, b"eth0"), (9, &[9])]),
        enhanced(L, 0, 11, 4, &[1; 4]),
        interface(L, 113, 0, &[(9, &[6])]),
        enhanced(L, 1, 11, 4, &[2; 4]),
        section(Order::Big),
        interface(Order::Big, 101, 0, &[(9, &[0])]),
        enhanced(Order::Big, 0, 11, 4, &[3; 4]),
    ]
    .concat();
    let seen: Vec<_> = read_whole(&bytes).iter().map(|p| (p.interface, p.link, p.timestamp_ns)).collect();
    assert_eq!(
        seen,
        [(0, LinkType::Ethernet, 11), (1, LinkType::LinuxSll, 11_000), (0, LinkType::Raw, 11_000_000_000),]
    );
    let capture = Capture::from_reader("x", Cursor::new(bytes)).unwrap();
    assert_eq!(capture.link_type(), LinkType::Ethernet);
}

#[test]
fn blocks_without_packets_are_passed_over_however_long() {
    let bytes = [
        section(L),
        block(L, 0x0bad, &vec![0; 3 << 20]),
        interface(L, 228, 0, &[]),
        block(L, 4, b"names"),
        enhanced(L, 0, 1, 4, &[1; 4]),
        block(L, 5, &[0; 20]),
    ]
    .concat();
    let capture = Capture::from_reader("x", Cursor::new(bytes.clone())).unwrap();
    assert_eq!(capture.link_type(), LinkType::Ipv4);
    assert_eq!(read_whole(&bytes).len(), 1);
}

#[test]
fn an_interface_of_any_link_type_may_be_there_if_no_packet_comes_from_it() {
    let bytes =
        [head(L), interface(L, 249, 0, &[]), enhanced(L, 0, 1, 4, &[1; 4]), enhanced(L, 1, 1, 4, &[1; 4])].concat();
    let (packets, error) = read(&bytes);
    assert_eq!(packets.len(), 1);
    assert_eq!(error.unwrap().found.as_deref(), Some("link type 249 (USBPCAP)"));
}

#[test]
fn the_longest_packet_is_read_and_a_longer_one_refused() {
    let bytes = [head(L), enhanced(L, 0, 1, 9, &vec![5; MAX_PACKET])].concat();
    assert_eq!(read_whole(&bytes)[0].data.len(), MAX_PACKET);
    for len in [MAX_PACKET + 1, MAX_PACKET * 2] {
        let error = error_of(&[head(L), enhanced(L, 0, 1, 9, &vec![5; len])].concat());
        assert_eq!(error.code.0, "capture-packet-length");
    }
}

#[test]
fn a_cut_anywhere_is_an_error_except_between_blocks() {
    let parts = [
        section(L),
        interface(L, 1, 0, &[]),
        enhanced(L, 0, 1, 9, &[1; 9]),
        block(L, 5, &[0; 8]),
        simple(L, 4, &[4; 4]),
    ];
    let whole = parts.concat();
    let mut boundaries = Vec::new();
    let mut at = 0;
    for part in &parts {
        at += part.len();
        boundaries.push(at);
    }
    for cut in 1..whole.len() {
        let (packets, error) = read(&whole[..cut]);
        assert_eq!(error.is_none(), boundaries.contains(&cut), "cut at {cut}: {error:?}");
        assert_eq!(packets.len(), usize::from(cut >= boundaries[2]), "cut at {cut}");
    }
    let error = error_of(&whole[..boundaries[3] + 9]);
    assert_eq!(error.message, "the capture ends inside packet 2");
}

#[test]
fn broken_blocks_are_refused_where_they_stand() {
    let at = head(L).len() as u64;
    let packet = enhanced(L, 0, 1, 4, &[1; 4]);
    let mut unequal = packet.clone();
    *unequal.last_mut().unwrap() = 1;
    let mut odd = packet.clone();
    odd[4] += 1;
    let mut long_packet = packet.clone();
    long_packet[20] = 200;
    let rows = [
        (unequal, "the two lengths of a block of type 0x6 differ"),
        (odd, "the length of a block of type 0x6 cannot be"),
        (long_packet, "packet 1 does not fit its block"),
        (block(L, 6, &[0; 16]), "a block of type 0x6 is too short for what it holds"),
        (block(L, 1, &[0; 4]), "a block of type 0x1 is too short for what it holds"),
        (block(L, 3, &[]), "a block of type 0x3 is too short for what it holds"),
        (enhanced(L, 3, 1, 4, &[1; 4]), "packet 1 comes from an interface that the file does not describe"),
        (block(L, 1, &[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 99, 0]), "option 9 of an interface does not fit its block"),
        (vec![0; 12], "the length of a block of type 0x0 cannot be"),
    ];
    for (bytes, message) in rows {
        let error = error_of(&[head(L), bytes].concat());
        assert_eq!((error.code.0, &*error.message), ("capture-block", message));
        assert_eq!(error.place(), &alveary_diag::Place::Byte { at }, "{message}");
    }
}

#[test]
fn a_section_must_say_its_byte_order_and_version() {
    let mut bytes = head(L);
    bytes[8] = 0;
    assert_eq!(error_of(&bytes).found.as_deref(), Some("003c2b1a"));
    let mut bytes = head(L);
    bytes[12] = 2;
    assert_eq!(error_of(&bytes).found.as_deref(), Some("version 2"));
}

#[test]
fn a_packet_without_an_interface_is_refused() {
    let error = error_of(&[section(L), enhanced(L, 0, 1, 4, &[1; 4])].concat());
    assert_eq!(error.found.as_deref(), Some("interface 0"));
}
