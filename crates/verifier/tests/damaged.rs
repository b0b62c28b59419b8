//! Damaged programs: whatever the instructions are, a check ends with a verdict. It neither panics nor runs away.

use alveary_abi::ProgType;
use alveary_isa::{Insn, Reg};
use alveary_object::{Options, read, resolve};
use alveary_spec::Program;
use alveary_testing::{Draw, code, kernel, program};
use alveary_verifier::{Env, LogLevel, Verdict, check};
use std::{fs, path::Path};

/// Changes a few fields of a few instructions, to what others have or to anything.
fn damage(program: &Program, draw: &mut Draw) -> Program {
    let mut program = program.clone();
    for _ in 0..=draw.below(4) {
        let at = draw.below(program.insns.len() as u64) as usize;
        let other = program.insns[draw.below(program.insns.len() as u64) as usize];
        let insn: &mut Insn = &mut program.insns[at];
        match draw.below(8) {
            0 => *insn = other,
            1 => insn.op = other.op,
            2 => insn.op = draw.below(256) as u8,
            3 => insn.dst = Reg(draw.below(12) as u8),
            4 => insn.src = Reg(draw.below(12) as u8),
            5 => insn.off = insn.off.wrapping_add(draw.below(9) as i16 - 4),
            6 => insn.imm = insn.imm.wrapping_add(draw.below(9) as i32 - 4),
            _ => insn.imm = draw.below(1 << 32) as i32,
        }
    }
    program
}

/// `ALVEARY_PROGRAMS` says how many.
#[test]
fn every_damaged_program_gets_a_verdict() {
    let count = std::env::var("ALVEARY_PROGRAMS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/rewrite.bpf.o");
    let spec = read(&fs::read(path).expect("the object is there")).expect("it is an object");
    let mut kernel = kernel(2);
    // Endless loops end sooner.
    let limits = alveary_abi::Limits { insns: 20_000, ..kernel.profile.limits };
    kernel.profile.limits = limits;
    let resolved = resolve(&spec, &kernel, &Options::default()).expect("it resolves");
    let mut draw = Draw::new(1);
    for n in 0..count {
        let whole = &resolved.programs[draw.below(resolved.programs.len() as u64) as usize];
        let program = damage(whole, &mut draw);
        let log = if n % 16 == 0 { LogLevel::ALL } else { LogLevel::default() };
        let report = check(&program, &Env { log, ..Env::new(&kernel, &resolved.maps) });
        assert!(report.stats.insns_processed <= limits.insns + 1);
    }
}

/// A function whose last instruction is an `exit` with a field that has to be zero was followed into the next one.
#[test]
fn an_exit_that_is_none_ends_its_function() {
    let mut program =
        program(ProgType::XDP, code("call f\nr0 = 0\nexit\nf:\nr0 = 1\nexit", |_, _| unreachable!("no maps")));
    for (at, op) in [(2, 0x95), (2, 0x05), (4, 0x95)] {
        let whole = program.insns[at];
        program.insns[at] = Insn { op, imm: 1, ..whole };
        let (kernel, maps) = (kernel(2), Default::default());
        assert!(matches!(check(&program, &Env::new(&kernel, &maps)).verdict, Verdict::Reject(_)), "{at}");
        program.insns[at] = whole;
    }
}
