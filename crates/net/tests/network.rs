//! Routers and hosts connected by links: what arrives, and exactly when.

use alveary_abi::{Profile, ProgType};
use alveary_isa::asm::assemble;
use alveary_net::{
    Net, Skb,
    network::{Event, Link, Network, Node, What},
    router::{Behaviour, Lost, MAIN, Programs, Router, Target},
};
use alveary_runtime::{Runtime, World};
use alveary_spec::{Kernel, Program};
use std::{cell::RefCell, net::Ipv6Addr, rc::Rc, sync::Arc};

const MS: u64 = 1_000_000;
/// Bytes of [`packet`] in a frame.
const FRAME: u64 = 54;

fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

/// An IPv6 packet without payload.
fn packet(from: &str, to: &str, hops: u8) -> Vec<u8> {
    [&[0x60, 0, 0, 0, 0, 0, 59, hops][..], &address(from).octets(), &address(to).octets()].concat()
}

/// A packet to `fc00:e::1`, whose next segment is `fc00:b::1`.
fn segments() -> Vec<u8> {
    let mut packet = packet("fc00:a::1", "fc00:e::1", 64);
    (packet[5], packet[6]) = (40, 43);
    packet.extend([59, 4, 4, 1, 1, 0, 0, 0]);
    packet.extend(address("fc00:b::1").octets());
    packet.extend(address("fc00:e::1").octets());
    packet
}

fn device(device: u32) -> Target {
    Target::Device { device, gateway: None }
}

/// A router between `fc00:a::/32` at its first interface and everything else at its second.
fn between(source: &str) -> Router {
    let mut router = Router::new(address(source));
    router.add(MAIN, address("fc00:a::"), 32, device(1));
    router.add(MAIN, address("::"), 0, device(2));
    router
}

/// Two hosts with routers between, in a row, by links of the same kind.
fn row(routers: usize, seed: u64, link: Link) -> (Network, Node, Node) {
    let mut network = Network::new(seed);
    let first = network.host();
    let mut from = first.port(1);
    for number in 1..=routers {
        let router = network.router(Arc::new(between(&format!("fc00:99::{number}"))), Programs::none());
        network.link(from, router.port(1), link);
        from = router.port(2);
    }
    let last = network.host();
    network.link(from, last.port(1), link);
    (network, first, last)
}

/// Everything that happens.
fn all(network: &mut Network) -> Vec<Event> {
    std::iter::from_fn(|| network.next(u64::MAX)).collect()
}

/// When a host gets something.
fn times(network: &mut Network, at: Node) -> Vec<u64> {
    let got = |event: &Event| matches!(event.what, What::Received { host, .. } if host == at);
    all(network).iter().filter(|event| got(event)).map(|event| event.time).collect()
}

#[test]
fn a_packet_takes_the_time_that_its_links_are_given() {
    let link = Link { rate: Some(8_000_000), delay: 5 * MS, ..Link::default() };
    let (mut network, first, last) = row(3, 1, link);
    network.send(first, 7, packet("fc00:a::1", "fc00:b::1", 64));
    let event = network.next(u64::MAX).expect("it arrives");
    assert_eq!(event.time, 7 + 4 * (FRAME * 1000 + 5 * MS));
    let What::Received { host, frame } = event.what else { panic!("{event:?}") };
    assert_eq!((host, frame[14 + 7]), (last, 61), "three hops less");
    assert_eq!(network.next(u64::MAX), None);
    // A byte takes 1000 ns: the second waits for the first, once.
    for _ in 0..2 {
        network.send(first, 100 * MS, packet("fc00:a::1", "fc00:b::1", 64));
    }
    let first_one = 100 * MS + 4 * (FRAME * 1000 + 5 * MS);
    assert_eq!(times(&mut network, last), [first_one, first_one + FRAME * 1000]);
}

#[test]
fn a_queue_holds_what_it_is_given_and_no_more() {
    let link = Link { rate: Some(8_000_000), queue: 3, ..Link::default() };
    let (mut network, first, last) = row(0, 1, link);
    for _ in 0..10 {
        network.send(first, 0, packet("fc00:a::1", "fc00:b::1", 64));
    }
    assert_eq!(times(&mut network, last), [1, 2, 3, 4].map(|frames| frames * FRAME * 1000), "one is sent, three wait");
    let counts = network.counts(first.port(1)).expect("a link");
    assert_eq!((counts.sent, counts.bytes, counts.full, counts.lost), (4, 4 * FRAME, 6, 0));
}

#[test]
fn loss_is_drawn_from_the_seed() {
    let arrived = |seed, loss| {
        let (mut network, first, last) = row(0, seed, Link { delay: 1, loss, ..Link::default() });
        (0..10_000).for_each(|at| network.send(first, at, packet("fc00:a::1", "fc00:b::1", 64)));
        let times = times(&mut network, last);
        let counts = network.counts(first.port(1)).expect("a link");
        assert_eq!(counts.lost + times.len() as u64, 10_000);
        times
    };
    let tenth = arrived(1, 100_000);
    assert!((8_800..9_200).contains(&tenth.len()), "{}", tenth.len());
    assert_eq!(arrived(1, 100_000), tenth);
    assert_ne!(arrived(2, 100_000), tenth);
    assert!(arrived(1, 200_000).iter().all(|time| tenth.contains(time)), "more are lost, not others");
    assert_eq!((arrived(1, 0).len(), arrived(1, 1_000_000).len()), (10_000, 0));
}

#[test]
fn what_is_held_back_comes_later_and_in_order() {
    let (mut network, first, last) = row(0, 1, Link { delay: 10, ..Link::default() });
    assert!(network.hold(first.port(1), 1000) && !network.hold(last.port(2), 1));
    network.send(first, 5, packet("fc00:a::1", "fc00:b::1", 64));
    network.send(first, 6, packet("fc00:a::1", "fc00:b::2", 64));
    assert_eq!(network.next(100), None);
    assert_eq!(network.now(), 100);
    network.hold(first.port(1), 0);
    network.send(first, 200, packet("fc00:a::1", "fc00:b::3", 64));
    let got = all(&mut network);
    let got: Vec<_> = got
        .iter()
        .map(|event| match &event.what {
            What::Received { frame, .. } => (event.time, frame[53]),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(got, [(1015, 1), (1016, 2), (1016, 3)]);
}

#[test]
fn a_router_without_hops_tells_the_sender() {
    let (mut network, first, _) = row(3, 1, Link { delay: MS, ..Link::default() });
    network.send(first, 0, packet("fc00:a::1", "fc00:b::1", 2));
    let [lost, told] = &all(&mut network)[..] else { panic!("two events") };
    assert!(matches!(lost.what, What::Lost { why: Lost::HopLimit, told: true, .. }) && lost.time == 2 * MS);
    let What::Received { host, frame } = &told.what else { panic!("{told:?}") };
    assert_eq!((told.time, *host, frame[14 + 40]), (4 * MS, first, 3), "time exceeded");
    assert_eq!(frame[14 + 8..][..16], address("fc00:99::2").octets());
}

#[test]
fn programs_are_told_the_virtual_time() {
    let text = "
        r9 = r1
        call bpf_ktime_get_ns
        *(u64 *)(r10 - 8) = r0
        r1 = r9
        r2 = 46
        r3 = r10
        r3 += -8
        r4 = 2
        call bpf_lwt_seg6_store_bytes
        r0 = 0
        exit";
    let profile = Profile::linux_6_18();
    let number = |name: &str| profile.helper_named(name.strip_prefix("bpf_")?).map(|helper| helper.id.0 as i32);
    let (assembly, errors) = assemble(text, &number);
    assert!(errors.is_empty(), "{errors:?}");
    let program = Program {
        name: "stamp".into(),
        section: "lwt_seg6local".into(),
        ty: ProgType::LWT_SEG6LOCAL,
        insns: assembly.into_raw().expect("one section"),
        subprogs: vec![(0, "stamp".into())],
        license: "GPL".into(),
        ..Program::default()
    };
    let mut router = between("::");
    router.add(MAIN, address("fc00:e::1"), 128, Target::Endpoint(Behaviour::EndBpf(0)));
    let router = Arc::new(router);
    let net = Arc::new(Net::new(router.clone()));
    let runtime = Runtime::builder(Kernel::of(profile), World::repeatable()).family::<Skb>(net).build();
    let prog = runtime.load_unverified(Arc::new(program), vec![]).expect("it loads");
    let mut network = Network::new(1);
    let (left, right) = (network.host(), network.host());
    let middle = network.router(router, Programs::new(runtime.vcpu(0).expect("CPU 0"), vec![prog]));
    network.link(left.port(1), middle.port(1), Link { delay: 0x1234, ..Link::default() });
    network.link(middle.port(2), right.port(1), Link { delay: 77, ..Link::default() });
    network.send(left, 0, segments());
    network.send(left, 0x1000, segments());
    let tags = all(&mut network).into_iter().map(|event| match event.what {
        What::Received { frame, .. } => (event.time, u16::from_le_bytes([frame[14 + 46], frame[14 + 47]])),
        other => panic!("{other:?}"),
    });
    assert_eq!(tags.collect::<Vec<_>>(), [(0x1234 + 77, 0x1234), (0x2234 + 77, 0x2234)]);
}

#[test]
fn a_tap_sees_frames_where_they_leave_and_where_they_come() {
    let (mut network, first, last) = row(1, 1, Link { rate: Some(8_000_000), delay: MS, ..Link::default() });
    let seen = Rc::new(RefCell::new(Vec::new()));
    let into = seen.clone();
    network.tap(move |frame| into.borrow_mut().push((frame.time, frame.port, frame.out, frame.frame[5])));
    network.send(first, 0, packet("fc00:a::1", "fc00:b::1", 64));
    all(&mut network);
    let middle = FRAME * 1000 + MS;
    let router = network.mac(last.port(1))[3];
    assert_eq!(router, 2, "numbers of nodes are in addresses");
    let at = seen.borrow().iter().map(|(time, port, out, _)| (*time, port.device, *out)).collect::<Vec<_>>();
    assert_eq!(at, [(0, 1, true), (middle, 1, false), (middle, 2, true), (2 * middle, 1, false)]);
}

#[test]
fn drivers_have_timers_and_what_leaves_a_network() {
    let mut network = Network::new(1);
    let router = network.router(Arc::new(between("fc00:99::1")), Programs::none());
    network.alarm(50, 7);
    let frame = [&[0; 12][..], &[0x86, 0xdd], &packet("fc00:a::1", "fc00:b::1", 64)].concat();
    network.arrive(router.port(1), 60, frame);
    network.arrive(router.port(1), 70, vec![0; 14]);
    let events = all(&mut network);
    assert_eq!(events[0], Event { time: 50, what: What::Alarm(7) });
    let What::Left { port, next_hop, .. } = &events[1].what else { panic!("{events:?}") };
    assert_eq!((*port, *next_hop), (router.port(2), Some(address("fc00:b::1").into())));
    assert!(matches!(&events[2].what, What::Lost { why: Lost::Malformed, .. }));
}
