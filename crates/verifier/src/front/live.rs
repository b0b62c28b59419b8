//! Which registers may still be read: those that nobody reads are not compared.

use crate::verifier::Verifier;
use alveary_abi::Arg;
use alveary_isa::{AluOp, AtomicOp, Inst, Operand};
use std::fmt::Write;

const CALLER_SAVED: u16 = 0x3f;
const ALL: u16 = 0xffff;

/// Finds the registers that are live before each instruction.
pub(super) fn find(v: &mut Verifier<'_>) {
    loop {
        let mut changed = false;
        for n in 0..v.program.subprogs.len() {
            for i in 0..v.program.subprogs[n].postorder.len() {
                let at = v.program.subprogs[n].postorder[i];
                let after = v.program.successors(at).fold(0, |live, to| live | v.program.aux[to as usize].live);
                let (uses, defines) = touched(v, at);
                let before = after & !defines | uses;
                let live = &mut v.program.aux[at as usize].live;
                changed |= *live != before;
                *live = before;
            }
        }
        if !changed {
            break;
        }
    }
    print(v);
}

/// Registers that an instruction reads and writes.
fn touched(v: &Verifier<'_>, at: u32) -> (u16, u16) {
    let bit = |reg: alveary_isa::Reg| 1u16 << reg.0;
    let operand = |operand| if let Operand::Reg(reg) = operand { bit(reg) } else { 0 };
    let Some(inst) = v.program.inst(at) else { return (ALL, 0) };
    match inst {
        Inst::LoadImm64 { dst, .. }
        | Inst::MapFd { dst, .. }
        | Inst::MapValueFd { dst, .. }
        | Inst::VarAddr { dst, .. }
        | Inst::FuncAddr { dst, .. }
        | Inst::MapIdx { dst, .. }
        | Inst::MapValueIdx { dst, .. } => (0, bit(dst)),
        Inst::LoadAbs { .. } | Inst::LoadInd { .. } => (ALL, 0),
        Inst::Load { dst, src, .. } | Inst::LoadAcquire { dst, src, .. } => (bit(src), bit(dst)),
        Inst::Store { dst, src, .. } => (bit(dst) | operand(src), 0),
        Inst::StoreRelease { dst, src, .. } => (bit(dst) | bit(src), 0),
        Inst::Atomic { op: AtomicOp::Cmpxchg, dst, src, .. } => (1 | bit(dst) | bit(src), 1),
        Inst::Atomic { op, dst, src, .. } => (bit(dst) | bit(src), if fetches(op) { bit(src) } else { 0 }),
        Inst::Swap { dst, .. } => (bit(dst), bit(dst)),
        Inst::Alu { op: AluOp::Mov, dst, src, .. } => (operand(src), bit(dst)),
        Inst::MovSx { dst, src, .. } | Inst::AddrSpaceCast { dst, src, .. } => (bit(src), bit(dst)),
        Inst::Alu { dst, src, .. } => (bit(dst) | operand(src), bit(dst)),
        Inst::Neg { dst, .. } => (bit(dst), bit(dst)),
        Inst::Ja { .. } | Inst::MayGoto { .. } => (0, 0),
        Inst::GotoX { dst } => (bit(dst), 0),
        Inst::Exit => (1, 0),
        Inst::CallHelper { .. } => (arguments(v, at), CALLER_SAVED),
        Inst::CallLocal { .. } | Inst::CallKfunc { .. } | Inst::CallX { .. } => (CALLER_SAVED & !1, CALLER_SAVED),
        Inst::Jmp { dst, src, .. } => (bit(dst) | operand(src), 0),
    }
}

fn fetches(op: AtomicOp) -> bool {
    match op {
        AtomicOp::Add { fetch } | AtomicOp::Or { fetch } | AtomicOp::And { fetch } | AtomicOp::Xor { fetch } => fetch,
        AtomicOp::Xchg | AtomicOp::Cmpxchg => true,
    }
}

/// Registers that the helper at `at` takes; all, if it is none that the program may call.
fn arguments(v: &Verifier<'_>, at: u32) -> u16 {
    let Some(proto) = v.program.helper(at).and_then(|called| called.proto) else {
        return CALLER_SAVED & !1;
    };
    let count = proto.args.iter().take_while(|arg| **arg != Arg::None).count();
    ((1u16 << count) - 1) << 1
}

fn print(v: &mut Verifier<'_>) {
    if !v.log.keeps_all() {
        return;
    }
    v.log.detail(format_args!("Live regs before insn:\n"));
    let mut at = 0;
    while at < v.program.len() {
        let aux = &v.program.aux[at as usize];
        let scc = if aux.scc == 0 { "   ".to_owned() } else { format!("{:3}", aux.scc) };
        let mut live = String::new();
        for reg in 0..10 {
            let _ = if aux.live >> reg & 1 != 0 { write!(live, "{reg}") } else { write!(live, ".") };
        }
        let named = v.named(at);
        let line = format!("{scc} {at:3}: {live} {named}\n");
        v.log.detail(format_args!("{line}"));
        at += v.program.width(at);
    }
}
