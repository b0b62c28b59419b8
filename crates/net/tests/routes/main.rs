//! The kernel is the oracle: the same programs on the same packets, in a router of the test's own with real routes and
//! here. The same bytes must come out, or nothing, and helpers must give the same. Skipped, by name, where that is not
//! permitted.

mod lab;
mod packets;
mod programs;
mod router;
mod signed;

use alveary_abi::{MapType, ProgType};
use alveary_isa::{Insn, Inst};
use alveary_net::{
    Net, Skb,
    router::{Arrival, Behaviour, Fate, Lost, MAIN, Programs, Router, Target, Tunnel},
};
use alveary_runtime::{LoadedMap, Prog, Runtime, Trust, World};
use alveary_spec::Program;
use alveary_testing::{Draw, bpf, code, def, kernel, map_spec, program};
use alveary_verifier::{Env, Verdict, check};
use lab::{Lab, OUT};
use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

/// The lab's router, with a program of this type, number 0, behind what goes to fc00:e::/64 and 10.14.0.0/16.
fn router_with(ty: ProgType) -> Router {
    let program = |wanted| (ty == wanted).then_some(0);
    let mut router = router::lab();
    let behind = match ty {
        ProgType::LWT_SEG6LOCAL => Target::Endpoint(Behaviour::EndBpf(0)),
        _ => Target::Tunnel(Tunnel {
            device: OUT,
            gateway: None,
            input: program(ProgType::LWT_IN),
            output: program(ProgType::LWT_OUT),
            xmit: program(ProgType::LWT_XMIT),
        }),
    };
    router.add(MAIN, "fc00:e::".parse::<Ipv6Addr>().expect("an address"), 64, behind.clone());
    if ty != ProgType::LWT_SEG6LOCAL {
        router.add(MAIN, Ipv4Addr::new(10, 14, 0, 0), 16, behind);
    }
    router
}

struct Ours {
    router: Arc<Router>,
    runtime: Arc<Runtime>,
}

/// What came out of a packet, and what the program left in the map.
type Came = (Vec<Vec<u8>>, u64);

impl Ours {
    fn new(ty: ProgType) -> Ours {
        let router = Arc::new(router_with(ty));
        let net = Arc::new(Net::new(router.clone()));
        Ours { router, runtime: Runtime::builder(kernel(1), World::repeatable()).family::<Skb>(net).build() }
    }

    /// The program twice: proven, as what the kernel accepts must be, and checked.
    fn load(&self, ty: ProgType, text: &str) -> [(Arc<Prog>, LoadedMap); 2] {
        let map = self.runtime.create_map(&map_spec("map", def(MapType::ARRAY, 4, 8, 1))).expect("a map");
        let insns = code(text, |dst, _| Inst::MapIdx { dst, idx: 0 });
        let program = Arc::new(Program { maps: vec!["map".into()], ..program(ty, insns) });
        let proven = self.runtime.load(program.clone(), vec![map.clone()]);
        let proven = proven.unwrap_or_else(|e| panic!("we refuse\n{text}\n{e}"));
        assert!(matches!(proven.trust(), Trust::Proven(_)), "not proven\n{text}\n{:?}", proven.trust());
        let checked = self.runtime.load_unverified(program, vec![map.clone()]);
        [(proven, map.clone()), (checked.unwrap_or_else(|e| panic!("we refuse\n{text}\n{e}")), map)]
    }

    fn run(&self, (prog, map): &(Arc<Prog>, LoadedMap), packet: &[u8]) -> Came {
        let key = 0u32.to_ne_bytes();
        map.map.write(&key, &[0; 8], 0).expect("an entry");
        let mut result = [0; 8];
        let mut programs = Programs::new(self.runtime.vcpu(0).expect("CPU 0"), vec![prog.clone()]);
        let out = match self.router.forward(&Arrival::of(packet), &mut programs) {
            Fate::Sent { device: OUT, packet, .. } => vec![packet],
            Fate::Lost { why: why @ (Lost::Stopped | Lost::NoProgram), .. } => panic!("{why}: {:?}", programs.fault()),
            _ => vec![],
        };
        map.map.read(&key, &mut result).expect("an entry");
        (out, u64::from_ne_bytes(result))
    }
}

/// Loads a program into the kernel, which asks to be called again where a signal is on its way to the thread.
fn load(ty: ProgType, insns: &[Insn]) -> io::Result<bpf::Prog> {
    const AGAIN: usize = 100;
    let again = |loaded: &io::Result<_>| loaded.as_ref().is_err_and(|why| why.kind() == io::ErrorKind::WouldBlock);
    let mut loaded = bpf::Prog::load(ty, insns);
    for _ in 0..AGAIN {
        if !again(&loaded) {
            break;
        }
        loaded = bpf::Prog::load(ty, insns);
    }
    loaded
}

/// Whether routers send such packets anywhere else than by the default route.
fn ordinary(result: &Came) -> bool {
    result.0.iter().all(|packet| packet[0] >> 4 == 4 || (packet.len() >= 40 && packet[24] == 0xfc))
}

fn compare(what: &str, ty: ProgType, programs: &[String], packets: &[(String, Vec<u8>)]) {
    let Some(lab) = Lab::new(what) else { return };
    let ours = Ours::new(ty);
    let (mut found, mut compared, mut out) = (Vec::new(), 0, 0);
    for text in programs {
        let map = bpf::Map::create(&def(MapType::ARRAY, 4, 8, 1), None).expect("a map");
        let insns = code(text, |dst, _| Inst::MapFd { dst, fd: map.fd() });
        let prog = load(ty, &insns).unwrap_or_else(|e| panic!("the kernel refuses\n{text}\n{e}"));
        let programs = ours.load(ty, text);
        let _routes = lab.route(&prog, ty);
        for (name, packet) in packets {
            let key = 0u32.to_ne_bytes();
            map.write(&key, &[0; 8], 0).expect("an entry");
            let came = lab.through(packet);
            let mut result = [0; 8];
            map.read(&key, &mut result).expect("an entry");
            let expected = (came, u64::from_ne_bytes(result));
            for program in &programs {
                let got = ours.run(program, packet);
                if !ordinary(&got) || !ordinary(&expected) {
                    continue;
                }
                compared += 1;
                out += expected.0.len();
                if got != expected {
                    found.push(difference(text, name, packet, &expected, &got));
                }
            }
        }
    }
    println!("{what}: {compared} packets compared, {out} came out");
    assert!(out * 10 > compared, "hardly a packet came out");
    assert!(found.is_empty(), "{what}: {} differences\n{}", found.len(), found[..found.len().min(8)].join("\n"));
}

fn difference(text: &str, name: &str, packet: &[u8], expected: &Came, got: &Came) -> String {
    let hex = |bytes: &[u8]| bytes.iter().take(140).map(|byte| format!("{byte:02x}")).collect::<String>();
    let told = |result: &Came| {
        let packets = result.0.iter().map(|p| format!("{} bytes {}", p.len(), hex(p))).collect::<Vec<_>>();
        format!("{:#x} {packets:?}", result.1)
    };
    let (kernel, here) = (told(expected), told(got));
    let text = text.lines().collect::<Vec<_>>().join("; ");
    format!("{text}\non `{name}` {} bytes {}\n  kernel: {kernel}\n  here:   {here}\n", packet.len(), hex(packet))
}

fn plain() -> Vec<(String, Vec<u8>)> {
    let data = packets::udp(b"who is it?");
    let six = packets::ipv6(17, &data);
    vec![
        ("udp6".to_owned(), six.clone()),
        ("udp6 with padding".to_owned(), [six.clone(), vec![0; 9]].concat()),
        ("udp6 truncated".to_owned(), six[..50].to_vec()),
        ("segments".to_owned(), packets::all()[0].1.clone()),
        ("udp4".to_owned(), packets::ipv4(&data)),
        ("udp4 with padding".to_owned(), [packets::ipv4(&data), vec![0; 9]].concat()),
        ("udp4 truncated".to_owned(), packets::ipv4(&data)[..30].to_vec()),
    ]
}

#[test]
fn endpoints_do_what_they_do_in_the_kernel() {
    compare("endpoints", ProgType::LWT_SEG6LOCAL, &programs::endpoints(), &packets::all());
}

#[test]
fn random_endpoints_do_what_they_do_in_the_kernel() {
    let mut draw = Draw::new(7);
    let programs = programs::random_endpoints(&mut draw, 150);
    compare("random endpoints", ProgType::LWT_SEG6LOCAL, &programs, &packets::mutants(&mut draw, 60));
}

#[test]
fn incoming_tunnels_do_what_they_do_in_the_kernel() {
    compare("incoming", ProgType::LWT_IN, &programs::incoming(), &plain());
}

#[test]
fn leaving_tunnels_do_what_they_do_in_the_kernel() {
    compare("xmit", ProgType::LWT_XMIT, &programs::leaving(), &plain());
}

#[test]
fn output_tunnels_do_what_they_do_in_the_kernel() {
    let programs = [0, 2, 128, 7, 1, -1].map(|code| programs::Text::new().look().returns(code));
    compare("output", ProgType::LWT_OUT, &programs, &plain());
}

/// The verifier is the other half of it: what Linux takes is proven here, what it refuses is refused.
#[test]
fn the_same_programs_are_taken() {
    if !bpf::permitted("the same programs") {
        return;
    }
    let ours = Ours::new(ProgType::LWT_IN);
    let mut found = Vec::new();
    for ty in [ProgType::LWT_IN, ProgType::LWT_OUT, ProgType::LWT_XMIT, ProgType::LWT_SEG6LOCAL] {
        for text in programs::questionable() {
            let insns = code(&text, |dst, _| Inst::MapIdx { dst, idx: 0 });
            let kernel = load(ty, &insns);
            let none = BTreeMap::new();
            let report = check(&program(ty, insns), &Env::new(ours.runtime.kernel(), &none));
            if kernel.is_ok() != (report.verdict == Verdict::Accept) {
                found.push(format!("{ty:?}\n{text}  kernel: {kernel:?}\n  here:   {:?}\n", report.verdict));
            }
        }
    }
    assert!(found.is_empty(), "{} differences\n{}", found.len(), found.join("\n"));
}
