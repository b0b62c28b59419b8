//! Classic filters: as text, and as instructions that are run in both machines.

use crate::budget::within;
use crate::user;
use alveary::{Loader, Packet};
use alveary_abi::ProgType;
use alveary_isa::{
    Endian, Insn,
    cbpf::{self, Ancillary, Filter, Op, SockFilter},
};
use alveary_spec::{Program, Resolved};
use arbitrary::{Result, Unstructured};
use std::sync::Arc;

/// Operation codes of classic BPF, so that most filters make sense.
const CODES: [u16; 48] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24, 0x25, 0x28, 0x2c,
    0x2d, 0x30, 0x34, 0x35, 0x3c, 0x3d, 0x40, 0x44, 0x45, 0x48, 0x4c, 0x4d, 0x50, 0x54, 0x5c, 0x60, 0x61, 0x64, 0x6c,
    0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0x94, 0xa4, 0xac, 0xb1,
];

/// The first byte says whether the rest is text or instructions with a packet.
///
/// Text is read in proportion, and what is read is printed; a filter that is taken is translated to instructions that
/// load, and over the packet the classic interpreter and the translation, run checked, give the same.
pub fn cbpf(bytes: &[u8]) {
    match bytes.split_first() {
        Some((b'#', instructions)) => drop(structured(&mut Unstructured::new(instructions))),
        Some(_) => text(&String::from_utf8_lossy(bytes)),
        None => {}
    }
}

fn text(text: &str) {
    // A count of 4096 is taken at its word.
    let most = cbpf::MAX_INSNS * 8 + 1024 + 64 * text.len();
    match within(most, "reading a filter", || cbpf::parse(text)) {
        Ok(insns) => filter(insns, &[0x45; 60]),
        Err(error) => assert!(error.line >= 1 && error.line <= text.lines().count() + 1, "{error}"),
    }
}

fn structured(u: &mut Unstructured<'_>) -> Result<()> {
    let len = u.int_in_range(1..=40)?;
    let mut insns = Vec::new();
    for _ in 0..len {
        let code = if u.ratio(15, 16)? { *u.choose(&CODES)? } else { u.arbitrary()? };
        let (jt, jf) = (u.int_in_range(0..=4)?, u.int_in_range(0..=4)?);
        let k = match u.int_in_range(0..=5)? {
            0 => u.arbitrary()?,
            1 => (cbpf::SKF_NET_OFF + u.int_in_range(-2..=60)?) as u32,
            2 => (cbpf::SKF_LL_OFF + u.int_in_range(-2..=60)?) as u32,
            3 => (cbpf::SKF_AD_OFF + u.int_in_range(0..=64)?) as u32,
            _ => u.int_in_range(0..=16)?,
        };
        insns.push(SockFilter { code, jt, jf, k });
    }
    // Most filters end as they must.
    insns.push(SockFilter { code: 0x16, ..SockFilter::default() });
    filter(insns, u.bytes(u.len())?);
    Ok(())
}

fn filter(insns: Vec<SockFilter>, packet: &[u8]) {
    assert_eq!(cbpf::print(&insns).to_string().lines().count(), insns.len());
    let taken = match Filter::new(insns) {
        Ok(filter) => filter,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let knows_packet_only = |op: &Op| !matches!(op, Op::LoadAncillary(ancillary) if *ancillary != Ancillary::AluXorX);
    let translated = match cbpf::translate(&taken) {
        Ok(insns) => insns,
        Err(error) => return assert!(taken.insns().get(error.index).is_some(), "{error}"),
    };
    let network = packet.len().min(14);
    let expected =
        cbpf::run(&taken, &cbpf::Packet { data: packet, len: packet.len() as u32, network, ancillary: &|_| None });
    let value = run(translated, packet);
    if taken.ops().iter().all(knows_packet_only) {
        assert_eq!(value, expected, "\n{}over {packet:02x?}", cbpf::print(taken.insns()));
    }
}

/// Runs a translation as a socket filter.
fn run(insns: Vec<Insn>, packet: &[u8]) -> u32 {
    let program = Program {
        name: "filter".into(),
        section: "socket".into(),
        ty: ProgType::SOCKET_FILTER,
        insns,
        subprogs: vec![(0, "filter".into())],
        license: "GPL".into(),
        ..Program::default()
    };
    let programs = vec![Arc::new(program)];
    let resolved = Resolved { endian: Endian::HOST, maps: Default::default(), programs, btf: None };
    let loaded = Loader::new(user()).load_resolved(resolved).expect("a translated filter loads");
    let mut cpu = loaded.target().vcpu(0).expect("nobody else uses it");
    let program = loaded.program("filter").expect("it was loaded");
    let mut packets = program.packets(&mut cpu).expect("socket filters take packets");
    let verdict = packets.run(&Packet { data: packet, ..Packet::default() }).expect("a translated filter runs");
    verdict.code() as u32
}
