//! What an instruction makes of what is known: numbers, bytes of the stack, both sides of a jump. Knows one instruction at
//! a time; where ways come from and go to is `flow`'s.

use super::{Access, Base, Fact, MapRef, record::written, values::Values};
use crate::{program::Prepared, scalar::Scalar};
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Swap, Wide, Width};

/// What is known on each side of a jump: behind it, and where it goes. `None` where no run goes on.
pub(super) fn ways(program: &Prepared<'_>, fact: &Fact, at: u32, values: &Values) -> [Option<Values>; 2] {
    let mut open = [fact.falls_through, fact.jumps];
    let mut sides = [values.clone(), values.clone()];
    if let Some(Inst::Jmp { wide, op, dst, src, .. }) = program.inst(at) {
        let (a, b) = (number(values, dst), operand(values, src));
        if src == Operand::Reg(dst) {
            let [taken, not_taken] = a.split_itself(op, wide);
            set(&mut sides[0], dst, not_taken);
            set(&mut sides[1], dst, taken);
        } else {
            if let Some(taken) = decided(&a, op, &b, wide) {
                open[usize::from(!taken)] = false;
            }
            let split = a.split(op, &b, wide);
            for (side, [a, b]) in sides.iter_mut().zip([split.not_taken, split.taken]) {
                set(side, dst, a);
                if let Operand::Reg(src) = src {
                    set(side, src, b);
                }
            }
        }
    }
    let [behind, there] = sides;
    [open[0].then_some(behind), open[1].then_some(there)]
}

fn decided(a: &Scalar, op: CmpOp, b: &Scalar, wide: Wide) -> Option<bool> {
    (a.is_consistent() && b.is_consistent()).then(|| a.compare(op, b, wide)).flatten()
}

pub(super) fn number(values: &Values, reg: Reg) -> Scalar {
    values.regs.get(usize::from(reg.0)).copied().unwrap_or(Scalar::UNKNOWN)
}

fn operand(values: &Values, operand: Operand) -> Scalar {
    match operand {
        Operand::Reg(reg) => number(values, reg),
        Operand::Imm(imm) => Scalar::known(i64::from(imm) as u64),
    }
}

pub(super) fn set(values: &mut Values, reg: Reg, mut value: Scalar) {
    value.settle();
    if let Some(place) = values.regs.get_mut(usize::from(reg.0)) {
        *place = value;
    }
}

/// What an instruction does that neither jumps nor calls a function of the program.
pub(super) fn transfer(program: &Prepared<'_>, fact: &Fact, inst: Inst, escapes: bool, values: &mut Values) {
    match inst {
        Inst::Alu { wide, op, dst, src } => {
            let value = computed(number(values, dst), op, operand(values, src), wide);
            set(values, dst, value);
        }
        Inst::Neg { wide, dst } => {
            let mut value = number(values, dst);
            value.negate(wide);
            set(values, dst, value);
        }
        Inst::MovSx { wide, bits, dst, src } => {
            let mut value = number(values, src);
            match wide {
                Wide::W64 => value.sign_extend(bits.into()),
                Wide::W32 => value.sign_extend_half(bits.into()),
            }
            set(values, dst, value);
        }
        Inst::Swap { kind, bits, dst } => {
            let mut value = number(values, dst);
            value.swap(bits.into(), matches!(kind, Swap::ToBe | Swap::Bswap));
            set(values, dst, value);
        }
        Inst::LoadImm64 { dst, value } => set(values, dst, Scalar::known(value)),
        Inst::Load { width, signed, dst, .. } => {
            let value = loaded(program, fact, width, signed, values);
            set(values, dst, value);
        }
        Inst::LoadAcquire { width, dst, .. } => {
            let value = loaded(program, fact, width, false, values);
            set(values, dst, value);
        }
        Inst::Store { width, src, .. } => stored(fact.access, width, Some(operand(values, src)), values),
        Inst::StoreRelease { width, src, .. } => stored(fact.access, width, Some(number(values, src)), values),
        Inst::Atomic { width, .. } => {
            stored(fact.access, width, None, values);
            if let Some(dst) = written(inst) {
                set(values, Reg(dst), narrow(Scalar::UNKNOWN, width, false));
            }
        }
        Inst::CallHelper { .. } => returned(values, Scalar::UNKNOWN, escapes),
        Inst::LoadAbs { width, .. } | Inst::LoadInd { width, .. } => {
            values.forget_caller_saved();
            set(values, Reg::R0, narrow(Scalar::UNKNOWN, width, false));
        }
        _ => {
            if let Some(dst) = written(inst) {
                set(values, Reg(dst), Scalar::UNKNOWN);
            }
        }
    }
}

fn computed(a: Scalar, op: AluOp, b: Scalar, wide: Wide) -> Scalar {
    let mut value = a;
    value.apply(op, &b, wide);
    // Linux's rules say nothing of these: a quotient is no larger than what is divided, a remainder is smaller than
    // what it is divided by. Zero divides to zero, and leaves all as remainder.
    let (most, by) = match wide {
        Wide::W64 => (a.wide.umax, b.wide.umin..=b.wide.umax),
        Wide::W32 => (a.half.umax, b.half.umin..=b.half.umax),
    };
    let limit = match op {
        AluOp::Div => Some(most / by.start().max(&1)),
        AluOp::Mod if *by.start() > 0 => Some(most.min(by.end().saturating_sub(1))),
        AluOp::Mod => Some(most),
        _ => None,
    };
    if wide == Wide::W32 {
        value.zero_extend_half();
    }
    if let Some(limit) = limit {
        value.wide.umax = value.wide.umax.min(limit);
        value.sync();
    }
    value
}

/// What a load gives.
fn loaded(program: &Prepared<'_>, fact: &Fact, width: Width, signed: bool, values: &Values) -> Scalar {
    let bytes = width.bytes() as i64;
    let known = match fact.access {
        Some(Access { base: Base::Frame, offset: (off, most) }) if off == most => values.load(off, bytes),
        Some(Access { base: Base::Value(MapRef::Own(map)), offset: (off, most) }) if off == most => {
            program.maps[usize::from(map)].constant_at(off, bytes).map(Scalar::known)
        }
        // Fields of 32 bits hold pointers.
        Some(Access { base: Base::Context, .. }) if fact.pointer.is_some() => return Scalar::UNKNOWN,
        _ => None,
    };
    narrow(known.unwrap_or(Scalar::UNKNOWN), width, signed)
}

/// The low bytes of a number, extended to the whole.
fn narrow(mut value: Scalar, width: Width, signed: bool) -> Scalar {
    let bits = width.bytes() as u32 * 8;
    if bits < 64 {
        if signed { value.sign_extend(bits) } else { value.zero_extend(bits) }
    }
    value
}

/// What a store leaves on the stack.
fn stored(access: Option<Access>, width: Width, value: Option<Scalar>, values: &mut Values) {
    let bytes = width.bytes() as i64;
    match access {
        Some(Access { base: Base::Frame, offset: (off, most) }) => match value.filter(|_| off == most) {
            Some(value) => values.store(off, bytes, value),
            None => values.forget_bytes(off, most.saturating_add(bytes)),
        },
        // Memory that is none of this frame's.
        Some(_) => {}
        None => values.forget_stack(),
    }
}

/// Behind a call of a function of the program.
pub(super) fn returned(values: &mut Values, result: Scalar, escapes: bool) {
    values.forget_caller_saved();
    values.regs[0] = result;
    if escapes {
        values.forget_stack();
    }
}
