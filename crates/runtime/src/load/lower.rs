//! From a program to code for the engine: maps and helpers named by symbol, legacy packet loads as calls; of a proven
//! program also what its facts allow (`proven`). Knows no engine mode: whoever links decides that.

use super::{
    Sites,
    emit::{Line, Lines},
    proven::Proven,
    refuse,
};
use crate::{bind::Closure, legacy};
use alveary_diag::Diagnostic;
use alveary_isa::{AluOp, Inst, Operand, Reg, Wide, decode};
use alveary_vm::{Code, Func, Sym};
use std::sync::Arc;

/// Code, and what its calls mean.
pub(crate) struct Lowered {
    pub(crate) code: Code,
    pub(crate) sites: Vec<super::Site>,
    pub(crate) closures: Vec<Arc<Closure>>,
    /// It was proven, and no run of it changes the context.
    pub(crate) leaves_context: bool,
}

/// Bytes of stack that a function has.
const FRAME: u16 = 512;

/// Lowers a program; `proven` has what was proven of it, if it was.
pub(crate) fn lower(mut sites: Sites<'_>, mut proven: Option<Proven<'_>>) -> Result<Lowered, Diagnostic> {
    let program = sites.program;
    let mut lines = Lines::default();
    let mut at = 0;
    while at < program.insns.len() {
        let inst = decode(&program.insns, at).map_err(|e| undefined(&sites, &e))?;
        let now = match &mut proven {
            Some(proven) => proven.replace(&mut sites, &lines, inst, at)?,
            None => plain(&mut sites, inst, at)?,
        };
        lines.add(at, inst.slots(), now);
        at += inst.slots();
    }
    let (encoded, starts) = lines.into_code(program)?;
    let mut code = Code { insns: encoded.insns, syms: encoded.syms, origin: encoded.origin, ..Code::default() };
    code.funcs = functions(&sites, &code, &starts, proven.as_ref());
    let leaves_context = proven.as_ref().is_some_and(|proven| proven.leaves_context(&sites));
    code.calls = sites.calls;
    if let Some(proven) = proven {
        code.known = encoded.known;
        code.lookups = proven.lookups;
        code.bodies = proven.bodies;
    }
    Ok(Lowered { code, sites: sites.found, closures: sites.called, leaves_context })
}

/// What stands for one instruction of which nothing is known.
pub(super) fn plain(sites: &mut Sites<'_>, inst: Inst, at: usize) -> Result<Vec<Line>, Diagnostic> {
    if sites.program.poison(at as u32).is_some() {
        return Ok(stop());
    }
    let unsupported = |sites: &Sites<'_>, what| Err(refuse::unsupported_insn(sites.program, at, what));
    let target = |rel: i64| u32::try_from(at as i64 + 1 + rel).ok();
    Ok(vec![match inst {
        Inst::CallHelper { id } => Line::new(Inst::CallHelper { id: sites.helper(id as u32, at)? }),
        Inst::LoadAbs { width, imm } => {
            let id = legacy_row(sites, at)?;
            return Ok(legacy_load(id, width.bytes() as i32, vec![set(Reg::R2, Operand::Imm(imm))]));
        }
        Inst::LoadInd { width, src, imm } => {
            let id = legacy_row(sites, at)?;
            let add = Inst::Alu { wide: Wide::W32, op: AluOp::Add, dst: Reg::R2, src: Operand::Imm(imm) };
            return Ok(legacy_load(id, width.bytes() as i32, vec![set(Reg::R2, Operand::Reg(src)), add]));
        }
        Inst::MapIdx { idx, .. } => Line::symbol(inst, Sym::Map(map_number(sites, idx, at)?)),
        Inst::MapValueIdx { idx, off, .. } => Line::symbol(inst, Sym::MapValue(map_number(sites, idx, at)?, off)),
        Inst::MapFd { .. } | Inst::MapValueFd { .. } => return unsupported(sites, "a map by file descriptor"),
        Inst::VarAddr { .. } => return unsupported(sites, "the address of a kernel variable"),
        Inst::CallKfunc { .. } => return unsupported(sites, "a call of a kernel function (kfunc)"),
        Inst::AddrSpaceCast { .. } => return unsupported(sites, "`addr_space_cast`, without arenas,"),
        Inst::Jmp { off, .. } | Inst::MayGoto { off } => Line::jump(inst, target(off.into())),
        Inst::Ja { off, .. } => Line::jump(inst, target(off.into())),
        Inst::CallLocal { rel } | Inst::FuncAddr { rel, .. } => Line::jump(inst, target(rel.into())),
        _ => Line::new(inst),
    }])
}

/// The number of a map that the program names.
fn map_number(sites: &Sites<'_>, idx: u32, at: usize) -> Result<u16, Diagnostic> {
    let there = sites.maps.len();
    let number = u16::try_from(idx).ok().filter(|n| usize::from(*n) < there);
    number.ok_or_else(|| refuse::no_such_map(sites.program, at, idx, there))
}

/// A call that stops the run, since -1 names neither a function nor a helper: what stands for an instruction that asks
/// for what is not there.
pub(super) fn stop() -> Vec<Line> {
    let call = Inst::CallX { dst: Reg::R0, in_imm: false };
    vec![Line::new(set(Reg::R0, Operand::Imm(-1))), Line::new(call)]
}

/// The call that a legacy packet load is, for the families that bind it.
fn legacy_row(sites: &mut Sites<'_>, at: usize) -> Result<i32, Diagnostic> {
    let program = sites.program;
    let refused = |_| refuse::unsupported_insn(program, at, "a legacy packet load in a program of this type");
    sites.row(&legacy::LOAD, at).map_err(refused)
}

/// `dst = src`, all 64 bits.
pub(super) fn set(dst: Reg, src: Operand) -> Inst {
    Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst, src }
}

/// The call that stands for a legacy packet load. `index` computes r2; it comes first since it may read r1.
fn legacy_load(call: i32, width: i32, mut index: Vec<Inst>) -> Vec<Line> {
    index.push(set(Reg::R1, Operand::Reg(Reg::R6)));
    index.push(set(Reg::R3, Operand::Imm(width)));
    index.push(Inst::CallHelper { id: call });
    index.into_iter().map(Line::new).collect()
}

/// Functions: the program itself, and those that it lists. One that never names r10 needs no stack, one that is proven no
/// more than it was seen to use.
fn functions(sites: &Sites<'_>, code: &Code, starts: &[u32], proven: Option<&Proven<'_>>) -> Vec<Func> {
    let listed = sites.program.subprogs.iter().filter_map(|(at, _)| starts.get(*at as usize).copied());
    let mut all: Vec<u32> = std::iter::once(0).chain(listed).collect();
    all.sort_unstable();
    all.dedup();
    let uses: Vec<(u32, u16)> = proven.map_or(Vec::new(), |proven| {
        let bytes = |bytes: u32| u16::try_from(bytes).map_or(FRAME, |bytes| bytes.min(FRAME));
        let functions = proven.verified.facts().functions();
        functions.filter_map(|(at, used)| Some((*starts.get(at as usize)?, bytes(used)))).collect()
    });
    let ends = all.iter().skip(1).copied().chain([code.insns.len() as u32]);
    let uses_stack = |insn: &alveary_isa::Insn| insn.dst == Reg::FP || insn.src == Reg::FP;
    let function = |(start, end): (&u32, u32)| {
        let body = code.insns.get(*start as usize..end as usize).unwrap_or(&[]);
        let most = uses.iter().find(|(of, _)| of == start).map_or(FRAME, |(_, bytes)| *bytes);
        Func { start: *start, stack: if body.iter().any(uses_stack) { most } else { 0 } }
    };
    all.iter().zip(ends).map(function).collect()
}

fn undefined(sites: &Sites<'_>, e: &alveary_isa::DecodeError) -> Diagnostic {
    Diagnostic::new("insn-undefined", e.to_string(), refuse::place(sites.program, e.slot))
}
