//! Without a proof: the object's own instructions, maps and helpers named by symbol, legacy packet loads as calls.
//! Knows no engine mode: whoever links decides that.

use super::{Sites, refuse};
use crate::{bind::Closure, legacy};
use alveary_diag::Diagnostic;
use alveary_isa::{AluOp, Insn, Inst, Operand, Reg, Wide, decode, encode};
use alveary_vm::{Code, Func, Sym};
use std::sync::Arc;

/// Code, and what its calls mean.
pub(crate) struct Lowered {
    pub(crate) code: Code,
    pub(crate) sites: Vec<super::Site>,
    pub(crate) closures: Vec<Arc<Closure>>,
}

/// Bytes of stack that a function has.
const FRAME: u16 = 512;

/// Lowers a program that nothing is known of.
pub(crate) fn plain(mut sites: Sites<'_>) -> Result<Lowered, Diagnostic> {
    let program = sites.program;
    let mut code = Code::default();
    // Where each slot of the program begins in the code; one more for the end.
    let mut starts = Vec::with_capacity(program.insns.len() + 1);
    let mut at = 0;
    while at < program.insns.len() {
        let inst = decode(&program.insns, at).map_err(|e| undefined(&sites, &e))?;
        let start = code.insns.len() as u32;
        let now = replace(&mut sites, &mut code, inst, at)?;
        for inst in now {
            code.insns.extend_from_slice(encode(&inst).as_slice());
        }
        code.origin.resize(code.insns.len(), at as u32);
        for slot in 0..inst.slots() {
            starts.push(start + slot as u32);
        }
        at += inst.slots();
    }
    starts.push(code.insns.len() as u32);
    retarget(&mut code.insns, &program.insns, &starts, &sites)?;
    code.funcs = functions(&sites, &code.insns, &starts);
    code.calls = sites.calls;
    Ok(Lowered { code, sites: sites.found, closures: sites.called })
}

/// What stands for one instruction.
fn replace(sites: &mut Sites<'_>, code: &mut Code, inst: Inst, at: usize) -> Result<Vec<Inst>, Diagnostic> {
    if sites.program.poison(at as u32).is_some() {
        return Ok(poisoned());
    }
    let slot = code.insns.len() as u32;
    let mut symbol = |sites: &Sites<'_>, idx: u32, sym: &dyn Fn(u16) -> Sym| match u16::try_from(idx) {
        Ok(n) if usize::from(n) < sites.maps.len() => {
            code.syms.push((slot, sym(n)));
            Ok(())
        }
        _ => Err(refuse::no_such_map(sites.program, at, idx, sites.maps.len())),
    };
    let unsupported = |sites: &Sites<'_>, what| Err(refuse::unsupported_insn(sites.program, at, what));
    match inst {
        Inst::CallHelper { id } => {
            let id = sites.helper(id as u32, at)?;
            return Ok(vec![Inst::CallHelper { id }]);
        }
        Inst::LoadAbs { width, imm } => {
            let id = legacy_row(sites, at)?;
            return Ok(legacy_load(id, width.bytes() as i32, set(Reg::R2, Operand::Imm(imm)).to_vec()));
        }
        Inst::LoadInd { width, src, imm } => {
            let id = legacy_row(sites, at)?;
            let add = Inst::Alu { wide: Wide::W32, op: AluOp::Add, dst: Reg::R2, src: Operand::Imm(imm) };
            let index = set(Reg::R2, Operand::Reg(src)).into_iter().chain([add]).collect();
            return Ok(legacy_load(id, width.bytes() as i32, index));
        }
        Inst::MapIdx { idx, .. } => symbol(sites, idx, &Sym::Map)?,
        Inst::MapValueIdx { idx, off, .. } => symbol(sites, idx, &|n| Sym::MapValue(n, off))?,
        Inst::MapFd { .. } | Inst::MapValueFd { .. } => return unsupported(sites, "a map by file descriptor"),
        Inst::VarAddr { .. } => return unsupported(sites, "the address of a kernel variable"),
        Inst::CallKfunc { .. } => return unsupported(sites, "a call of a kernel function (kfunc)"),
        Inst::AddrSpaceCast { .. } => return unsupported(sites, "`addr_space_cast`, without arenas,"),
        _ => {}
    }
    Ok(vec![inst])
}

/// What stands for an instruction that asks for what the kernel does not have: a call that stops the run.
fn poisoned() -> Vec<Inst> {
    set(Reg::R0, Operand::Imm(0)).into_iter().chain([Inst::CallX { dst: Reg::R0, in_imm: false }]).collect()
}

/// The call that a legacy packet load is, for the families that bind it.
fn legacy_row(sites: &mut Sites<'_>, at: usize) -> Result<i32, Diagnostic> {
    let program = sites.program;
    let refused = |_| refuse::unsupported_insn(program, at, "a legacy packet load in a program of this type");
    sites.row(&legacy::LOAD, at).map_err(refused)
}

fn set(dst: Reg, src: Operand) -> [Inst; 1] {
    [Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst, src }]
}

/// The call that stands for a legacy packet load. `index` computes r2; it comes first since it may read r1.
fn legacy_load(call: i32, width: i32, mut index: Vec<Inst>) -> Vec<Inst> {
    index.extend(set(Reg::R1, Operand::Reg(Reg::R6)));
    index.extend(set(Reg::R3, Operand::Imm(width)));
    index.push(Inst::CallHelper { id: call });
    index
}

/// Jumps, calls and function addresses count slots: where code has grown in between, they are counted anew.
fn retarget(code: &mut [Insn], program: &[Insn], starts: &[u32], sites: &Sites<'_>) -> Result<(), Diagnostic> {
    if code.len() == program.len() {
        return Ok(());
    }
    let mut at = 0;
    while at < program.len() {
        // Decoded once before, so it decodes.
        let Ok(inst) = decode(program, at) else { return Ok(()) };
        let new = |rel: i64| -> Option<i64> {
            let target = usize::try_from(at as i64 + 1 + rel).ok()?;
            Some(i64::from(*starts.get(target)?) - i64::from(starts[at]) - 1)
        };
        let far = || refuse::unsupported_insn(sites.program, at, "a jump over so many legacy packet loads");
        let moved = match inst {
            Inst::Jmp { wide, op, dst, src, off } => {
                near(new(i64::from(off))).map(|off| off.map(|off| Inst::Jmp { wide, op, dst, src, off }))
            }
            Inst::MayGoto { off } => near(new(i64::from(off))).map(|off| off.map(|off| Inst::MayGoto { off })),
            // The short form may not reach; the long one means the same.
            Inst::Ja { off, .. } => Some(new(i64::from(off)).map(|off| Inst::Ja { off: off as i32, long: true })),
            Inst::CallLocal { rel } => Some(new(i64::from(rel)).map(|rel| Inst::CallLocal { rel: rel as i32 })),
            Inst::FuncAddr { dst, rel } => Some(new(i64::from(rel)).map(|rel| Inst::FuncAddr { dst, rel: rel as i32 })),
            _ => Some(None),
        }
        .ok_or_else(far)?;
        // A jump out of the program stays one: linking refuses it at its place.
        if let Some(inst) = moved {
            let slot = starts[at] as usize;
            for (to, from) in code[slot..].iter_mut().zip(encode(&inst).as_slice()) {
                *to = *from;
            }
        }
        at += inst.slots();
    }
    Ok(())
}

/// `None` if the offset does not fit into 16 bits, `Some(None)` if there is no such target.
#[allow(clippy::option_option, reason = "two different absences")]
fn near(off: Option<i64>) -> Option<Option<i16>> {
    off.map_or(Some(None), |off| i16::try_from(off).ok().map(Some))
}

/// Functions: the program itself, and those that it lists. One that never names r10 needs no stack.
fn functions(sites: &Sites<'_>, code: &[Insn], starts: &[u32]) -> Vec<Func> {
    let listed = sites.program.subprogs.iter().filter_map(|(at, _)| starts.get(*at as usize).copied());
    let mut all: Vec<u32> = std::iter::once(0).chain(listed).collect();
    all.sort_unstable();
    all.dedup();
    let ends = all.iter().skip(1).copied().chain([code.len() as u32]);
    let uses_stack = |insn: &Insn| insn.dst == Reg::FP || insn.src == Reg::FP;
    let function = |(start, end): (&u32, u32)| {
        let body = code.get(*start as usize..end as usize).unwrap_or(&[]);
        Func { start: *start, stack: if body.iter().any(uses_stack) { FRAME } else { 0 } }
    };
    all.iter().zip(ends).map(function).collect()
}

fn undefined(sites: &Sites<'_>, e: &alveary_isa::DecodeError) -> Diagnostic {
    Diagnostic::new("insn-undefined", e.to_string(), refuse::place(sites.program, e.slot))
}
