//! What is told of the way of a packet, step by step (`lb_trace`): that `alveary lb trace` puts into words.

use crate::{
    hash,
    packet::{Packet, SYN, TCP, UDP, echo, error, tcp, udp},
    site::{Case, Settings, Setup, Site, Verdict, Want, real},
};
use alveary_lb::wire::{Service, Way, flag};

const VIP: &str = "192.0.2.10:80";
const CLIENT: &str = "203.0.113.5:40000";

/// `enum lb_step_kind`, with its two numbers.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Service(u32, u32),
    Prefix(u32),
    Id(u32, u32),
    Cached(u32),
    Global(u32),
    Stale(u32),
    Hash(u64),
    Ring(u32, u32),
    Entered(u32),
    NotEntered(u32),
    Real(u32, u32),
    Port(u32),
    Back(u32, u32),
    Inner,
    Clamped(u32, u32),
    Verdict(u32, u32),
    Unasked(u32),
    Missed(u32),
}

fn step(bytes: &[u8]) -> Step {
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let (a, b) = (word(4), word(8));
    match word(0) {
        0 => Step::Service(a, b),
        1 => Step::Prefix(a),
        2 => Step::Id(a, b),
        3 => Step::Cached(a),
        4 => Step::Global(a),
        5 => Step::Stale(a),
        6 => Step::Hash(u64::from(a) << 32 | u64::from(b)),
        7 => Step::Ring(a, b),
        8 => Step::Entered(a),
        9 => Step::NotEntered(a),
        10 => Step::Real(a, b),
        11 => Step::Port(a),
        12 => Step::Back(a, b),
        13 => Step::Inner,
        14 => Step::Clamped(a, b),
        15 => Step::Verdict(a, b),
        16 => Step::Unasked(a),
        17 => Step::Missed(a),
        other => panic!("no step {other}"),
    }
}

/// Packets that are forwarded, and what is told of the last one, on each target.
fn told(site: &Site, setup: Setup, packets: &[&Packet]) -> Vec<Vec<Step>> {
    told_as(site, setup, packets, Verdict::Forwarded)
}

fn told_as(site: &Site, setup: Setup, packets: &[&Packet], verdict: Verdict) -> Vec<Vec<Step>> {
    let mut case = Case::new("steps", setup);
    let (last, before) = packets.split_last().expect("a packet");
    case.packets = before.iter().map(|packet| (packet.bytes(), Want::forwarded())).collect();
    case.packets.push((last.bytes(), Want { verdict, out: None }));
    site.run(&[case]);
    let of_last = |all: Vec<Vec<u8>>| {
        let steps: Vec<Step> = all.iter().map(|bytes| step(bytes)).collect();
        let ends = |(at, step): (usize, &Step)| matches!(step, Step::Verdict(..)).then_some(at + 1);
        let ends: Vec<usize> = steps.iter().enumerate().filter_map(ends).collect();
        let from = if ends.len() > 1 { ends[ends.len() - 2] } else { 0 };
        steps.into_iter().skip(from).collect::<Vec<Step>>()
    };
    site.events("steps").into_iter().map(of_last).collect()
}

fn site(test: &str) -> Site {
    Site::with(test, |object| object.set_variable("lb_trace", &[1]).expect("lb_trace"))
}

fn service(flags: u32, ring: &[u32]) -> Setup {
    let ipip = |number: u32| real(number, Way::Ip, &format!("10.1.0.{number}"));
    Setup::default().service(VIP, TCP, flags, ring).real(ipip(3)).real(ipip(4))
}

const SENT: Step = Step::Verdict(6, 3);

#[test]
fn a_connection_is_told_from_its_first_packet_on() {
    let site = site("steps");
    let (first, next) = (tcp(CLIENT, VIP).syn(), tcp(CLIENT, VIP));
    let flow = hash::flow(&first);
    let begins = || [Step::Service(1, 1), Step::Hash(flow)];
    for steps in told(&site, service(0, &[3]), &[&first]) {
        let more = [Step::Unasked(0), Step::Ring(0, 3), Step::Entered(3), Step::Real(3, 1), SENT];
        assert_eq!(steps, begins().into_iter().chain(more).collect::<Vec<_>>());
    }
    for steps in told(&site, service(0, &[3]), &[&first, &next]) {
        assert_eq!(steps, begins().into_iter().chain([Step::Cached(3), Step::Real(3, 1), SENT]).collect::<Vec<_>>());
    }
    // A ring names a real that is gone: the next place is asked.
    for steps in told(&site, service(0, &[9, 3]), &[&next]) {
        let place = hash::place(flow, 2) as u32;
        let ring = if place == 0 { vec![Step::Ring(0, 9), Step::Ring(1, 3)] } else { vec![Step::Ring(1, 3)] };
        let end = [Step::Entered(3), Step::Real(3, 1), SENT];
        let missed = begins().into_iter().chain([Step::Missed(0)]);
        assert_eq!(steps, missed.chain(ring).chain(end).collect::<Vec<_>>());
    }
    let few = Settings { new_rate: 1, ..Settings::default() };
    let other = tcp("203.0.113.5:40001", VIP);
    let mut targets = told(&site, service(0, &[3]).settings(few), &[&next, &other]).into_iter();
    let user = targets.next().expect("the user target");
    assert!(user.contains(&Step::NotEntered(3)), "{user:?}");
    for steps in targets {
        // The kernel's clock may have ticked in between; that of the user target stands still.
        assert!(steps.contains(&Step::NotEntered(3)) || steps.contains(&Step::Entered(3)), "{steps:?}");
    }
    for steps in told_as(&site, service(0, &[]), &[&next], Verdict::NoReal) {
        assert_eq!(steps, begins().into_iter().chain([Step::Missed(0), Step::Verdict(21, 1)]).collect::<Vec<_>>());
    }
    for (flags, asked) in [(flag::NO_CONNECTIONS, Step::Unasked(1)), (flag::NO_GLOBAL, Step::Missed(2))] {
        for steps in told(&site, service(flags, &[3]), &[&next]) {
            assert_eq!(steps[2], asked);
        }
    }
    let nobodys = tcp(CLIENT, "192.0.2.99:80");
    for steps in told_as(&site, service(0, &[3]), &[&nobodys], Verdict::NoVip) {
        assert_eq!(steps, [Step::Verdict(1, 2)]);
    }
}

#[test]
fn what_a_table_knows_of_a_real_that_is_gone_is_told() {
    let site = site("stale");
    let packet = tcp(CLIENT, VIP);
    site.run(&[Case::new("known", service(0, &[3])).stays_forwarded(&packet)]);
    site.events("steps");
    // Real 3 is another one meanwhile, which its name tells.
    let other = real(3 | 1 << 20, Way::Ip, "10.1.0.7");
    let setup = Setup::default().service(VIP, TCP, 0, &[4]).real(other).real(real(4, Way::Ip, "10.1.0.4"));
    site.go_on(&Case::new("gone", setup).stays_forwarded(&packet));
    for steps in site.events("steps") {
        let steps: Vec<Step> = steps.iter().map(|bytes| step(bytes)).collect();
        let stale = steps.iter().filter(|step| **step == Step::Stale(3)).count();
        assert_eq!(stale, 2, "in the CPU's table and in that of all: {steps:?}");
        assert!(steps.contains(&Step::Real(4, 1)), "{steps:?}");
    }
}

#[test]
fn ways_that_are_not_every_packets_are_told() {
    let site = site("ways_told");
    let packet = tcp(CLIENT, VIP);
    let pool = service(flag::PREFIXES, &[3]).pool(&[4]).prefix(1, "203.0.113.0", 24, 2);
    for steps in told(&site, pool, &[&packet]) {
        assert!(steps.contains(&Step::Prefix(2)) && steps.contains(&Step::Real(4, 1)), "{steps:?}");
    }
    let clamp = service(flag::CLAMP, &[3]).but(|service: &mut Service| service.mss = 1400);
    let syn = packet.clone().with(|p| (p.flags, p.options) = (SYN, vec![2, 4, 0x05, 0xb4]));
    for steps in told(&site, clamp, &[&syn]) {
        assert!(steps.contains(&Step::Clamped(1460, 1400)), "{steps:?}");
    }
    let id = Setup::default().service(VIP, UDP, flag::UDP_STABLE, &[3]).id(1, 5, &[0, 0, 9], 4);
    let id = id.real(real(3, Way::Ip, "10.1.0.3")).real(real(4, Way::Ip, "10.1.0.4"));
    let datagram = udp(CLIENT, VIP).with(|p| p.payload = vec![0x52, 0, 0, 9, 0, 0, 0, 0, 1, 2]);
    for steps in told(&site, id, &[&datagram]) {
        assert!(steps.contains(&Step::Id(5, 4)), "{steps:?}");
    }
    let any = Setup::default().service("192.0.2.10:0", 1, 0, &[3]).real(real(3, Way::Ip, "10.1.0.3"));
    for steps in told(&site, any, &[&echo("203.0.113.5", "192.0.2.10")]) {
        assert_eq!(steps[0], Step::Service(1, 1));
    }
    // An ICMP error is about what the VIP sent.
    let reply = packet.clone().with(|p| {
        std::mem::swap(&mut p.source, &mut p.destination);
        p.ports = (p.ports.1, p.ports.0);
    });
    let about = error("198.18.0.1", 3, 1, &reply, 64);
    for steps in told(&site, service(0, &[3]), &[&packet, &about]) {
        assert_eq!(steps[..2], [Step::Inner, Step::Service(1, 1)], "{steps:?}");
        assert!(steps.contains(&Step::Cached(3)), "{steps:?}");
    }
}

#[test]
fn nat_is_told_both_ways() {
    let site = site("nat_told");
    let there = real(3, Way::Nat, "10.1.0.3");
    let setup = || {
        let settings = Settings { nat: (50_000, 50_000), ..Settings::default() };
        Setup::default().service(VIP, TCP, 0, &[3]).real(there).settings(settings)
    };
    let packet = tcp(CLIENT, VIP);
    for steps in told(&site, setup(), &[&packet]) {
        assert_eq!(steps[5..], [Step::Real(3, 4), Step::Port(50_000), SENT], "{steps:?}");
    }
    let answer = tcp("10.1.0.3:80", "198.51.100.1:50000").turned();
    for steps in told_as(&site, setup(), &[&packet, &answer], Verdict::Returned) {
        assert_eq!(steps, [Step::Back(3, 1), Step::Verdict(7, 3)]);
    }
}
