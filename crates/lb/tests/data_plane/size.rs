//! Packets too big, packets too old, SYNs that promise too much.

use crate::{
    packet::{ICMP, ICMP6, Packet, TCP, error},
    site::{Case, Settings, Setup, Site, Verdict, real},
    ways::{everything, kinds, towards},
};
use alveary_lb::wire::{Real, Service, Way, flag};

/// An answer of the balancer's in the name of the VIP.
fn answer(packet: &Packet, kind: u8, code: u8, mtu: u16) -> Vec<u8> {
    let v4 = packet.source.is_ipv4();
    let [high, low] = mtu.to_be_bytes();
    Packet {
        source: packet.destination,
        destination: packet.source,
        protocol: if v4 { ICMP } else { ICMP6 },
        icmp: (kind, code, [0, 0, high, low]),
        payload: packet.ip()[..if v4 { 64 } else { 128 }].to_vec(),
        tos: if v4 { packet.tos } else { 0 },
        ttl: 64,
        df: true,
        id: 0,
        extensions: Vec::new(),
        ip_options: Vec::new(),
        ..packet.clone().turned()
    }
    .bytes()
}

fn long(packet: &Packet, length: usize) -> Packet {
    let packet = packet.clone().with(|p| p.payload.clear());
    let more = length - packet.ip().len();
    packet.with(|p| p.payload = (0..more).map(|at| at as u8).collect())
}

fn too_big(all: &mut Vec<Case>) {
    let ways = [
        ("IP in IPv4", real(3, Way::Ip, "10.1.0.3"), 20),
        ("IP in IPv6", real(3, Way::Ip, "2001:db8:5::3"), 40),
        ("GUE over IPv4", Real { port: 6080, ..real(3, Way::Gue, "10.1.0.3") }, 28),
        ("GUE over IPv6", Real { port: 6080, ..real(3, Way::Gue, "2001:db8:5::3") }, 48),
        ("L2", real(3, Way::L2, "10.1.0.3"), 0),
    ];
    for (way, real, overhead) in ways {
        let real = Real { mtu: 1500, ..real };
        for (kind, packet) in [&kinds()[0], &kinds()[1], &kinds()[4]] {
            let setup = || everything(0, &[3]).real(real);
            let fits = long(packet, 1500 - overhead);
            let case = Case::new(format!("{kind}, {way}: the longest that fits"), setup());
            all.push(case.becomes(&fits, Verdict::Forwarded, towards(&fits, &real)));
            let over = long(packet, 1501 - overhead);
            let (number, code) = if over.source.is_ipv4() { (3, 4) } else { (2, 0) };
            for tags in [vec![], vec![(0x8100, 77)], vec![(0x88a8, 77), (0x8100, 78)]] {
                let over = over.clone().with(|p| p.tags = tags);
                let out = answer(&over, number, code, 1500 - overhead as u16);
                let case = Case::new(format!("{kind}, {way}: one byte more, {} tags", over.tags.len()), setup());
                all.push(case.becomes(&over, Verdict::AnsweredTooBig, out));
            }
            if over.source.is_ipv4() {
                let may = over.clone().with(|p| p.df = false);
                let case = Case::new(format!("{kind}, {way}: one byte more, and may be cut"), setup());
                all.push(case.stays(&may, Verdict::TooBig));
            }
        }
    }
    let real = Real { mtu: 1500, ..real(3, Way::Ip, "10.1.0.3") };
    let over = long(&kinds()[0].1, 1500);
    let reply = over.clone().with(|p| {
        std::mem::swap(&mut p.source, &mut p.destination);
        p.ports = (p.ports.1, p.ports.0);
    });
    let about = error("198.18.0.1", 3, 1, &reply, 1480);
    let case = Case::new("an ICMP error that is too big", everything(0, &[3]).real(real));
    all.push(case.stays(&about, Verdict::TooBig));
    let once = Settings { answer_rate: 1, ..Settings::default() };
    let case = Case::new("too big, over the rate of answers", everything(0, &[3]).real(real).settings(once));
    let case = case.becomes(&over, Verdict::AnsweredTooBig, answer(&over, 3, 4, 1480));
    all.push(case.stays(&over, Verdict::TooBig));
}

fn hops(all: &mut Vec<Case>) {
    for (kind, packet) in [&kinds()[0], &kinds()[1], &kinds()[4], &kinds()[5]] {
        for real in [real(3, Way::Ip, "10.1.0.3"), real(3, Way::L2, "10.1.0.3")] {
            let way = format!("{kind}, {:?}", real.way);
            let setup = || everything(flag::TTL, &[3]).real(real);
            let before = long(packet, 200);
            let after = before.clone().with(|p| p.ttl = 63);
            let case = Case::new(format!("{way}: a hop less"), setup());
            all.push(case.becomes(&before, Verdict::Forwarded, towards(&after, &real)));
            for ttl in [0, 1] {
                let old = before.clone().with(|p| p.ttl = ttl);
                let (number, code) = if old.source.is_ipv4() { (11, 0) } else { (3, 0) };
                let case = Case::new(format!("{way}: {ttl} hops left"), setup());
                all.push(case.becomes(&old, Verdict::AnsweredExpired, answer(&old, number, code, 0)));
            }
            let short = packet.clone().with(|p| {
                p.ttl = 1;
                p.payload.clear();
            });
            let case = Case::new(format!("{way}: no hops left of a packet too short to be quoted"), setup());
            all.push(case.stays(&short, Verdict::Expired));
        }
    }
}

fn clamps(all: &mut Vec<Case>) {
    let mss = |mss: u16| [vec![2, 4], mss.to_be_bytes().to_vec()].concat();
    let real = real(3, Way::Ip, "10.1.0.3");
    for (kind, packet) in [&kinds()[0], &kinds()[4]] {
        let mut case = |name: &str, before: Vec<u8>, after: Vec<u8>, flags: u8| {
            let setup = Setup::default()
                .service(
                    if packet.source.is_ipv4() { "192.0.2.10:80" } else { "[2001:db8::10]:80" },
                    TCP,
                    flag::CLAMP,
                    &[3],
                )
                .but(|s: &mut Service| s.mss = 1400)
                .real(real);
            let with = |options| packet.clone().with(|p| (p.flags, p.options) = (flags, options));
            let out = towards(&with(after), &real);
            let case = Case::new(format!("{kind}: {name}"), setup);
            all.push(case.becomes(&with(before), Verdict::Forwarded, out));
        };
        let (syn, both) = (crate::packet::SYN, crate::packet::SYN | crate::packet::ACK);
        let behind = |front: &[u8], value| [front.to_vec(), mss(value)].concat();
        case("an MSS that is too large", mss(1460), mss(1400), syn);
        case("the largest MSS", mss(65535), mss(1400), syn);
        case("an MSS that fits", mss(1400), mss(1400), syn);
        case("a small MSS", mss(536), mss(536), syn);
        case("an MSS of a SYN that acknowledges", mss(1460), mss(1400), both);
        case("an MSS where no SYN is", mss(1460), mss(1460), crate::packet::ACK);
        case("an MSS behind one byte", behind(&[1], 1460), behind(&[1], 1400), syn);
        case("an MSS behind three bytes", behind(&[3, 3, 7], 9000), behind(&[3, 3, 7], 1400), syn);
        case("an MSS behind others", behind(&[4, 2, 3, 3, 7, 1], 1460), behind(&[4, 2, 3, 3, 7, 1], 1400), syn);
        case("an MSS at the end", behind(&[1; 36], 1460), behind(&[1; 36], 1400), syn);
        case("an MSS behind the end", behind(&[0], 1460), behind(&[0], 1460), syn);
        case("an MSS behind an option of length 0", behind(&[8, 0], 1460), behind(&[8, 0], 1460), syn);
        case("an MSS behind an option of length 1", behind(&[8, 1], 1460), behind(&[8, 1], 1460), syn);
        case("an MSS behind an option that is too long", behind(&[8, 60], 1460), behind(&[8, 60], 1460), syn);
        case("an MSS of a wrong length", vec![2, 6, 5, 180, 0, 0, 1, 1], vec![2, 6, 5, 180, 0, 0, 1, 1], syn);
        case("an MSS that is cut", vec![1, 1, 2, 4], vec![1, 1, 2, 4], syn);
        case("no options", vec![], vec![], syn);
        case("options without MSS", vec![1, 3, 3, 7, 4, 2, 1, 1], vec![1, 3, 3, 7, 4, 2, 1, 1], syn);
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    too_big(&mut all);
    hops(&mut all);
    clamps(&mut all);
    all
}

#[test]
fn sizes_and_hops_are_kept() {
    Site::new("sizes and hops").run(&cases());
}
