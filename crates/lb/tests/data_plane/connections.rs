//! Connections stay where they are.

use crate::{
    packet::{Packet, SYN, TCP, UDP, tcp, udp},
    site::{Case, Settings, Setup, Site, Verdict, real},
    ways::{kinds, towards},
};
use alveary_lb::wire::{Real, Service, Way, flag};

const VIP: &str = "192.0.2.10:80";
const CLIENT: &str = "203.0.113.5:40000";

fn ipip(number: u32) -> Real {
    real(number, Way::Ip, &format!("10.1.0.{number}"))
}

/// The table of all CPUs knows the flow.
fn known(setup: Setup, packet: &Packet, name: u32, seen: u16) -> Setup {
    let (mut key, map) = match (packet.source, packet.destination) {
        (std::net::IpAddr::V4(from), std::net::IpAddr::V4(to)) => {
            ([from.octets(), to.octets()].concat(), "connections4")
        }
        (from, to) => ([crate::packet::octets(from), crate::packet::octets(to)].concat(), "connections6"),
    };
    key.extend(packet.ports.0.to_be_bytes());
    key.extend(packet.ports.1.to_be_bytes());
    key.extend([packet.protocol, 0, 0, 0]);
    let mut value = name.to_ne_bytes().to_vec();
    value.extend([0, 0]);
    value.extend(seen.to_ne_bytes());
    setup.entry(map, key, value)
}

fn service(protocol: u8, flags: u32, ring: &[u32]) -> Setup {
    let setup =
        Setup::default().service(VIP, protocol, flags, ring).service("[2001:db8::10]:80", protocol, flags, ring);
    setup.real(ipip(1)).real(ipip(2)).real(ipip(3))
}

fn goes(name: &str, setup: Setup, packet: &Packet, number: u32) -> Case {
    Case::new(name, setup).becomes(packet, Verdict::Forwarded, towards(packet, &ipip(number)))
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let (t4, t6) = (tcp(CLIENT, VIP), kinds()[4].1.clone());
    let (u4, u6) = (udp(CLIENT, VIP), kinds()[5].1.clone());
    for (kind, packet) in [("IPv4", &t4), ("IPv6", &t6)] {
        let name = |what: &str| format!("{kind}: {what}");
        let setup = |flags| known(service(TCP, flags, &[1]), packet, 2, 0);
        all.push(goes(&name("a flow that is known"), setup(0), packet, 2));
        all.push(goes(&name("a flow that is known is remembered"), setup(0), packet, 2).becomes(
            packet,
            Verdict::Forwarded,
            towards(packet, &ipip(2)),
        ));
        all.push(goes(&name("no global table"), setup(flag::NO_GLOBAL), packet, 1));
        all.push(goes(&name("no tables"), setup(flag::NO_CONNECTIONS), packet, 1));
        all.push(goes(&name("a SYN begins anew"), setup(0), &packet.clone().syn(), 1));
        let both = packet.clone().with(|p| p.flags = SYN | crate::packet::ACK);
        all.push(goes(&name("a SYN that acknowledges does not"), setup(0), &both, 2));
        let reset = packet.clone().with(|p| p.flags = crate::packet::RST);
        all.push(goes(&name("a reset goes where the flow went"), setup(0), &reset, 2));
        let stale = known(service(TCP, 0, &[1]), packet, 2 | 1 << 20, 0);
        all.push(goes(&name("a real that is another now"), stale, packet, 1));
        let gone = known(service(TCP, 0, &[1]), packet, 9, 0);
        all.push(goes(&name("a real that is gone"), gone, packet, 1));
        let draining = setup(0).real(Real { flags: flag::REAL_DRAINING, ..ipip(2) });
        all.push(goes(&name("a real that drains keeps its flows"), draining.clone(), packet, 2));
        all.push(goes(&name("a real that drains gets no new ones"), draining, &packet.clone().syn(), 1));
        let again = goes(&name("the second packet follows the first"), service(TCP, 0, &[3]), packet, 3);
        all.push(again.becomes(packet, Verdict::Forwarded, towards(packet, &ipip(3))));
    }
    for (kind, packet) in [("IPv4", &u4), ("IPv6", &u6)] {
        let setup = |idle, seen| {
            let mut setup = known(service(UDP, 0, &[1]), packet, 2, seen);
            setup = setup.but(|s: &mut Service| s.idle = idle);
            setup.service("192.0.2.99:1", UDP, 0, &[1])
        };
        all.push(goes(&format!("{kind}: datagrams that never are too old"), setup(0, 40000), packet, 2));
    }
    all
}

#[test]
fn connections_stay_where_they_are() {
    Site::new("connections").run(&cases());
}

fn forwarded(number: u32) -> (Vec<u8>, crate::site::Want) {
    let packet = tcp(CLIENT, VIP);
    let out = Some(towards(&packet, &ipip(number)));
    (packet.bytes(), crate::site::Want { verdict: Verdict::Forwarded, out })
}

#[test]
fn a_change_of_the_ring_moves_no_connection() {
    let site = Site::new("a change of the ring");
    let mut first = Case::new("before", service(TCP, 0, &[1]));
    first.packets.push(forwarded(1));
    site.run(&[first]);
    let mut second = Case::new("after", service(TCP, 0, &[2]));
    second.packets.push(forwarded(1));
    site.go_on(&second);
    let mut bypassed = Case::new("without tables", service(TCP, flag::NO_CONNECTIONS, &[2]));
    bypassed.packets.push(forwarded(2));
    site.go_on(&bypassed);
}

#[test]
fn datagrams_are_forgotten_when_they_are_idle() {
    let site = Site::new("idle datagrams");
    let packet = udp(CLIENT, VIP);
    let idle = |s: &mut Service| s.idle = 2;
    let setup = |ring: &[u32]| Setup::default().service(VIP, UDP, 0, ring).but(idle).real(ipip(1)).real(ipip(2));
    let goes = |ring: &[u32], number| {
        let out = towards(&packet, &ipip(number));
        Case::new("idle", setup(ring)).becomes(&packet, Verdict::Forwarded, out)
    };
    site.run(&[goes(&[1], 1)]);
    site.go_on(&goes(&[2], 1));
    // Its datagrams came to another CPU for a while: that was forgotten here, and taken for their end.
    site.age_cached(3);
    site.go_on(&goes(&[2], 1));
    site.age(3);
    site.go_on(&goes(&[2], 2));
}

/// Two services, one real: where it is gone for one of them, connections of the other stay.
#[test]
fn a_real_that_is_gone_for_one_service_keeps_those_of_others() {
    let site = Site::new("away");
    for (first, second) in [("192.0.2.10:80", "192.0.2.11:80"), ("[2001:db8::10]:80", "[2001:db8::11]:80")] {
        let from = if first.starts_with('[') { "[2001:db8:1::5]:40000" } else { CLIENT };
        for more in [0, flag::NO_GLOBAL] {
            let setup = |flags: u32, ring: &[u32]| {
                let setup = Setup::default().service(first, UDP, flag::UDP_STABLE | more | flags, ring);
                let setup = setup.service(second, UDP, flag::UDP_STABLE | more, &[1]);
                setup.real(ipip(1)).real(ipip(2)).id(1, 5, &[7; 3], 1).id(2, 5, &[7; 3], 1)
            };
            let away = |setup: Setup| setup.entry("away", alveary_lb::wire::away_key(1, 1), vec![1, 0, 0, 0]);
            let packet = |to| udp(from, to);
            let with_id = |to| udp(from, to).with(|p| p.payload = vec![0x52, 7, 7, 7, 0, 0, 0, 0]);
            let case = |setup: Setup, at: &Packet, number| goes("away", setup, at, number);
            site.run(&[case(setup(0, &[1]), &packet(first), 1)]);
            site.go_on(&case(setup(0, &[1]), &packet(second), 1));
            site.age(1);
            let gone = || away(setup(flag::AWAY, &[2]));
            site.go_on(&case(gone(), &packet(first), 2));
            site.go_on(&case(gone(), &packet(first), 2));
            site.go_on(&case(gone(), &packet(second), 1));
            // Neither does an id lead there.
            site.go_on(&case(gone(), &with_id(first), 2));
            site.go_on(&case(gone(), &with_id(second), 1));
            // Who came to this CPU first after that finds it in the table of all CPUs.
            site.lead(1, 0);
            site.forget_cached();
            site.go_on(&case(gone(), &packet(first), 2));
            site.go_on(&case(gone(), &packet(second), 1));
            // It is back, for new ones and those that an id leads.
            site.go_on(&case(setup(0, &[1]), &packet(first), 2));
            site.go_on(&case(setup(0, &[1]), &with_id(first), 1));
        }
    }
}

/// A CPU that had seen the flow earlier wrote its real over that of the CPU that led it elsewhere since.
#[test]
fn a_flow_that_another_cpu_led_elsewhere_stays_there() {
    let site = Site::new("another CPU");
    for packet in [tcp(CLIENT, VIP), kinds()[4].1.clone()] {
        let goes = |number| goes("led", service(TCP, 0, &[1]), &packet, number);
        site.run(&[goes(1)]);
        site.lead(2, 0);
        site.age_cached(1);
        site.go_on(&goes(2));
        site.age_cached(1);
        site.go_on(&goes(2));
        // To a real that is gone nobody follows.
        site.lead(9, 0);
        site.age_cached(1);
        site.go_on(&goes(2));
        // What stands there is older than what this CPU knows: that is written there now.
        site.lead(3, 2);
        site.age_cached(1);
        site.go_on(&goes(2));
        site.age_cached(1);
        site.go_on(&goes(2));
        // What was seen at the same time was written there later.
        site.lead(3, 1);
        site.age_cached(1);
        site.go_on(&goes(3));
    }
}

/// Where a SYN flood ends: the rate of new entries. Connections that are known keep theirs, new ones go by the ring.
#[test]
fn a_flood_of_new_flows_enters_no_more_than_its_rate() {
    let site = Site::new("a flood");
    let setup = service(TCP, 0, &[3]).settings(Settings { new_rate: 5, ..Settings::default() });
    let mut case = Case::new("flood", setup);
    for port in 0..200u16 {
        let packet = tcp(&format!("203.0.113.5:{}", 1024 + port), VIP).syn();
        case = case.becomes(&packet, Verdict::Forwarded, towards(&packet, &ipip(3)));
    }
    let start = std::time::Instant::now();
    site.run(&[case]);
    // As often as the kernel's clock may have ticked meanwhile.
    let most = 5 * (start.elapsed().as_secs() + 2);
    for (entries, counted) in site.entries("connections4").into_iter().zip(site.counters("events", 0, 1)) {
        assert!(entries as u64 >= 5 && entries as u64 <= most, "{entries} of {most}");
        assert_eq!(counted[0], 200 - entries as u64, "not entered");
    }
    for (entries, counted) in site.entries("connections4").into_iter().zip(site.counters("vip_counters", 1, 6)) {
        assert_eq!(counted[4], entries as u64, "what the tables do not have was not opened");
    }
}

#[test]
fn a_full_set_gives_up_its_oldest() {
    let site = Site::new("a full set");
    let mut case = Case::new("many flows", service(TCP, flag::NO_GLOBAL, &[3]));
    for port in 0..200u16 {
        let packet = tcp(&format!("203.0.113.5:{}", 1024 + port), VIP);
        case = case.becomes(&packet, Verdict::Forwarded, towards(&packet, &ipip(3)));
    }
    site.run(&[case]);
    for counted in site.counters("events", 1, 1) {
        assert_eq!(counted[0], 200 - 16, "four sets of four");
    }
}
