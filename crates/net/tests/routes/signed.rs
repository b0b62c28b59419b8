//! Signed headers: those that come in, of which the kernel and we have to think the same, and those that the kernel and we
//! put on packets.

use crate::{
    lab::{IN, Lab, OURS, THEIRS},
    packets::{self, segment, srh},
    programs::{self, Text},
    router::{Came, address, behaviours, kernels, more_routes, ours, router},
};
use alveary_abi::ProgType;
use alveary_linux::netlink::srv6::{self, HmacKey, set_hmac_key};
use alveary_net::{
    router::{Arrival, Behaviour, Headend, MAIN, Target},
    seg6::{self, Algorithm, Inner, Key, Keys, Require},
};
use alveary_testing::network::{ip, set};
use std::net::Ipv4Addr;

/// Keys that the kernel knows, and we.
pub(crate) const SHA256: u32 = 71;
pub(crate) const SHA1: u32 = 72;
/// One that nobody knows.
const UNKNOWN: u32 = 7;

/// The longest secret, and a short one.
const SECRETS: [(u32, Algorithm, srv6::Algorithm, &[u8]); 2] = [
    (SHA256, Algorithm::Sha256, srv6::Algorithm::Sha256, &[0x5a; seg6::MOST_SECRET]),
    (SHA1, Algorithm::Sha1, srv6::Algorithm::Sha1, b"not a secret"),
];

/// Tells this thread's kernel the keys.
pub(crate) fn tell_kernel() {
    for (id, _, algorithm, secret) in SECRETS {
        set_hmac_key(&HmacKey { id, algorithm, secret: secret.to_vec() }).expect("a key");
    }
}

pub(crate) fn keys() -> Keys {
    let mut keys = Keys::default();
    for (id, algorithm, _, secret) in SECRETS {
        keys.add(id, Key::new(algorithm, secret).expect("a secret"));
    }
    keys
}

/// A header that has room for an HMAC behind other TLVs, and the flag of one.
pub(crate) fn to_be_signed(segments: u8, key: u32, tlvs: &[u8]) -> Vec<u8> {
    let hmac = [&[5, 38, 0, 0][..], &key.to_be_bytes(), &[0xab; 32]].concat();
    let mut header = srh(0, segments, segments - 1, &[tlvs, &hmac].concat());
    header[5] = 8;
    header
}

/// A packet with such a header, signed, of whose segments `left` are left.
fn signed(header: &[u8], left: u8, next: u8, payload: &[u8]) -> Vec<u8> {
    let like = packets::ipv6(next, payload);
    let source: [u8; 16] = like[8..24].try_into().expect("an address");
    let mut packet = payload.to_vec();
    // What cannot be signed is to be sent all the same.
    let _ = seg6::encapsulate(&mut packet, header, Inner::other(next), &keys(), |_| source.into());
    let len = (packet.len() - 40) as u16;
    packet[4..6].copy_from_slice(&len.to_be_bytes());
    packet[24..40].copy_from_slice(&like[24..40]);
    packet[43] = left;
    packet
}

fn changed(mut packet: Vec<u8>, at: usize) -> Vec<u8> {
    packet[at] ^= 1;
    packet
}

/// With options between the IPv6 header and the other.
fn behind_options(mut packet: Vec<u8>, number: u8) -> Vec<u8> {
    packet.splice(40..40, [packet[6], 0, 1, 4, 0, 0, 0, 0]);
    packet[5] += 8;
    packet[6] = number;
    packet
}

/// Signed packets, right ones and such as are wrong in one place, and some that nobody signed.
fn signed_packets() -> Vec<(String, Vec<u8>)> {
    let udp = packets::udp(b"signed");
    let opaque = [0x7c, 6, 1, 2, 3, 4, 5, 6];
    let mut all = Vec::new();
    for key in [SHA256, SHA1, UNKNOWN] {
        let mut add = |name: &str, packet: Vec<u8>| all.push((format!("{name}, key {key}"), packet));
        let right = signed(&to_be_signed(2, key, &[]), 1, 17, &udp);
        // Source, list, flags, tag, segments, the TLV's head, number of the key, HMAC and what fills its field.
        for at in [8, 22, 43, 44, 45, 46, 48, 63, 64, 79, 80, 81, 82, 84, 87, 88, 107, 108, 119] {
            add(&format!("byte {at} changed"), changed(right.clone(), at));
        }
        for segments in [1, 3, 13, 14, 15] {
            let header = to_be_signed(segments, key, &[]);
            add(&format!("{segments} segments"), signed(&header, segments - 1, 17, &udp));
            add(&format!("{segments} segments, reduced"), signed(&header, segments, 17, &udp));
        }
        add("other TLVs", signed(&to_be_signed(2, key, &opaque), 1, 17, &udp));
        let mut behind = to_be_signed(2, key, &[]);
        behind.extend(opaque);
        behind[1] += 1;
        add("another TLV behind", signed(&behind, 1, 17, &udp));
        add("hop-by-hop options", behind_options(right.clone(), 0));
        add("destination options", behind_options(right.clone(), 60));
        for (number, mut inner) in [(41, packets::ipv6(17, &udp)), (4, packets::ipv4(&udp))] {
            if number == 41 {
                inner[24..40].copy_from_slice(&segment(0x55));
            }
            let around = signed(&to_be_signed(2, key, &[]), 0, number, &inner);
            add(&format!("around {number}"), around.clone());
            add(&format!("around {number}, changed"), changed(around, 100));
        }
        add("as it is", right);
    }
    all.extend(packets::all());
    all
}

#[test]
fn signatures_are_checked_as_in_the_kernel() {
    let Some(lab) = Lab::new("checked signatures") else { return };
    more_routes();
    let packets = signed_packets();
    let (mut found, mut out, mut compared) = (Vec::new(), Vec::new(), 0);
    for (value, require) in [("-1", Require::Nothing), ("0", Require::Right), ("1", Require::Present)] {
        set("ipv6/conf/in/seg6_require_hmac", value);
        let mut came = 0;
        for (name, target) in behaviours().into_iter().filter(|(name, _)| name.starts_with("seg6local")) {
            ip(&format!("-6 route replace fc00:e::/48 encap {name} dev out"));
            let mut router = router();
            router.require.insert(IN, require);
            router.add(MAIN, address("fc00:e::"), 48, target);
            for (packet_name, packet) in &packets {
                let arrival = Arrival { device: IN, ..Arrival::of(packet) };
                let (kernel, here) = (kernels(&lab, packet), ours(&router, &arrival));
                came += kernel.0.len();
                compared += 1;
                if kernel != here {
                    found.push(told(&format!("{value}: {name} on `{packet_name}`"), packet, &kernel, &here));
                }
            }
        }
        out.push(came);
    }
    println!("checked signatures: {compared} packets compared, {out:?} came out");
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found[..found.len().min(3)].join("\n"));
    assert!(out[0] > out[1] && out[1] > out[2] && out[2] > 100, "what is required makes a difference: {out:?}");
}

#[test]
fn programs_see_what_is_signed_as_in_the_kernel() {
    let looks = [Text::new().look().returns(programs::OK)];
    crate::compare("signed endpoints", ProgType::LWT_SEG6LOCAL, &looks, &signed_packets());
}

fn told(what: &str, packet: &[u8], kernel: &Came, here: &Came) -> String {
    format!("{what} {packet:02x?}\n  kernel {kernel:02x?}\n  here   {here:02x?}")
}

/// Headends and segments that sign, as `ip` calls them.
fn signing(segments: u8, key: u32) -> Vec<(String, Target)> {
    let list: Vec<_> = (0x21..0x21 + segments).map(|n| segment(n).into()).collect();
    let words = list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let header = |inside| seg6::header_of(&list, inside, Some(key));
    let mut all = vec![
        ("seg6 mode encap".to_owned(), Target::Headend(Headend::Encaps(header(false)))),
        ("seg6 mode encap.red".to_owned(), Target::Headend(Headend::EncapsReduced(header(false)))),
        ("seg6 mode l2encap".to_owned(), Target::Headend(Headend::L2Encaps(header(false)))),
        ("seg6 mode l2encap.red".to_owned(), Target::Headend(Headend::L2EncapsReduced(header(false)))),
        ("seg6 mode inline".to_owned(), Target::Headend(Headend::Inline(header(true)))),
        ("seg6local action End.B6 srh".to_owned(), Target::Endpoint(Behaviour::EndB6(header(true)))),
        ("seg6local action End.B6.Encaps srh".to_owned(), Target::Endpoint(Behaviour::EndB6Encaps(header(false)))),
    ];
    all.iter_mut().for_each(|(name, _)| *name = format!("{name} segs {words} hmac {key}"));
    all
}

#[test]
fn headers_are_signed_as_in_the_kernel() {
    let Some(lab) = Lab::new("signed headers") else { return };
    let udp = packets::udp(b"to be signed");
    let six = [packets::ipv6(17, &udp), packets::ipv6(43, &[srh(17, 2, 1, &[]), udp.clone()].concat())];
    let four = packets::ipv4(&udp);
    let (mut compared, mut out) = (0, 0);
    for (segments, key) in [1, 2, 13, 14, 15].into_iter().flat_map(|n| [SHA256, SHA1, UNKNOWN].map(|key| (n, key))) {
        for (name, target) in signing(segments, key) {
            ip(&format!("-6 route replace fc00:e::/48 encap {name} dev out"));
            let mut router = router();
            router.add(MAIN, address("fc00:e::"), 48, target.clone());
            let takes_four = name.starts_with("seg6 ") && !name.contains("inline");
            if takes_four {
                ip(&format!("route replace 10.14.0.0/16 encap {name} dev out"));
                router.add(MAIN, Ipv4Addr::new(10, 14, 0, 0), 16, target);
            }
            for packet in six.iter().chain(takes_four.then_some(&four)) {
                let (kernel, here) = (kernels(&lab, packet), ours(&router, &Arrival::of(packet)));
                assert!(kernel == here, "{}", told(&name, packet, &kernel, &here));
                let link = [&OURS[..], &THEIRS, if packet[0] >> 4 == 4 { &[8, 0] } else { &[0x86, 0xdd] }].concat();
                let framed = lab.through_frame(&[&link[..], packet].concat());
                assert_eq!(framed, ours(&router, &Arrival { link: &link, ..Arrival::of(packet) }).0, "{name}, a frame");
                compared += 2;
                out += kernel.0.len() + framed.len();
            }
        }
    }
    println!("signed headers: {compared} packets compared, {out} came out");
    assert!(out > 200, "{out} packets came out");
}
