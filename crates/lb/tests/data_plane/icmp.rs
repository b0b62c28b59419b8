//! ICMP: errors find their flow, echo requests are answered or balanced.

use crate::{
    hash,
    packet::{ICMP, ICMP6, Packet, TCP, UDP, echo, error, packet, tcp, udp},
    site::{Case, Setup, Site, Verdict, real},
    ways::{everything, towards, towards_with},
};
use alveary_lb::wire::{Real, Way, flag};

const ROUTER: &str = "198.18.0.1";
const ROUTER6: &str = "2001:db8:99::1";

fn ipip(number: u32) -> Real {
    real(number, Way::Ip, &format!("10.1.0.{number}"))
}

fn ring() -> Vec<u32> {
    (0..17).map(|at| at % 5 + 1).collect()
}

fn setup(flags: u32) -> Setup {
    (1..=5).fold(everything(flags, &ring()), |setup, number| setup.real(ipip(number)))
}

/// What the server sent to the client.
fn reply(packet: &Packet) -> Packet {
    packet.clone().with(|p| {
        std::mem::swap(&mut p.source, &mut p.destination);
        p.ports = (p.ports.1, p.ports.0);
    })
}

fn flows() -> Vec<(&'static str, Packet)> {
    vec![
        ("TCP over IPv4", tcp("203.0.113.5:40000", "192.0.2.10:80")),
        ("UDP over IPv4", udp("203.0.113.5:40001", "192.0.2.10:80")),
        ("TCP over IPv6", tcp("[2001:db8:1::5]:40002", "[2001:db8::10]:80")),
        ("UDP over IPv6", udp("[2001:db8:1::5]:40003", "[2001:db8::10]:80")),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let forwarded = |name: String, setup: Setup, packet: &Packet, flow: &Packet| {
        let hash = hash::flow(flow);
        let number = ring()[hash::place(hash, ring().len())];
        let out = towards_with(packet, &ipip(number), hash);
        Case::new(name, setup).becomes(packet, Verdict::Forwarded, out)
    };
    for (kind, flow) in flows() {
        let v4 = flow.source.is_ipv4();
        let kinds: &[(u8, u8, &str)] = if v4 {
            &[(3, 1, "unreachable"), (3, 4, "too big"), (11, 0, "expired"), (12, 0, "a bad parameter")]
        } else {
            &[(1, 4, "unreachable"), (2, 0, "too big"), (3, 0, "expired"), (4, 1, "a bad parameter")]
        };
        for (number, code, what) in kinds {
            let about = error(if v4 { ROUTER } else { ROUTER6 }, *number, *code, &reply(&flow), 200);
            all.push(forwarded(format!("{what} for {kind}"), setup(0), &about, &flow));
        }
        let quoted = if v4 { 28 } else { 48 };
        let about = error(if v4 { ROUTER } else { ROUTER6 }, kinds[0].0, 0, &reply(&flow), quoted).tag(0x8100, 9);
        all.push(forwarded(format!("an error that quotes the least of {kind}, tagged"), setup(0), &about, &flow));
        let gue = Real { port: 6080, ..real(3, Way::Gue, "2001:db8:5::3") };
        let out = towards_with(&about, &gue, hash::flow(&flow));
        let case = Case::new(format!("an error for {kind} by GUE"), everything(0, &[3]).real(gue));
        all.push(case.becomes(&about, Verdict::Forwarded, out));
        let away = reply(&flow).with(|p| p.ports.0 = 81);
        let about = error(if v4 { ROUTER } else { ROUTER6 }, kinds[0].0, 0, &away, quoted);
        all.push(Case::new(format!("an error about another port of {kind}"), setup(0)).stays(&about, Verdict::NoVip));
        let away = reply(&flow).with(|p| p.protocol = 47);
        let about = error(if v4 { ROUTER } else { ROUTER6 }, kinds[0].0, 0, &away, quoted);
        all.push(Case::new(format!("an error about GRE, not {kind}"), setup(0)).stays(&about, Verdict::NoVip));
    }
    let options = reply(&flows()[0].1).with(|p| p.ip_options = vec![1; 8]);
    all.push(forwarded(
        "an error about a packet with options".into(),
        setup(0),
        &error(ROUTER, 3, 1, &options, 36),
        &flows()[0].1,
    ));
    let extended = reply(&flows()[2].1).with(|p| p.extensions = vec![(60, vec![0, 1, 4, 0, 0, 0, 0])]);
    let about = error(ROUTER6, 1, 4, &extended, 60);
    all.push(forwarded("an error about a packet with an extension header".into(), setup(0), &about, &flows()[2].1));
    let first = reply(&flows()[2].1).with(|p| p.fragment = Some((0, true)));
    let about = error(ROUTER6, 2, 0, &first, 60);
    all.push(forwarded("an error about a first fragment".into(), setup(0), &about, &flows()[2].1));
    let later = reply(&flows()[0].1).with(|p| p.fragment = Some((10, false)));
    let whole = Setup::default().service("192.0.2.10:0", TCP, 0, &[1]).real(ipip(1));
    let about = error(ROUTER, 3, 1, &later, 40);
    let flow = flows()[0].1.clone().with(|p| p.ports = (0, 0));
    let out = towards_with(&about, &ipip(1), hash::flow(&flow));
    all.push(Case::new("an error about a later fragment", whole).becomes(&about, Verdict::Forwarded, out));
    all.push(Case::new("an error about a later fragment of one port", setup(0)).stays(&about, Verdict::NoVip));
    for (from, to, router) in [("203.0.113.5", "192.0.2.10", ROUTER), ("2001:db8:1::5", "2001:db8::10", ROUTER6)] {
        let request = echo(from, to);
        let kind = if request.protocol == ICMP { 0 } else { 129 };
        let answered = reply(&request).with(|p| p.icmp.0 = kind);
        let about = error(router, if kind == 0 { 3 } else { 1 }, 1, &answered, 56);
        all.push(forwarded(format!("an error about an echo reply from {to}"), setup(0), &about, &request));
        all.push(forwarded(format!("an echo request to {to}"), setup(0), &request, &request));
        // Other messages go by addresses.
        let other = request.clone().with(|p| p.icmp.0 = kind);
        all.push(forwarded(format!("an echo reply to {to}"), setup(0), &other, &other));
        for tags in [vec![], vec![(0x8100, 3)], vec![(0x88a8, 3), (0x8100, 4)]] {
            let request = request.clone().with(|p| {
                p.ttl = 7;
                p.tags = tags;
            });
            let answer = reply(&request).turned().with(|p| {
                p.icmp.0 = kind;
                p.ttl = 64;
            });
            let name = format!("an echo request to {to} is answered, {} tags", request.tags.len());
            let case = Case::new(name, setup(flag::ECHO));
            all.push(case.becomes(&request, Verdict::AnsweredEcho, answer.bytes()));
        }
        // Of zeros alone the answer's checksum is not what arithmetic of differences gives: a bug that was.
        let zeros = request.clone().with(|p| (p.icmp.2, p.payload) = ([0; 4], vec![0; 8]));
        let answer = reply(&zeros).turned().with(|p| p.icmp.0 = kind);
        let case = Case::new(format!("an echo request of zeros to {to} is answered"), setup(flag::ECHO));
        all.push(case.becomes(&zeros, Verdict::AnsweredEcho, answer.bytes()));
        let case = Case::new(format!("an echo reply to {to} is not answered"), setup(flag::ECHO));
        let number = ring()[hash::place(hash::flow(&other), 17)];
        all.push(case.becomes(&other, Verdict::Forwarded, towards(&other, &ipip(number))));
    }
    for kind in 133..=137 {
        let mut asks = packet(ICMP6, "[2001:db8:1::5]:0", "[2001:db8::10]:0");
        asks.icmp = (kind, 0, [0; 4]);
        all.push(Case::new(format!("neighbour discovery, type {kind}"), setup(0)).stays(&asks, Verdict::NotIp));
    }
    let mut quench = packet(ICMP, "203.0.113.5:0", "192.0.2.10:0");
    quench.icmp = (4, 0, [0; 4]);
    let only =
        Setup::default().service("192.0.2.10:80", TCP, 0, &[1]).service("192.0.2.10:80", UDP, 0, &[1]).real(ipip(1));
    all.push(Case::new("another message, without a service for it", only).stays(&quench, Verdict::NoVip));
    all
}

#[test]
fn icmp_finds_its_way() {
    let site = Site::new("ICMP");
    site.run(&cases());
    let flow = flows()[0].1.clone();
    let about = error(ROUTER, 3, 1, &reply(&flow), 28);
    let number = ring()[hash::place(hash::flow(&flow), 17)];
    let out = towards_with(&about, &ipip(number), hash::flow(&flow));
    site.run(&[Case::new("once more", setup(0)).becomes(&about, Verdict::Forwarded, out)]);
    assert!(site.entries("connections4").iter().all(|entries| *entries == 0), "errors begin no connection");
}
