//! Full NAT: both addresses and both ports, both ways.

use crate::{
    hash,
    packet::{ACK, FIN, MACS, Packet, RST, SYN, TCP, UDP, error, ip, packet, swapped, tcp, udp},
    site::{Case, Settings, Setup, Site, Verdict, real},
};
use alveary_lb::wire::{Real, Service, Way, flag};

const PORTS: (u16, u16) = (50_000, 50_099);

fn nat(to: &str, port: u16) -> Real {
    Real { port, ..real(3, Way::Nat, to) }
}

fn setup(real: Real, flags: u32) -> Setup {
    let mut setup = Setup::default().settings(Settings { nat: PORTS, ..Settings::default() }).real(real);
    for at in ["192.0.2.10:80", "[2001:db8::10]:80"] {
        for protocol in [TCP, UDP] {
            setup = setup.service(at, protocol, flags, &[3]).but(|s: &mut Service| s.mss = 1400);
        }
    }
    setup
}

/// The port that a flow gets first.
fn port_of(packet: &Packet) -> u16 {
    let ports = u64::from(PORTS.1 - PORTS.0) + 1;
    PORTS.0 + (u64::from((hash::flow(packet) >> 8) as u32) % ports) as u16
}

fn source_of(real: &Real) -> std::net::IpAddr {
    ip(if real.flags & flag::REAL_V6 != 0 { "2001:db8:ff::1" } else { "198.51.100.1" })
}

/// What the real gets.
fn towards(packet: &Packet, real: &Real, port: u16) -> Packet {
    packet.clone().turned().with(|p| {
        p.source = source_of(real);
        p.destination = real.ip();
        p.ports = (port, if real.port == 0 { packet.ports.1 } else { real.port });
    })
}

/// What it answers, and what the client gets.
fn answer(packet: &Packet, real: &Real, port: u16) -> (Packet, Packet) {
    let came = [[6; 6], [5; 6]].concat().try_into().expect("12 bytes");
    let from = packet.clone().with(|p| {
        p.macs = came;
        p.source = real.ip();
        p.destination = source_of(real);
        p.ports = (if real.port == 0 { packet.ports.1 } else { real.port }, port);
        p.payload = b"what the server says".to_vec();
    });
    let to = from.clone().with(|p| {
        p.macs = swapped(MACS);
        p.source = packet.destination;
        p.destination = packet.source;
        p.ports = (packet.ports.1, packet.ports.0);
    });
    (from, to)
}

fn kinds() -> Vec<(&'static str, Packet, Real)> {
    let (four, six) = ("10.1.0.3", "2001:db8:5::3");
    let (c4, v4) = ("203.0.113.5:40000", "192.0.2.10:80");
    let (c6, v6) = ("[2001:db8:1::5]:40000", "[2001:db8::10]:80");
    vec![
        ("TCP over IPv4", tcp(c4, v4), nat(four, 0)),
        ("TCP over IPv4 to another port", tcp(c4, v4), nat(four, 8080)),
        ("UDP over IPv4", udp(c4, v4), nat(four, 8080)),
        ("UDP without checksum", udp(c4, v4).with(|p| p.checksum = false), nat(four, 8080)),
        ("TCP over IPv6", tcp(c6, v6), nat(six, 0)),
        ("TCP over IPv6 to another port", tcp(c6, v6), nat(six, 8080)),
        ("UDP over IPv6", udp(c6, v6).with(|p| p.payload.push(9)), nat(six, 8080)),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (kind, packet, real) in kinds() {
        for (tags, list) in [("untagged", vec![]), ("VLAN", vec![(0x8100u16, 5u16)])] {
            let packet = packet.clone().with(|p| p.tags = list);
            let port = port_of(&packet);
            let out = towards(&packet, &real, port).bytes();
            let (from, to) = answer(&packet, &real, port);
            let case = Case::new(format!("NAT of {kind}, {tags}: there, back and there"), setup(real, 0));
            let case = case.becomes(&packet, Verdict::Forwarded, out.clone());
            let case = case.becomes(&from, Verdict::Returned, to.bytes());
            all.push(case.becomes(&packet, Verdict::Forwarded, out.clone()));
            let case = Case::new(format!("NAT of {kind}, {tags}: without tables"), setup(real, flag::NO_CONNECTIONS));
            let case = case.becomes(&packet, Verdict::Forwarded, out.clone());
            all.push(case.becomes(&packet, Verdict::Forwarded, out));
        }
        let (from, _) = answer(&packet, &real, port_of(&packet));
        let case = Case::new(format!("NAT of {kind}: an answer that nobody asked for"), setup(real, 0));
        all.push(case.stays(&from, Verdict::NoVip));
    }
    let (c, v) = ("203.0.113.5:40000", "192.0.2.10:80");
    let other = Case::new("NAT to another family", setup(nat("2001:db8:5::3", 0), 0));
    all.push(other.stays(&tcp(c, v), Verdict::WrongFamily));
    let none = setup(nat("10.1.0.3", 0), 0).settings(Settings::default());
    all.push(Case::new("NAT without ports", none).stays(&tcp(c, v), Verdict::NoPort));
    let gre = Setup::default().service("192.0.2.10:0", 0, 0, &[3]).real(nat("10.1.0.3", 0));
    let gre = Case::new("NAT of GRE", gre.settings(Settings { nat: PORTS, ..Settings::default() }));
    all.push(gre.stays(&packet(47, "203.0.113.5:0", "192.0.2.10:0"), Verdict::NoProtocol));
    fragments(&mut all);
    let server = tcp(v, c);
    let lost = Case::new("NAT: an error about a flow that nobody knows", setup(nat("10.1.0.3", 0), 0));
    all.push(lost.stays(&error("198.18.0.1", 3, 1, &server, 28), Verdict::NoFlow));
    // One port for two clients.
    let few = setup(nat("10.1.0.3", 0), 0).settings(Settings { nat: (50_000, 50_000), ..Settings::default() });
    let (first, second) = (tcp(c, v), tcp("203.0.113.6:40000", v));
    let out = towards(&first, &nat("10.1.0.3", 0), 50_000).bytes();
    let case = Case::new("NAT when all ports are taken", few).becomes(&first, Verdict::Forwarded, out.clone());
    all.push(case.stays(&second, Verdict::NoPort).becomes(&first, Verdict::Forwarded, out));
    // Two for two: whoever comes second gets the other.
    let two = setup(nat("10.1.0.3", 0), 0).settings(Settings { nat: (50_000, 50_001), ..Settings::default() });
    let at = |p: &Packet| ((hash::flow(p) >> 8) as u32 % 2) as u16;
    let mut clients = (6..).map(|n| tcp(&format!("203.0.113.{n}:40000"), v));
    let second = clients.find(|p| at(p) == at(&first)).expect("one with the same hash");
    let case = Case::new("NAT when the first port is taken", two);
    let case =
        case.becomes(&first, Verdict::Forwarded, towards(&first, &nat("10.1.0.3", 0), 50_000 + at(&first)).bytes());
    let other = towards(&second, &nat("10.1.0.3", 0), 50_001 - at(&first)).bytes();
    all.push(case.becomes(&second, Verdict::Forwarded, other));
    // Clamped both ways.
    let mss = |mss: u16| [vec![2, 4], mss.to_be_bytes().to_vec()].concat();
    let syn = tcp(c, v).syn().with(|p| p.options = mss(1460));
    let real = nat("10.1.0.3", 0);
    let (from, to) = answer(&syn, &real, port_of(&syn));
    let from = from.with(|p| p.flags = SYN | ACK);
    let to = to.with(|p| (p.flags, p.options) = (SYN | ACK, mss(1400)));
    let out = towards(&syn, &real, port_of(&syn)).with(|p| p.options = mss(1400));
    let case = Case::new("NAT with a clamp", setup(real, flag::CLAMP)).becomes(&syn, Verdict::Forwarded, out.bytes());
    all.push(case.becomes(&from, Verdict::Returned, to.bytes()));
    errors(&mut all);
    all
}

/// Fragments have no ports: bytes of what they carry were replaced where those would be.
fn fragments(all: &mut Vec<Case>) {
    for (kind, packet, real) in kinds() {
        let at = if packet.source.is_ipv4() { "192.0.2.10:0" } else { "[2001:db8::10]:0" };
        for (flags, tables) in [(0, "with tables"), (flag::NO_CONNECTIONS, "without tables")] {
            for (which, fragment) in [("first", (0, true)), ("middle", (3, true)), ("last", (100, false))] {
                let packet = packet.clone().with(|p| {
                    p.fragment = Some(fragment);
                    p.df = false;
                });
                let setup = Setup::default().settings(Settings { nat: PORTS, ..Settings::default() }).real(real);
                let case = Case::new(
                    format!("NAT of {kind}: the {which} fragment, {tables}"),
                    setup.service(at, packet.protocol, flags, &[3]),
                );
                all.push(case.stays(&packet, Verdict::RefusedFragment));
            }
        }
    }
}

/// ICMP errors about both halves.
fn errors(all: &mut Vec<Case>) {
    for (kind, packet, real) in kinds().into_iter().filter(|(name, ..)| !name.contains("without")) {
        let v4 = packet.source.is_ipv4();
        let (router, code) = if v4 { ("198.18.0.1", (3, 1)) } else { ("2001:db8:99::1", (1, 0)) };
        let port = port_of(&packet);
        let sent = towards(&packet, &real, port);
        let (_, answered) = answer(&packet, &real, port);
        let quoted = if v4 { 28 } else { 48 };
        // About what the balancer sent to the real: the client is told, by the VIP.
        let about = error(router, code.0, code.1, &sent, quoted).with(|p| p.macs = [1; 12]);
        let told = error(router, code.0, code.1, &packet, quoted).with(|p| {
            p.macs = swapped(MACS);
            p.source = packet.destination;
            quote_sums(p, &sent, v4);
        });
        let case = Case::new(format!("NAT of {kind}: an error about what the real got"), setup(real, 0));
        let case = case.becomes(&packet, Verdict::Forwarded, sent.bytes());
        all.push(case.becomes(&about, Verdict::Returned, told.bytes()));
        // About what the client got: the real is told.
        let about = error(router, code.0, code.1, &answered, quoted);
        let (from, _) = answer(&packet, &real, port);
        let told = error(router, code.0, code.1, &from, quoted).turned().with(|p| {
            p.destination = real.ip();
            quote_sums(p, &answered, v4);
        });
        let case = Case::new(format!("NAT of {kind}: an error about what the client got"), setup(real, 0));
        let case = case.becomes(&packet, Verdict::Forwarded, sent.bytes());
        all.push(case.becomes(&about, Verdict::Forwarded, told.bytes()));
    }
}

/// The transport's checksum inside of what is quoted stays what it was.
fn quote_sums(told: &mut Packet, about: &Packet, v4: bool) {
    let at = if v4 { 20 } else { 40 };
    if about.protocol == UDP {
        let bytes = about.ip();
        told.payload[at + 6..at + 8].copy_from_slice(&bytes[at + 6..at + 8]);
    }
}

#[test]
fn nat_goes_there_and_back() {
    Site::new("NAT").run(&cases());
}

/// One port, clients that want it, and how it is with them.
struct OnePort<'a> {
    site: &'a Site,
    setup: Setup,
    real: Real,
}

impl<'a> OnePort<'a> {
    fn new(site: &'a Site, packet: &Packet, idle: u16) -> OnePort<'a> {
        let four = packet.source.is_ipv4();
        let real = nat(if four { "10.1.0.3" } else { "2001:db8:5::3" }, 0);
        let at = if four { "192.0.2.10:80" } else { "[2001:db8::10]:80" };
        let setup = Setup::default().settings(Settings { nat: (50_000, 50_000), ..Settings::default() });
        let setup = setup.real(real).service(at, packet.protocol, 0, &[3]).but(|s: &mut Service| s.idle = idle);
        site.run(&[Case::new("nothing yet", setup.clone())]);
        OnePort { site, setup, real }
    }

    fn has_it(&self, packet: &Packet) {
        let out = towards(packet, &self.real, 50_000).bytes();
        self.site.go_on(&Case::new("has the port", self.setup.clone()).becomes(packet, Verdict::Forwarded, out));
    }

    fn waits(&self, packet: &Packet) {
        self.site.go_on(&Case::new("waits", self.setup.clone()).stays(packet, Verdict::NoPort));
    }

    fn answers(&self, packet: &Packet, flags: u8) {
        let (from, to) = answer(packet, &self.real, 50_000);
        let (from, to) = (from.with(|p| p.flags = flags), to.with(|p| p.flags = flags));
        let case = Case::new("is answered", self.setup.clone());
        self.site.go_on(&case.becomes(&from, Verdict::Returned, to.bytes()));
    }

    /// Nobody else gets it before so many ticks of silence are over.
    fn keeps_it(&self, ticks: u16, other: &Packet) {
        // The kernel's clock goes on meanwhile.
        self.site.age_nat(ticks - 10);
        self.waits(other);
        self.site.age_nat(11);
        self.has_it(other);
    }
}

fn clients(protocol: u8) -> [[Packet; 2]; 2] {
    let four = ["203.0.113.5:40000", "203.0.113.6:40000"].map(|from| packet(protocol, from, "192.0.2.10:80"));
    let six = ["[2001:db8:1::5]:40000", "[2001:db8:1::6]:40000"];
    [four, six.map(|from| packet(protocol, from, "[2001:db8::10]:80"))]
}

/// They were given back only when the table of all ways back was full, which with few reals it never was.
#[test]
fn ports_of_who_is_silent_are_given_to_others() {
    let site = Site::new("ports of who is silent");
    let begin = |packet: &Packet, idle: u16| {
        let port = OnePort::new(&site, packet, idle);
        port.has_it(packet);
        port
    };
    for [first, second] in clients(UDP) {
        let port = begin(&first, 0);
        port.waits(&second);
        // What lives keeps its port: by its client's packets, once a tick, and by its real's.
        site.age_nat(30);
        site.age(1);
        port.has_it(&first);
        site.age_nat(30);
        port.answers(&first, 0);
        port.keeps_it(30, &second);
        site.age(1);
        port.waits(&first);
        begin(&first, 300).keeps_it(300, &second);
    }
    for [first, second] in clients(TCP) {
        let (syn, end) = (first.clone().syn(), first.clone().with(|p| p.flags = FIN | ACK));
        let second = second.syn();
        // Nobody answers, or nothing follows the answer.
        begin(&syn, 300).keeps_it(30, &second);
        let port = begin(&syn, 0);
        port.answers(&first, SYN | ACK);
        port.keeps_it(30, &second);
        // Open, until the client ends it.
        for (ends, ticks) in [(false, 6930), (true, 60)] {
            let port = begin(&syn, 0);
            port.answers(&first, SYN | ACK);
            port.answers(&first, ACK);
            if ends {
                port.has_it(&end);
                port.answers(&first, ACK);
            }
            port.keeps_it(ticks, &second);
        }
        // The real refuses it.
        let port = begin(&syn, 0);
        port.answers(&first, RST | ACK);
        port.keeps_it(60, &second);
    }
}

/// Of several that are silent, the one that is so for longest; what was open comes last, though it be silent for longer.
#[test]
fn the_port_of_who_is_silent_for_longest_is_given_first() {
    let real = nat("10.1.0.3", 0);
    let setup = setup(real, 0).settings(Settings { nat: (50_000, 50_001), ..Settings::default() });
    let site = Site::new("two ports");
    let at = |p: &Packet| 50_000 + ((hash::flow(p) >> 8) as u32 % 2) as u16;
    let case = |p: &Packet, port: u16| {
        let out = towards(p, &real, port).bytes();
        Case::new("two ports", setup.clone()).becomes(p, Verdict::Forwarded, out)
    };
    let all: Vec<Packet> = (5..9).map(|n| tcp(&format!("203.0.113.{n}:40000"), "192.0.2.10:80").syn()).collect();
    let (first, second) = (at(&all[0]), 100_001 - u32::from(at(&all[0])));
    let second = second as u16;
    let other = (6..).map(|n| tcp(&format!("203.0.113.{n}:40001"), "192.0.2.10:80").syn());
    let other = other.into_iter().find(|p| at(p) == second).expect("one with the other hash");
    site.run(&[case(&all[0], first)]);
    site.age_nat(1);
    site.go_on(&case(&other, second));
    site.age_nat(40);
    site.go_on(&case(&all[1], first));
    site.go_on(&case(&all[2], second));
    // The first one answers, the second does not.
    let (from, _) = answer(&all[1], &real, first);
    site.go_on(&Case::new("open", setup.clone()).stays_returned(&from.with(|p| p.flags = ACK)));
    site.age_nat(5);
    let (from, _) = answer(&all[2], &real, second);
    site.go_on(&Case::new("refused", setup.clone()).stays_returned(&from.with(|p| p.flags = RST)));
    site.age_nat(6940);
    site.go_on(&case(&all[3], second));
}

/// New flows took ports before anybody asked for their rate: a flood of them took all that there are.
#[test]
fn a_flood_of_new_flows_takes_no_more_ports_than_its_rate() {
    let site = Site::new("a flood behind NAT");
    for (map, vip, to) in [("nat4", "192.0.2.10:80", "10.1.0.3"), ("nat6", "[2001:db8::10]:80", "2001:db8:5::3")] {
        for (flags, tables) in [(0, "with tables"), (flag::NO_GLOBAL, "the CPU's"), (flag::NO_CONNECTIONS, "without")] {
            let host = if map == "nat4" { "203.0.113.5" } else { "[2001:db8:1::5]" };
            let packets: Vec<_> = (0..40).map(|n| tcp(&format!("{host}:{}", 1024 + n), vip)).collect();
            let setup = setup(nat(to, 0), flags);
            let setup = setup.clone().settings(Settings { new_rate: 5, ..setup.settings });
            let mut case = Case::new(format!("a flood to {vip}, {tables}"), setup);
            for (at, packet) in packets.iter().enumerate() {
                let syn = packet.clone().syn();
                case = if at < 5 { case.stays_forwarded(&syn) } else { case.stays(&syn, Verdict::NoPort) };
            }
            // Those that have one go on, a SYN that is sent again among them; the others still have none.
            case = packets[..5].iter().fold(case, |case, packet| case.stays_forwarded(packet));
            case = case.stays_forwarded(&packets[0].clone().syn()).stays(&packets[9], Verdict::NoPort);
            let before = site.counters("events", 0, 1);
            site.run(&[case]);
            let after = site.counters("events", 0, 1);
            for ((entries, before), after) in site.entries(map).into_iter().zip(before).zip(after) {
                assert_eq!(entries, 5, "ways back, {tables}");
                assert!(after[0] - before[0] >= 36, "not entered, {tables}");
            }
        }
    }
}

/// The way back stayed that of the first packet, through a router that may be gone.
#[test]
fn answers_go_where_the_last_packets_came_from() {
    let site = Site::new("another router");
    for (kind, packet, real) in kinds() {
        let port = port_of(&packet);
        for (flags, tables) in [(0, "with tables"), (flag::NO_CONNECTIONS, "without")] {
            let setup = setup(real, flags | flag::CLAMP);
            let comes = |packet: &Packet, mss: u16| {
                let setup = setup.clone().each(|s| s.mss = mss);
                let (from, to) = answer(packet, &real, port);
                let options = |mss: u16| [vec![2, 4], mss.to_be_bytes().to_vec()].concat();
                let (from, to) = match packet.protocol {
                    TCP => (
                        from.with(|p| (p.flags, p.options) = (SYN | ACK, options(1460))),
                        to.with(|p| (p.flags, p.options) = (SYN | ACK, options(mss))),
                    ),
                    _ => (from, to),
                };
                let to = to.with(|p| p.macs = swapped(packet.macs));
                let case = Case::new(format!("{kind}, {tables}: by {:?}", packet.macs), setup);
                let case = case.becomes(packet, Verdict::Forwarded, towards(packet, &real, port).bytes());
                case.becomes(&from, Verdict::Returned, to.bytes())
            };
            let by = |router: u8| {
                packet
                    .clone()
                    .with(|p| p.macs = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 1, router]].concat().try_into().expect("12"))
            };
            site.run(&[comes(&by(1), 1400)]);
            site.age(1);
            site.go_on(&comes(&by(2), 1300));
            if packet.protocol == TCP {
                site.go_on(&comes(&by(3).syn(), 1200));
            }
        }
    }
}

/// After a change of the range nothing came back to a flow that has its port from the old one.
#[test]
fn another_range_of_ports_ends_no_connection() {
    let site = Site::new("another range");
    for (kind, packet, real) in kinds() {
        let port = port_of(&packet);
        let (from, to) = answer(&packet, &real, port);
        let with = |nat| {
            let setup = setup(real, 0);
            let setup = setup.clone().settings(Settings { nat, ..setup.settings });
            let case = Case::new(format!("{kind}, ports {nat:?}"), setup);
            let case = case.becomes(&packet, Verdict::Forwarded, towards(&packet, &real, port).bytes());
            case.becomes(&from, Verdict::Returned, to.bytes())
        };
        site.run(&[with(PORTS)]);
        site.age(1);
        site.go_on(&with((PORTS.1 + 1, PORTS.1 + 9)));
    }
}
