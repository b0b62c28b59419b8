//! The program for the reals: what the balancer put around packets comes off, and nothing else changes.

use crate::{
    packet::{Packet, frame, ip, octets, swapped, tcp, udp},
    site::real,
    ways::{kinds, towards},
};
use alveary::{Backend, Linux, Loaded, MapHandle, Object, ProgramRef, Target, TestRun};
use alveary_lb::wire::{Real, Way};

const PASS: u32 = 2;
const DROP: u32 = 1;

/// Name, what comes, the action, what is left.
pub(crate) type Case = (String, Vec<u8>, u32, Vec<u8>);

fn reals() -> Vec<(&'static str, Real)> {
    vec![
        ("IP in IPv4", real(3, Way::Ip, "10.1.0.3")),
        ("IP in IPv6", real(3, Way::Ip, "2001:db8:5::3")),
        ("GUE over IPv4", Real { port: 6080, ..real(3, Way::Gue, "10.1.0.3") }),
        ("GUE over IPv6", Real { port: 6080, ..real(3, Way::Gue, "2001:db8:5::3") }),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (kind, packet) in kinds() {
        for (way, real) in reals() {
            for tags in [vec![], vec![(0x8100, 5)], vec![(0x88a8, 6), (0x8100, 5)]] {
                let packet = packet.clone().with(|p| p.tags = tags);
                let left = packet.clone().turned().bytes();
                let name = format!("{kind}, {way}, {} tags", packet.tags.len());
                all.push((name, towards(&packet, &real), PASS, left));
            }
        }
    }
    congestion(&mut all);
    let mut stays = |name: &str, bytes: Vec<u8>, action| all.push((name.to_owned(), bytes.clone(), action, bytes));
    let inner = tcp("203.0.113.5:40000", "192.0.2.10:80");
    let tunnelled = towards(&inner, &real(3, Way::Ip, "10.1.0.3"));
    stays("for nobody here", towards(&inner, &real(3, Way::Ip, "10.1.0.4")), PASS);
    stays("no tunnel", inner.bytes(), PASS);
    stays("no tunnel, to an end of tunnels", tcp("203.0.113.5:40000", "10.1.0.3:80").bytes(), PASS);
    stays("UDP to another port", udp("203.0.113.5:40000", "10.1.0.3:6081").bytes(), PASS);
    stays("ARP", frame(swapped(crate::packet::MACS), &[], 0x0806, &[0; 28]), PASS);
    stays("a packet that is cut", tunnelled[..30].to_vec(), PASS);
    stays("nothing inside", tunnelled[..34].to_vec(), DROP);
    stays("a header inside that is cut", tunnelled[..34 + 19].to_vec(), DROP);
    let around = |payload: Vec<u8>| udp("198.51.100.1:50000", "10.1.0.3:6080").with(|p| p.payload = payload).bytes();
    stays("GUE with nothing inside", around(vec![]), DROP);
    stays("GUE of a version that nobody knows", around(vec![0x80; 40]), DROP);
    stays("GUE's variant 0 with a control message", around(vec![0x20; 40]), DROP);
    stays("GUE's variant 0 with another protocol", around([vec![0, 47, 0, 0], vec![0; 40]].concat()), DROP);
    let mut wrong = tunnelled.clone();
    wrong[34] = 0x65;
    stays("IPv6 in place of IPv4", wrong, DROP);
    let piece =
        Packet { fragment: Some((0, true)), protocol: 4, payload: inner.ip(), ..udp("198.51.100.1:1", "10.1.0.3:1") };
    stays("a fragment of a tunnel", piece.bytes(), PASS);
    let other = around([vec![0, 4, 0, 0], inner.ip()].concat());
    all.push(("GUE's variant 0".into(), other, PASS, inner.bytes()));
    all
}

/// What routers said outside, and what is said inside then: the table of RFC 6040 (figure 4). `None`: it is dropped.
fn congestion(all: &mut Vec<Case>) {
    const NOT: u8 = 0;
    const ECT1: u8 = 1;
    const ECT0: u8 = 2;
    const CE: u8 = 3;
    const SAID: [(u8, [Option<u8>; 4]); 4] = [
        // By what is outside: not ECT, ECT(1), ECT(0), CE.
        (NOT, [Some(NOT), Some(NOT), Some(NOT), None]),
        (ECT1, [Some(ECT1), Some(ECT1), Some(ECT1), Some(CE)]),
        (ECT0, [Some(ECT0), Some(ECT1), Some(ECT0), Some(CE)]),
        (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
    ];
    for (kind, packet) in kinds() {
        for (way, real) in reals() {
            for (inside, by_outside) in SAID {
                for (outside, said) in (0u8..).zip(by_outside) {
                    let packet = packet.clone().with(|p| p.tos = 0xb8 | inside);
                    let mut came = towards(&packet, &real);
                    // The outer header's own sum is not asked here.
                    let shift = if came[14] >> 4 == 4 { 0 } else { 4 };
                    came[15] = came[15] & !(3 << shift) | outside << shift;
                    let name = format!("{kind}, {way}, ECN {outside} outside and {inside} inside");
                    match said {
                        Some(said) => {
                            let left = packet.turned().with(|p| p.tos = 0xb8 | said).bytes();
                            all.push((name, came, PASS, left));
                        }
                        None => all.push((name, came.clone(), DROP, came)),
                    }
                }
            }
        }
    }
}

fn check<B: Backend>(target: &str, loaded: &Loaded<B>, failed: &mut Vec<String>) {
    let ends = loaded.map("ends").expect("ends");
    for end in ["10.1.0.3", "2001:db8:5::3"] {
        let mut key = octets(ip(end));
        key.resize(16, 0);
        ends.update(&key, &[0; 4], 0).expect("an end");
    }
    let program: ProgramRef<'_, B> = loaded.program("decap").expect("decap");
    for (name, bytes, action, left) in cases() {
        let ran = loaded.target().test_run(program.handle(), &TestRun { data: &bytes, cpu: 0 });
        match ran {
            Ok(outcome) if outcome.value == action && (action == DROP || outcome.data == left) => {}
            other => failed.push(format!("{name}, {target}: {other:?}\n  wanted {action} {left:?}")),
        }
    }
}

#[test]
fn what_the_balancer_put_around_packets_comes_off() {
    let object = Object::open(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb-decap.bpf.o")).expect("decap");
    let mut failed = Vec::new();
    check("user", &object.load(Target::user()).expect("the user target takes it"), &mut failed);
    if alveary_testing::bpf::permitted("decap") {
        let linux = object.load(Linux::builder().without_pins().build()).expect("the kernel takes it");
        check("linux", &linux, &mut failed);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
