//! What instructions do to numbers of any width: the truth that the scalars are held against.

use super::super::tnum::{signed, wrap};
use alveary_isa::{AluOp, CmpOp, Wide};

pub(super) const ALU: [AluOp; 14] = [
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

pub(super) const COMPARISONS: [CmpOp; 11] = [
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

pub(super) const WIDES: [Wide; 2] = [Wide::W64, Wide::W32];

/// `a op= b` in `W` bits, or in the `H` lower ones.
pub(super) fn alu<const W: u32, const H: u32>(op: AluOp, a: u64, b: u64, wide: Wide) -> u64 {
    match wide {
        Wide::W64 => at::<W>(op, a, b),
        Wide::W32 => at::<H>(op, wrap::<H>(a), wrap::<H>(b)),
    }
}

fn at<const B: u32>(op: AluOp, a: u64, b: u64) -> u64 {
    let (sa, sb) = (signed::<B>(a), signed::<B>(b));
    // The amount of a shift is masked, which at widths that are no power of two means the remainder.
    let by = (b % u64::from(B)) as u32;
    wrap::<B>(match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::SDiv => {
            if sb == 0 {
                0
            } else {
                sa.wrapping_div(sb) as u64
            }
        }
        AluOp::SMod => {
            if sb == 0 {
                a
            } else {
                sa.wrapping_rem(sb) as u64
            }
        }
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Lsh => a << by,
        AluOp::Rsh => a >> by,
        AluOp::Arsh => (sa >> by) as u64,
    })
}

/// Whether `a op b` holds in `W` bits, or in the `H` lower ones.
pub(super) fn holds<const W: u32, const H: u32>(op: CmpOp, a: u64, b: u64, wide: Wide) -> bool {
    match wide {
        Wide::W64 => compare::<W>(op, a, b),
        Wide::W32 => compare::<H>(op, wrap::<H>(a), wrap::<H>(b)),
    }
}

fn compare<const B: u32>(op: CmpOp, a: u64, b: u64) -> bool {
    let (sa, sb) = (signed::<B>(a), signed::<B>(b));
    match op {
        CmpOp::Eq => a == b,
        CmpOp::Ne => a != b,
        CmpOp::Set => a & b != 0,
        CmpOp::Gt => a > b,
        CmpOp::Ge => a >= b,
        CmpOp::Lt => a < b,
        CmpOp::Le => a <= b,
        CmpOp::SGt => sa > sb,
        CmpOp::SGe => sa >= sb,
        CmpOp::SLt => sa < sb,
        CmpOp::SLe => sa <= sb,
    }
}
