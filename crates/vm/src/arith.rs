//! What the arithmetic, the comparisons and the byte swaps of RFC 9669 compute. Pure; knows no registers.
//!
//! Every function is inlined into arms that pass a constant operation, so that its `match` is gone.

use alveary_isa::{AluOp, CmpOp};

/// `dst op src` on 64 bits (RFC 9669, section 4.1).
#[inline(always)]
pub(crate) fn alu64(op: AluOp, dst: u64, src: u64) -> u64 {
    match op {
        AluOp::Add => dst.wrapping_add(src),
        AluOp::Sub => dst.wrapping_sub(src),
        AluOp::Mul => dst.wrapping_mul(src),
        AluOp::Div => dst.checked_div(src).unwrap_or(0),
        AluOp::SDiv if src == 0 => 0,
        AluOp::SDiv => (dst as i64).wrapping_div(src as i64) as u64,
        AluOp::Mod => dst.checked_rem(src).unwrap_or(dst),
        AluOp::SMod if src == 0 => dst,
        AluOp::SMod => (dst as i64).wrapping_rem(src as i64) as u64,
        AluOp::Or => dst | src,
        AluOp::And => dst & src,
        AluOp::Xor => dst ^ src,
        AluOp::Mov => src,
        AluOp::Lsh => dst.wrapping_shl(src as u32),
        AluOp::Rsh => dst.wrapping_shr(src as u32),
        AluOp::Arsh => (dst as i64).wrapping_shr(src as u32) as u64,
    }
}

/// `dst op src` on 32 bits; the upper half of the result is zero.
#[inline(always)]
pub(crate) fn alu32(op: AluOp, dst: u64, src: u64) -> u64 {
    let (d, s) = (dst as u32, src as u32);
    u64::from(match op {
        AluOp::Add => d.wrapping_add(s),
        AluOp::Sub => d.wrapping_sub(s),
        AluOp::Mul => d.wrapping_mul(s),
        AluOp::Div => d.checked_div(s).unwrap_or(0),
        AluOp::SDiv if s == 0 => 0,
        AluOp::SDiv => (d as i32).wrapping_div(s as i32) as u32,
        AluOp::Mod => d.checked_rem(s).unwrap_or(d),
        AluOp::SMod if s == 0 => d,
        AluOp::SMod => (d as i32).wrapping_rem(s as i32) as u32,
        AluOp::Or => d | s,
        AluOp::And => d & s,
        AluOp::Xor => d ^ s,
        AluOp::Mov => s,
        AluOp::Lsh => d.wrapping_shl(s),
        AluOp::Rsh => d.wrapping_shr(s),
        AluOp::Arsh => (d as i32).wrapping_shr(s) as u32,
    })
}

/// Whether `dst op src` holds on 64 bits (RFC 9669, section 4.3).
#[inline(always)]
pub(crate) fn cmp64(op: CmpOp, dst: u64, src: u64) -> bool {
    match op {
        CmpOp::Eq => dst == src,
        CmpOp::Ne => dst != src,
        CmpOp::Set => dst & src != 0,
        CmpOp::Gt => dst > src,
        CmpOp::Ge => dst >= src,
        CmpOp::Lt => dst < src,
        CmpOp::Le => dst <= src,
        CmpOp::SGt => dst as i64 > src as i64,
        CmpOp::SGe => dst as i64 >= src as i64,
        CmpOp::SLt => (dst as i64) < src as i64,
        CmpOp::SLe => dst as i64 <= src as i64,
    }
}

/// Whether `dst op src` holds for the lower halves.
#[inline(always)]
pub(crate) fn cmp32(op: CmpOp, dst: u64, src: u64) -> bool {
    let extend = |x: u64| match op {
        CmpOp::SGt | CmpOp::SGe | CmpOp::SLt | CmpOp::SLe => x as i32 as i64 as u64,
        _ => u64::from(x as u32),
    };
    cmp64(op, extend(dst), extend(src))
}
