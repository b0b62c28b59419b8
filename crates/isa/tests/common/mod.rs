//! Instructions for tests: every shape, from a seeded generator (SplitMix64), so that a failure can be repeated.
#![allow(dead_code, reason = "each test binary uses its part")]

use alveary_isa::{AluOp, AtomicOp, CmpOp, Inst, Operand, Reg, Swap, Wide, Width};

pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Small numbers, edges and anything.
    pub(crate) fn imm(&mut self) -> i32 {
        let any = self.next() as i32;
        self.pick(&[0, 1, -1, 7, -8, 255, i32::MAX, i32::MIN, any, any >> 16])
    }

    pub(crate) fn off(&mut self) -> i16 {
        let any = self.next() as i16;
        self.pick(&[0, 1, -1, 8, -8, i16::MAX, i16::MIN, any])
    }

    pub(crate) fn reg(&mut self) -> Reg {
        Reg(self.below(11) as u8)
    }

    pub(crate) fn operand(&mut self) -> Operand {
        if self.below(2) == 0 { Operand::Reg(self.reg()) } else { Operand::Imm(self.imm()) }
    }
}

pub(crate) const ALU: [AluOp; 14] = [
    AluOp::Add,
    AluOp::Sub,
    AluOp::Mul,
    AluOp::Div,
    AluOp::SDiv,
    AluOp::Or,
    AluOp::And,
    AluOp::Lsh,
    AluOp::Rsh,
    AluOp::Mod,
    AluOp::SMod,
    AluOp::Xor,
    AluOp::Mov,
    AluOp::Arsh,
];
pub(crate) const CMP: [CmpOp; 11] = [
    CmpOp::Eq,
    CmpOp::Ne,
    CmpOp::Set,
    CmpOp::Gt,
    CmpOp::Ge,
    CmpOp::Lt,
    CmpOp::Le,
    CmpOp::SGt,
    CmpOp::SGe,
    CmpOp::SLt,
    CmpOp::SLe,
];
pub(crate) const ATOMIC: [AtomicOp; 10] = [
    AtomicOp::Add { fetch: false },
    AtomicOp::Add { fetch: true },
    AtomicOp::Or { fetch: false },
    AtomicOp::Or { fetch: true },
    AtomicOp::And { fetch: false },
    AtomicOp::And { fetch: true },
    AtomicOp::Xor { fetch: false },
    AtomicOp::Xor { fetch: true },
    AtomicOp::Xchg,
    AtomicOp::Cmpxchg,
];
pub(crate) const WIDE: [Wide; 2] = [Wide::W32, Wide::W64];
pub(crate) const WIDTH: [Width; 4] = [Width::B1, Width::B2, Width::B4, Width::B8];

/// How many shapes [`inst`] knows.
pub(crate) const SHAPES: usize = 29;

/// One instruction of shape `shape`.
pub(crate) fn inst(rng: &mut Rng, shape: usize) -> Inst {
    let (dst, src, off, imm) = (rng.reg(), rng.reg(), rng.off(), rng.imm());
    let wide = rng.pick(&WIDE);
    let width = rng.pick(&WIDTH);
    match shape {
        0 => Inst::Alu { wide, op: rng.pick(&ALU), dst, src: rng.operand() },
        1 => Inst::Neg { wide, dst },
        2 => Inst::MovSx { wide: Wide::W64, bits: rng.pick(&[8, 16, 32]), dst, src },
        3 => Inst::MovSx { wide: Wide::W32, bits: rng.pick(&[8, 16]), dst, src },
        4 => Inst::Swap { kind: rng.pick(&[Swap::ToLe, Swap::ToBe, Swap::Bswap]), bits: rng.pick(&[16, 32, 64]), dst },
        5 => Inst::AddrSpaceCast { dst, src, to: rng.next() as u16, from: rng.next() as u16 },
        6 => Inst::LoadImm64 { dst, value: rng.next() >> rng.below(64) },
        7 => Inst::MapFd { dst, fd: imm },
        8 => Inst::MapValueFd { dst, fd: imm, off: rng.imm() as u32 },
        9 => Inst::VarAddr { dst, btf_id: imm as u32, btf_fd: rng.imm() },
        10 => Inst::FuncAddr { dst, rel: imm },
        11 => Inst::MapIdx { dst, idx: imm as u32 },
        12 => Inst::MapValueIdx { dst, idx: imm as u32, off: rng.imm() as u32 },
        13 => Inst::Load { width, signed: width != Width::B8 && rng.below(2) == 0, dst, src, off },
        14 => Inst::Store { width, dst, off, src: rng.operand() },
        15 => Inst::Atomic { width: rng.pick(&[Width::B4, Width::B8]), op: rng.pick(&ATOMIC), dst, src, off },
        16 => Inst::LoadAcquire { width, dst, src, off },
        17 => Inst::StoreRelease { width, dst, src, off },
        18 => Inst::LoadAbs { width: rng.pick(&WIDTH[..3]), imm },
        19 => Inst::LoadInd { width: rng.pick(&WIDTH[..3]), src, imm },
        20 => Inst::Ja { off: i32::from(off), long: false },
        21 => Inst::Ja { off: imm, long: true },
        22 => Inst::MayGoto { off },
        23 => Inst::GotoX { dst },
        24 => Inst::Jmp { wide, op: rng.pick(&CMP), dst, src: rng.operand(), off },
        25 => rng.pick(&[Inst::CallHelper { id: imm }, Inst::CallKfunc { btf_id: imm, off }]),
        26 => Inst::CallLocal { rel: imm },
        27 => Inst::CallX { dst, in_imm: dst != Reg::R0 && rng.below(2) == 0 },
        _ => Inst::Exit,
    }
}
