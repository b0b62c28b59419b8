//! Checks through the tunnel, of a real that has the VIP's address, and answers what comes inside of headers alone.

use alveary::kernel::Tun;
use alveary_lab::{Network, Node};
use alveary_lb::{check::check, config::Config, tunnel::Tunnel};
use rustix::{
    fd::OwnedFd,
    net::{AddressFamily, Protocol, RecvFlags, SocketType, recv, socket, sockopt},
};
use std::{
    net::{IpAddr, TcpListener, UdpSocket},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const VIPS: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const REALS: [&str; 2] = ["10.0.1.2", "fc00:1::2"];
const GUE: u16 = 6080;

struct Lab {
    network: Network,
    balancer: Node,
    real: Node,
}

impl Lab {
    fn new(test: &str) -> Option<Lab> {
        if !alveary_testing::bpf::permitted(test) {
            return None;
        }
        let mut network = Network::new();
        let (balancer, real) = (network.node("balancer").expect("a node"), network.node("real").expect("a node"));
        network.pair([(balancer, "eth0"), (real, "eth0")]).expect("a pair");
        for (node, address) in
            [(balancer, "10.0.1.1/24"), (balancer, "fc00:1::1/64"), (real, "10.0.1.2/24"), (real, "fc00:1::2/64")]
        {
            network.address(node, "eth0", address).expect("an address");
        }
        Some(Lab { network, balancer, real })
    }
}

/// What takes packets out of their headers, in the network namespace that it is made in, and hands them to the stack.
struct Decapsulator {
    over: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Decapsulator {
    fn new(tun: Tun) -> Decapsulator {
        let (tun, over) = (Arc::new(tun), Arc::new(AtomicBool::new(false)));
        let mut sockets: Vec<(OwnedFd, bool)> = Vec::new();
        for protocol in [4, 41] {
            let protocol = Protocol::from_raw(NonZeroU32::new(protocol).expect("not zero"));
            for family in [AddressFamily::INET, AddressFamily::INET6] {
                let raw = socket(family, SocketType::RAW, Some(protocol)).expect("a raw socket");
                sockets.push((raw, family == AddressFamily::INET));
            }
        }
        // Both families come to it.
        let udp = UdpSocket::bind(("::", GUE)).expect("a port");
        sockets.push((udp.into(), false));
        let thread = |(socket, has_header): (OwnedFd, bool)| {
            let (tun, over) = (tun.clone(), over.clone());
            let patience = Some(Duration::from_millis(20));
            sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, patience).expect("a time");
            thread::spawn(move || {
                let mut bytes = [0; 2048];
                while !over.load(Ordering::Relaxed) {
                    let Ok((len, _)) = recv(&socket, &mut bytes, RecvFlags::empty()) else { continue };
                    let skip = if has_header { usize::from(bytes[0] & 15) * 4 } else { 0 };
                    tun.send(&bytes[skip..len]).expect("the stack takes it");
                }
            })
        };
        let threads = sockets.into_iter().map(thread).collect();
        Decapsulator { over, threads }
    }
}

impl Drop for Decapsulator {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().expect("it ends"));
    }
}

fn config(vip: &str, real: &str, forward: &str, check: &str) -> Config {
    let text = format!(
        "[balancer]\ndevices = [\"eth0\"]\nsource = [\"10.0.1.1\", \"fc00:1::1\"]\n[[vip]]\naddress = \"{vip}\"\nport = 80\n\
         real = [{{ address = \"{real}\", forward = \"{forward}\" }}]\ncheck = {{ tunnel = true, {check} }}"
    );
    Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// What a check says, to this port.
fn said(config: &Config, port: u16) -> Result<(), String> {
    let vip = &config.vips[0];
    let tunnel = Tunnel::of(config, vip, &vip.reals[0]).expect("a tunnel");
    check(vip.check.as_ref().expect("a check"), vip.reals[0].address, port, Some(&tunnel))
}

#[test]
fn what_is_checked_is_the_way_that_packets_go() {
    let Some(lab) = Lab::new("what_is_checked_is_the_way_that_packets_go") else { return };
    let listen = || {
        let tun = Tun::new("tun0").expect("a device");
        alveary_testing::network::ip("link set tun0 up");
        for vip in VIPS {
            let bits = if vip.contains(':') { 128 } else { 32 };
            alveary_testing::network::ip(&format!("addr add {vip}/{bits} dev tun0 nodad"));
        }
        let servers = VIPS.map(|vip| {
            let ip: IpAddr = vip.parse().expect("an address");
            (TcpListener::bind((ip, 80)).expect("a port"), UdpSocket::bind((ip, 53)).expect("a port"))
        });
        (Decapsulator::new(tun), servers)
    };
    let (decapsulator, servers) = lab.network.at(lab.real, listen).expect("the namespace");
    let mut waiting = Vec::new();
    for (_, udp) in &servers {
        let udp = udp.try_clone().expect("twice");
        waiting.push(thread::spawn(move || {
            let mut question = [0; 512];
            // Each VIP is asked by both families, in IP and in GUE.
            for _ in 0..4 {
                let (len, from) = udp.recv_from(&mut question).expect("a question");
                question[2] |= 0x80;
                udp.send_to(&question[..len], from).expect("sent");
            }
        }));
    }
    let tcp = "type = \"tcp\", timeout = \"5s\"";
    let dns = "type = \"dns\", query = \"example.org\", timeout = \"5s\"";
    for vip in VIPS {
        for real in REALS {
            for forward in ["ip", "gue"] {
                let asked = |check: &str, port| {
                    let config = config(vip, real, forward, check);
                    lab.network.at(lab.balancer, || said(&config, port)).expect("the namespace")
                };
                assert_eq!(asked(tcp, 80), Ok(()), "{vip} {real} {forward}");
                assert_eq!(asked(tcp, 81), Err("the connection is refused".into()), "{vip} {real} {forward}");
                assert_eq!(asked(dns, 53), Ok(()), "{vip} {real} {forward}");
            }
        }
    }
    waiting.into_iter().for_each(|server| server.join().expect("it ends"));
    // Who takes no tunnel is not well, though its address answers.
    drop(decapsulator);
    let plain = || TcpListener::bind(("10.0.1.2", 80)).expect("a port");
    let _plain = lab.network.at(lab.real, plain).expect("the namespace");
    let config = config(VIPS[0], REALS[0], "gue", "type = \"tcp\", timeout = \"200ms\"");
    let said = lab.network.at(lab.balancer, || said(&config, 80)).expect("the namespace");
    assert_eq!(said, Err("no answer in time".into()));
}
