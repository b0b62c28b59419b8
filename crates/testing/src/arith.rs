//! What instructions do to numbers, by RFC 9669: plain and slow, to hold others against. Of any width, so that code which
//! is generic over it can be held against this at small ones.

use alveary_isa::{AluOp, CmpOp, Swap, Wide};

/// The width of an operation, in bits.
#[must_use]
pub const fn bits(wide: Wide) -> u32 {
    match wide {
        Wide::W32 => 32,
        Wide::W64 => 64,
    }
}

/// The low `bits` of `a`.
const fn low(bits: u32, a: u64) -> u64 {
    a & (u64::MAX >> (64 - bits))
}

/// The low `bits` of `a`, as a signed number.
const fn signed(bits: u32, a: u64) -> i64 {
    (a << (64 - bits)) as i64 >> (64 - bits)
}

/// `a op b` of the low `bits` of both; the bits above are zero.
#[must_use]
pub const fn alu(bits: u32, op: AluOp, a: u64, b: u64) -> u64 {
    let (a, b) = (low(bits, a), low(bits, b));
    let (signed_a, signed_b) = (signed(bits, a), signed(bits, b));
    // The amount of a shift is masked, which at widths that are no power of two means the remainder.
    let by = (b % bits as u64) as u32;
    let result = match (op, b) {
        (AluOp::Add, _) => a.wrapping_add(b),
        (AluOp::Sub, _) => a.wrapping_sub(b),
        (AluOp::Mul, _) => a.wrapping_mul(b),
        (AluOp::Div | AluOp::SDiv, 0) => 0,
        (AluOp::Mod | AluOp::SMod, 0) => a,
        (AluOp::Div, _) => a / b,
        (AluOp::Mod, _) => a % b,
        (AluOp::SDiv, _) => signed_a.wrapping_div(signed_b) as u64,
        (AluOp::SMod, _) => signed_a.wrapping_rem(signed_b) as u64,
        (AluOp::Or, _) => a | b,
        (AluOp::And, _) => a & b,
        (AluOp::Xor, _) => a ^ b,
        (AluOp::Mov, _) => b,
        (AluOp::Lsh, _) => a << by,
        (AluOp::Rsh, _) => a >> by,
        (AluOp::Arsh, _) => (signed_a >> by) as u64,
    };
    low(bits, result)
}

/// Whether `a op b` holds of the low `bits` of both.
#[must_use]
pub const fn compare(bits: u32, op: CmpOp, a: u64, b: u64) -> bool {
    let (a, b) = (low(bits, a), low(bits, b));
    let (signed_a, signed_b) = (signed(bits, a), signed(bits, b));
    match op {
        CmpOp::Eq => a == b,
        CmpOp::Ne => a != b,
        CmpOp::Set => a & b != 0,
        CmpOp::Gt => a > b,
        CmpOp::Ge => a >= b,
        CmpOp::Lt => a < b,
        CmpOp::Le => a <= b,
        CmpOp::SGt => signed_a > signed_b,
        CmpOp::SGe => signed_a >= signed_b,
        CmpOp::SLt => signed_a < signed_b,
        CmpOp::SLe => signed_a <= signed_b,
    }
}

/// `-a`.
#[must_use]
pub const fn negate(bits: u32, a: u64) -> u64 {
    alu(bits, AluOp::Sub, 0, a)
}

/// The low `from` bits of `a`, sign-extended to `bits`.
#[must_use]
pub const fn sign_extend(bits: u32, from: u32, a: u64) -> u64 {
    low(bits, signed(from, a) as u64)
}

/// The low `bits` of `a`, swapped, on a little-endian machine.
#[must_use]
pub const fn swap(kind: Swap, bits: u32, a: u64) -> u64 {
    match kind {
        Swap::ToLe => low(bits, a),
        Swap::ToBe | Swap::Bswap => low(bits, a).swap_bytes() >> (64 - bits),
    }
}
