//! What is generated has what it is to have: a kind that nobody makes any more would be missed by nobody else.

use super::Generator;
use alveary_abi::ProgType;
use alveary_isa::{Inst, Operand, Reg, Width, decode};
use alveary_spec::Program;
use std::collections::BTreeSet;

/// Instructions by their slots.
fn insts(program: &Program) -> Vec<(usize, Inst)> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Ok(inst) = decode(&program.insns, at) {
        all.push((at, inst));
        at += inst.slots();
    }
    all
}

/// Where functions begin, and end.
fn functions(program: &Program) -> Vec<std::ops::Range<usize>> {
    let starts: Vec<usize> = program.subprogs.iter().map(|(start, _)| *start as usize).collect();
    let ends = starts.iter().skip(1).copied().chain([program.insns.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// Where an instruction jumps to.
fn target(at: usize, inst: &Inst) -> Option<usize> {
    let off = match inst {
        Inst::Jmp { off, .. } => i32::from(*off),
        Inst::Ja { off, .. } => *off,
        _ => return None,
    };
    usize::try_from(at as i32 + 1 + off).ok()
}

/// The place of the frame that an instruction accesses directly.
fn word(inst: &Inst) -> Option<(i16, Width)> {
    match *inst {
        Inst::Load { width, src: Reg::FP, off, .. } | Inst::Store { width, dst: Reg::FP, off, .. } => {
            Some((off, width))
        }
        _ => None,
    }
}

/// Whether the frame's address goes elsewhere.
fn escapes(inst: &Inst) -> bool {
    match inst {
        Inst::Alu { src, .. } | Inst::Store { src, .. } => *src == Operand::Reg(Reg::FP),
        Inst::Atomic { dst, .. } | Inst::StoreRelease { dst, .. } => *dst == Reg::FP,
        Inst::LoadAcquire { src, .. } => *src == Reg::FP,
        _ => false,
    }
}

#[test]
fn every_kind_of_loop_and_frame_is_made() {
    let generator = Generator::new(&[ProgType::XDP, ProgType::SCHED_CLS], |_, _| true).careful();
    // Functions that begin with a loop and have words, frames of many words and of all bytes, loops that load, circles that
    // are entered at two places.
    let (mut looped, mut many, mut whole, mut loading, mut circles) = (0, 0, 0, 0, 0);
    for seed in 0..1_000 {
        let program = generator.program(seed).program;
        let all = insts(&program);
        for function in functions(&program) {
            let own: Vec<&(usize, Inst)> = all.iter().filter(|(at, _)| function.contains(at)).collect();
            let words: BTreeSet<(i16, Width)> = own.iter().filter_map(|(_, inst)| word(inst)).collect();
            let private = !own.iter().any(|(_, inst)| escapes(inst));
            let begins = own.iter().any(|(at, inst)| target(*at, inst) == Some(function.start));
            looped += u32::from(function.start > 0 && begins && !words.is_empty() && private);
            many += u32::from(words.len() > 112 && private);
            whole += u32::from(words.iter().any(|(off, _)| *off == -512));
        }
        loading += u32::from(all.iter().any(|(at, inst)| {
            let Some(to) = target(*at, inst).filter(|to| to < at) else { return false };
            let mut loop_insts = all.iter().filter(|(other, _)| (to..*at).contains(other));
            loop_insts.any(|(_, inst)| matches!(inst, Inst::Load { src, .. } if *src != Reg::FP))
        }));
        circles += u32::from(all.iter().any(|(at, inst)| {
            let Some(to) = target(*at, inst).filter(|to| to < at) else { return false };
            let enters = |target: usize| to < target && target <= *at;
            all.iter().any(|(from, inst)| *from < to && target(*from, inst).is_some_and(enters))
        }));
    }
    assert!(looped > 100 && many > 20 && whole > 20, "{looped}, {many}, {whole}");
    assert!(loading > 250 && circles > 20, "{loading}, {circles}");
}
