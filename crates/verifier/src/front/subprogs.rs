//! Where functions begin, and that control stays inside of them.

use crate::{
    program::Subprog,
    stop::{Check, reject},
    verifier::Verifier,
};
use alveary_abi::HelperId;
use alveary_isa::Inst;

const EXIT: u8 = 0x95;
const JA: u8 = 0x05;
const JA_LONG: u8 = 0x06;

/// Finds the functions: slot 0, and what is called or whose address is taken.
pub(super) fn find(v: &mut Verifier<'_>) -> Check {
    let len = v.program.len();
    let mut starts = vec![0u32];
    for at in 0..len {
        let callee = v.program.callee(at);
        let calls = callee.is_some() || matches!(v.program.inst(at), Some(Inst::CallKfunc { .. }));
        if calls && !v.env.caps.bpf {
            reject!(
                v,
                EPERM,
                "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN\n"
            );
        }
        let Some(to) = callee else { continue };
        if to < 0 || to >= i64::from(len) {
            reject!(v, EINVAL, "call to invalid destination\n");
        }
        let to = to as u32;
        if let Err(place) = starts.binary_search(&to) {
            if starts.len() as u32 >= v.profile.limits.subprogs {
                reject!(v, E2BIG, "too many subprograms\n");
            }
            starts.insert(place, to);
        }
    }
    let ends = starts.iter().skip(1).copied().chain([len]);
    let names = &v.program.program.subprogs;
    let name = |start: u32| names.iter().find(|(at, _)| *at == start).map_or("", |(_, name)| name).to_owned();
    v.program.subprogs = starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| Subprog { start, end, name: name(start), ..Subprog::default() })
        .collect();
    for (n, start) in starts.iter().enumerate() {
        v.log.detail(format_args!("func#{n} @{start}\n"));
    }
    Ok(())
}

/// That jumps and the last instruction of each function stay inside.
pub(super) fn check(v: &mut Verifier<'_>) -> Check {
    for n in 0..v.program.subprogs.len() {
        let (start, end) = (v.program.subprogs[n].start, v.program.subprogs[n].end);
        for at in start..end {
            let slot = v.program.slot(at);
            match v.program.inst(at) {
                Some(Inst::CallHelper { id }) if id == HelperId::TAIL_CALL.0 as i32 => {
                    v.program.subprogs[n].has_tail_call = true;
                }
                Some(Inst::LoadAbs { .. } | Inst::LoadInd { .. }) => v.program.subprogs[n].has_ld_abs = true,
                _ => {}
            }
            let is_jump = matches!(slot.op & 7, 5 | 6) && !matches!(slot.op & 0xf0, 0x80 | 0x90);
            if is_jump {
                let off = if slot.op == JA_LONG { i64::from(slot.imm) } else { i64::from(slot.off) };
                let to = i64::from(at) + off + 1;
                if to < i64::from(start) || to >= i64::from(end) {
                    reject!(v, EINVAL, "jump out of range from insn {at} to {to}\n");
                }
            }
        }
        if !matches!(v.program.slot(end - 1).op, EXIT | JA | JA_LONG) {
            reject!(v, EINVAL, "last insn is not an exit or jmp\n");
        }
    }
    Ok(())
}
