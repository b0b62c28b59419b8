//! The router in user space: from a capture in memory into another one.

use super::{CASES, Does, OBJECT, ROUNDS, address, packet};
use alveary::{
    Loader, Object, User,
    net::router::{Arrival, Behaviour, Fate, Flavours, MAIN, Programs, Router, Target},
    runtime::{Clock, Engine},
};
use alveary_ports::{Capture, Format, LinkType, Writer};
use std::{io::Cursor, sync::Arc, time::Instant};

/// Of a pass: short ones, so that some of them nobody else comes between.
const PACKETS: u32 = 4_000;
const PASSES: usize = 8 * ROUNDS;
const ETHERNET: usize = 14;
const SEGMENT: &str = "fc00:e::1";

/// Nanoseconds a packet of each case, native and interpreted.
pub(super) fn measure() -> [Vec<f64>; 2] {
    let capture = capture();
    let mut all = [Engine::Jit, Engine::Interp].map(|engine| CASES.map(|(_, does)| Bench::new(does, engine)));
    for _ in 0..PASSES {
        all.iter_mut().flatten().for_each(|bench| bench.pass(&capture));
    }
    all.map(|benches| benches.iter().map(|bench| bench.least).collect())
}

struct Bench {
    router: Arc<Router>,
    programs: Programs,
    least: f64,
}

impl Bench {
    fn new(does: Does, engine: Engine) -> Bench {
        let mut router = Router::new(address("fc00:99::1"));
        router.add(MAIN, address("::"), 0, Target::Device { device: 2, gateway: Some(address("fe80::1").into()) });
        let behaviour = match does {
            Does::Routes => None,
            Does::End => Some(Behaviour::End(Flavours::default())),
            Does::EndT => Some(Behaviour::EndT(MAIN, Flavours::default())),
            Does::Runs(_) => Some(Behaviour::EndBpf(0)),
        };
        if let Some(behaviour) = behaviour {
            router.add(MAIN, address(SEGMENT), 128, Target::Endpoint(behaviour));
        }
        let router = Arc::new(router);
        let programs = match does {
            Does::Runs(name) => {
                let clock = Clock::Virtual { start: 0 };
                let user = User::builder().clock(clock).engine(engine).host(router.clone()).build();
                let object = Object::open(OBJECT).expect("the object");
                let loaded = Loader::new(user.clone()).program(name).load(&object).expect("it loads");
                let prog = loaded.program(name).expect("the program").handle().prog().clone();
                Programs::new(user.vcpu(0).expect("CPU 0"), vec![prog])
            }
            _ => Programs::none(),
        };
        Bench { router, programs, least: f64::MAX }
    }

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
                panic!("a packet is lost");
            };
            frame.clear();
            frame.extend_from_slice(&[2, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 1, 0x86, 0xdd]);
            frame.extend_from_slice(&sent);
            writer.write(packet.timestamp_ns, frame.len() as u32, &frame).expect("it is written");
        }
        self.least = self.least.min(start.elapsed().as_nanos() as f64 / f64::from(PACKETS));
    }
}

/// A capture of packets to the segment, each of another flow.
fn capture() -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = Writer::to_sink(&mut file, Format::Pcap, LinkType::Ethernet).expect("a capture");
    for number in 0..PACKETS {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
        frame.extend(packet(address(SEGMENT), number));
        writer.write(u64::from(number) * 1000, frame.len() as u32, &frame).expect("it is written");
    }
    writer.finish().expect("it is written");
    file
}
