//! Packets that are in more pieces of memory than one, and who comes after the balancer.

use crate::{
    packet::{TCP, tcp},
    site::{Case, Setup, Site, Verdict, real},
    ways::{everything, kinds, towards},
};
use alveary_lb::wire::{Real, Way};

/// Longer than two pages: drivers hand them over in pieces.
const LONG: usize = 9000;

#[test]
fn packets_longer_than_a_page_get_to_reals() {
    let ways = [
        ("IP in IPv4", real(3, Way::Ip, "10.1.0.3")),
        ("IP in IPv6", real(3, Way::Ip, "2001:db8:5::3")),
        ("GUE over IPv4", Real { port: 6080, ..real(3, Way::Gue, "10.1.0.3") }),
        ("GUE over IPv6", Real { port: 6080, ..real(3, Way::Gue, "2001:db8:5::3") }),
        ("L2", real(3, Way::L2, "10.1.0.3")),
    ];
    let mut cases = Vec::new();
    for (way, real) in ways {
        for (kind, packet) in kinds() {
            let packet = packet.with(|p| p.payload = (0..LONG).map(|at| at as u8).collect());
            let case = Case::new(format!("{kind}, {LONG} bytes, {way}"), everything(0, &[3]).real(real));
            cases.push(case.becomes(&packet, Verdict::Forwarded, towards(&packet, &real)));
        }
    }
    Site::new("pieces").run(&cases);
}

#[test]
fn what_is_left_to_the_host_goes_to_the_next_program_first() {
    let site = Site::new("next");
    let setup = Setup::default().service("192.0.2.10:80", TCP, 0, &[3]).real(real(3, Way::Ip, "10.1.0.3"));
    let (ours, others) = (tcp("203.0.113.5:40000", "192.0.2.10:80"), tcp("203.0.113.5:40000", "192.0.2.99:80"));
    site.run(&[Case::new("before", setup.clone()).stays(&others, Verdict::NoVip)]);
    // That program aborts what nobody told it to send.
    let kept = site.goes_on_to("lb-repeat.bpf.o", "again_frags");
    assert!(site.actions(&others.bytes()).iter().all(|action| *action == 0), "it was asked");
    assert!(site.actions(&ours.bytes()).iter().all(|action| *action == 3), "what is balanced does not get there");
    drop(kept);
}
