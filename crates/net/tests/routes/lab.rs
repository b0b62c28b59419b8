//! A router in a network namespace: a device that packets come in by, one that they leave by, a route between that goes
//! through a program.

use crate::signed;
use alveary_abi::ProgType;
use alveary_linux::{
    attach::{Link, Place, Program, attach},
    netlink::{Hook, Route, Tunnel},
};
use alveary_testing::{
    bpf,
    network::{self, Tun, ip, set},
};
use std::{net::Ipv6Addr, os::fd::AsFd};

/// Source of the router's tunnels.
pub(crate) const TUNNEL_SOURCE: &str = "fc00:99::1";

/// Numbers of the devices.
pub(crate) const IN: u32 = 2;
pub(crate) const OUT: u32 = 3;
pub(crate) const FRAMES: u32 = 4;
/// Address of the device that takes frames, and of who sends and gets some.
pub(crate) const OURS: [u8; 6] = [2, 0, 0, 0, 0, 0x99];
pub(crate) const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 1];

pub(crate) struct Lab {
    inside: Tun,
    outside: Tun,
    frames: Tun,
}

impl Lab {
    /// `None`, and a line about it, where that is not permitted.
    pub(crate) fn new(test: &str) -> Option<Lab> {
        if !bpf::permitted(test) {
            return None;
        }
        network::enter().expect("a network namespace");
        let devices = Tun::new("in")
            .and_then(|inside| Ok(Lab { inside, outside: Tun::new("out")?, frames: Tun::tap("frames")? }));
        let lab = devices.map_err(|why| eprintln!("SKIP {test}: no TUN device: {why}")).ok()?;
        assert_eq!((lab.inside.index, lab.outside.index), (IN, OUT), "numbers of the first devices");
        ip("link set lo up");
        // Programs make long packets of short ones.
        ip("link set out mtu 60000");
        ip("link set frames address 02:00:00:00:00:99");
        for (key, value) in [
            // All that there is to say about packets is said.
            ("ipv6/icmp/ratelimit", "0"),
            ("ipv6/auto_flowlabels", "0"),
            ("ipv4/icmp_msgs_per_sec", "1000000"),
            ("ipv4/icmp_msgs_burst", "1000000"),
            ("ipv4/conf/frames/rp_filter", "0"),
            ("ipv4/ip_forward", "1"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/in/rp_filter", "0"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv6/conf/all/seg6_enabled", "1"),
            ("ipv6/conf/in/seg6_enabled", "1"),
        ] {
            set(key, value);
        }
        ip("-6 addr add fc00:99::1/128 dev out");
        ip("addr add 10.99.0.1/32 dev out");
        ip("-6 route add default dev out");
        ip("route add default dev out");
        // Where what the router has to say to the sender goes: nobody listens.
        ip("-6 route add fc00:a::/32 dev in");
        ip("route add 10.13.0.0/16 dev in");
        ip("route add 10.98.0.0/16 dev in");
        ip("-6 route add fc00:77::/32 dev out table 77");
        ip(&format!("sr tunsrc set {TUNNEL_SOURCE}"));
        signed::tell_kernel();
        Some(lab)
    }

    /// Sends everything through the program from now on, as long as the link lives: what goes to fc00:e::/64 and
    /// 10.14.0.0/16.
    pub(crate) fn route(&self, prog: &bpf::Prog, ty: ProgType) -> Vec<Link> {
        let tunnel = match ty {
            ProgType::LWT_IN => Tunnel::Bpf(Hook::In, 0),
            ProgType::LWT_OUT => Tunnel::Bpf(Hook::Out, 0),
            ProgType::LWT_XMIT => Tunnel::Bpf(Hook::Xmit, 0),
            _ => Tunnel::Seg6Local,
        };
        let program = Program { fd: prog.as_fd(), ty, expected: None, name: "routes" };
        let prefixes = [("fc00:e::", 64), ("10.14.0.0", 16)];
        let prefixes = &prefixes[..if ty == ProgType::LWT_SEG6LOCAL { 1 } else { 2 }];
        let routes = prefixes.iter().map(|(destination, prefix)| {
            let destination = destination.parse().expect("an address");
            let route = Route { destination, prefix: *prefix, device: self.outside.index, gateway: None, table: 0 };
            attach(program, &Place::Route { route, tunnel, replace: false }).expect("a route")
        });
        routes.collect()
    }

    /// What the router has told senders since it was asked last.
    pub(crate) fn answers(&self) -> Vec<Vec<u8>> {
        const INFORMATION: u8 = 128;
        let error = |packet: &Vec<u8>| packet.get(6) == Some(&58) && packet.get(40).is_some_and(|ty| *ty < INFORMATION);
        std::iter::from_fn(|| self.inside.receive()).filter(error).collect()
    }

    /// The frames that the router has sent on to someone since it was asked last.
    pub(crate) fn frames(&self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.frames.receive()).filter(|frame| frame.get(6..12) == Some(&THEIRS[..])).collect()
    }

    /// What comes out of a packet in a frame to the router.
    pub(crate) fn through_frame(&self, frame: &[u8]) -> Vec<Vec<u8>> {
        assert!(self.frames.send(frame), "the frame");
        self.through(&[])
    }

    /// What comes out of a packet. A packet that nobody touches goes behind it: when that is there, nothing else comes.
    pub(crate) fn through(&self, packet: &[u8]) -> Vec<Vec<u8>> {
        let last = last();
        // What the device itself takes for no packet does not come in.
        let _ = self.inside.send(packet);
        assert!(self.inside.send(&last), "the last packet");
        let mut seen = Vec::new();
        for _ in 0..10_000 {
            match self.outside.receive() {
                Some(packet) if packet.ends_with(b"the last of them") => return seen,
                Some(packet) if !of_the_router(&packet) => seen.push(packet),
                Some(_) => {}
                None => std::thread::yield_now(),
            }
        }
        panic!("the last packet did not come out");
    }
}

/// A UDP packet that goes nowhere near the program.
fn last() -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 16, 59, 64];
    packet.extend([0xfc, 0, 0, 0xa, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend([0xfc, 0, 0, 0xf, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend(b"the last of them");
    packet
}

/// What the router says itself: to its neighbours and groups, and of what it cannot forward.
fn of_the_router(packet: &[u8]) -> bool {
    const ICMP: u8 = 58;
    let six = packet.first().is_some_and(|version| version >> 4 == 6);
    let source = TUNNEL_SOURCE.parse::<Ipv6Addr>().expect("an address").octets();
    six && (packet.get(24) == Some(&0xff) || (packet.get(6) == Some(&ICMP) && packet.get(8..24) == Some(&source)))
}
