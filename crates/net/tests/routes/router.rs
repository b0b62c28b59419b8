//! Static behaviours: a router of ours and one in the kernel, with the same routes.

use crate::{
    lab::{IN, Lab, OUT, TUNNEL_SOURCE},
    packets::{self, segment, srh},
};
use alveary_net::router::{Arrival, Behaviour, Fate, Headend, MAIN, Programs, Router, Target};
use alveary_testing::{Draw, network::ip};
use std::net::{Ipv4Addr, Ipv6Addr};

fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

fn forward(router: &Router, packet: &[u8]) -> Fate {
    router.forward(&Arrival::of(packet), &mut Programs::none())
}

/// Each with what `ip` calls it.
fn behaviours() -> Vec<(&'static str, Target)> {
    let end = |behaviour| Target::Endpoint(behaviour);
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
        ("seg6local action End", end(Behaviour::End)),
        ("seg6local action End.X nh6 fc00:77::9", end(Behaviour::EndX(address("fc00:77::9")))),
        ("seg6local action End.X nh6 fc00:66::9", end(Behaviour::EndX(address("fc00:66::9")))),
        ("seg6local action End.T table 77", end(Behaviour::EndT(77))),
        ("seg6local action End.T table 78", end(Behaviour::EndT(78))),
        ("seg6local action End.DX6 nh6 ::", end(Behaviour::EndDx6(Ipv6Addr::UNSPECIFIED))),
        ("seg6local action End.DX6 nh6 fc00:77::9", end(Behaviour::EndDx6(address("fc00:77::9")))),
        ("seg6local action End.DT6 table 77", end(Behaviour::EndDt6(77))),
        ("seg6local action End.DT6 table 78", end(Behaviour::EndDt6(78))),
        ("seg6local action End.DT6 table 254", end(Behaviour::EndDt6(MAIN))),
        ("seg6local action End.B6 srh segs fc00:b::21,fc00:b::22", end(Behaviour::EndB6(plain(true)))),
        ("seg6local action End.B6.Encaps srh segs fc00:b::21,fc00:b::22", end(Behaviour::EndB6Encaps(plain(false)))),
        ("seg6 mode encap segs fc00:b::21,fc00:b::22", Target::Headend(Headend::Encaps(plain(false)))),
        ("seg6 mode inline segs fc00:b::21,fc00:b::22", Target::Headend(Headend::Inline(plain(true)))),
    ]
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
    // A table in which nothing of that is.
    router.add(255, address(TUNNEL_SOURCE), 128, Target::Local);
    router
}

/// The same, and more.
fn router() -> Router {
    let out = |device| Target::Device { device, gateway: None };
    let mut router = lab();
    router.add(MAIN, address("fc00:66::"), 32, Target::Blackhole);
    router.add(78, address("fc00:b::"), 32, out(OUT));
    router
}

#[test]
fn static_behaviours_do_what_they_do_in_the_kernel() {
    let Some(lab) = Lab::new("static behaviours") else { return };
    ip("-6 route add blackhole fc00:66::/32");
    ip("-6 route add fc00:b::/32 dev out table 78");
    let mut packets = packets::all();
    packets.extend(packets::mutants(&mut Draw::new(11), 400));
    // What is in hop-by-hop options is not judged here.
    packets.retain(|(name, packet)| packet[6] != 0 || !name.starts_with("mutant"));
    let (mut found, mut out) = (Vec::new(), 0);
    for (name, target) in behaviours() {
        ip(&format!("-6 route replace fc00:e::/64 encap {name} dev out"));
        let mut router = router();
        router.add(MAIN, address("fc00:e::"), 64, target);
        for (packet_name, packet) in &packets {
            let came = lab.through(packet);
            let ours = match forward(&router, packet) {
                Fate::Sent { device: OUT, packet, .. } => vec![packet],
                _ => vec![],
            };
            // Where an address has become another kind, hosts and groups, nobody is asked.
            let ordinary = ours.iter().chain(&came).all(|packet| packet.get(24) == Some(&0xfc));
            out += came.len();
            if ordinary && came != ours {
                found.push(format!(
                    "{name} on `{packet_name}` {packet:02x?}\n  kernel {came:02x?}\n  here   {ours:02x?}"
                ));
            }
        }
    }
    println!("static behaviours: {out} packets came out");
    assert!(out > 1000, "hardly a packet came out");
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found[..found.len().min(12)].join("\n"));
}

/// Segments that are all this router's: Linux lets a packet go through so many, and no more.
#[test]
fn a_packet_visits_as_many_segments_of_one_router_as_in_the_kernel() {
    let Some(lab) = Lab::new("many segments") else { return };
    ip("-6 route replace fc00:e::/64 encap seg6local action End dev out");
    let mut router = self::lab();
    router.add(MAIN, address("fc00:e::"), 64, Target::Endpoint(Behaviour::End));
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
    use alveary_net::router::Lost;
    let plain = packets::ipv6(59, &[]);
    let mut router = router();
    let fate = |router: &Router| forward(router, &plain);
    router.add(MAIN, address("fc00:e::"), 64, Target::Endpoint(Behaviour::End));
    assert_eq!(fate(&router), Fate::Lost(Lost::NoSegments));
    router.add(MAIN, address("fc00:e::"), 64, Target::Endpoint(Behaviour::EndDt6(77)));
    assert_eq!(fate(&router), Fate::Lost(Lost::NoInner));
    router.add(MAIN, address("fc00:e::"), 64, Target::Endpoint(Behaviour::EndB6(vec![0; 8])));
    assert_eq!(forward(&router, &packets::all()[0].1), Fate::Lost(Lost::BadHeader));
    router.add(MAIN, address("fc00:e::"), 64, Target::Blackhole);
    assert_eq!(fate(&router), Fate::Lost(Lost::Blackhole));
    router.add(MAIN, address("fc00:e::"), 64, Target::Local);
    assert_eq!(fate(&router), Fate::Delivered(plain.clone()));
    assert_eq!(forward(&Router::new(Ipv6Addr::LOCALHOST), &plain), Fate::Lost(Lost::NoRoute));
    assert_eq!(forward(&router, &plain[..30]), Fate::Lost(Lost::Malformed));
    // A way of one segment that leads back here.
    let mut back = srh(0, 1, 0, &[]);
    back[8..24].copy_from_slice(&plain[24..40]);
    router.add(MAIN, address("fc00:e::"), 64, Target::Headend(Headend::Encaps(back)));
    assert_eq!(fate(&router), Fate::Lost(Lost::Circle));
    let mut last = plain.clone();
    last[7] = 1;
    router.add(MAIN, address("fc00:e::"), 64, Target::Device { device: OUT, gateway: None });
    assert_eq!(forward(&router, &last), Fate::Lost(Lost::HopLimit));
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
