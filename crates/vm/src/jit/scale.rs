//! Pass `scale`: bits beside shifted ones are added in place of put beside them: machines shift by up to three and add in
//! one instruction.
//!
//! Sound because where two numbers have no bit in common, their sum is what they are together; the lower bits of a number
//! that was shifted are zero, and the other one is smaller than that.

use cranelift_codegen::ir::{Function, Inst, InstBuilder, InstructionData, Opcode, Value, ValueDef};

/// Shifts that machines add in one instruction.
const MOST: u32 = 3;
/// Instructions that a number is followed through.
const DEPTH: usize = 8;

/// Makes sums of what is put together so.
pub(super) fn scale(function: &mut Function) {
    let blocks: Vec<_> = function.layout.blocks().collect();
    for block in blocks {
        let insts: Vec<Inst> = function.layout.block_insts(block).collect();
        for inst in insts {
            let InstructionData::Binary { opcode: Opcode::Bor, args: [one, other] } = function.dfg.insts[inst] else {
                continue;
            };
            if !function.dfg.value_type(one).is_int() {
                continue;
            }
            if is_beside(function, one, other) || is_beside(function, other, one) {
                function.replace(inst).iadd(one, other);
            }
        }
    }
}

/// Whether a number was shifted by few bits, and another one has no more than these.
fn is_beside(function: &Function, shifted: Value, low: Value) -> bool {
    let Some(InstructionData::Binary { opcode: Opcode::Ishl, args: [_, by] }) = made_by(function, shifted) else {
        return false;
    };
    match constant(function, *by) {
        Some(by) if (1..=u64::from(MOST)).contains(&by) => most(function, low, DEPTH) < 1 << by,
        _ => false,
    }
}

/// The most that a value can be.
fn most(function: &Function, value: Value, depth: usize) -> u64 {
    let bits = function.dfg.value_type(value).bits().min(64);
    let all = u64::MAX >> (64 - bits);
    let Some(next) = depth.checked_sub(1) else { return all };
    let of = |value: Value| most(function, value, next);
    // As many bits as a number has, all of them.
    let filled = |number: u64| u64::MAX.checked_shr(number.leading_zeros()).unwrap_or(0);
    let found = match made_by(function, value) {
        Some(InstructionData::UnaryImm { opcode: Opcode::Iconst, imm }) => imm.bits() as u64 & all,
        Some(&InstructionData::Unary { opcode: Opcode::Uextend, arg }) => of(arg),
        Some(&InstructionData::Unary { opcode: Opcode::Ireduce, arg }) if of(arg) <= all => of(arg),
        Some(InstructionData::Load { opcode: Opcode::Uload8, .. }) => u8::MAX.into(),
        Some(InstructionData::Load { opcode: Opcode::Uload16, .. }) => u16::MAX.into(),
        Some(&InstructionData::Binary { opcode, args: [left, right] }) => match (opcode, constant(function, right)) {
            (Opcode::Band, _) => of(left).min(of(right)),
            (Opcode::Bor | Opcode::Bxor, _) => filled(of(left) | of(right)),
            (Opcode::Ushr, Some(by)) if by < bits.into() => of(left) >> by,
            _ => all,
        },
        _ => all,
    };
    found.min(all)
}

fn constant(function: &Function, value: Value) -> Option<u64> {
    match made_by(function, value)? {
        InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => Some(imm.bits() as u64),
        _ => None,
    }
}

/// The instruction that makes a value; an extension that is taken back at once is none.
fn made_by(function: &Function, mut value: Value) -> Option<&InstructionData> {
    loop {
        let dfg = &function.dfg;
        let ValueDef::Result(inst, 0) = dfg.value_def(value) else { return None };
        let data = &dfg.insts[inst];
        if let &InstructionData::Unary { opcode: Opcode::Ireduce, arg } = data
            && let ValueDef::Result(inner, 0) = dfg.value_def(arg)
            && let InstructionData::Unary { opcode: Opcode::Uextend, arg: first } = dfg.insts[inner]
            && dfg.value_type(first) == dfg.value_type(value)
        {
            value = first;
            continue;
        }
        return Some(data);
    }
}
