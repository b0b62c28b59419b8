//! A router in a network namespace and the same one in user space: what goes to fc00:e::/64 goes through a program, all
//! else by the default route.

use alveary::{
    LinuxProgram,
    kernel::{
        attach::{Link, Place, Program, attach},
        netlink::{Hook, Route, Tunnel as Tunnels},
    },
    net::router::{Behaviour, MAIN, Router, Target, Tunnel},
};
use alveary_abi::ProgType;
use alveary_testing::{
    bpf,
    network::{self, Tun, ip, set},
};
use std::{
    net::{IpAddr, Ipv6Addr},
    os::fd::AsFd,
};

/// Numbers of the devices.
const IN: u32 = 2;
pub(crate) const OUT: u32 = 3;
/// Tables that programs look in: ours, the public artefact's, the kernel's self-tests'.
const TABLES: [u32; 2] = [42, 117];
const SOURCE: &str = "fc00:99::1";
const LAST: &[u8] = b"the last of them";

fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

/// The router in user space, with program 0.
pub(crate) fn router(ty: ProgType) -> Router {
    let out = |device| Target::Device { device, gateway: None };
    let mut router = Router::new(address(SOURCE));
    for table in [MAIN].into_iter().chain(TABLES) {
        router.add(table, Ipv6Addr::UNSPECIFIED, 0, out(OUT));
    }
    router.add(MAIN, address("fc00:a::"), 32, out(IN));
    router.add(MAIN, address(SOURCE), 128, Target::Local);
    let when = |wanted| (ty == wanted).then_some(0);
    let behind = match ty {
        ProgType::LWT_SEG6LOCAL => Target::Endpoint(Behaviour::EndBpf(0)),
        _ => Target::Tunnel(Tunnel {
            device: OUT,
            gateway: None,
            input: when(ProgType::LWT_IN),
            output: None,
            xmit: when(ProgType::LWT_XMIT),
        }),
    };
    router.add(MAIN, address("fc00:e::"), 64, behind);
    router
}

/// The router in a namespace of this thread's own.
pub(crate) struct Lab {
    inside: Tun,
    outside: Tun,
}

impl Lab {
    /// `None`, and a line about it, where that is not permitted.
    pub(crate) fn new(test: &str) -> Option<Lab> {
        if !bpf::permitted(test) {
            return None;
        }
        network::enter().expect("a network namespace");
        let devices = Tun::new("in").and_then(|inside| Ok(Lab { inside, outside: Tun::new("out")? }));
        let lab = devices.map_err(|why| eprintln!("SKIP {test}: no TUN device: {why}")).ok()?;
        assert_eq!((lab.inside.index, lab.outside.index), (IN, OUT), "numbers of the first devices");
        ip("link set lo up");
        for (key, value) in [
            ("ipv6/icmp/ratelimit", "0"),
            ("ipv6/auto_flowlabels", "0"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv6/conf/all/seg6_enabled", "1"),
            ("ipv6/conf/in/seg6_enabled", "1"),
        ] {
            set(key, value);
        }
        ip(&format!("-6 addr add {SOURCE}/128 dev out"));
        ip("-6 route add default dev out");
        ip("-6 route add fc00:a::/32 dev in");
        TABLES.iter().for_each(|table| ip(&format!("-6 route add default dev out table {table}")));
        ip(&format!("sr tunsrc set {SOURCE}"));
        Some(lab)
    }

    /// Sends everything through the program from now on, as long as the link lives.
    pub(crate) fn route(&self, program: &LinuxProgram, ty: ProgType) -> Link {
        let tunnel = match ty {
            ProgType::LWT_IN => Tunnels::Bpf(Hook::In, 0),
            ProgType::LWT_XMIT => Tunnels::Bpf(Hook::Xmit, 0),
            _ => Tunnels::Seg6Local,
        };
        let destination = IpAddr::V6(address("fc00:e::"));
        let route = Route { destination, prefix: 64, device: OUT, gateway: None, table: 0 };
        let program = Program { fd: program.as_fd(), ty, expected: None, name: "segments" };
        attach(program, &Place::Route { route, tunnel, replace: false }).expect("a route")
    }

    /// What comes out of a packet. One that nobody touches goes behind it: when that is there, nothing else comes.
    pub(crate) fn through(&self, packet: &[u8]) -> Vec<Vec<u8>> {
        // What the device itself takes for no packet does not come in.
        let _ = self.inside.send(packet);
        assert!(self.inside.send(&last()), "the last packet");
        let mut seen = Vec::new();
        for _ in 0..100_000 {
            match self.outside.receive() {
                Some(packet) if packet.ends_with(LAST) => return seen,
                Some(packet) if !of_the_router(&packet) => seen.push(packet),
                Some(_) => {}
                None => std::thread::yield_now(),
            }
        }
        panic!("the last packet did not come out");
    }
}

/// A packet that goes nowhere near the program.
fn last() -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, LAST.len() as u8, 59, 64];
    packet.extend(address("fc00:a::1").octets());
    packet.extend(address("fc00:f::1").octets());
    packet.extend(LAST);
    packet
}

/// What the router says itself: to its neighbours and groups, and of what it cannot forward.
fn of_the_router(packet: &[u8]) -> bool {
    const ICMP: u8 = 58;
    let said = packet.get(6) == Some(&ICMP) && packet.get(8..24) == Some(&address(SOURCE).octets());
    packet.get(24) == Some(&0xff) || said
}
