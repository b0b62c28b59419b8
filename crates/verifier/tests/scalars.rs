//! Scalars held against the running kernel's log: generated programs of arithmetic and jumps, the ranges after each
//! instruction and on both sides of each jump, letter by letter.
//!
//! `ALVEARY_PROGRAMS` says how many programs.

use alveary_abi::{HelperId, ProgType};
use alveary_isa::{AluOp, CmpOp, Insn, Inst, Operand, Reg, Swap, Wide, encode};
use alveary_testing::{
    Draw, bpf,
    instructions::{ALU, CMP, WIDE},
};
use alveary_verifier::scalar::{Scalar, Sides};
use std::collections::HashMap;

/// The registers that hold numbers; they are followed, others are not.
const NUMBERS: [Reg; 4] = [Reg::R6, Reg::R7, Reg::R8, Reg::R9];

fn draw_inst(draw: &mut Draw) -> Inst {
    let (dst, wide) = (draw.of(&NUMBERS), draw.of(&WIDE));
    let src = match draw.below(2) {
        0 => Operand::Reg(draw.of(&NUMBERS)),
        _ => Operand::Imm(draw.imm()),
    };
    match draw.below(20) {
        0 => Inst::Neg { wide, dst },
        1 => Inst::MovSx {
            wide,
            bits: if wide == Wide::W64 { draw.of(&[8, 16, 32]) } else { draw.of(&[8, 16]) },
            dst,
            src: dst,
        },
        2 => Inst::LoadImm64 { dst, value: draw.next() >> draw.below(64) },
        3 if draw.below(3) == 0 => {
            Inst::Swap { kind: draw.of(&[Swap::ToLe, Swap::ToBe, Swap::Bswap]), bits: draw.of(&[16, 32, 64]), dst }
        }
        3..11 => Inst::Jmp { wide, op: draw.of(&CMP), dst, src, off: 0 },
        _ => {
            let op = draw.of(&ALU);
            let bits = if wide == Wide::W64 { 64 } else { 32 };
            let src = match (op, src) {
                (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Operand::Imm(_)) => Operand::Imm(draw.below(bits) as i32),
                (AluOp::Div | AluOp::Mod | AluOp::SDiv | AluOp::SMod, Operand::Imm(0)) => Operand::Imm(7),
                // A copy of another register is linked to it, which is not the scalars' matter.
                (AluOp::Mov, Operand::Reg(_)) => Operand::Reg(dst),
                _ => src,
            };
            Inst::Alu { wide, op, dst, src }
        }
    }
}

/// A program: each number unknown at first, `length` drawn instructions, an exit, and an exit of its own for each jump.
fn draw_program(draw: &mut Draw, length: usize) -> Vec<Inst> {
    let mut program = Vec::new();
    for reg in NUMBERS {
        program.push(Inst::CallHelper { id: HelperId::GET_PRANDOM_U32.0 as i32 });
        program.push(Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: reg, src: Operand::Reg(Reg::R0) });
    }
    program.push(Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: Reg::R0, src: Operand::Imm(0) });
    program.extend((0..length).map(|_| draw_inst(draw)));
    program.push(Inst::Exit);
    let slots = |program: &[Inst]| program.iter().map(Inst::slots).sum::<usize>();
    for at in 0..program.len() {
        let here = slots(&program[..=at]);
        let end = slots(&program);
        if let Inst::Jmp { off, .. } = &mut program[at] {
            *off = (end - here) as i16;
            program.push(Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: Reg::R0, src: Operand::Imm(at as i32) });
            program.push(Inst::Exit);
        }
    }
    program
}

/// Registers as a line of the log has them.
type Registers = HashMap<u8, String>;

/// `R6=scalar(id=1,umax=3,…) R7=P4` without ids and precision marks.
fn registers(text: &str) -> Registers {
    let mut found = Registers::new();
    let mut rest = text;
    while let Some(at) = rest.find('R') {
        rest = &rest[at + 1..];
        let Some((name, value)) = rest.split_once('=') else { break };
        let Ok(number) = name.trim_end_matches("_w").parse() else { continue };
        let mut depth = 0;
        let end = value
            .char_indices()
            .find(|(_, c)| {
                depth += i32::from(*c == '(') - i32::from(*c == ')');
                depth == 0 && *c == ' '
            })
            .map_or(value.len(), |(at, _)| at);
        let (value, after) = value.split_at(end);
        let mut value = value.trim().trim_start_matches('P').to_string();
        if let Some(start) = value.find("id=") {
            let length = value[start..]
                .find([',', ')'])
                .map_or(value.len() - start, |n| n + usize::from(value.as_bytes()[start + n] == b','));
            value.replace_range(start..start + length, "");
        }
        found.insert(number, value);
        rest = after;
    }
    found
}

/// A log at level 2: registers after instructions, and where a jump's other side begins, on the first path to each. Of a
/// scalar that forks the path of all ones comes first.
#[derive(Default)]
struct Log {
    after: HashMap<usize, Registers>,
    taken: HashMap<usize, Registers>,
}

fn parse(log: &str) -> Log {
    let mut parsed = Log::default();
    let mut fork = usize::MAX;
    for line in log.lines() {
        if let Some(rest) = line.strip_prefix("from ") {
            let (from, rest) = rest.split_once(" to ").unwrap_or_default();
            let (to, state) = rest.split_once(": ").unwrap_or_default();
            let (from, to) = (from.parse().unwrap_or(usize::MAX), to.parse().unwrap_or(usize::MAX));
            if to <= from + 1 {
                fork = from;
            } else if from < fork {
                parsed.taken.entry(from).or_insert_with(|| registers(state));
            }
        } else if let Some((at, rest)) = line.split_once(": (") {
            let Ok(at) = at.parse::<usize>() else { continue };
            let state = rest.split_once("; ").map_or("", |(_, state)| state);
            parsed.after.entry(at).or_insert_with(|| registers(state));
        }
    }
    parsed
}

/// What a program is held by: its own registers, moved on with the scalars' operations.
struct Held {
    now: HashMap<u8, Scalar>,
    compared: usize,
}

impl Held {
    fn operand(&self, src: Operand) -> Scalar {
        match src {
            Operand::Reg(reg) => self.now[&reg.0],
            Operand::Imm(imm) => Scalar::known(imm as i64 as u64),
        }
    }

    fn set(&mut self, dst: Reg, src: Operand, [a, b]: [Scalar; 2]) {
        self.now.insert(dst.0, a);
        if let Operand::Reg(src) = src {
            self.now.insert(src.0, b);
        }
    }

    fn hold(&mut self, what: &str, printed: &Registers) -> Result<(), String> {
        for (reg, ours) in &self.now {
            let Some(theirs) = printed.get(reg) else { continue };
            self.compared += 1;
            if ours.to_string() != *theirs {
                return Err(format!("{what}: r{reg} is {ours}, in the kernel's log {theirs}"));
            }
        }
        Ok(())
    }

    /// One instruction at slot `at`. False where the path ends.
    fn step(&mut self, at: usize, inst: &Inst, log: &Log) -> Result<bool, String> {
        match *inst {
            Inst::CallHelper { .. } => {}
            Inst::Alu { op: AluOp::Mov, dst, src: Operand::Reg(Reg::R0), .. } => {
                self.now.extend([(dst.0, Scalar::UNKNOWN)])
            }
            Inst::Alu { dst: Reg::R0, .. } => {}
            Inst::Alu { wide, op, dst, src } => {
                let operand = self.operand(src);
                let scalar = self.now.entry(dst.0).or_insert(Scalar::UNKNOWN);
                if matches!(op, AluOp::And | AluOp::Or)
                    && operand.value().is_some()
                    && let Some((_, ones)) = scalar.fork()
                {
                    *scalar = ones;
                }
                scalar.apply(op, &operand, wide);
                if !scalar.is_consistent() {
                    scalar.forget_ranges();
                }
            }
            Inst::Neg { wide, dst } => self.now.get_mut(&dst.0).ok_or("no number")?.negate(wide),
            Inst::MovSx { wide, bits, dst, .. } => {
                let scalar = self.now.get_mut(&dst.0).ok_or("no number")?;
                if wide == Wide::W64 { scalar.sign_extend(bits.into()) } else { scalar.sign_extend_half(bits.into()) }
            }
            Inst::Swap { kind, bits, dst } => {
                self.now.get_mut(&dst.0).ok_or("no number")?.swap(bits.into(), kind != Swap::ToLe)
            }
            Inst::LoadImm64 { dst, value } => self.now.extend([(dst.0, Scalar::known(value))]),
            Inst::Jmp { wide, op, dst, src, .. } => return self.jump(at, wide, op, dst, src, log),
            _ => return Ok(false),
        }
        match log.after.get(&at) {
            Some(printed) => self.hold(&format!("after {at}: {inst:?}"), printed)?,
            None => return Err(format!("the kernel did not come to {at}: {inst:?}")),
        }
        Ok(true)
    }

    fn jump(&mut self, at: usize, wide: Wide, op: CmpOp, dst: Reg, src: Operand, log: &Log) -> Result<bool, String> {
        let (a, b) = (self.now[&dst.0], self.operand(src));
        let itself = src == Operand::Reg(dst);
        let decided = a.compare(op, &b, wide);
        let what = format!("{at}: jump {op:?} {wide:?} of r{} and {src:?}", dst.0);
        if log.taken.contains_key(&at) == decided.is_some() {
            return Err(format!("{what}: {a} and {b}: we decide {decided:?}"));
        }
        match decided {
            Some(taken) => Ok(!taken),
            None => {
                let sides = if itself {
                    let [taken, not_taken] = a.split_itself(op, wide);
                    Sides { taken: [taken; 2], not_taken: [not_taken; 2] }
                } else {
                    a.split(op, &b, wide)
                };
                let what = format!("{what}: {a} and {b}");
                let before = self.now.clone();
                self.set(dst, src, sides.taken);
                self.hold(&what, &log.taken[&at])?;
                self.now = before;
                self.set(dst, src, sides.not_taken);
                self.hold(&what, &log.after[&at])?;
                Ok(true)
            }
        }
    }
}

#[test]
fn ranges_are_those_of_the_kernel() {
    if !bpf::permitted("ranges_are_those_of_the_kernel") {
        return;
    }
    let count = std::env::var("ALVEARY_PROGRAMS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let seed = std::env::var("ALVEARY_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1u64);
    let mut draw = Draw::new(seed);
    let (mut differing, mut compared) = (Vec::new(), 0);
    for number in 0..count {
        let program = draw_program(&mut draw, 24);
        let insns: Vec<Insn> = program.iter().flat_map(|inst| encode(inst).as_slice().to_vec()).collect();
        let (_, text) = bpf::Prog::verifier_log(ProgType::SOCKET_FILTER, &insns, 2, 0);
        let log = parse(&text);
        let mut held = Held { now: HashMap::new(), compared: 0 };
        let mut at = 0;
        for inst in &program {
            match held.step(at, inst, &log) {
                Ok(true) => at += inst.slots(),
                Ok(false) => break,
                Err(difference) => {
                    if std::env::var_os("ALVEARY_SHOW").is_some() {
                        println!("{text}");
                    }
                    differing.push(format!("program {number}: {difference}"));
                    break;
                }
            }
        }
        compared += held.compared;
    }
    println!("{count} programs, {compared} scalars compared, {} programs differ", differing.len());
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
