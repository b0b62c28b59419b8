//! What a filter says, what is wrong with one, and that its matches say the same.

use super::{
    super::filter::{Filter, Side, Test},
    *,
};
use proptest::prelude::*;

/// VIP 3 is 192.0.2.1:80, VIP 4 is 192.0.2.1:443, VIP 5 is [2001:db8::1]:53; reals 7 and 8 are 10.0.1.1, real 9 is fc00::9.
struct Site;

impl Numbers for Site {
    fn vips(&self, address: IpAddr, port: Option<u16>) -> BTreeSet<u32> {
        let all = [("192.0.2.1", 80, 3), ("192.0.2.1", 443, 4), ("2001:db8::1", 53, 5)];
        let is = |(ip, at, _): &&(&str, u16, u32)| address.to_string() == *ip && port.is_none_or(|port| port == *at);
        all.iter().filter(is).map(|(.., number)| *number).collect()
    }

    fn reals(&self, address: IpAddr) -> BTreeSet<u32> {
        let all = [("10.0.1.1", 7), ("10.0.1.1", 8), ("fc00::9", 9)];
        all.iter().filter(|(ip, _)| address.to_string() == *ip).map(|(_, number)| *number).collect()
    }
}

/// What the data plane knows of a packet.
#[derive(Clone, Debug)]
struct About {
    addresses: [IpAddr; 2],
    /// Of what is not IP it has no addresses.
    version: u8,
    /// As [`RANGES`] has them.
    numbers: [u32; RANGES.len()],
}

/// What `fits` in bpf/lb/record.h does, from the bytes that the map has.
fn fits(bytes: &[u8], about: &About) -> bool {
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let half = |at: usize| u32::from(u16::from_ne_bytes(bytes[at..at + 2].try_into().expect("2 bytes")));
    let wide = |at: usize| u128::from_be_bytes(bytes[at..at + 16].try_into().expect("16 bytes"));
    let (given, not) = (word(0) & !AND, word(4));
    let mut fits = 0;
    for side in 0..2 {
        let ip = u128::from_be_bytes(address(about.addresses[side]));
        let at = 8 + 32 * side;
        if bytes[88 + side] == about.version && (ip ^ wide(at)) & wide(at + 16) == 0 {
            fits |= 1 << side;
        }
    }
    let ranges = [
        (half(72), half(74)),
        (half(76), half(78)),
        (bytes[84].into(), bytes[85].into()),
        (bytes[86].into(), bytes[87].into()),
        (word(92), word(96)),
        (word(100), word(104)),
        (word(108), word(112)),
        (half(80), half(82)),
    ];
    for ((number, (first, last)), (bit, _)) in about.numbers.iter().zip(ranges).zip(RANGES) {
        if (first..=last).contains(number) {
            fits |= bit;
        }
    }
    (fits ^ not) & given == given
}

/// What `is_wanted` does.
fn wanted(entries: &[Match], about: &About) -> bool {
    let mut so_far = true;
    for entry in entries {
        so_far &= fits(&entry.to_bytes(), about);
        if entry.given & AND != 0 {
            continue;
        }
        if so_far {
            return true;
        }
        so_far = true;
    }
    false
}

/// What a filter means.
fn means(filter: &Filter, about: &About) -> bool {
    let number = |what: usize| about.numbers[what];
    let side = |side: &Side| usize::from(*side == Side::Destination);
    match filter {
        Filter::All(parts) => parts.iter().all(|part| means(part, about)),
        Filter::Any(parts) => parts.iter().any(|part| means(part, about)),
        Filter::Not(inner) => !means(inner, about),
        Filter::Test(test, _) => match test {
            Test::Address(of, ip, bits) => {
                let version = if ip.is_ipv4() { 4 } else { 6 };
                about.version == version
                    && holds((*ip, *bits), (about.addresses[side(of)], if version == 4 { 32 } else { 128 }))
            }
            Test::Port(of, first, last) => (u32::from(*first)..=u32::from(*last)).contains(&number(side(of))),
            Test::Protocol(wanted) => number(PROTOCOL) == u32::from(*wanted),
            Test::Version(wanted) => number(VERSION) == u32::from(*wanted),
            Test::Length(first, last) => (u32::from(*first)..=u32::from(*last)).contains(&number(LENGTH)),
            Test::Vip(ip, port) => Site.vips(*ip, *port).contains(&number(VIP)),
            Test::Real(ip) => Site.reals(*ip).contains(&number(REAL)),
            Test::Verdict(first, last) => (*first..=*last).contains(&number(VERDICT)),
        },
    }
}

fn compiled(text: &str) -> Vec<Match> {
    let filter = Filter::read(text).unwrap_or_else(|why| panic!("{text}: {why}"));
    matches(text, &filter, &Site).unwrap_or_else(|why| panic!("{text}: {why}"))
}

#[test]
fn filters_take_as_few_matches_as_they_need() {
    for (text, count) in [
        ("", 1),
        ("tcp", 1),
        ("tcp dst port 443 and src net 198.51.100.0/24 and verdict forwarded", 1),
        ("host 198.51.100.7", 2),
        ("tcp port 80 or 443", 4),
        ("portrange 8000-8080 && not src host 10.0.0.1", 2),
        ("not (tcp or udp)", 2),
        ("not tcp and not udp and not proto 1", 3),
        ("not port 80 and not port 443", 2),
        ("src net 10.0.0.0/8 and src net 10.1.0.0/16", 1),
        ("src net 10.0.0.0/8 and not src net 10.1.0.0/16 and not src host 10.1.2.3", 2),
        ("src net 10.0.0.0/8 and src net 11.0.0.0/8", 0),
        ("vip 192.0.2.1", 2),
        ("vip 192.0.2.1:443", 1),
        ("not vip 192.0.2.1", 1),
        ("real 10.0.1.1 or fc00::9", 3),
        ("verdict dropped or forwarded", 2),
        ("verdict malformed and not verdict malformed-ip", 2),
        ("icmp6 or icmp", 2),
        ("tcp or tcp or (tcp)", 1),
        ("! ip and ! ip6", 2),
        ("greater 100 and less 1500 and src port 5", 1),
    ] {
        assert_eq!(compiled(text).len(), count, "{text}: {:?}", compiled(text));
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let cases = [
        ("tcp prot 80", "goes on without", "prot"),
        ("port 70000", "no port", "70000"),
        ("portrange 80-70", "no port", "80-70"),
        ("src vip 192.0.2.1", "no source", "vip"),
        ("host 10.0.0.1/33", "no address", "10.0.0.1/33"),
        ("net 10.0.0.1/8", "behind its length", "10.0.0.1/8"),
        ("(tcp and udp", "not closed", "("),
        ("tcp)", "closes none", ")"),
        ("tcp and", "ends where", ""),
        ("verdict lost", "no such verdict", "lost"),
        ("vip 192.0.2.9", "no such VIP", "vip 192.0.2.9"),
        ("tcp and real 10.9.9.9", "no such real", "real 10.9.9.9"),
        ("tcp[13] = 2", "nothing that can be asked", "tcp[13]"),
        ("arp", "nothing that can be asked", "arp"),
        ("less big", "no length", "big"),
        ("proto 300", "no protocol", "300"),
        ("host [2001:db8::1]:5", "no address", "[2001:db8::1]:5"),
        ("tcp & udp", "goes on without", "&"),
        ("port 1 or 3 or 5 or 7 or 9 or 11 or 13 or 15 or 17", "more than the 16 matches", "17"),
    ];
    for (text, message, place) in cases {
        let why = Filter::read(text).and_then(|filter| matches(text, &filter, &Site)).expect_err(text);
        assert!(why.message.contains(message), "{text}: {}", why.message);
        let alveary_diag::Place::Text { bytes, .. } = why.place() else { panic!("{text}: no place") };
        assert_eq!(&text[bytes.start as usize..bytes.end as usize], place, "{text}");
    }
    let deep = format!("{}tcp{}", "(".repeat(100), ")".repeat(100));
    assert!(Filter::read(&deep).is_err_and(|why| why.message.contains("too deeply")));
    let nots = "not ".repeat(100_000) + "tcp";
    assert!(Filter::read(&nots).is_err());
    // Each level doubles what the one before makes.
    let many = ["(port 1 or port 3)"; 40].join(" and ");
    let filter = Filter::read(&many).expect("it can be read");
    assert!(matches(&many, &filter, &Site).is_ok(), "what is the same is one");
    let many: Vec<String> = (0..40).map(|n| format!("(port {n} or vip 192.0.2.1)")).collect();
    let many = many.join(" and ");
    assert!(matches(&many, &Filter::read(&many).expect("it can be read"), &Site).is_err());
}

#[test]
fn a_match_is_as_long_as_the_contract_says() {
    assert_eq!(Match::default().to_bytes().len(), Match::SIZE);
}

/// Few addresses and numbers, so that tests meet each other.
fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0u8..4, 0u8..2).prop_map(|(a, b)| IpAddr::from([10, a, 0, b])),
        (0u16..4, 0u16..2).prop_map(|(a, b)| IpAddr::from([0xa00, a, 0, 0, 0, 0, 0, b])),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let bits = |ip: &IpAddr| if ip.is_ipv4() { 32u8 } else { 128 };
    let test = prop_oneof![
        (prop::sample::select(vec!["", "src ", "dst "]), ip())
            .prop_map(move |(side, ip)| format!("{side}host {ip}/{}", bits(&ip))),
        (prop::sample::select(vec!["", "src ", "dst "]), 0u8..4)
            .prop_map(|(side, a)| format!("{side}net 10.{a}.0.0/16")),
        (prop::sample::select(vec!["", "src ", "dst "]), 0u16..4, 0u16..3)
            .prop_map(|(side, from, more)| format!("{side}portrange {from}-{}", from + more)),
        prop::sample::select(vec!["tcp", "udp", "icmp", "icmp6", "ip", "ip6", "proto 58"]).prop_map(str::to_owned),
        prop::sample::select(vec!["vip 192.0.2.1", "vip 192.0.2.1:443", "real 10.0.1.1", "real fc00::9"])
            .prop_map(str::to_owned),
        prop::sample::select(vec!["verdict dropped", "verdict forwarded", "verdict passed", "less 60", "greater 50"])
            .prop_map(str::to_owned),
    ];
    test.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) or ({b})")),
            inner.prop_map(|a| format!("not ({a})")),
        ]
    })
}

fn about() -> impl Strategy<Value = About> {
    let numbers =
        (0u32..6, 0u32..6, prop::sample::select(vec![0u32, 1, 6, 17]), 2u32..6, 6u32..11, 0u32..28, 40u32..70);
    let vip = prop_oneof![2u32..6, Just(u32::MAX)];
    (ip(), ip(), numbers, vip, any::<bool>()).prop_map(|(source, destination, numbers, vip, is_ip)| {
        let (source_port, destination_port, protocol, _, real, verdict, length) = numbers;
        // Both addresses are of one family.
        let destination = if source.is_ipv4() == destination.is_ipv4() { destination } else { source };
        let version = if !is_ip {
            0
        } else if source.is_ipv4() {
            4
        } else {
            6
        };
        let numbers = [source_port, destination_port, protocol, version, vip, real, verdict, length];
        About { addresses: [source, destination], version: version as u8, numbers }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a filter says, its matches fit the same packets; what they cannot say is refused.
    #[test]
    fn matches_say_what_the_filter_says(text in text(), abouts in prop::collection::vec(about(), 40)) {
        let filter = Filter::read(&text).expect("it can be read");
        match matches(&text, &filter, &Site) {
            Ok(entries) => for about in abouts {
                prop_assert_eq!(wanted(&entries, &about), means(&filter, &about), "{}\n{:?}\n{:?}", text, entries, about);
            },
            Err(why) => prop_assert!(why.message.contains("more than the 16 matches"), "{text}: {}", why.message),
        }
    }

    /// Nothing that is written makes it panic.
    #[test]
    fn any_text_is_a_filter_or_an_error(text in "(tcp|port|and|or|not|[(]|[)]|!|&&|[0-9]{1,6}|10[.]0[.]0[.]0/8|src|vip|verdict| |é|-){0,12}") {
        if let Ok(filter) = Filter::read(&text) {
            let _ = matches(&text, &filter, &Site);
        }
    }
}
