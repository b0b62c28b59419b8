//! Which service a packet is for, and which real of its ring a new flow gets.

use crate::{
    hash,
    packet::{ICMP, Packet, TCP, UDP, echo, octets, packet, tcp, udp},
    site::{Case, Setup, Site, Verdict, real},
    ways::{everything, kinds, towards},
};
use alveary_lb::wire::{Real, Way, flag};

const CLIENT: &str = "203.0.113.5:40000";

fn reals(mut setup: Setup) -> Setup {
    for number in 1..=5 {
        setup = setup.real(ipip(number));
    }
    setup
}

fn ipip(number: u32) -> Real {
    real(number, Way::Ip, &format!("10.1.0.{number}"))
}

/// A packet that goes to the real of this number.
fn goes(name: &str, setup: Setup, packet: &Packet, number: u32) -> Case {
    Case::new(name, reals(setup)).becomes(packet, Verdict::Forwarded, towards(packet, &ipip(number)))
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let web = "192.0.2.10:80";
    let (t, u) = (tcp(CLIENT, web), udp(CLIENT, web));
    let one = |at: &str, protocol| Setup::default().service(at, protocol, 0, &[1]);
    all.push(goes("the exact port", one(web, TCP).service("192.0.2.10:0", TCP, 0, &[2]), &t, 1));
    all.push(goes("any port", one("192.0.2.10:443", TCP).service("192.0.2.10:0", TCP, 0, &[2]), &t, 2));
    all.push(goes("any protocol", one("192.0.2.10:443", TCP).service("192.0.2.10:0", 0, 0, &[2]), &t, 2));
    all.push(goes("any port before any protocol", one("192.0.2.10:0", TCP).service("192.0.2.10:0", 0, 0, &[2]), &t, 1));
    all.push(goes("a port of UDP", one(web, TCP).service(web, UDP, 0, &[2]), &u, 2));
    let t6 = kinds()[4].1.clone();
    let web6 = "[2001:db8::10]:80";
    let any6 = "[2001:db8::10]:0";
    all.push(goes("the exact port of IPv6", one(web6, TCP).service(any6, TCP, 0, &[2]), &t6, 1));
    all.push(goes("any port of IPv6", one(any6, TCP).service(any6, 0, 0, &[2]), &t6, 1));
    all.push(goes("any protocol of IPv6", one("[2001:db8::10]:443", TCP).service(any6, 0, 0, &[2]), &t6, 2));
    let gre = packet(47, "203.0.113.5:0", "192.0.2.10:0");
    all.push(goes("GRE for any protocol", one("192.0.2.10:0", 0), &gre, 1));
    all.push(goes("GRE for GRE", one("192.0.2.10:0", 0).service("192.0.2.10:0", 47, 0, &[2]), &gre, 2));
    let esp6 = packet(50, "[2001:db8:1::5]:0", "[2001:db8::10]:0");
    all.push(goes("ESP over IPv6", one(any6, 0), &esp6, 1));
    let nobody =
        |name: &str, setup: Setup, packet: &Packet| Case::new(name, reals(setup)).stays(packet, Verdict::NoVip);
    all.push(nobody("no service at all", Setup::default(), &t));
    all.push(nobody("another address", one("192.0.2.11:80", TCP), &t));
    all.push(nobody("another port", one("192.0.2.10:81", TCP), &t));
    all.push(nobody("another protocol", one(web, UDP), &t));
    all.push(nobody("another address of IPv6", one("[2001:db8::11]:80", TCP), &t6));
    all.push(nobody("GRE for nobody", one(web, TCP), &gre));
    all.push(nobody("an echo request for nobody", one(web, TCP), &echo("203.0.113.5", "192.0.2.10")));
    let zero = tcp(CLIENT, "192.0.2.10:0");
    all.push(nobody("destination port 0", one(web, TCP), &zero));
    all.push(goes("destination port 0 for any port", one("192.0.2.10:0", TCP), &zero, 1));
    all.push(goes("source port 0", one(web, TCP), &tcp("203.0.113.5:0", web), 1));
    all.push(goes("source port 0 of UDP over IPv6", one(web6, UDP), &udp("[2001:db8:1::5]:0", web6), 1));
    all.push(goes("UDP with both ports 0", one("192.0.2.10:0", UDP), &udp("203.0.113.5:0", "192.0.2.10:0"), 1));
    let says = |name: &str, flags, verdict| {
        let setup = Setup::default().service("192.0.2.10:0", 0, flags, &[1]);
        Case::new(name, reals(setup)).stays(&t, verdict)
    };
    all.push(says("left to the host", flag::HOST, Verdict::Left));
    all.push(says("refused", flag::DROP, Verdict::Refused));
    all.push(Case::new("no ring", reals(Setup::default().service(web, TCP, 0, &[]))).stays(&t, Verdict::NoReal));
    all.push(
        Case::new("a ring of nobody", reals(Setup::default().service(web, TCP, 0, &[0; 7]))).stays(&t, Verdict::NoReal),
    );
    let gone = Setup::default().service(web, TCP, 0, &[9 | 1 << 20; 3]).real(ipip(9));
    all.push(Case::new("a ring of a real that is another now", gone).stays(&t, Verdict::NoReal));
    let ring = Setup::default().service(web, TCP, 0, &[9, 9, 2]);
    all.push(goes("the next place for a real that is gone", ring, &t, 2));
    let draining = Setup::default().service(web, TCP, 0, &[7, 7, 4]);
    let draining = draining.real(Real { flags: flag::REAL_DRAINING, ..ipip(7) });
    all.push(goes("the next place for a real that drains", draining, &t, 4));
    // Rings of several reals: the hash decides.
    let ring: Vec<u32> = (0..17).map(|at| at % 5 + 1).collect();
    for (kind, packet) in kinds() {
        for port in [1u16, 1024, 65535] {
            let packet = packet.clone().with(|p| {
                p.ports.0 = port;
                p.icmp.2[..2].copy_from_slice(&port.to_be_bytes());
            });
            let number = ring[hash::place(hash::flow(&packet), ring.len())];
            all.push(goes(&format!("{kind} from {port} by hash"), everything(0, &ring), &packet, number));
        }
    }
    for (kind, packet) in kinds().into_iter().filter(|(_, p)| p.protocol != ICMP && p.protocol != crate::packet::ICMP6)
    {
        let (source, destination) = (octets(packet.source), octets(packet.destination));
        let nowhere = vec![0; source.len()];
        let part = [
            ("without source port", flag::NO_SOURCE_PORT, hash::of(&source, &destination, (0, 80), packet.protocol)),
            ("by destination port", flag::DESTINATION_PORT, hash::of(&nowhere, &destination, (0, 80), packet.protocol)),
            ("by source", flag::SOURCE, hash::of(&source, &destination, (0, 0), 0)),
        ];
        for (name, flags, hash) in part {
            let number = ring[hash::place(hash, ring.len())];
            all.push(goes(&format!("{kind} {name}"), everything(flags, &ring), &packet, number));
        }
    }
    let prefixes = |clients: &str, length| {
        let setup = Setup::default().service(web, TCP, flag::PREFIXES, &[1]).service(web6, TCP, flag::PREFIXES, &[1]);
        let number = if clients.contains(':') { 2 } else { 1 };
        setup.pool(&[2]).pool(&[3]).prefix(number, clients, length, 3)
    };
    all.push(goes("a client's prefix", prefixes("203.0.113.0", 24), &t, 2));
    all.push(goes("a client's address", prefixes("203.0.113.5", 32), &t, 2));
    all.push(goes("a prefix of all", prefixes("0.0.0.0", 0), &t, 2));
    all.push(goes("another prefix", prefixes("203.0.112.0", 24), &t, 1));
    all.push(goes("the longest prefix", prefixes("203.0.0.0", 16).prefix(1, "203.0.113.0", 24, 4), &t, 3));
    all.push(goes("a prefix of another service", prefixes("198.18.0.0", 16).prefix(2, "203.0.113.0", 24, 3), &t, 1));
    all.push(goes("a client's prefix of IPv6", prefixes("2001:db8:1::", 48), &t6, 2));
    all.push(goes("another prefix of IPv6", prefixes("2001:db8:2::", 48), &t6, 1));
    all.push(goes(
        "a prefix without a ring",
        Setup::default().service(web, TCP, flag::PREFIXES, &[1]).pool(&[]).prefix(1, "0.0.0.0", 0, 2),
        &t,
        1,
    ));
    let random = Setup::default().service(web, TCP, flag::RANDOM, &[4]);
    all.push(goes("at random among one", random, &t, 4));
    all
}

#[test]
fn packets_find_their_service() {
    Site::new("services").run(&cases());
}

/// Katran's choice for this flow, with its seeds, computed by hand from lookup3.
#[test]
fn katrans_hash_is_lookup3() {
    let site = Site::with("Katran's hash", |object| {
        object.set_variable("lb_katran", &65537u32.to_ne_bytes()).expect("lb_katran");
    });
    let mut cases = Vec::new();
    for port in [80u16, 4242, 31337] {
        let packet = tcp(&format!("10.0.0.7:{port}"), "192.0.2.10:80");
        let words = (u32::from_ne_bytes([10, 0, 0, 7]), u32::from(80u16.to_be()) << 16 | u32::from(port.to_be()));
        let place = lookup3(words.0, words.1, 65537 * 512) % 65537 % 5;
        let setup = Setup::default().service("192.0.2.10:80", TCP, 0, &[1, 2, 3, 4, 5]);
        cases.push(goes(&format!("from {port}"), setup, &packet, place + 1));
    }
    site.run(&cases);
}

/// `jhash_2words`.
fn lookup3(a: u32, b: u32, seed: u32) -> u32 {
    let start = seed.wrapping_add(0xdead_beef).wrapping_add(8);
    let (mut a, mut b, mut c) = (a.wrapping_add(start), b.wrapping_add(start), start);
    let step = |to: &mut u32, other: u32, by: u32| *to = (*to ^ other).wrapping_sub(other.rotate_left(by));
    step(&mut c, b, 14);
    step(&mut a, c, 11);
    step(&mut b, a, 25);
    step(&mut c, b, 16);
    step(&mut a, c, 4);
    step(&mut b, a, 14);
    step(&mut c, b, 24);
    c
}

#[test]
fn random_flows_go_everywhere() {
    let site = Site::new("random flows");
    let setup =
        reals(Setup::default().service("192.0.2.10:80", TCP, flag::RANDOM | flag::NO_CONNECTIONS, &[1, 2, 3, 4, 5]));
    // Each packet's real is anybody: only that it leaves is wanted here, and who got it is counted.
    let mut case = Case::new("random", setup);
    for _ in 0..200 {
        case.packets.push((tcp(CLIENT, "192.0.2.10:80").bytes(), crate::site::Want::forwarded()));
    }
    site.run(&[case]);
    for number in 1..=5 {
        for counted in site.counters("real_counters", number, 2) {
            assert!(counted[0] > 10, "real {number} got {counted:?} of 200");
        }
    }
}
