//! What is said of instructions, beside what another decoder says.

use super::{Decoded, Kind, decode};
use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, OpKind, Register};

/// Numbers that are the same each time (xorshift).
fn numbers() -> impl FnMut() -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn is_frame(register: Register) -> bool {
    matches!(register.full_register(), Register::RSP | Register::RBP)
}

fn check(code: &[u8], ours: Decoded, theirs: &Instruction) {
    let said = || format!("{theirs} ({code:02x?}): {ours:?}");
    assert_eq!(ours.len, theirs.len(), "{}", said());
    let kind = match theirs.flow_control() {
        FlowControl::Next | FlowControl::IndirectCall => Kind::Plain,
        FlowControl::ConditionalBranch => Kind::Jump(Some(code[ours.len - 5] & 15)),
        FlowControl::UnconditionalBranch => Kind::Jump(None),
        FlowControl::Call => Kind::Call,
        FlowControl::IndirectBranch => Kind::Table,
        FlowControl::Return => Kind::Return,
        FlowControl::Exception => Kind::Never,
        other => panic!("{other:?}: {}", said()),
    };
    assert_eq!(ours.kind, kind, "{}", said());
    // Where the distance stands, the bytes that follow are what the address is, less where the instruction ends.
    assert_eq!(ours.near.is_some(), theirs.is_ip_rel_memory_operand(), "{}", said());
    if let Some(at) = ours.near {
        let distance = i32::from_le_bytes(code[at..at + 4].try_into().expect("four bytes"));
        assert_eq!(theirs.ip_rel_memory_address(), (ours.len as i64 + i64::from(distance)) as u64, "{}", said());
    }
    let registers = (0..theirs.op_count()).filter(|&op| theirs.op_kind(op) == OpKind::Register);
    let mut registers = registers.map(|op| theirs.op_register(op));
    let uses = registers.any(is_frame) || is_frame(theirs.memory_base()) || is_frame(theirs.memory_index());
    let stack = theirs.is_stack_instruction() && theirs.code() != Code::Retnq;
    assert!(ours.frame || !(uses || stack), "it uses a register of frames: {}", said());
    if let Some(at) = ours.small {
        // The other encoding is the same instruction.
        let mut short = code[..ours.len - 3].to_vec();
        short[at] = super::SMALL;
        let short = Decoder::new(64, &short, DecoderOptions::NONE).decode();
        assert_eq!(short.to_string(), theirs.to_string(), "{}", said());
    }
}

/// Not every instruction's: VEX names registers for the numbers that no program computes with, and those with a third
/// register never get these two.
fn is_never_made(theirs: &Instruction) -> bool {
    use iced_x86::EncodingKind;
    theirs.encoding() != EncodingKind::Legacy
        && (0..theirs.op_count()).any(|op| theirs.op_kind(op) == OpKind::Register && is_frame(theirs.op_register(op)))
}

#[test]
fn instructions_are_as_another_decoder_says() {
    let mut number = numbers();
    let (mut held, mut kinds) = (0, std::collections::HashSet::new());
    for round in 0..3_000_000_u32 {
        let mut code = [0; 24];
        code.as_chunks_mut::<8>().0.iter_mut().for_each(|part| *part = number().to_le_bytes());
        // Most begin as those of the code generator do.
        let begin: &[u8] = match round % 12 {
            0 => &[0x48],
            1 => &[0x0f],
            2 => &[0x66, 0x0f],
            3 => &[0x41, 0x0f],
            4 => &[0xc5],
            5 => &[0xc4],
            6 => &[0x62, 0xf1],
            7 => &[0xf3, 0x48, 0x0f],
            8 => &[0xf0, 0x49],
            9 => &[0x44],
            _ => &[],
        };
        code[..begin.len()].copy_from_slice(begin);
        let Some(ours) = decode(&code) else { continue };
        let mut decoder = Decoder::with_ip(64, &code, 0, DecoderOptions::NONE);
        let theirs = decoder.decode();
        if theirs.is_invalid() || is_never_made(&theirs) {
            continue;
        }
        check(&code, ours, &theirs);
        held += 1;
        kinds.insert(theirs.mnemonic());
    }
    assert!(held > 300_000 && kinds.len() > 300, "only {held} of {} kinds", kinds.len());
}

#[test]
fn what_is_cut_off_or_unknown_is_nothing() {
    assert_eq!(decode(&[]), None);
    assert_eq!(decode(&[0x48]), None);
    assert_eq!(decode(&[0x48, 0x81, 0xc0, 1, 0, 0]), None);
    // `call *%rax` is none of a table; `jmp *(%rax)` is not made.
    assert_eq!(decode(&[0xff, 0xd0]).map(|decoded| (decoded.len, decoded.kind)), Some((2, Kind::Plain)));
    assert_eq!(decode(&[0xff, 0x20]), None);
    assert_eq!(decode(&[0xff, 0xe0]).map(|decoded| decoded.kind), Some(Kind::Table));
}
