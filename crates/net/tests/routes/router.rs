//! Static behaviours: a router of ours and one in the kernel, with the same routes.

use crate::{
    lab::{FRAMES, IN, Lab, OURS, OUT, THEIRS, TUNNEL_SOURCE},
    packets::{self, segment, srh},
    signed,
};
use alveary_net::{
    router::{Arrival, Behaviour, Fate, Flavours, Headend, Lost, MAIN, NextCsid, Programs, Router, Target},
    seg6,
};
use alveary_testing::{Draw, network::ip};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

fn forward(router: &Router, packet: &[u8]) -> Fate {
    router.forward(&Arrival::of(packet), &mut Programs::none())
}

/// Each with what `ip` calls it.
pub(crate) fn behaviours() -> Vec<(&'static str, Target)> {
    let end = |behaviour| Target::Endpoint(behaviour);
    let none = Flavours::default();
    // As `ip` makes it of a list: flags and tag are zero.
    let plain = |inline: bool| {
        let mut header = srh(0, if inline { 3 } else { 2 }, if inline { 2 } else { 1 }, &[]);
        header[6..8].fill(0);
        let list = [segment(0x22), segment(0x21)];
        let list = if inline { [&[0; 16], list.as_flattened()].concat() } else { list.concat() };
        header[8..].copy_from_slice(&list);
        header
    };
    vec![
        ("seg6local action End", end(Behaviour::End(Flavours::default()))),
        ("seg6local action End.X nh6 fc00:77::9", end(Behaviour::EndX(address("fc00:77::9"), Flavours::default()))),
        ("seg6local action End.X nh6 fc00:66::9", end(Behaviour::EndX(address("fc00:66::9"), Flavours::default()))),
        ("seg6local action End.T table 77", end(Behaviour::EndT(77, Flavours::default()))),
        ("seg6local action End.T table 78", end(Behaviour::EndT(78, Flavours::default()))),
        ("seg6local action End.DX6 nh6 ::", end(Behaviour::EndDx6(Ipv6Addr::UNSPECIFIED))),
        ("seg6local action End.DX6 nh6 fc00:77::9", end(Behaviour::EndDx6(address("fc00:77::9")))),
        ("seg6local action End.DT6 table 77", end(Behaviour::EndDt6(77))),
        ("seg6local action End.DT6 table 78", end(Behaviour::EndDt6(78))),
        ("seg6local action End.DT6 table 254", end(Behaviour::EndDt6(MAIN))),
        ("seg6local action End.B6 srh segs fc00:b::21,fc00:b::22", end(Behaviour::EndB6(plain(true)))),
        ("seg6local action End.B6.Encaps srh segs fc00:b::21,fc00:b::22", end(Behaviour::EndB6Encaps(plain(false)))),
        ("seg6local action End flavors psp", end(Behaviour::End(Flavours { psp: true, ..none }))),
        ("seg6local action End flavors next-csid", end(Behaviour::End(csid(32, 16)))),
        ("seg6local action End flavors next-csid lblen 48 nflen 8", end(Behaviour::End(csid(48, 8)))),
        ("seg6local action End flavors psp,next-csid", end(Behaviour::End(Flavours { psp: true, ..csid(32, 16) }))),
        (
            "seg6local action End.X nh6 fc00:77::9 flavors next-csid",
            end(Behaviour::EndX(address("fc00:77::9"), csid(32, 16))),
        ),
        ("seg6local action End.DX2 oif frames", end(Behaviour::EndDx2(FRAMES))),
        ("seg6local action End.DX4 nh4 0.0.0.0", end(Behaviour::EndDx4(Ipv4Addr::UNSPECIFIED))),
        ("seg6local action End.DX4 nh4 10.13.0.1", end(Behaviour::EndDx4(Ipv4Addr::new(10, 13, 0, 1)))),
    ]
    .into_iter()
    .chain(headends())
    .collect()
}

fn headends() -> Vec<(&'static str, Target)> {
    let head = |head: fn(Vec<u8>) -> Headend, header| Target::Headend(head(header));
    let [one, two] = [&["fc00:b::21"][..], &["fc00:b::21", "fc00:b::22"]].map(|segments| {
        let segments: Vec<_> = segments.iter().map(|text| address(text)).collect();
        move |inside| seg6::header_of(&segments, inside, None)
    });
    vec![
        ("seg6 mode encap segs fc00:b::21,fc00:b::22", head(Headend::Encaps, two(false))),
        ("seg6 mode encap.red segs fc00:b::21,fc00:b::22", head(Headend::EncapsReduced, two(false))),
        ("seg6 mode encap.red segs fc00:b::21", head(Headend::EncapsReduced, one(false))),
        ("seg6 mode l2encap segs fc00:b::21,fc00:b::22", head(Headend::L2Encaps, two(false))),
        ("seg6 mode l2encap.red segs fc00:b::21,fc00:b::22", head(Headend::L2EncapsReduced, two(false))),
        ("seg6 mode inline segs fc00:b::21,fc00:b::22", head(Headend::Inline, two(true))),
        ("seg6 mode inline segs fc00:b::21", head(Headend::Inline, one(true))),
    ]
}

fn csid(block: u8, node: u8) -> Flavours {
    Flavours { next_csid: Some(NextCsid::new(block, node).expect("bits of an address")), ..Flavours::default() }
}

/// Packets with others inside, and with compressed segments.
fn more_packets() -> Vec<(String, Vec<u8>)> {
    let four = packets::ipv4(&packets::udp(b"four"));
    let frame = [&THEIRS[..], &THEIRS, &[8, 0], &four].concat();
    let length = [&THEIRS[..], &THEIRS, &[0, 38], &four].concat();
    let inside = |number: u8, inner: &[u8]| packets::ipv6(number, inner);
    let behind = |left: u8, number: u8, inner: &[u8]| packets::ipv6(43, &[&srh(number, 2, left, &[]), inner].concat());
    let towards = |text: &str, mut packet: Vec<u8>| {
        packet[24..40].copy_from_slice(&address(text).octets());
        packet
    };
    let from = |text: &str, mut packet: Vec<u8>| {
        packet[8..24].copy_from_slice(&address(text).octets());
        packet
    };
    let udp = packets::udp(b"compressed");
    let mut all = vec![
        ("IPv4 inside", inside(4, &four)),
        ("IPv4 behind segments", behind(0, 4, &four)),
        ("IPv4 behind segments that are left", behind(1, 4, &four)),
        ("half of an IPv4 header", inside(4, &four[..12])),
        ("frame inside", inside(143, &frame)),
        ("frame behind segments", behind(0, 143, &frame)),
        ("frame with a length", inside(143, &length)),
        ("half of a frame", inside(143, &frame[..10])),
        ("compressed", towards("fc00:e:0:b::", packets::ipv6(17, &udp))),
        ("several compressed", towards("fc00:e:0:b:c:d::", packets::ipv6(17, &udp))),
        ("compressed before segments", towards("fc00:e:0:b::", behind(1, 17, &udp))),
        ("the last one compressed", towards("fc00:e::", behind(1, 17, &udp))),
        ("no hops left", changed(behind(1, 17, &udp), 7, 1)),
        ("no hops left, from any router of a link", from("fc00:a::", changed(behind(1, 17, &udp), 7, 1))),
    ];
    all.extend([2, 3].map(|left| ("more segments", packets::ipv6(43, &[srh(17, 3, left, &[]), udp.clone()].concat()))));
    all.into_iter().map(|(name, packet)| (name.to_owned(), packet)).collect()
}

fn changed(mut packet: Vec<u8>, at: usize, to: u8) -> Vec<u8> {
    packet[at] = to;
    packet
}

/// Whether routers send such a packet anywhere else than by the default route.
fn ordinary(packet: &[u8]) -> bool {
    packet[0] >> 4 == 4 || packet.get(24) == Some(&0xfc)
}

/// A router with the lab's routes.
pub(crate) fn lab() -> Router {
    let out = |device| Target::Device { device, gateway: None };
    let mut router = Router::new(address(TUNNEL_SOURCE));
    router.add(MAIN, Ipv6Addr::UNSPECIFIED, 0, out(OUT));
    router.add(MAIN, address("fc00:a::"), 32, out(IN));
    router.add(MAIN, address(TUNNEL_SOURCE), 128, Target::Local);
    router.add(MAIN, Ipv4Addr::UNSPECIFIED, 0, out(OUT));
    router.add(MAIN, Ipv4Addr::new(10, 13, 0, 0), 16, out(IN));
    router.add(MAIN, Ipv4Addr::new(10, 98, 0, 0), 16, out(IN));
    router.add(MAIN, Ipv4Addr::new(10, 99, 0, 1), 32, Target::Local);
    router.add(77, address("fc00:77::"), 32, out(OUT));
    router.keys = signed::keys();
    // A table in which nothing of that is.
    router.add(255, address(TUNNEL_SOURCE), 128, Target::Local);
    router
}

/// Gives the kernel's router the routes that [`router`] has beside the lab's.
pub(crate) fn more_routes() {
    ip("-6 route add blackhole fc00:66::/32");
    ip("-6 route add fc00:b::/32 dev out table 78");
}

/// The same, and more.
pub(crate) fn router() -> Router {
    let out = |device| Target::Device { device, gateway: None };
    let mut router = lab();
    router.add(MAIN, address("fc00:66::"), 32, Target::Blackhole);
    router.add(78, address("fc00:b::"), 32, out(OUT));
    router
}

/// What comes out of a router: packets and frames; what it tells the sender.
pub(crate) type Came = (Vec<Vec<u8>>, Vec<Vec<u8>>, Vec<Vec<u8>>);

pub(crate) fn ours(router: &Router, arrival: &Arrival<'_>) -> Came {
    let mut none = Programs::none();
    let fate = router.forward(arrival, &mut none);
    let told = match router.answer(&fate, 0, &mut none) {
        Some(Fate::Sent { device: IN, packet, .. }) => vec![packet],
        _ => vec![],
    };
    match fate {
        Fate::Sent { device: OUT, packet, .. } => (vec![packet], vec![], told),
        Fate::Frame { device: FRAMES, frame } => (vec![], vec![frame], told),
        _ => (vec![], vec![], told),
    }
}

pub(crate) fn kernels(lab: &Lab, packet: &[u8]) -> Came {
    let came = lab.through(packet);
    (came, lab.frames(), lab.answers())
}

#[test]
fn static_behaviours_do_what_they_do_in_the_kernel() {
    let Some(lab) = Lab::new("static behaviours") else { return };
    more_routes();
    let mut packets = packets::all();
    packets.extend(more_packets());
    packets.extend(packets::mutants(&mut Draw::new(11), 400));
    // What is in hop-by-hop options is not judged here.
    packets.retain(|(name, packet)| packet[6] != 0 || !name.starts_with("mutant"));
    let (mut found, mut out, mut frames, mut told) = (Vec::new(), 0, 0, 0);
    for (name, target) in behaviours() {
        ip(&format!("-6 route replace fc00:e::/48 encap {name} dev out"));
        let mut router = router();
        router.add(MAIN, address("fc00:e::"), 48, target);
        lab.answers();
        for (packet_name, packet) in &packets {
            let (kernel, here) = (kernels(&lab, packet), ours(&router, &Arrival::of(packet)));
            (out, frames, told) = (out + kernel.0.len(), frames + kernel.1.len(), told + kernel.2.len());
            // Where an address has become another kind, hosts and groups, nobody is asked.
            if kernel != here && here.0.iter().chain(&kernel.0).all(|packet| ordinary(packet)) {
                found.push(format!(
                    "{name} on `{packet_name}` {packet:02x?}\n  kernel {kernel:02x?}\n  here   {here:02x?}"
                ));
            }
        }
    }
    println!("static behaviours: {out} packets, {frames} frames, {told} messages to the sender came out");
    assert!(out > 2000 && frames >= 2 && told > 100, "hardly a packet came out");
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found[..found.len().min(3)].join("\n"));
}

#[test]
fn headends_take_ipv4_and_frames_as_in_the_kernel() {
    let Some(lab) = Lab::new("headends") else { return };
    let packet = packets::ipv4(&packets::udp(b"four"));
    let mut compared = 0;
    for (name, target) in headends() {
        // Headers go into IPv6 packets alone.
        let four = !name.contains("inline");
        if four {
            ip(&format!("route replace 10.14.0.0/16 encap {name} dev out"));
        }
        ip(&format!("-6 route replace fc00:e::/48 encap {name} dev out"));
        let mut router = router();
        router.add(MAIN, Ipv4Addr::new(10, 14, 0, 0), 16, target.clone());
        router.add(MAIN, address("fc00:e::"), 48, target);
        let six = packets::ipv6(17, &packets::udp(b"six"));
        for packet in [&packet, &six].into_iter().skip(usize::from(!four)) {
            assert_eq!(kernels(&lab, packet), ours(&router, &Arrival::of(packet)), "{name}");
            let ethertype: [u8; 2] = if packet[0] >> 4 == 4 { [8, 0] } else { [0x86, 0xdd] };
            let link = [&OURS[..], &THEIRS, &ethertype].concat();
            let came = lab.through_frame(&[&link[..], packet].concat());
            assert_eq!(came, ours(&router, &Arrival { link: &link, ..Arrival::of(packet) }).0, "{name} of a frame");
            compared += came.len();
        }
    }
    assert!(compared >= 12, "{compared} packets came out");
}

#[test]
fn what_cannot_be_sent_is_told_as_in_the_kernel() {
    let Some(lab) = Lab::new("messages") else { return };
    ip("link set out mtu 1400");
    ip("-6 route add unreachable fc00:60::/32");
    ip("-6 route add prohibit fc00:61::/32");
    ip("-6 route add fc00:e::/48 encap seg6 mode encap segs fc00:b::21 dev out");
    let mut router = router();
    router.mtu.insert(OUT, 1400);
    router.add(MAIN, address("fc00:60::"), 32, Target::Unreachable);
    router.add(MAIN, address("fc00:61::"), 32, Target::Prohibited);
    let segments = seg6::header_of(&[address("fc00:b::21")], false, None);
    router.add(MAIN, address("fc00:e::"), 48, Target::Headend(Headend::Encaps(segments)));
    let plain = |to: &str, len: usize| {
        let mut packet = packets::ipv6(17, &packets::udp(&vec![7; len]));
        packet[24..40].copy_from_slice(&address(to).octets());
        packet
    };
    let mut error = plain("fc00:60::1", 40);
    (error[6], error[40]) = (58, 1);
    let mut echo = error.clone();
    echo[40] = 128;
    let group = changed(plain("fc00:60::1", 40), 8, 0xff);
    let cases = [
        plain("fc00:b::1", 1352),
        plain("fc00:b::1", 1353),
        plain("fc00:b::1", 4000),
        plain("fc00:e::1", 1400),
        plain("fc00:60::1", 3),
        plain("fc00:61::1", 3000),
        changed(plain("fc00:b::1", 1353), 7, 1),
        changed(plain("fc00:b::1", 3), 7, 0),
        error,
        echo,
        group,
    ];
    let mut told = 0;
    for packet in cases {
        let (kernel, here) = (kernels(&lab, &packet), ours(&router, &Arrival::of(&packet)));
        told += kernel.2.len();
        assert_eq!(kernel, here, "{:02x?} of {} bytes", &packet[..48], packet.len());
    }
    assert!(told >= 6, "{told} messages");
}

#[test]
fn flows_keep_to_one_of_several_ways() {
    let way = |device| Target::Device { device, gateway: None };
    let mut router = Router::new(address(TUNNEL_SOURCE));
    router.add(MAIN, address("fc00:e::"), 48, Target::Ways(vec![(3, way(7)), (1, way(8))]));
    let mut seen = std::collections::BTreeMap::<u32, u32>::new();
    for flow in 0..4000u16 {
        let mut packet = packets::ipv6(17, &packets::udp(b"a flow"));
        packet[2..4].copy_from_slice(&flow.to_be_bytes());
        let device = |packet: &[u8]| match forward(&router, packet) {
            Fate::Sent { device, .. } => device,
            other => panic!("{other:?}"),
        };
        let first = device(&packet);
        let last = packet.len() - 1;
        packet[last] ^= 1;
        assert_eq!(device(&packet), first, "another packet of the flow");
        *seen.entry(first).or_default() += 1;
    }
    assert!((2850..3150).contains(&seen[&7]) && seen.len() == 2, "three of four flows go by 7: {seen:?}");
}

#[test]
fn the_last_segment_takes_headers_away_where_it_is_told_to() {
    let none = Flavours::default();
    let (udp, inner) = (packets::udp(b"inner"), packets::ipv6(17, b"inner"));
    let last = |next: u8, rest: &[u8]| packets::ipv6(43, &[&srh(next, 2, 0, &[]), rest].concat());
    let fate = |flavours, packet: &[u8]| {
        let mut router = Router::new(address(TUNNEL_SOURCE));
        router.add(MAIN, address("fc00:e::"), 64, Target::Endpoint(Behaviour::End(flavours)));
        forward(&router, packet)
    };
    let usp = Flavours { usp: true, ..none };
    assert_eq!(fate(usp, &last(17, &udp)), Fate::Delivered(packets::ipv6(17, &udp)));
    let usd = Flavours { usd: true, ..none };
    // The inner packet has no more segments, and comes to this one: it has nothing to take away.
    match fate(usd, &last(41, &inner)) {
        Fate::Lost { why: Lost::NoSegments, packet } => assert_eq!(packet, inner),
        other => panic!("{other:?}"),
    }
    assert!(matches!(fate(none, &last(17, &udp)), Fate::Lost { why: Lost::NoSegments, .. }));
}

/// Segments that are all this router's: Linux lets a packet go through so many, and no more.
#[test]
fn a_packet_visits_as_many_segments_of_one_router_as_in_the_kernel() {
    let Some(lab) = Lab::new("many segments") else { return };
    ip("-6 route replace fc00:e::/64 encap seg6local action End dev out");
    let mut router = self::lab();
    router.add(MAIN, address("fc00:e::"), 64, Target::Endpoint(Behaviour::End(Flavours::default())));
    for here in 1..14 {
        let mut header = srh(59, here + 1, here, &[]);
        for segment in header[24..].chunks_mut(16) {
            segment[..4].copy_from_slice(&[0xfc, 0, 0, 0xe]);
        }
        let packet = packets::ipv6(43, &header);
        let ours = match forward(&router, &packet) {
            Fate::Sent { packet, .. } => vec![packet],
            _ => vec![],
        };
        assert_eq!(lab.through(&packet), ours, "{here} segments of this router");
    }
}

#[test]
fn a_router_says_why_a_packet_goes_nowhere() {
    fn lost(router: &Router, packet: &[u8]) -> Lost {
        match forward(router, packet) {
            Fate::Lost { why, .. } => why,
            other => panic!("{other:?}"),
        }
    }
    let plain = packets::ipv6(59, &[]);
    let mut router = router();
    let fate = |router: &Router| forward(router, &plain);
    router.add(MAIN, address("fc00:e::"), 64, Target::Endpoint(Behaviour::End(Flavours::default())));
    assert_eq!(lost(&router, &plain), Lost::NoSegments);
    router.add(MAIN, address("fc00:e::"), 64, Target::Endpoint(Behaviour::EndDt6(77)));
    assert_eq!(lost(&router, &plain), Lost::NoInner);
    router.add(MAIN, address("fc00:e::"), 64, Target::Endpoint(Behaviour::EndB6(vec![0; 8])));
    assert_eq!(lost(&router, &packets::all()[0].1), Lost::BadHeader);
    router.add(MAIN, address("fc00:e::"), 64, Target::Blackhole);
    assert_eq!(lost(&router, &plain), Lost::Blackhole);
    router.add(MAIN, address("fc00:e::"), 64, Target::Local);
    assert_eq!(fate(&router), Fate::Delivered(plain.clone()));
    assert_eq!(lost(&Router::new(Ipv6Addr::LOCALHOST), &plain), Lost::NoTable);
    assert_eq!(lost(&router, &plain[..30]), Lost::Malformed);
    // A way of one segment that leads back here.
    let mut back = srh(0, 1, 0, &[]);
    back[8..24].copy_from_slice(&plain[24..40]);
    router.add(MAIN, address("fc00:e::"), 64, Target::Headend(Headend::Encaps(back)));
    assert_eq!(lost(&router, &plain), Lost::Circle);
    let mut last = plain.clone();
    last[7] = 1;
    router.add(MAIN, address("fc00:e::"), 64, Target::Device { device: OUT, gateway: None });
    assert_eq!(lost(&router, &last), Lost::HopLimit);
    let sent = Fate::Sent {
        device: OUT,
        next_hop: address("fc00:e::1").into(),
        packet: {
            last[7] = 63;
            last
        },
    };
    assert_eq!(fate(&router), sent);
}
