//! The running kernel: a router in a network namespace. Packets are written to a TUN device, whose `write` takes each of
//! them all the way to the namespace behind the router, where a black hole takes it: what is measured is one core's work.

use super::{CASES, Does, OBJECT, ROUNDS, address, packet};
use alveary::{
    Linux, Loaded, Loader, Object,
    kernel::{
        Tun,
        netlink::srv6::{Encap, Endpoint, RouteProgram},
    },
};
use alveary_lab::{Network, Node};
use alveary_testing::network::ip;
use std::{
    error::Error,
    fs,
    net::Ipv6Addr,
    os::fd::{AsFd, AsRawFd},
    time::{Duration, Instant},
};

/// Of a turn: short ones, so that some of them nobody else comes between.
const PACKETS: u32 = 500;
const TURNS: usize = 20 * ROUNDS;
/// The main table.
const MAIN: u32 = 254;
/// `SEG6_LOCAL_ACTION_END`, `_END_T`, `_END_BPF`.
const END: u32 = 1;
const END_T: u32 = 3;
const END_BPF: u32 = 15;

/// Nanoseconds a packet.
pub(super) struct Times {
    /// Of what is dropped as soon as it is routed.
    pub(super) generating: f64,
    pub(super) cases: Vec<f64>,
}

/// Measures each case.
pub(super) fn measure() -> Result<Times, Box<dyn Error>> {
    let lab = Lab::new()?;
    let mut least = vec![f64::MAX; CASES.len() + 1];
    // The router asks once for its neighbour.
    lab.send(1, 0)?;
    std::thread::sleep(Duration::from_millis(200));
    for _ in 0..TURNS {
        for (case, least) in least.iter_mut().enumerate() {
            *least = least.min(lab.round(case)?);
        }
    }
    let generating = least.pop().unwrap_or_default();
    Ok(Times { generating, cases: least })
}

struct Lab {
    network: Network,
    router: Node,
    sink: Node,
    tun: Tun,
    /// Routes hold their programs, too.
    _programs: Vec<Loaded<Linux>>,
}

/// Where packets of a case go, behind the last one those of the generator alone.
fn destination(case: usize) -> Ipv6Addr {
    match CASES.get(case) {
        Some((_, Does::Routes)) => address("fc00:b::1"),
        Some(_) => address(&format!("fc00:e::{case}")),
        None => address("fc00:d::1"),
    }
}

impl Lab {
    fn new() -> Result<Lab, Box<dyn Error>> {
        let mut network = Network::new();
        let (router, sink) = (network.node("router")?, network.node("sink")?);
        network.pair([(router, "out"), (sink, "in")])?;
        let tun = network.at(router, || {
            let tun = Tun::new("tun")?;
            ip("link set tun up");
            ip("-6 route add blackhole fc00:d::/32");
            Ok::<_, std::io::Error>(tun)
        })??;
        network.at(sink, || ip("-6 route add blackhole default"))?;
        network.route(router, "fc00:b::/32", "out", Some("fe80::2"))?;
        let mut programs = Vec::new();
        for (case, (_, does)) in CASES.iter().enumerate() {
            let endpoint = match does {
                Does::Routes => continue,
                Does::End => Endpoint { action: END, ..Endpoint::default() },
                Does::EndT => Endpoint { action: END_T, table: Some(MAIN), ..Endpoint::default() },
                Does::Runs(name) => {
                    let object = Object::open(OBJECT)?;
                    let loaded = Loader::new(Linux::builder().build()).program(name).load(&object)?;
                    let fd = loaded.program(name)?.handle().as_fd().as_raw_fd();
                    programs.push(loaded);
                    let program = RouteProgram { fd: Some(fd), id: None, name: (*name).to_owned() };
                    Endpoint { action: END_BPF, program: Some(program), ..Endpoint::default() }
                }
            };
            network.steer(router, &destination(case).to_string(), "out", Encap::Endpoint(endpoint))?;
        }
        Ok(Lab { network, router, sink, tun, _programs: programs })
    }

    /// Sends so many packets of a case; gives how long that takes.
    fn send(&self, count: u32, case: usize) -> Result<Duration, Box<dyn Error>> {
        let packet = packet(destination(case), 1);
        let took = self.network.at(self.router, || {
            let begun = Instant::now();
            (0..count).try_for_each(|_| self.tun.send(&packet)).map(|()| begun.elapsed())
        })??;
        Ok(took)
    }

    /// Nanoseconds a packet; all of them come to the other namespace, or none.
    fn round(&self, case: usize) -> Result<f64, Box<dyn Error>> {
        let before = self.received()?;
        let took = self.send(PACKETS, case)?;
        let expected = if case < CASES.len() { u64::from(PACKETS) } else { 0 };
        let came = self.received()? - before;
        if came.abs_diff(expected) > 8 {
            return Err(format!("{came} packets of {expected} came through").into());
        }
        Ok(took.as_nanos() as f64 / f64::from(PACKETS))
    }

    /// Packets that came to the other namespace.
    fn received(&self) -> Result<u64, Box<dyn Error>> {
        let text = self.network.at(self.sink, || fs::read_to_string("/proc/thread-self/net/dev"))??;
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix("in:")).ok_or("no device `in`")?;
        Ok(line.split_whitespace().nth(1).ok_or("no count")?.parse()?)
    }
}
