//! What instructions do to numbers, by RFC 9669: plain and slow, to hold others against.

use alveary_isa::{AluOp, CmpOp, Swap, Wide};

/// `a op b`.
#[must_use]
pub fn alu(wide: Wide, op: AluOp, a: u64, b: u64) -> u64 {
    if wide == Wide::W32 {
        let (x, y) = (a as u32, b as u32);
        let (sx, sy) = (x as i32, y as i32);
        return u64::from(match op {
            AluOp::Add => x.wrapping_add(y),
            AluOp::Sub => x.wrapping_sub(y),
            AluOp::Mul => x.wrapping_mul(y),
            AluOp::Div => x.checked_div(y).unwrap_or(0),
            AluOp::SDiv => {
                if y == 0 {
                    0
                } else {
                    sx.wrapping_div(sy) as u32
                }
            }
            AluOp::Or => x | y,
            AluOp::And => x & y,
            AluOp::Lsh => x.wrapping_shl(y),
            AluOp::Rsh => x.wrapping_shr(y),
            AluOp::Mod => x.checked_rem(y).unwrap_or(x),
            AluOp::SMod => {
                if y == 0 {
                    x
                } else {
                    sx.wrapping_rem(sy) as u32
                }
            }
            AluOp::Xor => x ^ y,
            AluOp::Mov => y,
            AluOp::Arsh => sx.wrapping_shr(y) as u32,
        });
    }
    let (sa, sb) = (a as i64, b as i64);
    match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b).unwrap_or(0),
        AluOp::SDiv => {
            if b == 0 {
                0
            } else {
                sa.wrapping_div(sb) as u64
            }
        }
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Lsh => a.wrapping_shl(b as u32),
        AluOp::Rsh => a.wrapping_shr(b as u32),
        AluOp::Mod => a.checked_rem(b).unwrap_or(a),
        AluOp::SMod => {
            if b == 0 {
                a
            } else {
                sa.wrapping_rem(sb) as u64
            }
        }
        AluOp::Xor => a ^ b,
        AluOp::Mov => b,
        AluOp::Arsh => sa.wrapping_shr(b as u32) as u64,
    }
}

/// `-a`.
#[must_use]
pub fn negate(wide: Wide, a: u64) -> u64 {
    alu(wide, AluOp::Sub, 0, a)
}

/// The low `bits` of `a`, sign-extended to `wide`.
#[must_use]
pub fn sign_extend(wide: Wide, bits: u8, a: u64) -> u64 {
    let above = 64 - u32::from(bits);
    let extended = ((a << above) as i64 >> above) as u64;
    if wide == Wide::W32 { u64::from(extended as u32) } else { extended }
}

/// The low `bits` of `a`, swapped, on a little-endian machine.
#[must_use]
pub fn swap(kind: Swap, bits: u8, a: u64) -> u64 {
    let low = a & (u64::MAX >> (64 - u32::from(bits)));
    if kind == Swap::ToLe { low } else { low.swap_bytes() >> (64 - u32::from(bits)) }
}

/// Whether the jump is taken.
#[must_use]
pub fn compare(wide: Wide, op: CmpOp, a: u64, b: u64) -> bool {
    let (a, b, sa, sb) = match wide {
        Wide::W64 => (a, b, a as i64, b as i64),
        Wide::W32 => (u64::from(a as u32), u64::from(b as u32), i64::from(a as i32), i64::from(b as i32)),
    };
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
