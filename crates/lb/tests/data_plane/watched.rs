//! What is told of packets: counters, samples, records, new connections.

use crate::{
    packet::{TCP, tcp, udp},
    site::{Case, Settings, Setup, Site, Verdict, real},
    ways::towards,
};
use alveary_lb::{
    record::{Bounds, Filter, Numbers, Recorded, SNAP, matches, monotonic, order},
    samples::Sampled,
    wire::Way,
};
use std::{collections::BTreeSet, net::IpAddr};

const VIP: &str = "192.0.2.10:80";
/// `struct lb_about`.
const ABOUT: usize = 64;

fn service() -> Setup {
    Setup::default().service(VIP, TCP, 0, &[3]).real(real(3, Way::Ip, "10.1.0.3"))
}

fn three(setup: Setup) -> Case {
    let packet = tcp("203.0.113.5:40000", VIP);
    let other = udp("203.0.113.5:40000", VIP);
    let out = towards(&packet, &real(3, Way::Ip, "10.1.0.3"));
    let case = Case::new("three", setup).becomes(&packet, Verdict::Forwarded, out.clone());
    case.becomes(&packet, Verdict::Forwarded, out).stays(&other, Verdict::NoVip)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

#[test]
fn packets_are_counted() {
    let site = Site::new("counters");
    site.run(&[three(service())]);
    let bytes = tcp("203.0.113.5:40000", VIP).bytes().len() as u64;
    for counted in site.counters("vip_counters", 1, 6) {
        assert_eq!(counted, [2, 2 * bytes, 0, 0, 1, 0], "in, back, opened, global");
    }
    for counted in site.counters("real_counters", 3, 2) {
        assert_eq!(counted, [2, 2 * bytes]);
    }
}

#[test]
fn samples_say_what_became_of_packets() {
    let site = Site::new("samples");
    let all = Settings { sample: 1, ..Settings::default() };
    site.run(&[three(service().settings(all))]);
    for samples in site.events("samples") {
        let said: Vec<(u32, u32, u32)> = samples
            .iter()
            .map(|about| {
                assert_eq!(about.len(), ABOUT);
                assert_eq!(about[8..12], [203, 0, 113, 5]);
                assert_eq!(about[24..28], [192, 0, 2, 10]);
                assert_eq!(about[40..44], [0x9c, 0x40, 0, 80]);
                assert_eq!(about[45], 4);
                let read = Sampled::read(about).expect("it is whole");
                let ends = ["203.0.113.5:40000", "192.0.2.10:80"].map(|end| end.parse().expect("an end"));
                assert_eq!(read.flow, Some((ends[0], ends[1])));
                assert_eq!((read.protocol, u32::from(read.length)), (about[44], u32::from(about[46])));
                assert_eq!(read.vip.unwrap_or(u32::MAX), word(about, 48));
                assert_eq!((read.real.unwrap_or(0), read.verdict), (word(about, 52), word(about, 56)));
                assert_eq!(Sampled::read(&about[..ABOUT - 1]), None, "cut");
                (word(about, 48), word(about, 52), word(about, 56))
            })
            .collect();
        assert_eq!(said, [(1, 3, 6), (1, 3, 6), (u32::MAX, 0, 1)], "VIP, real, verdict");
    }
    site.run(&[three(service())]);
    assert!(site.events("samples").iter().all(Vec::is_empty), "0 is no samples");
}

/// What the test's site has: VIP 1, real 3.
struct Numbered;

impl Numbers for Numbered {
    fn vips(&self, _: IpAddr, _: Option<u16>) -> BTreeSet<u32> {
        [1].into()
    }

    fn reals(&self, _: IpAddr) -> BTreeSet<u32> {
        [3].into()
    }
}

/// The site, with a filter that is asked until this tick.
fn recording(filter: &str, bounds: Bounds, until: u32) -> Setup {
    let read = Filter::read(filter).expect("it can be read");
    let all = matches(filter, &read, &Numbered).expect("it can be asked");
    let setup = service().entry(".data.recorder", vec![0; 4], order(all.len() as u32, bounds, until));
    (0u32..)
        .zip(&all)
        .fold(setup, |setup, (index, one)| setup.entry("matches", index.to_ne_bytes().to_vec(), one.to_bytes()))
}

/// Far behind now, of either target.
fn later() -> u32 {
    (monotonic() >> 30) as u32 + 100_000
}

const ALL: Bounds = Bounds { rate: 0, bytes: SNAP };

#[test]
fn records_hold_the_packet_before_and_after() {
    let site = Site::new("records");
    site.run(&[three(recording("verdict forwarded", ALL, later()))]);
    let packet = tcp("203.0.113.5:40000", VIP);
    let out = towards(&packet, &real(3, Way::Ip, "10.1.0.3"));
    for records in site.events("records") {
        assert_eq!(records.len(), 2, "the one for nobody does not fit");
        for record in &records {
            let record = Recorded::read(record).expect("whole");
            assert_eq!(record.came, (packet.bytes(), packet.bytes().len() as u32));
            assert_eq!(record.left, Some((out.clone(), out.len() as u32)));
            assert_eq!((record.vip, record.real, record.verdict, record.action), (Some(1), Some(3), 6, 3));
        }
    }
    // What is not sent on has not left.
    site.run(&[three(recording("udp", ALL, later()))]);
    for records in site.events("records") {
        let record = Recorded::read(&records[0]).expect("whole");
        assert_eq!((records.len(), record.left, record.vip, record.real), (1, None, None, None));
        assert_eq!((record.verdict, record.action), (1, 2));
    }
}

#[test]
fn what_is_recorded_follows_the_filter() {
    let site = Site::new("filters");
    // Two packets of TCP to VIP 1 that go to real 3, and one of UDP for nobody.
    for (filter, count) in [
        ("", 3),
        ("tcp", 2),
        ("not tcp", 1),
        ("not tcp and not udp", 0),
        ("src host 203.0.113.5 and dst net 192.0.2.0/24", 3),
        ("src host 192.0.2.10", 0),
        ("host 192.0.2.10 and port 80", 3),
        ("not host 203.0.113.5 and not host 203.0.113.6", 0),
        ("not src host 203.0.113.6 and not src host 203.0.113.7 and not src net 2001:db8::/32", 3),
        // The first word of this is the client's IPv4 address.
        ("src net cb00:7105::/128", 0),
        ("src portrange 40000-40001 and udp dst port 80", 1),
        ("src port 0 or dst port 40000", 0),
        ("ip and not ip6", 3),
        ("vip 192.0.2.10", 2),
        ("not vip 192.0.2.10", 1),
        ("real 10.1.0.3", 2),
        ("verdict passed", 1),
        ("verdict dropped", 0),
        ("greater 54 and tcp or less 10", 2),
        ("udp and src port 1 or udp and src port 2 or udp and src port 40000", 1),
    ] {
        site.run(&[three(recording(filter, ALL, later()))]);
        for records in site.events("records") {
            assert_eq!(records.len(), count, "{filter}");
        }
    }
}

#[test]
fn recording_is_bounded() {
    let site = Site::new("bounds");
    let before = site.counters("events", 7, 1);
    site.run(&[three(recording("", Bounds { rate: 1, bytes: 32 }, later()))]);
    for (target, records) in site.events("records").into_iter().enumerate() {
        // The kernel's clock may have ticked in between.
        assert!((1..=2).contains(&records.len()), "the rate is one");
        let record = Recorded::read(&records[0]).expect("whole");
        assert_eq!((record.came.0.len(), record.left.expect("it left").0.len()), (32, 32));
        assert_eq!(record.came.1 as usize, tcp("203.0.113.5:40000", VIP).bytes().len());
        let missed = site.counters("events", 7, 1)[target][0] - before[target][0];
        assert_eq!(missed, 3 - records.len() as u64, "what is not recorded is counted");
    }
}

#[test]
fn who_does_not_say_that_he_is_there_gets_nothing() {
    let site = Site::new("lease");
    // The user target's clock stands at tick 5, the kernel's further on.
    site.run(&[three(recording("", ALL, 4))]);
    assert!(site.events("records").iter().all(Vec::is_empty));
    for recorder in site.values(".data.recorder", 0) {
        assert_eq!(word(&recorder, 0), 0, "the data plane ends it");
    }
    site.run(&[three(recording("", ALL, later()))]);
    assert!(site.events("records").iter().all(|all| all.len() == 3));
    site.run(&[three(service().entry(".data.recorder", vec![0; 4], vec![0; 16]))]);
    assert!(site.events("records").iter().all(Vec::is_empty), "off");
}

#[test]
fn new_connections_are_announced() {
    let site = Site::new("news");
    site.run(&[three(service().settings(Settings { announce: 1, ..Settings::default() }))]);
    for news in site.events("news") {
        assert_eq!(news.len(), 1);
        assert_eq!(news[0].len(), 56);
        assert_eq!((word(&news[0], 44), word(&news[0], 52)), (3, 1), "real and VIP");
        assert_eq!(news[0][36], TCP);
    }
}
