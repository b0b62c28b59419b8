//! Fragments, IP options and extension headers, by the service's policy.

use crate::{
    hash,
    packet::{Packet, TCP, tcp, udp},
    site::{Case, Setup, Site, Verdict, real},
    ways::towards,
};
use alveary_lb::wire::{Real, Way, flag};

const PASS: u32 = 1;
const REFUSE: u32 = 2;

fn ipip(number: u32) -> Real {
    real(number, Way::Ip, &format!("10.1.0.{number}"))
}

fn ring() -> Vec<u32> {
    (0..13).map(|at| at % 3 + 1).collect()
}

/// The whole of both addresses.
fn setup(flags: u32) -> Setup {
    let setup =
        Setup::default().service("192.0.2.10:0", TCP, flags, &ring()).service("[2001:db8::10]:0", TCP, flags, &ring());
    let setup = setup.service("192.0.2.10:0", 0, flags, &ring()).service("[2001:db8::10]:0", 0, flags, &ring());
    (1..=3).fold(setup, |setup, number| setup.real(ipip(number)))
}

fn goes(name: String, setup: Setup, packet: &Packet) -> Case {
    let number = ring()[hash::place(hash::flow(packet), ring().len())];
    Case::new(name, setup).becomes(packet, Verdict::Forwarded, towards(packet, &ipip(number)))
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let four = [tcp("203.0.113.5:40000", "192.0.2.10:80"), udp("203.0.113.5:40000", "192.0.2.10:53")];
    let six = [tcp("[2001:db8:1::5]:40000", "[2001:db8::10]:80"), udp("[2001:db8:1::5]:40000", "[2001:db8::10]:53")];
    for packet in four.iter().chain(&six) {
        let kind = format!("protocol {} to {}", packet.protocol, packet.destination);
        for (which, fragment) in [("first", (0, true)), ("middle", (3, true)), ("last", (100, false))] {
            let packet = packet.clone().with(|p| {
                p.fragment = Some(fragment);
                p.df = false;
            });
            all.push(goes(format!("{which} fragment, {kind}: by addresses"), setup(0), &packet));
            let passes = Case::new(format!("{which} fragment, {kind}: pass"), setup(PASS << flag::FRAGMENTS));
            all.push(passes.stays(&packet, Verdict::LeftFragment));
            let refused = Case::new(format!("{which} fragment, {kind}: drop"), setup(REFUSE << flag::FRAGMENTS));
            all.push(refused.stays(&packet, Verdict::RefusedFragment));
            let port =
                format!("{}:{}", if packet.source.is_ipv4() { "192.0.2.10" } else { "[2001:db8::10]" }, packet.ports.1);
            let one = Setup::default().service(&port, packet.protocol, 0, &[1]).real(ipip(1));
            let name = format!("{which} fragment, {kind}: a service of one port");
            all.push(Case::new(name, one).stays(&packet, Verdict::NoVip));
        }
    }
    let extended = |packet: &Packet, list: Vec<(u8, Vec<u8>)>| packet.clone().with(|p| p.extensions = list);
    let mut odd: Vec<(String, Packet)> = Vec::new();
    for packet in &four {
        for (what, bytes) in [("router alert", vec![0x94, 4, 0, 0]), ("all options there may be", vec![1; 40])] {
            odd.push((format!("{what}, protocol {}", packet.protocol), packet.clone().with(|p| p.ip_options = bytes)));
        }
    }
    let padding = |words: u8| {
        let length = 6 + usize::from(words) * 8;
        [vec![words, 1, (length - 2) as u8], vec![0; length - 2]].concat()
    };
    for packet in &six {
        let p = packet.protocol;
        odd.push((format!("hop-by-hop options, protocol {p}"), extended(packet, vec![(0, padding(0))])));
        odd.push((format!("destination options, protocol {p}"), extended(packet, vec![(60, padding(2))])));
        odd.push((format!("a routing header, protocol {p}"), extended(packet, vec![(43, vec![0, 4, 0, 0, 0, 0, 0])])));
        let chain = vec![(0, padding(0)), (60, padding(1)), (43, vec![0, 4, 0, 0, 0, 0, 0]), (60, padding(0))];
        odd.push((format!("four extension headers, protocol {p}"), extended(packet, chain)));
        let six = (0..6).map(|_| (60, padding(0))).collect();
        odd.push((format!("six extension headers, protocol {p}"), extended(packet, six)));
        odd.push((
            format!("an atomic fragment, protocol {p}"),
            extended(packet, vec![(44, vec![0, 0, 0, 0, 0, 0, 9])]),
        ));
    }
    for (what, packet) in odd {
        all.push(goes(format!("{what}: as if it were not there"), setup(0), &packet));
        let passes = Case::new(format!("{what}: pass"), setup(PASS << flag::OPTIONS));
        all.push(passes.stays(&packet, Verdict::LeftOptions));
        let refused = Case::new(format!("{what}: drop"), setup(REFUSE << flag::OPTIONS));
        all.push(refused.stays(&packet, Verdict::RefusedOptions));
    }
    all
}

#[test]
fn what_is_out_of_the_ordinary_follows_the_policy() {
    Site::new("policies").run(&cases());
}
