//! What needs no kernel to be known: RFC 8754's layout, and Linux's reading of it where that is another.

use super::*;
use std::net::Ipv6Addr;

const DESTINATION: [u8; 16] = [0xfc; 16];

fn segment(n: u8) -> [u8; 16] {
    let mut address = [0; 16];
    (address[0], address[15]) = (0xfd, n);
    address
}

fn srh(segments: u8, left: u8, tlvs: &[u8]) -> Vec<u8> {
    let mut header = vec![header::NONE, segments * 2 + tlvs.len() as u8 / 8, ROUTING_TYPE, left, segments - 1, 0, 7, 8];
    header.extend((0..segments).flat_map(segment));
    header.extend(tlvs);
    header
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x6a, 0xbc, 0xde, 0xf0, 0, payload.len() as u8, next, 64];
    packet.extend([0xfe; 16]);
    packet.extend(DESTINATION);
    packet.extend(payload);
    packet
}

#[test]
fn a_header_is_read_field_by_field() {
    let tlvs = [tlv::PADN, 0, 200, 4, 1, 2, 3, 4];
    let packet = ipv6(header::ROUTING, &srh(2, 1, &tlvs));
    let found = Srh::of(&packet, Spent::Skipped).expect("an SRH");
    assert_eq!((found.at, found.segments_left, found.last_entry, found.tag), (40, 1, 1, 0x0708));
    assert_eq!(found.segment(&packet, 1), Some(Ipv6Addr::from(segment(1))));
    let seen = found.tlvs(&packet).map(|tlv| (tlv.ty, tlv.at - 40, tlv.len)).collect::<Vec<_>>();
    assert_eq!(seen, [(tlv::PADN, 40, 0), (200, 42, 4)]);
    let spent = ipv6(header::ROUTING, &srh(2, 0, &[]));
    assert!(Srh::of(&spent, Spent::Skipped).is_none() && Srh::of(&spent, Spent::Counts).is_some());
}

#[test]
fn each_flaw_has_its_name() {
    let check = |at: usize, to: u8, list| {
        let mut header = srh(2, 1, &[200, 6, 0, 0, 0, 0, 0, 0]);
        header[at] = to;
        Srh::check(&header, 0, header.len(), list).map(|srh| srh.segments_left)
    };
    assert_eq!(check(7, 0, List::Full), Ok(1));
    assert_eq!(check(1, 4, List::Full), Err(Flaw::Length));
    assert_eq!(check(2, 0, List::Full), Err(Flaw::Type));
    assert_eq!(check(3, 2, List::Full), Err(Flaw::SegmentsLeft));
    assert_eq!(check(3, 2, List::Reduced), Ok(2), "the first stands in the destination address");
    assert_eq!(check(3, 3, List::Reduced), Err(Flaw::SegmentsLeft));
    assert_eq!(check(4, 2, List::Reduced), Err(Flaw::LastEntry));
    assert_eq!(check(41, 7, List::Reduced), Err(Flaw::Tlv { at: 40 }));
    assert_eq!(check(41, 5, List::Reduced), Err(Flaw::Tlv { at: 47 }), "a TLV without a length");
    assert_eq!(Srh::check(&srh(1, 0, &[])[..7], 0, 7, List::Full), Err(Flaw::Length));
}

#[test]
fn headers_are_found_behind_others() {
    let options = [header::ROUTING, 0, 1, 4, 0, 0, 0, 0];
    let packet = ipv6(header::DESTINATION, &[&options[..], &srh(1, 1, &[])].concat());
    assert_eq!(find(&packet, Some(header::ROUTING), Spent::Counts), Ok(Found { at: 48, header: header::ROUTING }));
    assert_eq!(find(&packet, None, Spent::Counts), Ok(Found { at: 72, header: header::NONE }));
    assert_eq!(find(&packet, Some(header::IPV6), Spent::Counts), Err(Lost::None));
    assert_eq!(find(&packet[..47], None, Spent::Counts), Err(Lost::Short));
    let later = ipv6(header::FRAGMENT, &[header::ROUTING, 0, 0, 9, 0, 0, 0, 1]);
    assert_eq!(find(&later, Some(header::ROUTING), Spent::Counts), Err(Lost::None));
}

#[test]
fn the_next_segment_is_the_one_before_in_the_list() {
    let mut packet = ipv6(header::ROUTING, &srh(3, 2, &[]));
    let found = Srh::of(&packet, Spent::Skipped).expect("an SRH");
    advance(&mut packet, &found);
    assert_eq!(packet[24..40], segment(1));
    assert_eq!(packet[43], 1);
}

#[test]
fn an_outer_header_inherits_and_an_inserted_one_keeps_the_destination() {
    let source = Ipv6Addr::from([9; 16]);
    let inner = ipv6(header::NONE, b"data");
    let mut packet = inner.clone();
    let towards = |to: Ipv6Addr| {
        assert_eq!(to.octets(), segment(1));
        source
    };
    encapsulate(&mut packet, &srh(2, 1, &[]), Inner::six(&inner), towards).expect("no HMAC");
    assert_eq!(packet[..8], [0x6a, 0xbc, 0xde, 0xf0, 0, 84, header::ROUTING, 64]);
    assert_eq!((&packet[8..24], &packet[24..40]), (&source.octets()[..], &segment(1)[..]));
    assert_eq!((packet[40], &packet[80..]), (header::IPV6, &inner[..]));

    let mut packet = inner.clone();
    insert(&mut packet, &srh(2, 1, &[])).expect("no HMAC");
    assert_eq!((packet[6], packet[40], packet[5]), (header::ROUTING, header::NONE, 44));
    assert_eq!((&packet[24..40], &packet[48..64]), (&segment(1)[..], &DESTINATION[..]));
    assert_eq!(packet[80..], *b"data");

    let mut signed = srh(1, 0, &[]);
    signed[5] = FLAG_HMAC;
    assert_eq!(insert(&mut inner.clone(), &signed), Err(Unable::NoHmac));
    let hmac = [&[tlv::HMAC, 38][..], &[0; 38]].concat();
    let mut signed = srh(1, 0, &hmac);
    signed[5] = FLAG_HMAC;
    assert_eq!(insert(&mut inner.clone(), &signed), Err(Unable::NoKey));
    assert_eq!(insert(&mut inner[..39].to_vec(), &srh(1, 0, &[])), Err(Unable::Short));
}
