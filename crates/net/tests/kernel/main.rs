//! The kernel is the oracle: the same small programs on the same packets, by BPF_PROG_TEST_RUN and here. They must
//! return the same and leave the same bytes. Skipped, by name, where bpf(2) is not permitted.

mod cases;
mod packets;

use alveary_abi::{MapType, ProgType};
use alveary_isa::Inst;
use alveary_net::{Net, SkBuff, Skb, Start, Xdp, XdpBuff};
use alveary_runtime::{LoadedMap, Prog, Runtime, Trust, World};
use alveary_spec::Program;
use alveary_testing::{bpf, code, def, kernel, map_spec, program};
use std::sync::Arc;

/// A program as text; `map ll` in it is the map, if it has one.
pub(crate) struct Case {
    pub(crate) ty: ProgType,
    pub(crate) text: String,
    pub(crate) map: Option<MapType>,
}

/// Size of `struct __sk_buff`: given, all zero, the kernel fills in what is not set (`wire_len`).
const SK_BUFF: [u8; 192] = [0; 192];

fn kernel_side(case: &Case) -> (bpf::Prog, Option<bpf::Map>) {
    let map = case.map.map(|ty| bpf::Map::create(&def(ty, 4, 4, 4), None).expect("a map"));
    if let (Some(map), Some(MapType::DEVMAP | MapType::DEVMAP_HASH)) = (&map, case.map) {
        map.write(&1u32.to_ne_bytes(), &1u32.to_ne_bytes(), 0).expect("device 1 in the map");
    }
    let fd = map.as_ref().map_or(-1, bpf::Map::fd);
    let insns = code(&case.text, |dst, _| Inst::MapFd { dst, fd });
    let prog = bpf::Prog::load(case.ty, &insns).unwrap_or_else(|e| panic!("the kernel refuses\n{}\n{e}", case.text));
    (prog, map)
}

/// The program twice: proven, as what the kernel accepts must be, and checked.
fn our_side(runtime: &Runtime, case: &Case) -> [Arc<Prog>; 2] {
    let maps: Vec<LoadedMap> = case.map.iter().map(|ty| our_map(runtime, *ty)).collect();
    let names = maps.iter().map(|map| map.spec.name.clone()).collect();
    let insns = code(&case.text, |dst, _| Inst::MapIdx { dst, idx: 0 });
    let program = Arc::new(Program { maps: names, ..program(case.ty, insns) });
    let proven = runtime.load(program.clone(), maps.clone());
    let proven = proven.unwrap_or_else(|e| panic!("we refuse\n{}\n{e}", case.text));
    assert!(matches!(proven.trust(), Trust::Proven(_)), "not proven\n{}\n{:?}", case.text, proven.trust());
    let checked = runtime.load_unverified(program, maps);
    [proven, checked.unwrap_or_else(|e| panic!("we refuse\n{}\n{e}", case.text))]
}

fn our_map(runtime: &Runtime, ty: MapType) -> LoadedMap {
    let map = runtime.create_map(&map_spec("map", def(ty, 4, 4, 4))).expect("a map");
    if matches!(ty, MapType::DEVMAP | MapType::DEVMAP_HASH) {
        map.map.write(&1u32.to_ne_bytes(), &1u32.to_ne_bytes(), 0).expect("device 1 in the map");
    }
    map
}

fn runtime() -> Arc<Runtime> {
    let net = Arc::new(Net::default());
    Runtime::builder(kernel(1), World::repeatable()).family::<Xdp>(net.clone()).family::<Skb>(net).build()
}

/// What we return and leave.
fn run(runtime: &Arc<Runtime>, prog: &Arc<Prog>, packet: &[u8]) -> Result<(u32, Vec<u8>), String> {
    let mut cpu = runtime.vcpu(0).expect("CPU 0");
    match prog.program().ty {
        ProgType::XDP => {
            let mut buff = XdpBuff::new();
            buff.set(packet);
            let ran = cpu.run::<Xdp>(prog, &buff).map_err(|d| d.to_string())?;
            Ok((ran.value as u32, [buff.meta(), buff.to_vec()].concat()))
        }
        ty => {
            let mut buff = SkBuff::new();
            let filter = ty == ProgType::SOCKET_FILTER;
            buff.set(packet, if filter { Start::Network } else { Start::Link });
            let ran = cpu.run::<Skb>(prog, &buff).map_err(|d| d.to_string())?;
            // The kernel puts an empty Ethernet header before what a socket filter leaves.
            let header = vec![0; if filter { 14 } else { 0 }];
            Ok((ran.value as u32, [header, buff.to_vec()].concat()))
        }
    }
}

/// Runs every case on every packet on both sides; gives the differences in words.
fn differences(cases: &[Case]) -> Vec<String> {
    let runtime = runtime();
    let mut found = Vec::new();
    for case in cases {
        let (kernel, _map) = kernel_side(case);
        let ours = our_side(&runtime, case);
        for (name, packet) in packets::all() {
            let context: &[u8] = if case.ty == ProgType::XDP { &[] } else { &SK_BUFF };
            // Packets that the test run itself refuses are none to compare.
            let Ok(expected) = kernel.test_run(&packet, context) else { continue };
            for ours in &ours {
                let got = run(&runtime, ours, &packet);
                if got.as_ref() != Ok(&expected) {
                    found.push(difference(case, name, &packet, &expected, &got));
                }
            }
        }
    }
    found
}

fn difference(
    case: &Case,
    name: &str,
    packet: &[u8],
    expected: &(u32, Vec<u8>),
    got: &Result<(u32, Vec<u8>), String>,
) -> String {
    let hex = |b: &[u8]| b.iter().take(80).map(|b| format!("{b:02x}")).collect::<String>();
    let got = match got {
        Ok((r0, out)) => format!("r0 {r0:#x} {} bytes {}", out.len(), hex(out)),
        Err(e) => e.clone(),
    };
    let (r0, out) = expected;
    format!(
        "{}\non `{name}` {} bytes {}\n  kernel: r0 {r0:#x} {} bytes {}\n  here:   {got}\n",
        case.text,
        packet.len(),
        hex(packet),
        out.len(),
        hex(out)
    )
}

fn compare(what: &str, cases: &[Case]) {
    if !bpf::permitted(what) {
        return;
    }
    let found = differences(cases);
    assert!(found.is_empty(), "{what}: {} differences\n{}", found.len(), found.join("\n"));
}

#[test]
fn xdp_programs_do_what_they_do_in_the_kernel() {
    compare("XDP", &cases::xdp());
}

#[test]
fn classifiers_do_what_they_do_in_the_kernel() {
    compare("classifiers", &cases::classifiers());
}

#[test]
fn socket_filters_do_what_they_do_in_the_kernel() {
    compare("socket filters", &cases::socket_filters());
}

#[test]
fn context_fields_are_what_they_are_in_the_kernel() {
    compare("context fields", &cases::fields());
}
