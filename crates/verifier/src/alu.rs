//! Arithmetic: numbers, and pointers with numbers.

use crate::{
    engine::{Flow, Widened},
    limits::MAX_VAR_OFF,
    program::Prepared,
    scalar::{Bounds, Scalar},
    speculation::Masked,
    state::{ADD_CONST, ADD_CONST_32, ADD_CONST_64, Kind, Reg, Type},
    stop::{Check, reject},
    verifier::Verifier,
};
use alveary_abi::Rule;
use alveary_isa::{AluOp, Inst, Operand, Swap, Wide};

/// Where pointer and number stand.
struct Sum {
    pointer: Reg,
    number: Scalar,
    /// The register of the second operand; none if it is a constant.
    src: Option<u8>,
    /// The pointer is the source: `number += pointer`.
    swapped: bool,
}

impl Verifier<'_> {
    pub(crate) fn check_alu(&mut self, wide: Wide, op: AluOp, dst: u8, src: Operand) -> Check {
        if op == AluOp::Mov {
            return self.check_mov(wide, dst, src);
        }
        if let Operand::Reg(src) = src {
            self.check_read(src.0)?;
        }
        self.check_read(dst)?;
        if let Operand::Imm(imm) = src {
            let divides = matches!(op, AluOp::Div | AluOp::SDiv | AluOp::Mod | AluOp::SMod);
            if divides && imm == 0 {
                reject!(self, EINVAL, "div by zero\n");
            }
            let bits = if wide == Wide::W64 { 64 } else { 32 };
            if matches!(op, AluOp::Lsh | AluOp::Rsh | AluOp::Arsh) && !(0..bits).contains(&imm) {
                reject!(self, EINVAL, "invalid shift {imm}\n");
            }
        }
        self.check_write(dst)?;
        let (a, b) = (*self.reg(dst), self.operand(src));
        match (a.is_scalar(), b.is_scalar()) {
            (false, false) => {
                if op == AluOp::Sub && self.env.caps.perfmon {
                    self.set_unknown(dst);
                    return Ok(());
                }
                reject!(self, EACCES, "R{dst} pointer {} pointer prohibited\n", sign(op))
            }
            (true, false) => {
                self.mark_precise(dst)?;
                self.add_to_pointer(
                    wide,
                    op,
                    dst,
                    Sum { pointer: b, number: a.val, src: register_of(src), swapped: true },
                )
            }
            (false, true) => {
                if let Operand::Reg(src) = src {
                    self.mark_precise(src.0)?;
                }
                self.add_to_pointer(
                    wide,
                    op,
                    dst,
                    Sum { pointer: a, number: b.val, src: register_of(src), swapped: false },
                )
            }
            (true, true) => {
                if let (Operand::Reg(src), true) = (src, a.precise) {
                    self.mark_precise(src.0)?;
                }
                self.compute(wide, op, dst, src, &b)
            }
        }
    }

    /// The second operand as a register.
    pub(crate) fn operand(&self, src: Operand) -> Reg {
        match src {
            Operand::Reg(reg) => *self.reg(reg.0),
            Operand::Imm(imm) => Reg::known(i64::from(imm) as u64),
        }
    }

    fn compute(&mut self, wide: Wide, op: AluOp, dst: u8, src: Operand, by: &Reg) -> Check {
        if matches!(op, AluOp::And | AluOp::Or) && by.val.value().is_some() && self.profile.has(Rule::ScalarForks) {
            self.fork(dst)?;
        }
        let itself = matches!(src, Operand::Reg(src) if src.0 == dst);
        self.mask_numbers(op, dst, register_of(src))?;
        let before = *self.reg(dst);
        let distance = if itself { None } else { distance(wide, op, &before, &by.val) };
        let links = self.env.caps.bpf && before.id != 0 && before.id & ADD_CONST == 0;
        let reg = self.reg_mut(dst);
        reg.val.apply(op, &by.val, wide);
        reg.val.settle();
        match distance.filter(|_| links) {
            Some(distance) => {
                reg.id |= if wide == Wide::W64 { ADD_CONST_64 } else { ADD_CONST_32 };
                reg.off = distance;
            }
            None => reg.unlink(),
        }
        Ok(())
    }

    /// A number that is 0 or -1: the path with 0 is left for later, the path goes on with -1.
    fn fork(&mut self, dst: u8) -> Check {
        let Some((zero, ones)) = self.reg(dst).val.fork() else { return Ok(()) };
        let insn = self.insn;
        let from = if self.profile.has(Rule::ForksOperate) { insn } else { insn + 1 };
        let other = self.push_path(from, insn)?;
        other.reg_mut(dst).val = zero;
        self.reg_mut(dst).val = ones;
        Ok(())
    }

    fn check_mov(&mut self, wide: Wide, dst: u8, src: Operand) -> Check {
        let src = match src {
            Operand::Imm(imm) => {
                self.check_write(dst)?;
                let value = if wide == Wide::W64 { i64::from(imm) as u64 } else { u64::from(imm as u32) };
                *self.reg_mut(dst) = Reg::known(value);
                return Ok(());
            }
            Operand::Reg(src) => src.0,
        };
        self.check_read(src)?;
        self.check_write(dst)?;
        if wide == Wide::W64 {
            self.link_before_copy(src);
            *self.reg_mut(dst) = *self.reg(src);
            return Ok(());
        }
        if self.leaks(src) {
            reject!(self, EACCES, "R{src} partial copy of pointer\n");
        }
        if !self.reg(src).is_scalar() {
            self.set_unknown(dst);
        } else {
            let fits = self.reg(src).width() <= 32;
            self.copy_if_same(dst, src, fits);
        }
        self.reg_mut(dst).val.zero_extend_half();
        Ok(())
    }

    /// Copies a number; the copy is linked if it stays `same`.
    fn copy_if_same(&mut self, dst: u8, src: u8, same: bool) {
        if same {
            self.link_before_copy(src);
        }
        *self.reg_mut(dst) = *self.reg(src);
        if !same {
            self.reg_mut(dst).unlink();
        }
    }

    pub(crate) fn check_movsx(&mut self, wide: Wide, bits: u8, dst: u8, src: u8) -> Check {
        self.check_read(src)?;
        self.check_write(dst)?;
        if self.leaks(src) {
            match wide {
                Wide::W64 => reject!(self, EACCES, "R{src} sign-extension part of pointer\n"),
                Wide::W32 => reject!(self, EACCES, "R{src} partial copy of pointer\n"),
            }
        }
        if !self.reg(src).is_scalar() {
            self.set_unknown(dst);
            if wide == Wide::W32 {
                self.reg_mut(dst).val.zero_extend_half();
            }
            return Ok(());
        }
        let same = self.reg(src).val.wide.umax < 1 << (bits - 1);
        self.copy_if_same(dst, src, same);
        let val = &mut self.reg_mut(dst).val;
        match wide {
            Wide::W64 => val.sign_extend(bits.into()),
            Wide::W32 => val.sign_extend_half(bits.into()),
        }
        Ok(())
    }

    pub(crate) fn check_neg(&mut self, wide: Wide, dst: u8) -> Check {
        self.check_read(dst)?;
        self.check_no_pointer_arithmetic(dst)?;
        self.check_write(dst)?;
        let reg = self.reg_mut(dst);
        if reg.is_scalar() {
            reg.val.negate(wide);
            reg.val.settle();
            reg.unlink();
        } else {
            self.set_unknown(dst);
        }
        Ok(())
    }

    pub(crate) fn check_swap(&mut self, kind: Swap, bits: u8, dst: u8) -> Check {
        self.check_read(dst)?;
        self.check_no_pointer_arithmetic(dst)?;
        self.check_write(dst)?;
        // The kernel's own order is little endian, as the machine that loads is meant to be.
        let reverse = matches!(kind, Swap::ToBe | Swap::Bswap);
        let reg = self.reg_mut(dst);
        if reg.is_scalar() {
            reg.val.swap(bits.into(), reverse);
            if reverse || bits < 64 {
                reg.unlink();
            }
        } else {
            self.set_unknown(dst);
        }
        Ok(())
    }

    fn check_no_pointer_arithmetic(&mut self, reg: u8) -> Check {
        if self.leaks(reg) {
            reject!(self, EACCES, "R{reg} pointer arithmetic prohibited\n");
        }
        Ok(())
    }

    fn add_to_pointer(&mut self, wide: Wide, op: AluOp, dst: u8, sum: Sum) -> Check {
        let Sum { pointer, number, src, swapped } = sum;
        let range = number.wide;
        let known = number.value().is_some();
        if known && (range.smin != range.smax || range.umin != range.umax) || range.is_empty() {
            self.set_unknown(dst);
            return Ok(());
        }
        if wide == Wide::W32 {
            if op == AluOp::Sub && self.env.caps.perfmon {
                self.set_unknown(dst);
                return Ok(());
            }
            reject!(self, EACCES, "R{dst} 32-bit pointer arithmetic prohibited\n");
        }
        let ty = pointer.ty;
        if ty.maybe_null() {
            reject!(self, EACCES, "R{dst} pointer arithmetic on {ty} prohibited, null-check it first\n");
        }
        // Where it points to is not asked: loads are caught. What is added to is left as it is, even a number.
        if ty.is_anywhere() {
            self.record_kernel_memory();
            return Ok(());
        }
        let allowed = match ty.kind {
            Kind::Ctx
            | Kind::MapValue
            | Kind::MapKey
            | Kind::Stack
            | Kind::PacketMeta
            | Kind::Packet
            | Kind::TpBuffer
            | Kind::Mem
            | Kind::Buf
            | Kind::Func
            | Kind::Dynptr
            | Kind::Object => true,
            Kind::FlowKeys => known,
            Kind::MapPtr => known && range.smin == 0 && op == AluOp::Add,
            _ => false,
        };
        if !allowed {
            reject!(self, EACCES, "R{dst} pointer arithmetic on {ty} prohibited\n");
        }
        self.check_sane(&Reg { val: number, ..Reg::UNKNOWN }, ty)?;
        self.check_sane(&pointer, ty)?;
        let masked = Masked { op, dst, src, swapped };
        let window = self.mask_before(&masked, &pointer, &number)?;
        let mut result = pointer;
        match op {
            AluOp::Add => self.plus(&mut result, &pointer, &number),
            AluOp::Sub => {
                if swapped {
                    reject!(self, EACCES, "R{dst} tried to subtract pointer from scalar\n");
                }
                if ty.kind == Kind::Stack {
                    reject!(self, EACCES, "R{dst} subtraction from stack pointer prohibited\n");
                }
                self.minus(&mut result, &pointer, &number);
            }
            AluOp::And | AluOp::Or | AluOp::Xor => {
                reject!(self, EACCES, "R{dst} bitwise operator {} on pointer prohibited\n", sign(op))
            }
            _ => reject!(self, EACCES, "R{dst} pointer arithmetic with {} operator prohibited\n", sign(op)),
        }
        self.check_sane(&result, ty)?;
        result.val.sync();
        *self.reg_mut(dst) = result;
        self.mask_behind(&masked, window, &result)
    }

    fn plus(&mut self, result: &mut Reg, pointer: &Reg, number: &Scalar) {
        result.val.half = Bounds::FULL;
        if let Some(value) = number.value()
            && let Some(off) = offset(i64::from(pointer.off).checked_add(value as i64))
        {
            result.off = off;
            return;
        }
        let (a, b) = (pointer.val.wide, number.wide);
        let wide = &mut result.val.wide;
        (wide.smin, wide.smax) = match (a.smin.checked_add(b.smin), a.smax.checked_add(b.smax)) {
            (Some(min), Some(max)) => (min, max),
            _ => (i64::MIN, i64::MAX),
        };
        (wide.umin, wide.umax) = match (a.umin.checked_add(b.umin), a.umax.checked_add(b.umax)) {
            (Some(min), Some(max)) => (min, max),
            _ => (0, u64::MAX),
        };
        result.val.bits = pointer.val.bits.add(number.bits);
        if pointer.ty.is_packet() {
            result.id = self.next_id();
            result.set_range(0);
        }
    }

    fn minus(&mut self, result: &mut Reg, pointer: &Reg, number: &Scalar) {
        result.val.half = Bounds::FULL;
        if let Some(value) = number.value()
            && let Some(off) = offset(i64::from(pointer.off).checked_sub(value as i64))
        {
            result.off = off;
            return;
        }
        let (a, b) = (pointer.val.wide, number.wide);
        let wide = &mut result.val.wide;
        (wide.smin, wide.smax) = match (a.smin.checked_sub(b.smax), a.smax.checked_sub(b.smin)) {
            (Some(min), Some(max)) => (min, max),
            _ => (i64::MIN, i64::MAX),
        };
        (wide.umin, wide.umax) = if a.umin < b.umax { (0, u64::MAX) } else { (a.umin - b.umax, a.umax - b.umin) };
        result.val.bits = pointer.val.bits.sub(number.bits);
        if pointer.ty.is_packet() {
            result.id = self.next_id();
            if b.smin < 0 {
                result.set_range(0);
            }
        }
    }

    /// That an offset is one that arithmetic can go on with.
    fn check_sane(&mut self, reg: &Reg, ty: Type) -> Check {
        let most = MAX_VAR_OFF;
        let beyond = |value: i64| value >= most || value <= -most;
        let smin = reg.val.wide.smin;
        if let Some(value) = reg.val.value().map(|value| value as i64).filter(|value| beyond(*value)) {
            reject!(self, EINVAL, "math between {ty} pointer and {value} is not allowed\n");
        }
        if beyond(reg.off.into()) {
            reject!(self, EINVAL, "{ty} pointer offset {} is not allowed\n", reg.off);
        }
        if smin == i64::MIN {
            reject!(self, EINVAL, "math between {ty} pointer and register with unbounded min value is not allowed\n");
        }
        if beyond(smin) {
            reject!(self, EINVAL, "value {smin} makes {ty} pointer be out of bounds\n");
        }
        Ok(())
    }

    /// `may_goto`: one path leaves, one goes on.
    pub(crate) fn check_may_goto(&mut self, off: i16) -> Check<Flow> {
        let insn = self.insn;
        if off == 0 {
            reject!(self, EINVAL, "invalid may_goto off {off} imm 0\n");
        }
        let parent = self.cur.parent.map(|id| self.store[id].state.clone());
        let earlier = parent.and_then(|parent| self.earlier_entry(&parent, insn));
        self.record_ways(true, true);
        let queued = self.push_path(insn + 1, insn)?;
        queued.may_goto_depth += 1;
        if let Some(earlier) = earlier {
            self.widen(earlier, Widened::LastPath);
        }
        self.insn = self.target(off.into());
        Ok(Flow::Jump)
    }
}

/// The register of an operand.
fn register_of(operand: Operand) -> Option<u8> {
    if let Operand::Reg(reg) = operand { Some(reg.0) } else { None }
}

/// How far a number moves away from those that it is linked with.
fn distance(wide: Wide, op: AluOp, number: &Reg, by: &Scalar) -> Option<i32> {
    let by = match wide {
        Wide::W64 => i32::try_from(by.value()? as i64).ok()?,
        Wide::W32 if number.val.wide.umax <= u64::from(u32::MAX) => by.half_value()? as i32,
        Wide::W32 => return None,
    };
    match op {
        AluOp::Add => Some(by),
        AluOp::Sub => by.checked_neg(),
        _ => None,
    }
}

/// The offset, if it fits what the kernel keeps of it.
fn offset(value: Option<i64>) -> Option<i32> {
    value.and_then(|value| i32::try_from(value).ok())
}

/// How the kernel's log names an operation.
fn sign(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "+=",
        AluOp::Sub => "-=",
        AluOp::Mul => "*=",
        AluOp::Div | AluOp::SDiv => "/=",
        AluOp::Or => "|=",
        AluOp::And => "&=",
        AluOp::Lsh => "<<=",
        AluOp::Rsh => ">>=",
        AluOp::Mod | AluOp::SMod => "%=",
        AluOp::Xor => "^=",
        AluOp::Mov => "=",
        AluOp::Arsh => "s>>=",
    }
}

pub(crate) fn is_may_goto(program: &Prepared<'_>, at: u32) -> bool {
    matches!(program.inst(at), Some(Inst::MayGoto { .. }))
}
