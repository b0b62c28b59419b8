//! The kernel is the oracle: the same small programs on the same packets, by BPF_PROG_TEST_RUN and here. They must
//! return the same and leave the same bytes. Skipped, by name, where bpf(2) is not permitted.

mod bpf;
mod cases;
mod packets;

use alveary_abi::{MapDef, MapType, Profile, ProgType};
use alveary_isa::{Insn, Inst, asm::assemble, encode};
use alveary_net::{Net, SkBuff, Skb, Start, Xdp, XdpBuff};
use alveary_runtime::{LoadedMap, Prog, Runtime, World};
use alveary_spec::{Initial, Kernel, MapSpec, Program};
use std::{
    os::fd::{AsRawFd, OwnedFd},
    sync::Arc,
};

/// A program as text; `map ll` in it is the map, if it has one.
pub(crate) struct Case {
    pub(crate) ty: ProgType,
    pub(crate) text: String,
    pub(crate) map: Option<MapType>,
}

/// Size of `struct __sk_buff`: given, all zero, the kernel fills in what is not set (`wire_len`).
const SK_BUFF: [u8; 192] = [0; 192];

fn code(text: &str, map: impl Fn(alveary_isa::Reg) -> Inst) -> Vec<Insn> {
    let profile = Profile::linux_6_18();
    let number = |name: &str| profile.helper_named(name.strip_prefix("bpf_")?).map(|h| h.id.0 as i32);
    let (assembly, errors) = assemble(text, &number);
    assert!(errors.is_empty(), "{text}\n{errors:?}");
    let section = &assembly.sections[0];
    let mut insns = section.insns.clone();
    for reference in &section.references {
        let at = reference.slot as usize;
        let inst = map(insns[at].dst);
        insns[at..at + 2].copy_from_slice(&encode(&inst));
    }
    insns
}

fn kernel_side(case: &Case) -> (OwnedFd, Option<OwnedFd>) {
    let map = case.map.map(|ty| bpf::map(ty).expect("a map"));
    if let (Some(map), Some(MapType::DEVMAP | MapType::DEVMAP_HASH)) = (&map, case.map) {
        bpf::update(map, 1, 1).expect("device 1 in the map");
    }
    let fd = map.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    let insns = code(&case.text, |dst| Inst::MapFd { dst, fd });
    let prog = bpf::load(case.ty, &insns).unwrap_or_else(|e| panic!("the kernel refuses\n{}\n{e}", case.text));
    (prog, map)
}

fn our_side(runtime: &Runtime, case: &Case) -> Arc<Prog> {
    let maps: Vec<LoadedMap> = case.map.iter().map(|ty| our_map(runtime, *ty)).collect();
    let program = Program {
        name: "case".into(),
        section: "test".into(),
        ty: case.ty,
        expected: None,
        flags: 0,
        insns: code(&case.text, |dst| Inst::MapIdx { dst, idx: 0 }),
        maps: maps.iter().map(|m| m.spec.name.clone()).collect(),
        subprogs: vec![(0, "case".into())],
        funcs: vec![],
        lines: vec![],
        license: "GPL".into(),
        btf: None,
    };
    runtime.load(Arc::new(program), maps).unwrap_or_else(|e| panic!("we refuse\n{}\n{e}", case.text))
}

fn our_map(runtime: &Runtime, ty: MapType) -> LoadedMap {
    let def = MapDef { ty, key_size: 4, value_size: 4, max_entries: 4, flags: 0, extra: 0, special: vec![] };
    let spec = MapSpec {
        name: "map".into(),
        def,
        key_type: None,
        value_type: None,
        inner: None,
        initial: Initial::Empty,
        addresses: vec![],
        freeze: false,
        pin_by_name: false,
        numa_node: None,
        section: ".maps".into(),
    };
    let map = runtime.create_map(&spec).expect("a map");
    if matches!(ty, MapType::DEVMAP | MapType::DEVMAP_HASH) {
        map.map.write(&1u32.to_ne_bytes(), &1u32.to_ne_bytes(), 0).expect("device 1 in the map");
    }
    map
}

fn runtime() -> Arc<Runtime> {
    let kernel = Kernel { profile: Profile::linux_6_18(), btf: None, kconfig: Default::default(), cpus: 1, page: 4096 };
    let net = Arc::new(Net::default());
    Runtime::builder(kernel, World::repeatable()).family::<Xdp>(net.clone()).family::<Skb>(net).build()
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
            let Ok(expected) = bpf::test_run(&kernel, &packet, context) else { continue };
            let got = run(&runtime, &ours, &packet);
            if got.as_ref() != Ok(&expected) {
                found.push(difference(case, name, &packet, &expected, &got));
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
    if !bpf::permitted() {
        eprintln!("skipped: {what}: bpf(2) is not permitted here");
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
