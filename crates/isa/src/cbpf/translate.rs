//! Classic to extended BPF, for a program of type `socket_filter`.
//!
//! As Linux does it: A is r0, X is r7, the context is in r6, scratch memory is on the stack. Packet loads become the
//! legacy packet loads (which end the program with 0 outside the packet), ancillary loads become fields of
//! `__sk_buff` or helper calls. Linux reads its own `sk_buff` there, so a few have no equivalent and are refused.

use super::op::AluOp as ClassicAlu;
use super::{Ancillary, Cmp, Filter, Op, Source};
use crate::{AluOp, CmpOp, Insn, Inst, Operand, Reg, Swap, Wide, Width, encode};
use std::fmt;

const A: Reg = Reg::R0;
const X: Reg = Reg(7);
const CTX: Reg = Reg(6);
const TMP: Reg = Reg::R2;

/// An ancillary load that no program can make through `__sk_buff` or a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untranslatable {
    /// The instruction of the filter.
    pub index: usize,
    /// What it loads.
    pub ancillary: Ancillary,
}

impl fmt::Display for Untranslatable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Untranslatable { index, ancillary } = self;
        write!(f, "instruction {index}: [{}] has no equivalent in extended BPF", ancillary.name())
    }
}

impl std::error::Error for Untranslatable {}

/// Where an ancillary value comes from.
enum From {
    /// A 32-bit field of `__sk_buff`, at this offset.
    Field(i16),
    /// A 16-bit field of `__sk_buff` in network order.
    NetworkField(i16),
    /// A helper without arguments.
    Helper(i32),
    Nowhere,
}

const fn source(ancillary: Ancillary) -> From {
    match ancillary {
        Ancillary::PktType => From::Field(4),
        Ancillary::Mark => From::Field(8),
        Ancillary::Queue => From::Field(12),
        Ancillary::Protocol => From::NetworkField(16),
        Ancillary::VlanTagPresent => From::Field(20),
        Ancillary::VlanTag => From::Field(24),
        Ancillary::VlanTpid => From::NetworkField(28),
        Ancillary::IfIndex => From::Field(40),
        Ancillary::RxHash => From::Field(68),
        Ancillary::Random => From::Helper(7),
        Ancillary::Cpu => From::Helper(8),
        Ancillary::NlAttr | Ancillary::NlAttrNest | Ancillary::HaType | Ancillary::PayOffset | Ancillary::AluXorX => {
            From::Nowhere
        }
    }
}

/// Translates a filter.
///
/// # Errors
/// The first ancillary load without an equivalent: `nla`, `nlan`, `hatype`, `poff`.
pub fn translate(filter: &Filter) -> Result<Vec<Insn>, Untranslatable> {
    let mut out = Translation { insts: Vec::new(), starts: Vec::new(), jumps: Vec::new() };
    // Linux writes `w0 ^= w0` here and does not verify it; its verifier refuses to read r0.
    out.alu32(AluOp::Mov, A, Operand::Imm(0));
    out.alu32(AluOp::Mov, X, Operand::Imm(0));
    out.mov64(CTX, Reg::R1);
    for (index, op) in filter.ops().iter().enumerate() {
        out.starts.push(out.insts.len());
        out.op(index, *op)?;
    }
    Ok(out.finish())
}

struct Translation {
    insts: Vec<Inst>,
    /// For each classic instruction its first in `insts`. None of them takes two slots.
    starts: Vec<usize>,
    /// Jumps in `insts`, and the classic instruction that they go to.
    jumps: Vec<(usize, usize)>,
}

impl Translation {
    fn op(&mut self, index: usize, op: Op) -> Result<(), Untranslatable> {
        match op {
            Op::LoadAbs { width, k } => self.push(Inst::LoadAbs { width, imm: k as i32 }),
            Op::LoadInd { width, k } => self.push(Inst::LoadInd { width, src: X, imm: k as i32 }),
            Op::LoadAncillary(Ancillary::AluXorX) => self.alu32(AluOp::Xor, A, Operand::Reg(X)),
            Op::LoadAncillary(ancillary) => match source(ancillary) {
                From::Field(off) => self.field(A, off),
                From::NetworkField(off) => {
                    self.field(A, off);
                    self.push(Inst::Swap { kind: Swap::ToBe, bits: 16, dst: A });
                }
                From::Helper(id) => self.push(Inst::CallHelper { id }),
                From::Nowhere => return Err(Untranslatable { index, ancillary }),
            },
            Op::LoadLen => self.field(A, 0),
            Op::LoadXLen => self.field(X, 0),
            Op::LoadImm(k) => self.alu32(AluOp::Mov, A, Operand::Imm(k as i32)),
            Op::LoadXImm(k) => self.alu32(AluOp::Mov, X, Operand::Imm(k as i32)),
            Op::LoadMem(cell) => self.memory_load(A, cell),
            Op::LoadXMem(cell) => self.memory_load(X, cell),
            Op::Store(cell) => self.memory_store(A, cell),
            Op::StoreX(cell) => self.memory_store(X, cell),
            Op::LoadXHeader { k } => {
                // The packet load writes r0 and clobbers r1 to r5: A waits in X.
                self.mov64(X, A);
                self.push(Inst::LoadAbs { width: Width::B1, imm: k as i32 });
                self.alu32(AluOp::And, A, Operand::Imm(15));
                self.alu32(AluOp::Lsh, A, Operand::Imm(2));
                self.mov64(TMP, X);
                self.mov64(X, A);
                self.mov64(A, TMP);
            }
            Op::Alu { op, src } => self.alu(op, src),
            Op::Neg => self.push(Inst::Neg { wide: Wide::W32, dst: A }),
            Op::Ja { k } => self.jump(index + 1 + k as usize, Inst::Ja { off: 0, long: false }),
            Op::Jmp { cmp, src, jt, jf } => self.branch(index, cmp, src, jt, jf),
            Op::RetK(k) => {
                self.alu32(AluOp::Mov, A, Operand::Imm(k as i32));
                self.push(Inst::Exit);
            }
            Op::RetA => self.push(Inst::Exit),
            Op::Tax => self.mov64(X, A),
            Op::Txa => self.mov64(A, X),
        }
        Ok(())
    }

    fn alu(&mut self, op: ClassicAlu, src: Source) {
        let (op, divides) = match op {
            ClassicAlu::Add => (AluOp::Add, false),
            ClassicAlu::Sub => (AluOp::Sub, false),
            ClassicAlu::Mul => (AluOp::Mul, false),
            ClassicAlu::Div => (AluOp::Div, true),
            ClassicAlu::Mod => (AluOp::Mod, true),
            ClassicAlu::Or => (AluOp::Or, false),
            ClassicAlu::And => (AluOp::And, false),
            ClassicAlu::Xor => (AluOp::Xor, false),
            ClassicAlu::Lsh => (AluOp::Lsh, false),
            ClassicAlu::Rsh => (AluOp::Rsh, false),
        };
        let src = match src {
            Source::K(k) => Operand::Imm(k as i32),
            Source::X => Operand::Reg(X),
        };
        if divides && src == Operand::Reg(X) {
            // Extended BPF gives a value where classic BPF ends with 0.
            let zero = Operand::Imm(0);
            self.push(Inst::Jmp { wide: Wide::W64, op: CmpOp::Ne, dst: X, src: zero, off: 2 });
            self.alu32(AluOp::Mov, A, Operand::Imm(0));
            self.push(Inst::Exit);
        }
        self.alu32(op, A, src);
    }

    /// One jump where one way is the next instruction and the condition has an opposite, else two.
    fn branch(&mut self, index: usize, cmp: Cmp, src: Source, jt: u8, jf: u8) {
        let (when, unless) = match cmp {
            Cmp::Eq => (CmpOp::Eq, Some(CmpOp::Ne)),
            Cmp::Gt => (CmpOp::Gt, Some(CmpOp::Le)),
            Cmp::Ge => (CmpOp::Ge, Some(CmpOp::Lt)),
            Cmp::Set => (CmpOp::Set, None),
        };
        let src = match src {
            Source::X => Operand::Reg(X),
            // Comparisons are 64 bits wide and constants sign-extended, A is not.
            Source::K(k) if (k as i32) < 0 => {
                self.alu32(AluOp::Mov, TMP, Operand::Imm(k as i32));
                Operand::Reg(TMP)
            }
            Source::K(k) => Operand::Imm(k as i32),
        };
        let (taken, other) = (index + 1 + usize::from(jt), index + 1 + usize::from(jf));
        let jmp = |op| Inst::Jmp { wide: Wide::W64, op, dst: A, src, off: 0 };
        match unless {
            _ if jf == 0 => self.jump(taken, jmp(when)),
            Some(unless) if jt == 0 => self.jump(other, jmp(unless)),
            _ => {
                self.jump(taken, jmp(when));
                self.jump(other, Inst::Ja { off: 0, long: false });
            }
        }
    }

    fn push(&mut self, inst: Inst) {
        self.insts.push(inst);
    }

    fn alu32(&mut self, op: AluOp, dst: Reg, src: Operand) {
        self.push(Inst::Alu { wide: Wide::W32, op, dst, src });
    }

    fn mov64(&mut self, dst: Reg, src: Reg) {
        self.push(Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst, src: Operand::Reg(src) });
    }

    fn field(&mut self, dst: Reg, off: i16) {
        self.push(Inst::Load { width: Width::B4, signed: false, dst, src: CTX, off });
    }

    fn memory_load(&mut self, dst: Reg, cell: u32) {
        self.push(Inst::Load { width: Width::B4, signed: false, dst, src: Reg::FP, off: cell_offset(cell) });
    }

    fn memory_store(&mut self, src: Reg, cell: u32) {
        let off = cell_offset(cell);
        self.push(Inst::Store { width: Width::B4, dst: Reg::FP, off, src: Operand::Reg(src) });
    }

    fn jump(&mut self, to: usize, inst: Inst) {
        self.jumps.push((self.insts.len(), to));
        self.push(inst);
    }

    fn finish(mut self) -> Vec<Insn> {
        for (at, to) in self.jumps {
            // At most 4096 instructions become at most 7 each, so that every distance fits into 16 bits.
            let distance = (self.starts[to] as i64 - at as i64 - 1) as i16;
            match &mut self.insts[at] {
                Inst::Ja { off, .. } => *off = distance.into(),
                Inst::Jmp { off, .. } => *off = distance,
                _ => {}
            }
        }
        self.insts.iter().flat_map(|inst| encode(inst).to_vec()).collect()
    }
}

/// Cells lie downwards from the frame pointer. A [`Filter`]'s cells are below 16.
fn cell_offset(cell: u32) -> i16 {
    -4 * (cell as i16 + 1)
}
