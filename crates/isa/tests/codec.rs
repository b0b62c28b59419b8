//! Decode and encode lose nothing, and what is not defined is refused by the name of its field.

mod common;

use alveary_isa::{
    ConformanceGroup, DecodeErrorKind, Endian, Field, Insn, Inst, Reg, Wide, decode, decode_lowered, encode,
};
use common::{Draw, SHAPES, inst};
use std::collections::HashSet;

#[test]
fn every_instruction_survives_encoding() {
    let mut draw = Draw::new(1);
    for round in 0..200_000 {
        let inst = inst(&mut draw, round % SHAPES);
        let slots = encode(&inst);
        assert_eq!(decode(&slots, 0), Ok(inst), "{slots:?}");
        assert_eq!(slots.len(), inst.slots());
        for endian in [Endian::Little, Endian::Big] {
            for slot in slots.iter() {
                assert_eq!(Insn::from_bytes(slot.to_bytes(endian), endian), *slot);
            }
        }
    }
}

/// Slots near the defined ones (every operation code, small fields): what is accepted is written back unchanged.
#[test]
fn every_accepted_encoding_survives_decoding() {
    let (mut accepted, mut refused) = (0, 0);
    for op in 0..=255u8 {
        for dst in [0, 1, 10, 11, 15] {
            for src in 0..=15 {
                for off in [0, 1, 2, 8, 16, 32, -1] {
                    for imm in [0, 1, 3, 10, 16, 32, 64, 0x40, 0x51, 0xa0, 0xe1, 0xf1, 0x100, 0x110, -1] {
                        let first = Insn { op, dst: Reg(dst), src: Reg(src), off, imm };
                        let slots = [first, Insn { imm: if src == 0 { -7 } else { 0 }, ..Insn::default() }];
                        match decode(&slots, 0) {
                            Ok(inst) => {
                                accepted += 1;
                                assert_eq!(*encode(&inst), slots[..inst.slots()], "{inst:?}");
                            }
                            Err(error) => {
                                refused += 1;
                                assert_eq!((error.slot == 0).then_some(op), (error.slot == 0).then_some(error.op));
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(accepted > 10_000 && refused > 1_000_000, "{accepted} accepted, {refused} refused");
}

#[test]
fn random_slots_never_panic() {
    let mut draw = Draw::new(2);
    for _ in 0..500_000 {
        let slots: [Insn; 2] = std::array::from_fn(|_| Insn::from_bytes(draw.next().to_le_bytes(), Endian::Little));
        for at in 0..3 {
            if let Ok(inst) = decode(&slots, at) {
                assert_eq!(*encode(&inst), slots[at..at + inst.slots()]);
            }
        }
    }
}

fn slot(op: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { op, dst: Reg(dst), src: Reg(src), off, imm }
}

#[test]
fn errors_name_the_field() {
    #[rustfmt::skip]
    let cases = [
        (slot(0x07, 11, 0, 0, 1), Field::Dst, "slot 0 (op 0x07): dst is 11; expected a register, 0 to 10"),
        (slot(0x0f, 1, 12, 0, 0), Field::Src, "slot 0 (op 0x0f): src is 12; expected a register, 0 to 10"),
        (slot(0x07, 1, 2, 0, 1), Field::Src, "slot 0 (op 0x07): src is 2; expected 0 (reserved)"),
        (slot(0x0f, 1, 2, 0, 9), Field::Imm, "slot 0 (op 0x0f): imm is 9; expected 0 (reserved)"),
        (slot(0x37, 1, 0, 2, 9), Field::Off, "slot 0 (op 0x37): off is 2; expected 0, or 1 for signed"),
        (slot(0xbc, 1, 2, 32, 0), Field::Off, "slot 0 (op 0xbc): off is 32; expected 0, or 8 or 16 bits to extend the sign from"),
        (slot(0xd7, 1, 0, 0, 8), Field::Imm, "slot 0 (op 0xd7): imm is 8; expected 16, 32 or 64 bits to swap"),
        (slot(0x99, 1, 2, 0, 0), Field::Op, "slot 0: operation code 0x99 is not defined; expected a sign-extending load of 1, 2 or 4 bytes"),
        (slot(0x8e, 1, 2, 0, 0), Field::Op, "slot 0: operation code 0x8e is not defined; expected a comparison or ja in class JMP32"),
        (slot(0x85, 0, 3, 0, 1), Field::Src, "slot 0 (op 0x85): src is 3; expected 0 (helper), 1 (subprogram) or 2 (kernel function)"),
        (slot(0x85, 0, 0, 4, 1), Field::Off, "slot 0 (op 0x85): off is 4; expected 0 (reserved)"),
        (slot(0xd3, 1, 2, 0, 0), Field::Imm, "slot 0 (op 0xd3): imm is 0; expected 0x100 (load-acquire) or 0x110 (store-release) at this size"),
        (slot(0x18, 1, 7, 0, 0), Field::Src, "slot 0 (op 0x18): src is 7; expected 0 to 6: the kind of constant"),
        (slot(0x8d, 2, 0, 0, 3), Field::Imm, "slot 0 (op 0x8d): imm is 3; expected 0 (reserved), because dst names the register to call"),
        (slot(0x95, 0, 0, 0, 1), Field::Imm, "slot 0 (op 0x95): imm is 1; expected 0 (reserved)"),
    ];
    for (insn, field, text) in cases {
        let error = decode(&[insn, Insn::default()], 0).unwrap_err();
        assert!(matches!(error.kind, DecodeErrorKind::Undefined { field: found, .. } if found == field), "{error:?}");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn the_second_slot_is_looked_at() {
    let first = slot(0x18, 1, 0, 0, 5);
    let text = |slots: &[Insn], at| decode(slots, at).unwrap_err().to_string();
    assert_eq!(text(&[first], 0), "slot 0 (op 0x18): ld_imm64 takes two slots, the program ends after the first");
    assert_eq!(text(&[first], 1), "slot 1: the program ends before it");
    assert_eq!(
        text(&[first, slot(0x95, 0, 0, 0, 0)], 0),
        "slot 1: operation code 0x95 is not defined; expected 0 in the second slot of ld_imm64"
    );
    assert_eq!(text(&[first, slot(0, 0, 0, 1, 0)], 0), "slot 1 (op 0x00): off is 1; expected 0 (reserved)");
    let map = slot(0x18, 1, 1, 0, 5);
    assert_eq!(text(&[map, slot(0, 0, 0, 0, 3)], 0), "slot 1 (op 0x00): imm is 3; expected 0 (reserved)");
}

#[test]
fn hidden_registers_are_for_lowered_code() {
    let insns = [slot(0xbf, 11, 12, 0, 0)];
    assert!(decode(&insns, 0).is_err());
    assert!(decode_lowered(&insns, 0).is_ok());
    assert!(decode_lowered(&[slot(0xbf, 13, 12, 0, 0)], 0).is_err());
}

/// Examples of RFC 9669's appendix A, by group: the group is implemented if all its rows decode to that group.
#[test]
fn groups_are_those_of_the_rfc() {
    use ConformanceGroup::*;
    #[rustfmt::skip]
    let rows: [(ConformanceGroup, &[u8]); 7] = [
        (Base32, &[0x04, 0x05, 0x06, 0x0c, 0x14, 0x16, 0x1c, 0x1e, 0x26, 0x2e, 0x36, 0x3e, 0x44, 0x46, 0x4c, 0x4e, 0x54, 0x56,
                   0x5c, 0x5e, 0x61, 0x62, 0x63, 0x64, 0x66, 0x69, 0x6a, 0x6b, 0x6c, 0x6e, 0x71, 0x72, 0x73, 0x74, 0x76, 0x7c,
                   0x7e, 0x84, 0x85, 0x95, 0xa4, 0xa6, 0xac, 0xae, 0xb4, 0xb6, 0xbc, 0xbe, 0xc4, 0xc6, 0xcc, 0xce, 0xd6, 0xde]),
        (Base64, &[0x07, 0x0f, 0x15, 0x17, 0x18, 0x1d, 0x1f, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x47, 0x4d, 0x4f, 0x55, 0x57, 0x5d,
                   0x5f, 0x65, 0x67, 0x6d, 0x6f, 0x75, 0x77, 0x79, 0x7a, 0x7b, 0x7d, 0x7f, 0x81, 0x87, 0x89, 0x91, 0xa5, 0xa7,
                   0xad, 0xaf, 0xb5, 0xb7, 0xbd, 0xbf, 0xc5, 0xc7, 0xcd, 0xcf, 0xd5, 0xdd]),
        (Divmul32, &[0x24, 0x2c, 0x34, 0x3c, 0x94, 0x9c]),
        (Divmul64, &[0x27, 0x2f, 0x37, 0x3f, 0x97, 0x9f]),
        (Atomic32, &[0xc3]),
        (Atomic64, &[0xdb]),
        (Packet, &[0x20, 0x28, 0x30, 0x40, 0x48, 0x50]),
    ];
    let mut seen = HashSet::new();
    for (group, ops) in rows {
        for &op in ops {
            let inst = decode(&[slot(op, 0, 0, 0, 0), Insn::default()], 0).unwrap();
            assert_eq!(inst.group(), group, "{op:#04x}");
            assert!(seen.insert(op));
        }
    }
    for (op, low) in [(0xd4, Base32), (0xdc, Base32), (0xd7, Base32)] {
        for (bits, group) in [(16, low), (32, low), (64, Base64)] {
            assert_eq!(decode(&[slot(op, 0, 0, 0, bits)], 0).unwrap().group(), group, "{op:#04x} {bits}");
        }
        seen.insert(op);
    }
    // Linux's and clang's: the only other operation codes that are accepted with all-zero fields.
    for (op, group) in [(0xe5, Linux), (0x0d, Linux), (0x8d, Callx)] {
        assert_eq!(decode(&[slot(op, 0, 0, 0, 0)], 0).unwrap().group(), group);
        seen.insert(op);
    }
    for op in (0..=255).filter(|op| !seen.contains(op)) {
        assert!(decode(&[slot(op, 0, 0, 0, 0), Insn::default()], 0).is_err(), "{op:#04x}");
    }
}

#[test]
fn each_implemented_group_has_instructions() {
    let mut draw = Draw::new(3);
    let groups: HashSet<_> = (0..10_000).map(|round| inst(&mut draw, round % SHAPES).group()).collect();
    assert_eq!(groups, ConformanceGroup::IMPLEMENTED.into_iter().collect());
    assert_eq!(Inst::Neg { wide: Wide::W64, dst: Reg::R1 }.group().name(), "base64");
}
