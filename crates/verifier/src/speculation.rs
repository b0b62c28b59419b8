//! Speculation: what a processor may do before it knows better.
//!
//! Programs of those who may not learn addresses are followed along the ways, too, that a processor may take by mistake.
//! Where such a way does what is not allowed, a barrier is put before the instruction, and the way ends there. Sums of
//! pointers and numbers are masked, so that no mistake leads outside of what the pointer points to: for that, each such
//! instruction has to do the same whichever way it is reached.
//!
//! Knows nothing of which instructions a processor guesses about: jumps and sums ask it.

use crate::{
    limits::MAX_STACK,
    memory::Source,
    scalar::Scalar,
    state::{Kind, Reg, Type},
    stop::{Check, Stop, reject},
    verifier::Verifier,
};
use alveary_abi::{Errno, Rule};
use alveary_isa::AluOp;

/// How an addition or subtraction is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Masking {
    /// It is one of two numbers: not at all.
    Numbers,
    /// By how far the pointer may move.
    Pointer(Window),
}

/// How far a pointer may move, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    limit: u32,
    to_left: bool,
    negative: bool,
    constant: bool,
    swapped: bool,
}

/// A pointer and the number that is added to or subtracted from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Masked {
    pub(crate) op: AluOp,
    pub(crate) dst: u8,
    /// The register of the second operand; none if it is a constant.
    pub(crate) src: Option<u8>,
    /// The pointer is the second operand.
    pub(crate) swapped: bool,
}

/// Whom the kernel's messages mean.
const WHO: &str = "pointer arithmetic with it prohibited for !root";

/// Why a sum cannot be masked.
enum Unmasked {
    Bounds,
    Kind,
    Paths,
    Limit,
}

impl Verifier<'_> {
    /// Whether what a processor does by mistake matters.
    pub(crate) fn speculates(&self) -> bool {
        !self.env.caps.perfmon
    }

    /// Whether a mistaken way ends where a barrier stands, instead of making the program unfit.
    fn has_barriers(&self) -> bool {
        self.profile.has(Rule::Barriers)
    }

    /// A mistaken way ends before the instruction at hand.
    pub(crate) fn stops_before(&self) -> bool {
        self.cur.speculative && self.program.aux[self.insn as usize].barrier
    }

    /// A mistaken way ends behind the instruction at hand.
    pub(crate) fn stops_behind(&self, insn: u32) -> bool {
        self.cur.speculative && self.has_barriers() && self.program.aux[insn as usize].barrier_behind
    }

    /// The instruction at hand may not be done on this way. If the way is a mistaken one, a barrier keeps it from being
    /// done; whether that is so.
    pub(crate) fn holds_back(&mut self, insn: u32, stop: &Stop) -> bool {
        let recoverable = matches!(stop, Stop::Rejected(Errno::EPERM | Errno::EACCES | Errno::EINVAL));
        if !(recoverable && self.cur.speculative && self.has_barriers()) {
            return false;
        }
        self.program.aux[insn as usize].barrier = true;
        self.program.masks.remove(&insn);
        true
    }

    /// Leaves the way for later that a processor takes if it guesses wrong. It knows nothing of `unknown`.
    pub(crate) fn push_mistaken(&mut self, to: u32, unknown: [Option<u8>; 2]) -> Check {
        let insn = self.insn;
        let state = self.push_path(to, insn)?;
        state.speculative = true;
        for reg in unknown.into_iter().flatten() {
            state.reg_mut(reg).forget(false);
        }
        Ok(())
    }

    /// A sum of two numbers: on no other way it may be one of a pointer.
    pub(crate) fn mask_numbers(&mut self, op: AluOp, dst: u8, src: Option<u8>) -> Check {
        let sum = Masked { op, dst, src, swapped: false };
        if self.is_unmasked(&sum) {
            return Ok(());
        }
        self.set_masking(Masking::Numbers).map_err(|why| self.reject_unmasked(&why, &sum))
    }

    /// What a sum of a pointer and a number asks for before it is computed.
    pub(crate) fn mask_before(&mut self, sum: &Masked, pointer: &Reg, number: &Scalar) -> Check<Option<Window>> {
        if self.is_unmasked(sum) {
            return Ok(None);
        }
        let constant = number.value().is_some();
        let mut window = None;
        if !self.cur.speculative {
            let found = self.window(sum, pointer, number);
            window = Some(found.map_err(|why| self.reject_unmasked(&why, sum))?);
            self.compares_all |= !constant;
        }
        if !constant {
            self.push_masked(sum, pointer)?;
        }
        Ok(window)
    }

    /// What it asks for once it is computed: the mask is as wide as the pointer has moved.
    pub(crate) fn mask_behind(&mut self, sum: &Masked, window: Option<Window>, result: &Reg) -> Check {
        if self.speculates() {
            self.check_result(sum.dst, result)?;
        }
        let Some(window) = window else { return Ok(()) };
        let moved = self.limit_of(result, window.to_left).and_then(|after| {
            let limit = (window.limit.wrapping_sub(after) as i32).unsigned_abs();
            self.set_masking(Masking::Pointer(Window { limit, ..window }))
        });
        moved.map_err(|why| self.reject_unmasked(&why, sum))
    }

    /// Sums with constants need no mask, nor do those behind a barrier.
    fn is_unmasked(&self, sum: &Masked) -> bool {
        let sums = matches!(sum.op, AluOp::Add | AluOp::Sub);
        !sums || !self.speculates() || sum.src.is_none() || self.program.aux[self.insn as usize].barrier
    }

    fn window(&self, sum: &Masked, pointer: &Reg, number: &Scalar) -> Result<Window, Unmasked> {
        let range = number.wide;
        let constant = number.value().is_some();
        if !constant && (range.smin < 0) != (range.smax < 0) {
            return Err(Unmasked::Bounds);
        }
        let negative = range.smin < 0;
        let to_left = (sum.op == AluOp::Add) == negative;
        let limit = self.limit_of(pointer, to_left)?;
        Ok(Window { limit, to_left, negative, constant, swapped: sum.swapped })
    }

    /// How far the pointer is from the end that it moves away from.
    fn limit_of(&self, pointer: &Reg, to_left: bool) -> Result<u32, Unmasked> {
        let range = pointer.val.wide;
        let (most, limit) = match pointer.ty {
            ty if ty == Type::of(Kind::Stack) => {
                let at = (pointer.val.bits.ones as u32).wrapping_add(pointer.off as u32);
                (MAX_STACK as u32 + u32::from(to_left), at.wrapping_neg())
            }
            ty if ty == Type::of(Kind::MapValue) => {
                let var = if to_left { range.smin as u32 } else { range.umax as u32 };
                (self.program.maps[pointer.extra as usize].value_size, var.wrapping_add(pointer.off as u32))
            }
            _ => return Err(Unmasked::Kind),
        };
        if limit >= most { Err(Unmasked::Limit) } else { Ok(limit) }
    }

    /// Remembers how the instruction at hand is masked; it must be the same on all ways.
    fn set_masking(&mut self, masking: Masking) -> Result<(), Unmasked> {
        if self.program.masks.get(&self.insn).is_some_and(|before| *before != masking) {
            return Err(Unmasked::Paths);
        }
        self.program.masks.insert(self.insn, masking);
        Ok(())
    }

    /// The mask may make the number 0: then the pointer is where it was.
    fn push_masked(&mut self, sum: &Masked, pointer: &Reg) -> Check {
        let insn = self.insn;
        let pushed = self.push_path(insn + 1, insn).map(|state| {
            state.speculative = true;
            *state.reg_mut(sum.dst) = *pointer;
        });
        if pushed.is_err() {
            reject!(self, ENOMEM, "R{} could not be pushed for speculative verification, {WHO}\n", sum.dst);
        }
        Ok(())
    }

    /// That the result stays inside of what the pointer points to.
    fn check_result(&mut self, dst: u8, result: &Reg) -> Check {
        match result.ty {
            ty if ty == Type::of(Kind::Stack) => {
                let Some(var) = result.val.value() else {
                    let off = i64::from(result.off).wrapping_add(result.val.bits.ones as i64) as i32;
                    let bits = result.val.bits;
                    reject!(
                        self,
                        EACCES,
                        "R{dst} variable stack access prohibited for !root, var_off={bits} off={off}\n"
                    );
                };
                let off = i64::from(result.off).wrapping_add(var as i64) as i32;
                if !(-MAX_STACK..0).contains(&i64::from(off)) {
                    reject!(
                        self,
                        EACCES,
                        "R{dst} stack pointer arithmetic goes out of range, prohibited for !root; off={off}\n"
                    );
                }
            }
            ty if ty == Type::of(Kind::MapValue) => {
                let inside = self.check_map_value(dst, result.off.into(), 1, false, Source::Helper);
                if inside.is_err() {
                    self.log.say(format_args!(
                        "R{dst} pointer arithmetic of map value goes out of range, prohibited for !root\n"
                    ));
                }
                return inside;
            }
            _ => {}
        }
        Ok(())
    }

    fn reject_unmasked(&mut self, why: &Unmasked, sum: &Masked) -> Stop {
        let (dst, src) = (sum.dst, sum.src.unwrap_or_default());
        let (pointer, number) = if sum.swapped { (src, dst) } else { (dst, src) };
        let does = if sum.op == AluOp::Add { "add" } else { "sub" };
        match why {
            Unmasked::Bounds => {
                self.log.say(format_args!("R{number} has unknown scalar with mixed signed bounds, {WHO}\n"));
            }
            Unmasked::Kind => {
                self.log.say(format_args!("R{pointer} has pointer with unsupported alu operation, {WHO}\n"));
            }
            Unmasked::Paths => {
                self.log.say(format_args!("R{dst} tried to {does} from different maps, paths or scalars, {WHO}\n"));
            }
            Unmasked::Limit => {
                self.log.say(format_args!("R{dst} tried to {does} beyond pointer bounds, {WHO}\n"));
            }
        }
        Stop::Rejected(Errno::EACCES)
    }
}
