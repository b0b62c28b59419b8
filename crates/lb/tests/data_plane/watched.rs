//! What is told of packets: counters, samples, records, new connections.

use crate::{
    packet::{TCP, tcp, udp},
    site::{Case, Settings, Setup, Site, Verdict, real},
    ways::towards,
};
use alveary_lb::wire::Way;

const VIP: &str = "192.0.2.10:80";
/// `struct lb_about`, `struct lb_record`.
const ABOUT: usize = 64;
const RECORD: usize = 72;

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
                (word(about, 48), word(about, 52), word(about, 56))
            })
            .collect();
        assert_eq!(said, [(1, 3, 6), (1, 3, 6), (u32::MAX, 0, 1)], "VIP, real, verdict");
    }
    site.run(&[three(service())]);
    assert!(site.events("samples").iter().all(Vec::is_empty), "0 is no samples");
}

#[test]
fn records_hold_the_packet_before_and_after() {
    let site = Site::new("records");
    let on = Settings { recording: 1, record_bytes: 2048, ..Settings::default() };
    // Nothing is asked of packets but their verdict: LB_FORWARDED.
    let mut verdict = vec![0u8; 104];
    verdict[0..4].copy_from_slice(&(1u32 << 8).to_ne_bytes());
    verdict[96..100].copy_from_slice(&6u32.to_ne_bytes());
    verdict[100..104].copy_from_slice(&6u32.to_ne_bytes());
    let setup = service().settings(on).entry("matches", 0u32.to_ne_bytes().to_vec(), verdict);
    site.run(&[three(setup.clone())]);
    let packet = tcp("203.0.113.5:40000", VIP);
    let out = towards(&packet, &real(3, Way::Ip, "10.1.0.3"));
    for records in site.events("records") {
        assert_eq!(records.len(), 2, "the one for nobody does not fit");
        for record in &records {
            assert_eq!(record[RECORD..], [packet.bytes(), out.clone()].concat());
            assert_eq!((word(record, 48), word(record, 52), word(record, 56)), (1, 3, 6));
        }
    }
    // A destination that no packet has.
    let mut nobody = vec![0u8; 104];
    nobody[0..4].copy_from_slice(&2u32.to_ne_bytes());
    nobody[40..44].copy_from_slice(&[192, 0, 2, 11]);
    nobody[56..60].copy_from_slice(&[255; 4]);
    let not = |mut entry: Vec<u8>| {
        entry[4..8].copy_from_slice(&2u32.to_ne_bytes());
        entry
    };
    site.run(&[three(setup.clone().entry("matches", 0u32.to_ne_bytes().to_vec(), nobody.clone()))]);
    assert!(site.events("records").iter().all(Vec::is_empty));
    site.run(&[three(setup.clone().entry("matches", 0u32.to_ne_bytes().to_vec(), not(nobody)))]);
    assert!(site.events("records").iter().all(|all| all.len() == 3), "everyone but nobody");
    let few = Settings { record_rate: 1, record_bytes: 32, ..on };
    site.run(&[three(setup.settings(few))]);
    for records in site.events("records") {
        // The kernel's clock may have ticked in between.
        assert!((1..=2).contains(&records.len()), "the rate is one");
        assert_eq!(records[0].len(), RECORD + 32 + 32);
    }
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
