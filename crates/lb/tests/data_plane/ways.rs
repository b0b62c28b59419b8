//! Each way to a real, for each kind of packet, behind no, one and two tags.

use crate::{
    hash,
    packet::{ICMP, ICMP6, Packet, TCP, UDP, echo, swapped, tcp, udp},
    site::{Case, Setup, Site, Verdict, real},
};
use alveary_lb::wire::{Real, Way, flag};
use std::net::IpAddr;

const GATEWAY: [u8; 12] = [2, 0, 0, 0, 9, 9, 2, 0, 0, 0, 8, 8];

fn address_of(bytes: [u8; 16], v6: bool) -> IpAddr {
    if v6 { IpAddr::from(bytes) } else { IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]) }
}

/// What leaves towards a real.
pub(crate) fn towards(packet: &Packet, real: &Real) -> Vec<u8> {
    towards_with(packet, real, hash::flow(packet))
}

/// The same, with the hash of another flow than the packet's own.
pub(crate) fn towards_with(packet: &Packet, real: &Real, hash: u64) -> Vec<u8> {
    let v6 = real.flags & flag::REAL_V6 != 0;
    let macs = if real.flags & flag::REAL_MAC != 0 { real.macs } else { swapped(packet.macs) };
    if matches!(real.way, Way::L2) {
        return packet.clone().with(|p| p.macs = macs).bytes();
    }
    let inner = packet.ip();
    let mut source = real.source;
    let at = if v6 { 12 } else { 0 };
    // The hash's bits are put over the word as it stands in memory.
    let bits = (hash as u32).to_ne_bytes();
    for (i, mask) in real.entropy.to_be_bytes().iter().enumerate() {
        source[at + i] |= bits[i] & mask;
    }
    let gue = matches!(real.way, Way::Gue);
    let knows_sum = packet.fragment.is_none()
        && packet.checksum
        && packet.trailer.is_empty()
        && [TCP, UDP, ICMP, ICMP6].contains(&packet.protocol)
        && (packet.source.is_ipv4() || packet.extensions.is_empty());
    let protocol = match (gue, packet.source.is_ipv4()) {
        (true, _) => UDP,
        (_, true) => 4,
        (_, false) => 41,
    };
    Packet {
        macs,
        tags: packet.tags.clone(),
        source: address_of(source, v6),
        destination: address_of(real.address, v6),
        tos: packet.tos,
        ttl: 64,
        df: true,
        id: 0,
        label: hash as u32 & 0xfffff,
        fragment: None,
        ip_options: Vec::new(),
        extensions: Vec::new(),
        protocol,
        ports: (0xc000 | (hash as u16 & 0x3fff), real.port),
        payload: inner,
        trailer: Vec::new(),
        checksum: (v6 || real.flags & flag::REAL_CHECKSUM != 0) && knows_sum,
        ..packet.clone()
    }
    .bytes()
}

pub(crate) fn kinds() -> Vec<(&'static str, Packet)> {
    vec![
        ("TCP over IPv4", tcp("203.0.113.5:40000", "192.0.2.10:80")),
        ("UDP over IPv4", udp("203.0.113.5:40000", "192.0.2.10:80").with(|p| p.payload.push(7))),
        ("UDP without checksum", udp("203.0.113.5:40000", "192.0.2.10:80").with(|p| p.checksum = false)),
        ("ICMP over IPv4", echo("203.0.113.5", "192.0.2.10")),
        ("TCP over IPv6", tcp("[2001:db8:1::5]:40000", "[2001:db8::10]:80").with(|p| p.payload.push(7))),
        ("UDP over IPv6", udp("[2001:db8:1::5]:40000", "[2001:db8::10]:80")),
        ("ICMP over IPv6", echo("2001:db8:1::5", "2001:db8::10")),
    ]
}

/// A service for everything that [`kinds`] has.
pub(crate) fn everything(flags: u32, ring: &[u32]) -> Setup {
    let mut setup = Setup::default();
    for at in ["192.0.2.10:80", "[2001:db8::10]:80"] {
        setup = setup.service(at, TCP, flags, ring).service(at, UDP, flags, ring);
    }
    setup.service("192.0.2.10:0", ICMP, flags, ring).service("[2001:db8::10]:0", ICMP, flags, ring)
}

fn ways() -> Vec<(&'static str, Real)> {
    let gue = |to| Real { port: 6080, ..real(3, Way::Gue, to) };
    vec![
        ("IP in IPv4", real(3, Way::Ip, "10.1.0.3")),
        ("IP in IPv6", real(3, Way::Ip, "2001:db8:5::3")),
        ("GUE over IPv4", gue("10.1.0.3")),
        ("GUE over IPv4 with checksum", Real { flags: flag::REAL_CHECKSUM, ..gue("10.1.0.3") }),
        ("GUE over IPv6", gue("2001:db8:5::3")),
        ("L2", Real { flags: flag::REAL_MAC, macs: GATEWAY, ..real(3, Way::L2, "10.1.0.3") }),
        ("L2 back to the router", real(3, Way::L2, "10.1.0.3")),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let tagged =
        [("untagged", vec![]), ("VLAN", vec![(0x8100u16, 0x6005u16)]), ("QinQ", vec![(0x88a8, 7), (0x8100, 5)])];
    for (kind, packet) in kinds() {
        for (way, real) in ways() {
            for (tags, list) in &tagged {
                let packet = packet.clone().with(|p| p.tags.clone_from(list));
                let out = towards(&packet, &real);
                let setup = everything(0, &[3]).real(real);
                all.push(Case::new(format!("{kind}, {way}, {tags}"), setup).becomes(&packet, Verdict::Forwarded, out));
            }
        }
        let setup = everything(0, &[3]).real(real(3, Way::Local, "127.0.0.1"));
        all.push(Case::new(format!("{kind}, local"), setup).stays(&packet, Verdict::Local));
    }
    let (v4, v6) = (kinds()[0].1.clone(), kinds()[4].1.clone());
    for (name, real) in [
        ("the gateway's address", Real { flags: flag::REAL_MAC, macs: GATEWAY, ..real(3, Way::Ip, "10.1.0.3") }),
        ("entropy in the source", Real { entropy: 0x0000_ffff, ..real(3, Way::Ip, "10.1.0.3") }),
        ("entropy in a source of IPv6", Real { entropy: 0x00ff_ffff, ..real(3, Way::Ip, "2001:db8:5::3") }),
        ("another generation", Real { name: 3 | 5 << 20, ..real(3, Way::Ip, "10.1.0.3") }),
    ] {
        for (kind, packet) in [("IPv4", &v4), ("IPv6", &v6)] {
            let out = towards(packet, &real);
            let setup = everything(0, &[real.name]).real(real);
            all.push(Case::new(format!("{kind}: {name}"), setup).becomes(packet, Verdict::Forwarded, out));
        }
    }
    for (name, tos) in [("DSCP and ECN", 0xb9u8), ("CE", 3)] {
        for (kind, packet) in [("IPv4", &v4), ("IPv6", &v6)] {
            for to in ["10.1.0.3", "2001:db8:5::3"] {
                let packet = packet.clone().with(|p| p.tos = tos);
                let real = real(3, Way::Ip, to);
                let out = towards(&packet, &real);
                let setup = everything(0, &[3]).real(real);
                let case = Case::new(format!("{kind}: {name} show outside, to {to}"), setup);
                all.push(case.becomes(&packet, Verdict::Forwarded, out));
            }
        }
    }
    sums_that_are_not_known(&mut all);
    // What follows the IP packet in the frame is kept and counts for nothing.
    let padded = [v4.clone().with(|p| p.payload.clear()).bytes(), vec![0; 6]].concat();
    let mut out = towards(&v4.clone().with(|p| p.payload.clear()), &real(3, Way::Ip, "10.1.0.3"));
    out.extend([0; 6]);
    let mut case = Case::new("padding behind a short packet", everything(0, &[3]).real(real(3, Way::Ip, "10.1.0.3")));
    case.packets.push((padded, crate::site::Want { verdict: Verdict::Forwarded, out: Some(out) }));
    all.push(case);
    all
}

/// Checksums inside do not cover extension headers, nor what follows a datagram in its IP packet: GUE has none then.
fn sums_that_are_not_known(all: &mut Vec<Case>) {
    let options = |p: &mut Packet| p.extensions = vec![(0, vec![0, 1, 4, 0, 0, 0, 0]), (60, vec![0, 1, 4, 9, 9, 9, 9])];
    for (kind, packet) in kinds() {
        let v4 = packet.source.is_ipv4();
        for (way, real) in ways().into_iter().filter(|(way, _)| way.starts_with("GUE")) {
            let mut case = |what: &str, packet: Packet| {
                let out = towards(&packet, &real);
                let case = Case::new(format!("{kind}, {way}, {what}"), everything(0, &[3]).real(real));
                all.push(case.becomes(&packet, Verdict::Forwarded, out));
            };
            if v4 {
                case("IP options", packet.clone().with(|p| p.ip_options = vec![1; 8]));
            } else {
                case("extension headers", packet.clone().with(options));
            }
            if packet.protocol == UDP {
                case("more behind the datagram", packet.clone().with(|p| p.trailer = b"else".to_vec()));
            }
        }
    }
}

#[test]
fn packets_get_to_reals() {
    Site::new("packets get to reals").run(&cases());
}

#[test]
fn another_device_is_redirected_to() {
    let site = Site::new("another device");
    let packet = kinds()[0].1.clone();
    let away = Real { ifindex: 77, ..real(3, Way::Ip, "10.1.0.3") };
    let out = towards(&packet, &away);
    // Both say XDP_REDIRECT: what `Verdict::action` says of a forwarded packet is not this one.
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        site.run(&[Case::new("away", everything(0, &[3]).real(away)).becomes(&packet, Verdict::Forwarded, out)]);
    }));
    let said = failed.expect_err("an action that is not XDP_TX");
    assert!(said.downcast_ref::<String>().is_some_and(|text| text.contains("action 4, not 3")));
}
