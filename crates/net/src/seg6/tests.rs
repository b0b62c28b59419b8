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
    encapsulate(&mut packet, &srh(2, 1, &[]), Inner::six(&inner), Keys::NONE, towards).expect("no HMAC");
    assert_eq!(packet[..8], [0x6a, 0xbc, 0xde, 0xf0, 0, 84, header::ROUTING, 64]);
    assert_eq!((&packet[8..24], &packet[24..40]), (&source.octets()[..], &segment(1)[..]));
    assert_eq!((packet[40], &packet[80..]), (header::IPV6, &inner[..]));

    let mut packet = inner.clone();
    insert(&mut packet, &srh(2, 1, &[]), Keys::NONE).expect("no HMAC");
    assert_eq!((packet[6], packet[40], packet[5]), (header::ROUTING, header::NONE, 44));
    assert_eq!((&packet[24..40], &packet[48..64]), (&segment(1)[..], &DESTINATION[..]));
    assert_eq!(packet[80..], *b"data");

    let mut signed = srh(1, 0, &[]);
    signed[5] = FLAG_HMAC;
    assert_eq!(insert(&mut inner.clone(), &signed, Keys::NONE), Err(Unable::NoHmac));
    let hmac = [&[tlv::HMAC, 38][..], &[0; 38]].concat();
    let mut signed = srh(1, 0, &hmac);
    signed[5] = FLAG_HMAC;
    assert_eq!(insert(&mut inner.clone(), &signed, Keys::NONE), Err(Unable::NoKey));
    assert_eq!(insert(&mut inner[..39].to_vec(), &srh(1, 0, &[]), Keys::NONE), Err(Unable::Short));
}

/// Keys 7 and 8 with the same secret.
fn keys() -> Keys {
    let mut keys = Keys::default();
    for (id, algorithm) in [(7, Algorithm::Sha256), (8, Algorithm::Sha1)] {
        keys.add(id, Key::new(algorithm, *b"a secret").expect("a secret"));
    }
    keys
}

fn to_be_signed(segments: u8, left: u8, key: u32) -> Vec<u8> {
    let hmac = [&[tlv::HMAC, 38, 0, 0][..], &key.to_be_bytes(), &[0xaa; 32]].concat();
    let mut header = srh(segments, left, &hmac);
    header[5] = FLAG_HMAC;
    header
}

fn signed(header: &[u8]) -> Vec<u8> {
    let mut packet = ipv6(header::NONE, b"data");
    let inner = Inner::six(&packet);
    encapsulate(&mut packet, header, inner, &keys(), |_| Ipv6Addr::from([9; 16])).expect("a key");
    packet
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The codes are those of Python's `hmac` over source, last index, flags, number of the key and segments.
#[test]
fn headers_are_signed() {
    let sha256 = "0f5f88155cce0334ba4d6139fa783f4c47ba9891e7abf28c21404733e61e0759";
    assert_eq!(hex(&signed(&to_be_signed(2, 1, 7))[88..120]), sha256);
    let sha1 = "5825ee76530c1e3d4cc11f4cd88e82183c10c82f000000000000000000000000";
    assert_eq!(hex(&signed(&to_be_signed(2, 1, 8))[88..120]), sha1);

    let inner = ipv6(header::NONE, b"data");
    let mut reduced = inner.clone();
    let to_be = to_be_signed(2, 1, 7);
    encapsulate_reduced(&mut reduced, &to_be, Inner::six(&inner), &keys(), |_| [9; 16].into()).expect("a key");
    assert_eq!(hex(&reduced[72..104]), "e3e6d8c85c71c3d50c7e9e0a9140fc7b514ea76617efe7ccefdcca521892dad2");
    let mut inside = inner.clone();
    insert(&mut inside, &to_be, &keys()).expect("a key");
    assert_eq!(hex(&inside[88..120]), "0d60f7ee316ad687ebe981a1a3e90ab938141c93dce43b80fffcc56a561b4d14");

    assert_eq!(insert(&mut inner.clone(), &to_be_signed(2, 1, 9), &keys()), Err(Unable::NoKey));
    assert_eq!(insert(&mut inner.clone(), &to_be_signed(14, 13, 7), &keys()), Ok(()));
    assert_eq!(insert(&mut inner.clone(), &to_be_signed(15, 14, 7), &keys()), Err(Unable::TooLong));
}

#[test]
fn what_is_signed_cannot_be_changed() {
    let (keys, packet) = (keys(), signed(&to_be_signed(2, 1, 7)));
    let accepts = |require, packet: &[u8]| Policy { keys: &keys, require }.accepts(packet, Srh::read(packet, 40));
    let changed = |at: usize| {
        let mut packet = packet.clone();
        packet[at] ^= 1;
        packet
    };
    assert!([Require::Nothing, Require::Right, Require::Present].iter().all(|require| accepts(*require, &packet)));
    // The source, the last index, the flags, the segments, the key, the HMAC.
    for at in (8..24).chain([44, 45]).chain(48..80).chain(84..120) {
        assert!(!accepts(Require::Right, &changed(at)), "byte {at}");
        assert!(accepts(Require::Nothing, &changed(at)), "byte {at}");
    }
    // The destination, the segments left, the tag.
    for at in (24..40).chain([43, 46, 47]) {
        assert!(accepts(Require::Present, &changed(at)), "byte {at}");
    }
    let plain = ipv6(header::ROUTING, &srh(2, 1, &[]));
    assert!(accepts(Require::Right, &plain) && !accepts(Require::Present, &plain));
    assert!(!Policy::default().accepts(&packet, Srh::read(&packet, 40)), "no key is known");
}

#[test]
fn a_secret_has_its_length_and_is_not_shown() {
    let key = |len: usize| Key::new(Algorithm::Sha256, vec![b's'; len]);
    assert!(key(0).is_err() && key(1).is_ok() && key(MOST_SECRET).is_ok() && key(MOST_SECRET + 1).is_err());
    let shown = format!("{:?}", Key::new(Algorithm::Sha1, *b"hunter2"));
    assert!(shown.contains("Sha1") && !shown.contains("hunter2") && !shown.contains("104"), "{shown}");
}
