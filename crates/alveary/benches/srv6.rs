//! The router's rate: how many packets a second one core forwards from a capture in memory into another, through segments
//! of its own and programs behind segments. The packets are those of the paper on End.BPF: IPv6, a header of two
//! segments, UDP with 64 bytes.
//!
//! `cargo bench -p alveary --bench srv6`

use alveary::{
    Loader, Object, User,
    net::router::{Arrival, Behaviour, Fate, Flavours, MAIN, Programs, Router, Target},
    runtime::{Clock, Engine},
};
use alveary_ports::{Capture, Format, LinkType, Writer};
use std::{io::Cursor, net::Ipv6Addr, sync::Arc, time::Instant};

const OBJECT: &str = "examples/srv6-functions.bpf.o";
const PACKETS: usize = 20_000;
const ROUNDS: usize = 25;
const ETHERNET: usize = 14;
/// Number of the table that End.T and End.DT6 look in.
const TABLE: u32 = MAIN;

/// What is measured: its name, and what the router does with the packets.
struct Case {
    name: &'static str,
    does: Does,
    engine: Engine,
}

enum Does {
    Routes,
    Has(Behaviour),
    Runs(&'static str),
}

fn cases() -> Vec<Case> {
    let end = || Does::Has(Behaviour::End(Flavours::default()));
    let mut all = vec![
        Case { name: "no segment", does: Does::Routes, engine: Engine::Jit },
        Case { name: "End", does: end(), engine: Engine::Jit },
        Case { name: "End.T", does: Does::Has(Behaviour::EndT(TABLE, Flavours::default())), engine: Engine::Jit },
    ];
    for engine in [Engine::Jit, Engine::Interp] {
        for name in ["end", "end_t", "tag", "add_tlv"] {
            all.push(Case { name, does: Does::Runs(name), engine });
        }
    }
    all
}

struct Bench {
    label: String,
    router: Arc<Router>,
    programs: Programs,
    best: f64,
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

fn bench(case: Case) -> Bench {
    let mut router = Router::new(address("fc00:99::1"));
    router.add(MAIN, address("::"), 0, Target::Device { device: 2, gateway: Some(address("fe80::1").into()) });
    let (behaviour, program) = match case.does {
        Does::Routes => (None, None),
        Does::Has(behaviour) => (Some(behaviour), None),
        Does::Runs(name) => (Some(Behaviour::EndBpf(0)), Some(name)),
    };
    if let Some(behaviour) = behaviour {
        router.add(MAIN, address("fc00:e::1"), 128, Target::Endpoint(behaviour));
    }
    let router = Arc::new(router);
    let programs = program.map_or_else(Programs::none, |name| {
        let user = User::builder().clock(Clock::Virtual { start: 0 }).engine(case.engine).host(router.clone()).build();
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
        let object = Object::open(format!("{root}{OBJECT}")).expect("the object");
        let loaded = Loader::new(user.clone()).program(name).load(&object).expect("it loads");
        let prog = loaded.program(name).expect("the program").handle().prog().clone();
        Programs::new(user.vcpu(0).expect("CPU 0"), vec![prog])
    });
    let engine = match (program, case.engine) {
        (None, _) => "static",
        (_, Engine::Interp) => "interpreted",
        _ => "native",
    };
    Bench { label: format!("{:12} {engine:12}", case.name), router, programs, best: f64::MAX }
}

/// A capture of packets to the segment, each of another flow.
fn capture() -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::to_sink(&mut file, Format::Pcap, LinkType::Ethernet).expect("a capture");
    let udp = 8 + 64;
    for number in 0..PACKETS as u32 {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
        frame.extend([0x60, 0, (number >> 8) as u8, number as u8, 0, 40 + udp, 43, 64]);
        frame.extend(address("fc00:a::1").octets());
        frame.extend(address("fc00:e::1").octets());
        frame.extend([17, 4, 4, 1, 1, 0, 0, 0]);
        frame.extend(address("fc00:b::1").octets());
        frame.extend(address("fc00:e::1").octets());
        frame.extend([0x12, 0x34, 0, 53, 0, udp, 0, 0]);
        frame.extend([number as u8; 64]);
        writer.write(u64::from(number) * 1000, frame.len() as u32, &frame).expect("it is written");
    }
    writer.finish().expect("it is written");
    file
}

impl Bench {
    /// One pass over the capture.
    fn pass(&mut self, capture: &[u8]) {
        let mut capture = Capture::from_reader("memory", Cursor::new(capture.to_vec())).expect("a capture");
        let mut writer = Writer::to_sink(std::io::sink(), Format::Pcap, LinkType::Ethernet).expect("a capture");
        let mut frame = Vec::new();
        let start = Instant::now();
        while let Some(packet) = capture.next() {
            let packet = packet.expect("a packet");
            let (link, ip) = packet.data.split_at(ETHERNET);
            let arrival = Arrival { packet: ip, link, device: 1, time: packet.timestamp_ns };
            let Fate::Sent { packet: sent, .. } = self.router.forward(&arrival, &mut self.programs) else {
                panic!("{}: a packet is lost", self.label);
            };
            frame.clear();
            frame.extend_from_slice(&[2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 1, 0x86, 0xdd]);
            frame.extend_from_slice(&sent);
            writer.write(packet.timestamp_ns, frame.len() as u32, &frame).expect("it is written");
        }
        self.best = self.best.min(start.elapsed().as_nanos() as f64 / PACKETS as f64);
    }
}

fn main() {
    let capture = capture();
    let mut all: Vec<_> = cases().into_iter().map(bench).collect();
    for _ in 0..ROUNDS {
        all.iter_mut().for_each(|bench| bench.pass(&capture));
    }
    let end = all[1].best;
    for bench in all {
        println!("{} {:7.1} ns {:6.2} M/s {:5.2}", bench.label, bench.best, 1e3 / bench.best, bench.best / end);
    }
}
