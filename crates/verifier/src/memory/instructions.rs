//! Loads, stores and atomics as instructions.

use super::{Access, Value};
use crate::{
    engine::Flow,
    state::{Flags, Kind, Reg, Type},
    stop::{Check, reject},
    verifier::Verifier,
};
use alveary_abi::{ProgSet, ProgType as P, Rule};
use alveary_isa::AtomicOp;

impl Verifier<'_> {
    pub(crate) fn check_load(&mut self, size: i64, signed: bool, dst: u8, src: u8, off: i16) -> Check {
        self.check_read(src)?;
        self.check_write(dst)?;
        let through = *self.reg(src);
        self.check_access(src, off.into(), size, Access::Read, Value::Reg(dst), false, signed)?;
        self.loaded_through(&through, off)
    }

    pub(crate) fn check_store(&mut self, size: i64, dst: u8, off: i16, src: u8) -> Check {
        self.check_read(src)?;
        self.check_read(dst)?;
        let through = *self.reg(dst);
        self.check_access(dst, off.into(), size, Access::Write, Value::Reg(src), false, false)?;
        self.accessed_through(&through, off)
    }

    pub(crate) fn check_store_imm(&mut self, size: i64, dst: u8, off: i16, imm: i32) -> Check {
        self.check_read(dst)?;
        let through = *self.reg(dst);
        self.check_access(dst, off.into(), size, Access::Write, Value::Imm(imm), false, false)?;
        self.accessed_through(&through, off)
    }

    pub(crate) fn check_atomic(&mut self, size: i64, op: AtomicOp, dst: u8, src: u8, off: i16) -> Check {
        self.check_read(src)?;
        self.check_read(dst)?;
        if op == AtomicOp::Cmpxchg {
            self.check_read(0)?;
            self.check_no_leak(0, "mem")?;
        }
        self.check_no_leak(src, "mem")?;
        self.check_atomic_pointer(dst, "stores into")?;
        let loaded = match op {
            AtomicOp::Cmpxchg => Some(0),
            AtomicOp::Xchg
            | AtomicOp::Add { fetch: true }
            | AtomicOp::Or { fetch: true }
            | AtomicOp::And { fetch: true }
            | AtomicOp::Xor { fetch: true } => Some(src),
            _ => None,
        };
        if let Some(loaded) = loaded {
            self.write_unknown(loaded)?;
        }
        let through = *self.reg(dst);
        let at = i64::from(off);
        self.check_access(dst, at, size, Access::Read, Value::None, true, false)?;
        if let Some(loaded) = loaded {
            self.check_access(dst, at, size, Access::Read, Value::Reg(loaded), true, false)?;
        }
        self.accessed_through(&through, off)?;
        self.check_access(dst, at, size, Access::Write, Value::None, true, false)
    }

    pub(crate) fn check_load_acquire(&mut self, size: i64, dst: u8, src: u8, off: i16) -> Check {
        self.check_read(src)?;
        self.check_write(dst)?;
        self.check_atomic_pointer(src, "loads from")?;
        let through = *self.reg(src);
        self.check_access(src, off.into(), size, Access::Read, Value::Reg(dst), true, false)?;
        self.accessed_through(&through, off)
    }

    pub(crate) fn check_store_release(&mut self, size: i64, dst: u8, src: u8, off: i16) -> Check {
        self.check_read(src)?;
        self.check_read(dst)?;
        self.check_atomic_pointer(dst, "stores into")?;
        let through = *self.reg(dst);
        self.check_access(dst, off.into(), size, Access::Write, Value::Reg(src), true, false)?;
        self.accessed_through(&through, off)
    }

    fn check_atomic_pointer(&mut self, reg: u8, does: &str) -> Check {
        let ty = self.reg(reg).ty;
        if matches!(ty.kind, Kind::Ctx | Kind::FlowKeys) || ty.is_packet() || ty.is_socket() {
            reject!(self, EACCES, "BPF_ATOMIC {does} R{reg} {ty} is not allowed\n");
        }
        Ok(())
    }

    fn check_no_leak(&mut self, reg: u8, into: &str) -> Check {
        if self.leaks(reg) {
            reject!(self, EACCES, "R{reg} leaks addr into {into}\n");
        }
        Ok(())
    }

    /// Whether a register holds an address that the program may not learn.
    pub(crate) fn leaks(&self, reg: u8) -> bool {
        !self.env.caps.perfmon && self.reg(reg).is_pointer()
    }

    /// The load through a pointer was allowed, as far as it goes by itself.
    fn loaded_through(&mut self, through: &Reg, off: i16) -> Check {
        let before = self.accessed[self.insn as usize];
        let caught = |ty: Type| match ty.kind {
            Kind::Object => true,
            Kind::Mem => self.profile.has(Rule::WalkedMemory),
            _ => false,
        };
        match before {
            // Loads are caught for all if they have to be for one of them.
            Some(before) if !is_same_use(before, through.ty) && caught(before) && caught(through.ty) => {
                self.record_access(through, off.into());
                self.accessed[self.insn as usize] = Some(either(before, through.ty));
                Ok(())
            }
            _ => self.accessed_through(through, off),
        }
    }

    /// The access through a pointer was allowed, as far as it goes by itself.
    fn accessed_through(&mut self, through: &Reg, off: i16) -> Check {
        self.record_access(through, off.into());
        match self.accessed[self.insn as usize] {
            None => self.accessed[self.insn as usize] = Some(through.ty),
            Some(before) if !is_same_use(before, through.ty) => {
                reject!(self, EINVAL, "same insn cannot be used with different pointers\n");
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// `BPF_LD_ABS` and `BPF_LD_IND`: packet access by offset, whose context is in r6.
    pub(crate) fn check_load_packet(&mut self, index: Option<u8>) -> Check<Flow> {
        const CONTEXT: u8 = 6;
        let reads_skb = ProgSet::of(&[P::SOCKET_FILTER, P::SCHED_CLS, P::SCHED_ACT]).has(self.program.program.ty);
        if !reads_skb {
            reject!(self, EINVAL, "BPF_LD_[ABS|IND] instructions not allowed for this program type\n");
        }
        let in_callback = (1..=self.cur.depth).any(|n| self.cur.frame(n).in_callback);
        if in_callback && self.profile.has(Rule::NoPacketLoadsInCallbacks) {
            reject!(self, EINVAL, "cannot use BPF_LD_[ABS|IND] within callback\n");
        }
        self.check_read(CONTEXT)?;
        self.check_nothing_held("BPF_LD_[ABS|IND]", true)?;
        if self.reg(CONTEXT).ty.kind != Kind::Ctx {
            reject!(self, EINVAL, "at the time of BPF_LD_ABS|IND R6 != pointer to skb\n");
        }
        if let Some(index) = index {
            self.check_read(index)?;
        }
        self.check_fixed_offset(CONTEXT, false)?;
        self.clear_caller_saved();
        self.set_unknown(0);
        if self.cur.depth == 0 || !self.profile.has(Rule::PacketLoadsReturn) {
            return Ok(Flow::Next);
        }
        // Behind the packet's end the function returns 0.
        self.log.scratch_reg(0);
        let next = self.insn + 1;
        self.push_path(next, self.insn)?;
        *self.reg_mut(0) = crate::state::Reg::known(0);
        self.leave_function()?;
        Ok(Flow::Jump)
    }
}

/// Whether an instruction can be used with pointers of both types: it is rewritten for what some are.
fn is_same_use(a: Type, b: Type) -> bool {
    let rewritten = |ty: Type| matches!(ty.kind, Kind::Ctx | Kind::Object) || ty.is_socket();
    a == b || !rewritten(a) && !rewritten(b)
}

/// The type of loads that are made through pointers of both types, which the kernel looks into.
fn either(a: Type, b: Type) -> Type {
    let memory = a.kind == Kind::Mem || b.kind == Kind::Mem;
    let both = a.flags.with(b.flags);
    let of = |flag| if both.has(flag) { flag } else { Flags::NONE };
    Type::of(if memory { Kind::Mem } else { Kind::Object }).with(of(Flags::UNTRUSTED)).with(of(Flags::READ_ONLY))
}
