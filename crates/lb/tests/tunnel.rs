//! Checks through the tunnel, of reals that have the VIP's address, and answer what comes inside of headers alone.

use alveary::kernel::{
    Offload, Tun,
    attach::Device,
    netlink::{Parent, filters},
};
use alveary_lab::{Network, Node};
use alveary_lb::{
    check::check,
    config::Config,
    tls,
    tunnel::{Headers, Tunnel},
};
use rustix::{
    fd::OwnedFd,
    net::{AddressFamily, Protocol, RecvFlags, SocketType, recv, socket, sockopt},
};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, TcpListener, UdpSocket},
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

const VIPS: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
/// The addresses of each real.
const REALS: [[&str; 2]; 2] = [["10.0.1.2", "fc00:1::2"], ["10.0.2.2", "fc00:2::2"]];
const GUE: u16 = 6080;

/// A balancer with two reals, each behind a device of its own.
struct Lab {
    network: Network,
    balancer: Node,
    reals: [Node; 2],
}

impl Lab {
    fn new(test: &str) -> Option<Lab> {
        if !alveary_testing::bpf::permitted(test) {
            return None;
        }
        let mut network = Network::new();
        let balancer = network.node("balancer").expect("a node");
        let reals = ["one", "two"].map(|name| network.node(name).expect("a node"));
        for (number, (real, device)) in reals.into_iter().zip(["eth0", "eth1"]).enumerate() {
            let number = number + 1;
            network.pair([(balancer, device), (real, "eth0")]).expect("a pair");
            for (node, device, host) in [(balancer, device, 1), (real, "eth0", 2)] {
                network.address(node, device, &format!("10.0.{number}.{host}/24")).expect("an address");
                network.address(node, device, &format!("fc00:{number}::{host}/64")).expect("an address");
                // What takes headers off here looks at bytes, as they would be on a wire.
                network.offload(node, device, Offload::TxChecksum, false).expect("it can");
                network.set(node, &format!("ipv4/conf/{device}/rp_filter"), "0").expect("a setting");
            }
            network.route(real, "0.0.0.0/0", "eth0", Some(&format!("10.0.{number}.1"))).expect("a route");
            network.route(real, "::/0", "eth0", Some(&format!("fc00:{number}::1"))).expect("a route");
        }
        network.set(balancer, "ipv4/conf/all/rp_filter", "0").expect("a setting");
        Some(Lab { network, balancer, reals })
    }

    /// To whom packets to the VIPs would go that are in no tunnel: the first real.
    fn routes(&self, four: &str, six: &str) {
        self.network.route(self.balancer, "0.0.0.0/0", "eth0", Some(four)).expect("a route");
        self.network.route(self.balancer, "::/0", "eth0", Some(six)).expect("a route");
    }

    /// Gives a real the VIPs' addresses, and servers there. `status` is what they answer by HTTP; DNS says `code`.
    fn serve(&self, real: usize, status: u16, code: u8, tls: &Arc<ServerConfig>) -> Decapsulator {
        let begin = || {
            let tun = Tun::new("tun0").expect("a device");
            alveary_testing::network::ip("link set tun0 up");
            for vip in VIPS {
                let bits = if vip.contains(':') { 128 } else { 32 };
                alveary_testing::network::ip(&format!("addr add {vip}/{bits} dev tun0 nodad"));
                let ip: IpAddr = vip.parse().expect("an address");
                let udp = UdpSocket::bind((ip, 53)).expect("a port");
                thread::spawn(move || dns(&udp, code));
                for (port, tls) in [(80, None), (443, Some(tls.clone()))] {
                    let listener = TcpListener::bind((ip, port)).expect("a port");
                    thread::spawn(move || http(&listener, status, tls.as_ref()));
                }
            }
            Decapsulator::new(tun)
        };
        self.network.at(self.reals[real], begin).expect("the namespace")
    }

    fn asked(&self, headers: &Arc<Headers>, config: &Config, port: u16) -> Result<(), String> {
        self.network.at(self.balancer, || said(headers, config, port)).expect("the namespace")
    }
}

/// Servers live as long as the test.
fn dns(udp: &UdpSocket, code: u8) {
    let mut question = [0; 512];
    loop {
        let (len, from) = udp.recv_from(&mut question).expect("a question");
        question[2] |= 0x80;
        question[3] = code;
        udp.send_to(&question[..len], from).expect("sent");
    }
}

fn http(listener: &TcpListener, status: u16, tls: Option<&Arc<ServerConfig>>) {
    let answer = |stream: &mut dyn Stream| {
        let mut asked = [0; 4096];
        let len = stream.read(&mut asked).unwrap_or(0);
        // Who checks the connection alone says nothing.
        if asked[..len].starts_with(b"GET ") {
            // Whoever asks in a hurry is gone by now.
            let _ = write!(stream, "HTTP/1.1 {status} Here\r\n\r\n").and_then(|()| stream.flush());
        }
    };
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        match tls {
            None => answer(&mut stream),
            Some(tls) => {
                let server = ServerConnection::new(tls.clone()).expect("a server");
                answer(&mut StreamOwned::new(server, stream));
            }
        }
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A server's TLS, whose certificate, in a file, is for the VIPs.
fn certificate(test: &str) -> (Arc<ServerConfig>, PathBuf) {
    let folder = std::env::temp_dir().join(format!("alveary-lb-{test}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let made = rcgen::generate_simple_self_signed(VIPS.map(str::to_owned)).expect("a certificate");
    let (certificate, key) = (folder.join("own.pem"), folder.join("own.key"));
    fs::write(&certificate, made.cert.pem()).expect("a file");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    (tls::server(&certificate, &key, None).expect("a server"), certificate)
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

fn config_text(vip: &str, real: &str, forward: &str, check: &str) -> String {
    format!(
        "[balancer]\ndevices = [\"eth0\"]\nsource = [\"10.0.1.1\", \"fc00:1::1\"]\n[[vip]]\naddress = \"{vip}\"\nport = 80\n\
         real = [{{ address = \"{real}\", forward = \"{forward}\" }}]\ncheck = {{ tunnel = true, {check} }}"
    )
}

fn config(vip: &str, real: &str, forward: &str, check: &str) -> Config {
    Config::read("lb.toml", &config_text(vip, real, forward, check)).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// What a check says, to this port.
fn said(headers: &Arc<Headers>, config: &Config, port: u16) -> Result<(), String> {
    let vip = &config.vips[0];
    let tunnel = Tunnel::of(config, vip, &vip.reals[0], headers).expect("a tunnel");
    check(vip.check.as_ref().expect("a check"), vip.reals[0].address, port, Some(&tunnel))
}

fn https(ca: &Path) -> String {
    format!("type = \"https\", ca = {ca:?}, timeout = \"5s\"")
}

const TCP: &str = "type = \"tcp\", timeout = \"5s\"";
const HTTP: &str = "type = \"http\", timeout = \"5s\"";
const DNS: &str = "type = \"dns\", query = \"example.org\", timeout = \"5s\"";

#[test]
fn what_is_checked_is_the_way_that_packets_go() {
    let test = "what_is_checked_is_the_way_that_packets_go";
    let Some(lab) = Lab::new(test) else { return };
    lab.routes("10.0.1.2", "fc00:1::2");
    let (tls, ca) = certificate(test);
    let decapsulators = [lab.serve(0, 200, 0, &tls), lab.serve(1, 503, 2, &tls)];
    let headers = Arc::default();
    for vip in VIPS {
        for (number, real) in REALS.into_iter().enumerate() {
            for real in real {
                for forward in ["ip", "gue"] {
                    let asked = |check: &str, port| lab.asked(&headers, &config(vip, real, forward, check), port);
                    let way = format!("{vip} {real} {forward}");
                    // The reals say different things.
                    let (status, code) = match number {
                        0 => (Ok(()), Ok(())),
                        _ => (Err("the answer's status is 503".to_owned()), Err("the answer's code is 2".to_owned())),
                    };
                    assert_eq!(asked(TCP, 80), Ok(()), "{way}");
                    assert_eq!(asked(TCP, 81), Err("the connection is refused".into()), "{way}");
                    assert_eq!(asked(DNS, 53), code, "{way}");
                    assert_eq!(asked(HTTP, 80), status, "{way}");
                    assert_eq!(asked(&https(&ca), 443), status, "{way}");
                    let long = format!("{HTTP}, path = \"/{}\"", "a".repeat(1300));
                    assert_eq!(asked(&long, 80), status, "{way}, a request of a full segment");
                }
            }
        }
    }
    // Who takes no tunnel is not well, though its address, and the VIP's, answer what is in none.
    let [first, _second] = decapsulators;
    drop(first);
    let plain = || TcpListener::bind(("10.0.1.2", 80)).expect("a port");
    let _plain = lab.network.at(lab.reals[0], plain).expect("the namespace");
    for (forward, kind, port) in [("gue", "tcp", 80), ("ip", "http", 80), ("ip", "https", 443)] {
        let config = config(VIPS[0], REALS[0][0], forward, &format!("type = \"{kind}\", timeout = \"200ms\""));
        assert_eq!(lab.asked(&headers, &config, port), Err("no answer in time".into()), "{forward} {kind}");
    }
}

#[test]
fn checks_at_once_go_each_to_its_own_real() {
    let test = "checks_at_once_go_each_to_its_own_real";
    let Some(lab) = Lab::new(test) else { return };
    lab.routes("10.0.1.2", "fc00:1::2");
    let (tls, _) = certificate(test);
    let _decapsulators = [lab.serve(0, 200, 0, &tls), lab.serve(1, 503, 2, &tls)];
    let headers = Arc::default();
    let many = |number: usize| {
        let config = config(VIPS[0], REALS[number][0], ["ip", "gue"][number], HTTP);
        let all: Vec<_> = (0..50).map(|_| said(&headers, &config, 80)).collect();
        all
    };
    let at_once = || {
        thread::scope(|scope| {
            let threads = [0, 1, 0, 1].map(|number| (number, scope.spawn(move || many(number))));
            threads.map(|(number, thread)| (number, thread.join().expect("it ends")))
        })
    };
    for (number, all) in lab.network.at(lab.balancer, at_once).expect("the namespace") {
        let expected = [Ok(()), Err("the answer's status is 503".to_owned())][number].clone();
        assert_eq!(all.len(), 50);
        assert!(all.iter().all(|said| *said == expected), "{number}: {all:?}");
    }
}

/// Kernels before 6.6 have filters alone. One that a killed process left behind is in nobody's way, and the next process takes
/// its place; in the end there is none.
#[test]
fn checks_go_by_a_filter_where_there_is_no_tcx() {
    let test = "checks_go_by_a_filter_where_there_is_no_tcx";
    let Some(lab) = Lab::new(test) else { return };
    lab.routes("10.0.1.2", "fc00:1::2");
    let (tls, _) = certificate(test);
    let _decapsulators = [lab.serve(0, 200, 0, &tls), lab.serve(1, 503, 2, &tls)];
    let filters = || {
        let device = Device::named("eth0").expect("a device");
        filters(device.index, Parent::Egress).iter().map(|filter| filter.name.clone()).collect::<Vec<_>>()
    };
    let there = || lab.network.at(lab.balancer, filters).expect("the namespace");
    let killed = Arc::new(Headers::of("test").by_filters());
    let asked = |headers, real: usize, forward| lab.asked(headers, &config(VIPS[0], REALS[real][0], forward, HTTP), 80);
    let other = Err("the answer's status is 503".to_owned());
    assert_eq!((asked(&killed, 0, "ip"), asked(&killed, 1, "gue")), (Ok(()), other.clone()));
    assert_eq!(there(), ["check"]);
    let next = Arc::new(Headers::of("test").by_filters());
    assert_eq!((asked(&next, 0, "gue"), asked(&next, 1, "ip")), (Ok(()), other.clone()));
    assert_eq!(there(), ["check"]);
    // Another balancer of this machine has its own.
    let beside = Arc::new(Headers::of("other").by_filters());
    assert_eq!((asked(&beside, 0, "ip"), asked(&next, 1, "gue")), (Ok(()), other));
    assert_eq!(there().len(), 2);
    let end = |headers: &Headers| lab.network.at(lab.balancer, || headers.end()).expect("the namespace");
    end(&beside);
    end(&next);
    assert_eq!(there(), [""; 0]);
    assert_eq!(asked(&next, 0, "ip"), Err("the balancer ends".into()));
}

#[test]
fn what_checks_lack_is_said() {
    let Some(lab) = Lab::new("what_checks_lack_is_said") else { return };
    let headers: Arc<Headers> = Arc::default();
    let quick = "type = \"http\", timeout = \"200ms\"";
    let asked = |vip: usize| {
        lab.asked(&headers, &config(VIPS[vip], REALS[0][0], "ip", quick), 80).expect_err("it cannot be well")
    };
    for (vip, address) in VIPS.into_iter().enumerate() {
        let said = asked(vip);
        assert!(said.starts_with(&format!("this machine has no route to {address}")), "{said}");
    }
    // Nobody is at the next hops.
    lab.routes("10.0.1.77", "fc00:1::77");
    for (vip, address) in VIPS.into_iter().enumerate() {
        let said = asked(vip);
        let expected =
            format!("no answer in time: nothing to {address} has left by eth0; does the next hop of its route answer?");
        assert_eq!(said, expected);
    }
    let own = || {
        alveary_testing::network::ip("addr add 192.0.2.1/32 dev eth1");
        alveary_testing::network::ip("addr add 2001:db8::1/128 dev eth1 nodad");
        // The kernel makes the route to an IPv6 address later, when it has nothing else to do.
        let is_here = || {
            let shown = std::process::Command::new("ip").args("-6 route get 2001:db8::1".split(' ')).output();
            shown.expect("ip(8)").stdout.starts_with(b"local")
        };
        assert!((0..10_000).any(|_| is_here()), "the address is none of this machine");
    };
    lab.network.at(lab.balancer, own).expect("the namespace");
    for (vip, address) in VIPS.into_iter().enumerate() {
        let expected = format!("{address} is an address of this machine: no check of it leaves by the tunnel");
        assert_eq!(asked(vip), expected);
    }
    let text = "source = [\"10.0.1.1\"";
    let other = config_text(VIPS[0], REALS[0][0], "ip", quick).replace(text, "source = [\"10.0.1.9\"");
    let other = Config::read("lb.toml", &other).unwrap_or_else(|faults| panic!("{faults:#?}"));
    let said = lab.asked(&headers, &other, 80);
    assert_eq!(said, Err("10.0.1.9 (`source`) is no address of this machine".into()));
}
