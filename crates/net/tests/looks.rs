//! Programs behind a route that only look at packets: they are shown packets at less cost than others, and must see what
//! others would, whatever ran before them.

use alveary_abi::{MapType, ProgType};
use alveary_isa::Inst;
use alveary_net::{
    Net, Skb,
    router::{Arrival, Behaviour, Fate, MAIN, Programs, Router, Target, Tunnel},
};
use alveary_runtime::{Direct, Engine, LoadedMap, Prog, Runtime, Trust, World};
use alveary_spec::Program;
use alveary_testing::{code, def, kernel, map_spec, program};
use std::{fmt::Write, net::Ipv6Addr, sync::Arc};

/// What programs behind routes may read of `__sk_buff`: from `len` to `hash`, and the two of segmentation offload.
const FIELDS: [i32; 19] = [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 164, 176];
/// Bytes that a looking program leaves in its map.
const SEEN: u32 = 120;

fn address(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

/// A packet to this segment, which two more follow, with so many bytes behind its headers and `more` behind its end.
fn packet(to: &str, bytes: u8, more: usize) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, bytes, 0, 40 + bytes, 43, 64];
    packet.extend(address("fc00:a::1").octets());
    packet.extend(address(to).octets());
    packet.extend([59, 4, 4, 1, 1, 0, 0, bytes]);
    packet.extend(address("fc00:b::1").octets());
    packet.extend(address(to).octets());
    packet.extend((0..bytes).chain(vec![0xee; more]));
    packet
}

/// Writes all that it may read into the map, and more than that: how long the packet is, and two words of it.
fn looks(returns: i32) -> String {
    let mut text = String::from(
        "r6 = r1\n*(u32 *)(r10 - 4) = 0\nr1 = map ll\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\n\
         if r0 != 0 goto +2\nr0 = 2\nexit\nr7 = r0\n",
    );
    for (place, field) in FIELDS.iter().enumerate() {
        writeln!(text, "r1 = *(u32 *)(r6 + {field})\n*(u32 *)(r7 + {}) = r1", 4 * place).expect("room");
    }
    writeln!(
        text,
        "r1 = *(u32 *)(r6 + 76)\nr2 = *(u32 *)(r6 + 80)\nr3 = r2\nr3 -= r1\n*(u64 *)(r7 + 80) = r3\nr3 = r1\nr3 += 48\n\
         if r3 > r2 goto +6\nr4 = *(u64 *)(r1 + 0)\n*(u64 *)(r7 + 88) = r4\nr4 = *(u64 *)(r1 + 24)\n\
         *(u64 *)(r7 + 96) = r4\nr4 = *(u64 *)(r1 + 40)\n*(u64 *)(r7 + 104) = r4\nr0 = {returns}\nexit"
    )
    .expect("room");
    text
}

/// Changes what it may of the context, has the hash computed and a way found.
const CHANGES: &str = "r6 = r1\n*(u32 *)(r1 + 8) = 7\n*(u32 *)(r1 + 32) = 9\nr2 = 3\n*(u32 *)(r1 + 48) = r2\n\
     *(u32 *)(r1 + 64) = r2\ncall bpf_get_hash_recalc\n*(u32 *)(r10 - 4) = 99\nr1 = r6\nr2 = 3\nr3 = r10\nr3 += -4\nr4 = 4\n\
     call bpf_lwt_seg6_action\nr0 = 7\nexit";

/// Calls nothing: drops what does not look new.
const NEW: &str = "r0 = *(u32 *)(r1 + 8)\nr2 = *(u32 *)(r1 + 32)\nr0 |= r2\nr2 = *(u32 *)(r1 + 48)\nr0 |= r2\n\
     r2 = *(u32 *)(r1 + 68)\nr0 |= r2\nr2 = *(u32 *)(r1 + 36)\nr3 = *(u32 *)(r1 + 76)\nr4 = *(u32 *)(r1 + 80)\nr4 -= r3\n\
     r5 = *(u32 *)(r1 + 0)\nif r0 != 0 goto +3\nif r4 != r5 goto +2\nif r2 != 5 goto +1\nexit\nr0 = 2\nexit";

struct Lab {
    router: Arc<Router>,
    runtime: Arc<Runtime>,
    map: LoadedMap,
    /// Programs are proven, and native; or checked.
    proven: bool,
}

impl Lab {
    fn new(proven: bool) -> Lab {
        Lab::with(if proven { Engine::Jit } else { Engine::Interp }, proven)
    }

    fn with(engine: Engine, proven: bool) -> Lab {
        let mut router = Router::new(address("fc00:99::1"));
        let out = |device| Target::Device { device, gateway: None };
        router.add(MAIN, address("::"), 0, out(2));
        router.add(99, address("::"), 0, out(3));
        for number in [0, 1, 2, 4] {
            let segment = address(&format!("fc00:e::{number}"));
            router.add(MAIN, segment, 128, Target::Endpoint(Behaviour::EndBpf(number)));
        }
        let tunnel = Tunnel { device: 4, gateway: None, input: Some(3), output: None, xmit: None };
        router.add(MAIN, address("fc00:d::"), 32, Target::Tunnel(tunnel));
        let router = Arc::new(router);
        let net = Arc::new(Net::new(router.clone()));
        let runtime = Runtime::builder(kernel(1), World::repeatable()).family::<Skb>(net).engine(engine).build();
        let map = runtime.create_map(&map_spec("map", def(MapType::ARRAY, 4, SEEN, 1))).expect("a map");
        Lab { router, runtime, map, proven }
    }

    fn load(&self, ty: ProgType, text: &str) -> Arc<Prog> {
        let insns = code(text, |dst, _| Inst::MapIdx { dst, idx: 0 });
        let program = Arc::new(Program { maps: vec!["map".into()], ..program(ty, insns) });
        let maps = vec![self.map.clone()];
        if !self.proven {
            return self.runtime.load_unverified(program, maps).unwrap_or_else(|e| panic!("{text}\n{e}"));
        }
        let prog = self.runtime.load(program, maps).unwrap_or_else(|e| panic!("{text}\n{e}"));
        assert!(matches!(prog.trust(), Trust::Proven(_)), "{text}\n{:?}", prog.trust());
        prog
    }

    /// Numbers 0 and 1 look, 2 changes what it sees, 3 looks at what comes to the tunnel, 4 looks and calls nothing.
    fn programs(&self) -> Vec<Arc<Prog>> {
        let seg6 = |text: &str| self.load(ProgType::LWT_SEG6LOCAL, text);
        let tunnel = self.load(ProgType::LWT_IN, &looks(0));
        vec![seg6(&looks(0)), seg6(&looks(7)), seg6(CHANGES), tunnel, seg6(NEW)]
    }

    /// What becomes of a packet, and what was seen of it.
    fn through(&self, programs: &mut Programs, packet: &[u8], time: u64) -> (Fate, Vec<u8>) {
        let key = 0u32.to_ne_bytes();
        let mut seen = vec![0; SEEN as usize];
        self.map.map.write(&key, &seen, 0).expect("an entry");
        let arrival = Arrival { device: 5, time, ..Arrival::of(packet) };
        let fate = self.router.forward(&arrival, programs);
        self.map.map.read(&key, &mut seen).expect("an entry");
        (fate, seen)
    }
}

#[test]
fn what_leaves_the_context_is_known() {
    let (lab, checked) = (Lab::new(true), Lab::new(false));
    let leaves: Vec<bool> = lab.programs().iter().map(|prog| prog.leaves_context()).collect();
    assert_eq!(leaves, [true, true, false, true, true]);
    let direct: Vec<bool> = lab.programs().iter().map(|prog| Direct::<Skb>::of(prog).is_some()).collect();
    assert_eq!(direct, [false, false, false, false, true]);
    assert!(checked.programs().iter().all(|prog| Direct::<Skb>::of(prog).is_none()));
    assert!(checked.programs().iter().all(|prog| !prog.leaves_context()), "nothing is proven of them");
    for changes in [
        "*(u32 *)(r1 + 8) = 7\nr0 = 0\nexit",
        "r2 = 7\n*(u32 *)(r1 + 48) = r2\nr0 = 0\nexit",
        "if r1 == 0 goto +0\nr2 = r1\nr3 = 1\n*(u32 *)(r2 + 8) = r3\nr0 = 0\nexit",
        "call bpf_get_hash_recalc\nr0 = 0\nexit",
        "r2 = 0\ncall bpf_skb_pull_data\nr0 = 0\nexit",
    ] {
        assert!(!lab.load(ProgType::LWT_XMIT, changes).leaves_context(), "{changes}");
    }
    // It asks for no context, and says something that belongs to it.
    let redirect = "r1 = 1\nr2 = 0\ncall bpf_redirect\nr0 = 0\nexit";
    assert!(!lab.load(ProgType::LWT_XMIT, redirect).leaves_context());
}

#[test]
fn programs_that_routes_name_are_native_before_they_are_hot() {
    let lab = Lab::with(Engine::Auto, true);
    let programs = lab.programs();
    assert!(programs.iter().all(|prog| !prog.is_native() && Direct::<Skb>::of(prog).is_none()));
    let _routes = Programs::new(lab.runtime.vcpu(0).expect("CPU 0"), programs.clone());
    assert!(programs.iter().all(|prog| prog.is_native()));
    assert!(Direct::<Skb>::of(&programs[4]).is_some(), "it calls nothing");
}

#[test]
fn who_looks_sees_a_packet_as_the_first_one() {
    let (proven, checked) = (Lab::new(true), Lab::new(false));
    let programs = |lab: &Lab| Programs::new(lab.runtime.vcpu(0).expect("CPU 0"), lab.programs());
    let order = [0, 2, 0, 4, 1, 2, 4, 2, 1, 4, 0, 3, 2, 3, 0, 4, 0, 1, 3, 2, 4];
    let packets: Vec<Vec<u8>> = order
        .iter()
        .enumerate()
        .map(|(at, number)| match number {
            3 => packet("fc00:d::1", at as u8 * 3, at % 3),
            _ => packet(&format!("fc00:e::{number}"), at as u8 * 3, at % 2 * 5),
        })
        .collect();
    let mut one_by_one = Vec::new();
    for (time, packet) in packets.iter().enumerate() {
        // Each has a buffer of its own, which is made new in all its parts.
        one_by_one.push(checked.through(&mut programs(&checked), packet, time as u64));
    }
    let mut programs = programs(&proven);
    for (time, packet) in packets.iter().enumerate() {
        let (fate, seen) = proven.through(&mut programs, packet, time as u64);
        assert_eq!((fate, seen), one_by_one[time], "packet {time}, program {}", order[time]);
    }
    let passed = |number: usize| order[number] != 4 || matches!(one_by_one[number].0, Fate::Sent { .. });
    assert!((0..order.len()).all(passed), "{one_by_one:?}");
    let word = |at: usize| u32::from_ne_bytes(one_by_one[0].1[at..at + 4].try_into().expect("four"));
    assert_eq!((word(0), word(16), word(36), word(80)), (80, u32::from(0x86dd_u16.to_be()), 5, 80));
}
