//! The walk over the control-flow graph: everything is reached, nothing jumps into an `ld_imm64`; where paths meet,
//! states will be compared.

use crate::{
    stop::{Check, reject},
    verifier::Verifier,
};
use alveary_abi::{Arg, HelperId, Rule};
use alveary_isa::Inst;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Unseen,
    /// Which of its edges were followed.
    Entered {
        fell_through: bool,
        branched: bool,
    },
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    FallThrough,
    Branch,
}

struct Walk {
    marks: Vec<Mark>,
    stack: Vec<u32>,
}

/// Walks it.
pub(super) fn check(v: &mut Verifier<'_>) -> Check {
    let len = v.program.len();
    let mut walk = Walk { marks: vec![Mark::Unseen; len as usize], stack: vec![0] };
    walk.marks[0] = Mark::Entered { fell_through: false, branched: false };
    while let Some(&at) = walk.stack.last() {
        if !visit(v, &mut walk, at)? {
            walk.marks[at as usize] = Mark::Done;
            walk.stack.pop();
        }
    }
    let mut at = 0;
    while at < len {
        if walk.marks[at as usize] != Mark::Done {
            reject!(v, EINVAL, "unreachable insn {at}\n");
        }
        let width = v.program.width(at);
        if width == 2 && walk.marks[at as usize + 1] != Mark::Unseen {
            reject!(v, EINVAL, "jump into the middle of ldimm64 insn {at}\n");
        }
        at += width;
    }
    Ok(())
}

/// Goes on from an instruction; whether there was something new behind it.
fn visit(v: &mut Verifier<'_>, walk: &mut Walk, at: u32) -> Check<bool> {
    // Loops close by jumps; by whatever falls through or calls where the kernel allows it.
    let falls = v.profile.has(Rule::LoopsByFalling);
    let next = i64::from(at) + i64::from(v.program.width(at));
    match v.program.inst(at) {
        Some(Inst::Exit) => Ok(false),
        Some(Inst::CallLocal { .. } | Inst::FuncAddr { .. }) => {
            let callee = v.program.callee(at).unwrap_or_default();
            if follow(v, walk, at, next, Edge::FallThrough, falls)? {
                return Ok(true);
            }
            join(v, next);
            v.program.aux[at as usize].prune = true;
            merge_effects(v, at, callee);
            let taken = matches!(v.program.inst(at), Some(Inst::FuncAddr { .. }));
            follow(v, walk, at, callee, Edge::Branch, falls || taken)
        }
        Some(Inst::CallHelper { .. }) => {
            note_call(v, at);
            if follow(v, walk, at, next, Edge::FallThrough, falls)? {
                return Ok(true);
            }
            join(v, next);
            Ok(false)
        }
        Some(Inst::CallKfunc { .. } | Inst::CallX { .. }) => {
            if follow(v, walk, at, next, Edge::FallThrough, falls)? {
                return Ok(true);
            }
            join(v, next);
            Ok(false)
        }
        Some(Inst::Ja { off, .. }) => {
            let to = i64::from(at) + i64::from(off) + 1;
            if follow(v, walk, at, to, Edge::FallThrough, true)? {
                return Ok(true);
            }
            join(v, to);
            Ok(false)
        }
        Some(Inst::Jmp { off, .. } | Inst::MayGoto { off }) => {
            let may_goto = matches!(v.program.inst(at), Some(Inst::MayGoto { .. }));
            let aux = &mut v.program.aux[at as usize];
            aux.prune = true;
            aux.checkpoint |= may_goto;
            if follow(v, walk, at, next, Edge::FallThrough, true)? {
                return Ok(true);
            }
            follow(v, walk, at, i64::from(at) + i64::from(off) + 1, Edge::Branch, true)
        }
        // Jumps that cannot be decoded are judged when they are reached; they fall through here.
        _ => follow(v, walk, at, next, Edge::FallThrough, falls),
    }
}

/// Follows an edge, which may close a loop if `loops`; whether what is behind it is new.
fn follow(v: &mut Verifier<'_>, walk: &mut Walk, from: u32, to: i64, edge: Edge, loops: bool) -> Check<bool> {
    let Mark::Entered { mut fell_through, mut branched } = walk.marks[from as usize] else { return Ok(false) };
    // A branch was followed after falling through, so that it says that both were.
    if branched || edge == Edge::FallThrough && fell_through {
        return Ok(false);
    }
    let Ok(target) = usize::try_from(to) else {
        reject!(v, EINVAL, "jump out of range from insn {from} to {to}\n");
    };
    if target >= walk.marks.len() {
        reject!(v, EINVAL, "jump out of range from insn {from} to {to}\n");
    }
    if edge == Edge::Branch {
        join(v, to);
        branched = true;
    } else {
        fell_through = true;
    }
    match walk.marks[target] {
        Mark::Unseen => {
            walk.marks[from as usize] = Mark::Entered { fell_through, branched };
            walk.marks[target] = Mark::Entered { fell_through: false, branched: false };
            walk.stack.push(target as u32);
            Ok(true)
        }
        Mark::Entered { .. } if loops && v.env.caps.bpf => Ok(false),
        Mark::Entered { .. } => {
            reject!(v, EINVAL, "back-edge from insn {from} to {to}\n")
        }
        Mark::Done => {
            walk.marks[from as usize] = Mark::Entered { fell_through, branched };
            Ok(false)
        }
    }
}

/// Ways may meet at a slot.
fn join(v: &mut Verifier<'_>, at: i64) {
    if let Some(aux) = usize::try_from(at).ok().and_then(|at| v.program.aux.get_mut(at)) {
        aux.prune = true;
        aux.jump_point = true;
    }
}

/// What a helper's row says of the instruction and the function around it.
fn note_call(v: &mut Verifier<'_>, at: u32) {
    let Some(called) = v.program.helper(at) else { return };
    let args = called.row.protos.iter().flat_map(|proto| proto.args);
    for arg in args {
        if let Arg::Callback { later, .. } = arg {
            let aux = &mut v.program.aux[at as usize];
            aux.prune = true;
            aux.calls_back |= !later;
            aux.checkpoint |= !later;
            aux.jump_point |= !later;
        }
    }
    let subprog = v.program.subprog_of(at) as usize;
    let subprog = &mut v.program.subprogs[subprog];
    subprog.changes_packet |=
        called.row.protos.iter().any(|proto| proto.effects.changes_packet) || called.row.id == HelperId::TAIL_CALL;
    subprog.may_sleep |= called.proto.is_some_and(|proto| proto.effects.sleeps);
}

/// A function may do what those do that it calls. The walk is done with a callee before it comes back to the call.
fn merge_effects(v: &mut Verifier<'_>, at: u32, callee: i64) {
    let caller = v.program.subprog_of(at) as usize;
    let Some(callee) = u32::try_from(callee).ok().and_then(|start| v.program.subprog_at(start)) else { return };
    let (changes, sleeps) = {
        let callee = &v.program.subprogs[callee as usize];
        (callee.changes_packet, callee.may_sleep)
    };
    let caller = &mut v.program.subprogs[caller];
    caller.changes_packet |= changes;
    caller.may_sleep |= sleeps;
}
