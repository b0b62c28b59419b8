//! How much stack a chain of calls takes, and how deep it is.

use crate::{
    limits::MAX_STACK,
    stop::{Check, reject},
    verifier::Verifier,
};
use alveary_abi::{ProgSet, ProgType as P, Rule};
use alveary_isa::Inst;

/// The JIT of x86-64 and arm64 rounds frames up to this.
const ROUND: u32 = 16;
/// Frames from this size on have a stack of their own, where programs have that.
const PRIVATE_FROM: u32 = 64;
/// Stack of the callers at most, if a function behind them makes a tail call.
const BEFORE_TAIL_CALL: u32 = 256;

/// Program types with private stacks: those that may interrupt each other.
const PRIVATE: ProgSet = ProgSet::of(&[P::KPROBE, P::TRACEPOINT, P::PERF_EVENT, P::RAW_TRACEPOINT, P::TRACING, P::LSM]);

/// Checks the chains that begin at the program and at each asynchronous callback.
pub(crate) fn check(v: &mut Verifier<'_>) -> Check {
    let tail_calls = v.program.subprogs.iter().any(|s| s.has_tail_call);
    let private = !tail_calls && PRIVATE.has(v.program.program.ty) && v.profile.has(Rule::PrivateStacks);
    let count = v.program.subprogs.len();
    let mut modes = vec![None; count];
    for n in (0..count).rev() {
        if n == 0 || v.program.subprogs[n].is_async_callback {
            let mut walk = Walk { modes: &mut modes, private: private && n == 0, frames: Vec::new(), depth: 0 };
            walk.enter(v, n)?;
        }
    }
    Ok(())
}

/// A frame of the chain: the function, and whether its stack counts.
struct Level {
    subprog: usize,
    counted: u32,
    /// The slot to go on from.
    at: u32,
}

struct Walk<'a> {
    /// Whether each function has a stack of its own, once that is known.
    modes: &'a mut Vec<Option<bool>>,
    private: bool,
    frames: Vec<Level>,
    depth: u32,
}

impl Walk<'_> {
    fn enter(&mut self, v: &mut Verifier<'_>, start: usize) -> Check {
        self.push(v, start)?;
        while let Some(level) = self.frames.last_mut() {
            let subprog = level.subprog;
            let end = v.program.subprogs[subprog].end;
            let mut at = level.at;
            let callee = loop {
                if at >= end {
                    break None;
                }
                let found = v.program.callee(at).and_then(|to| v.program.subprog_at(u32::try_from(to).ok()?));
                let called = matches!(v.program.inst(at), Some(Inst::CallLocal { .. }));
                at += v.program.width(at);
                match found {
                    // Where a callback is only named, its stack counts when it runs: then there is nothing above it.
                    Some(to) if v.program.subprogs[to as usize].is_async_callback && !called => {}
                    Some(to) => break Some(to as usize),
                    None => {}
                }
            };
            level.at = at;
            match callee {
                Some(callee) => self.push(v, callee)?,
                None => {
                    self.depth -= level.counted;
                    self.frames.pop();
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, v: &mut Verifier<'_>, subprog: usize) -> Check {
        let frames = self.frames.len() as u32;
        if frames >= v.profile.limits.frames {
            reject!(v, E2BIG, "the call stack of {frames} frames is too deep !\n");
        }
        let info = &v.program.subprogs[subprog];
        if info.has_ld_abs && v.profile.has(Rule::NoPacketLoadsInCallbacks) {
            let in_callback = info.is_callback || self.frames.iter().any(|l| v.program.subprogs[l.subprog].is_callback);
            if in_callback {
                reject!(v, EINVAL, "cannot use BPF_LD_[ABS|IND] within callback\n");
            }
        }
        let info = &v.program.subprogs[subprog];
        if subprog > 0 && info.has_tail_call && self.depth >= BEFORE_TAIL_CALL {
            let depth = self.depth;
            reject!(
                v,
                EACCES,
                "tail_calls are not allowed when call stack of previous frames is {depth} bytes. Too large\n"
            );
        }
        let size = info.stack_depth.next_multiple_of(ROUND);
        let mode = &mut self.modes[subprog];
        if !self.private {
            *mode = Some(false);
        } else if mode.is_none() && size >= PRIVATE_FROM {
            *mode = Some(true);
        }
        let most = MAX_STACK as u32;
        let own = *mode == Some(true);
        if own {
            if size > most {
                reject!(v, EACCES, "stack size of subprog {subprog} is {size}. Too large\n");
            }
        } else {
            self.depth += size;
            if self.depth > most {
                let (count, depth) = (frames + 1, self.depth);
                reject!(v, EACCES, "combined stack size of {count} calls is {depth}. Too large\n");
            }
        }
        let at = v.program.subprogs[subprog].start;
        self.frames.push(Level { subprog, counted: if own { 0 } else { size }, at });
        Ok(())
    }
}
