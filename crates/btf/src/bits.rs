//! Numbers of any width at any bit, in either byte order.
//!
//! A bit offset counts from the start of the memory that holds the number: from the least significant bit of the
//! first byte on in little-endian memory, from the most significant one in big-endian memory.

use alveary_isa::Endian;

/// Reads `bits` bits (1–128) from bit `offset` of `bytes`; `None` if they are not all there.
pub(crate) fn read(bytes: &[u8], offset: u32, bits: u32, signed: bool, endian: Endian) -> Option<i128> {
    let (first, shift) = ((offset / 8) as usize, offset % 8);
    let count = (shift + bits).div_ceil(8) as usize;
    let from = bytes.get(first..first.checked_add(count)?)?;
    if bits == 0 || count > 16 {
        return None;
    }
    let number = match endian {
        Endian::Little => from.iter().rev().fold(0u128, |n, b| n << 8 | u128::from(*b)) >> shift,
        Endian::Big => from.iter().fold(0u128, |n, b| n << 8 | u128::from(*b)) >> (count as u32 * 8 - shift - bits),
    };
    let unused = 128 - bits;
    let high = number << unused;
    // Unsigned 128-bit numbers above `i128::MAX` come out negative, as the bits that they are.
    Some(if signed { high as i128 >> unused } else { (high >> unused) as i128 })
}

/// Writes the low `bits` bits of `value` at bit `offset` of `bytes`; says whether there was room.
#[must_use]
pub(crate) fn write(bytes: &mut [u8], offset: u32, bits: u32, value: i128, endian: Endian) -> bool {
    let (first, shift) = ((offset / 8) as usize, offset % 8);
    let count = (shift + bits).div_ceil(8) as usize;
    let Some(to) = first.checked_add(count).and_then(|end| bytes.get_mut(first..end)) else { return false };
    if bits == 0 || count > 16 {
        return false;
    }
    let up = match endian {
        Endian::Little => shift,
        Endian::Big => count as u32 * 8 - shift - bits,
    };
    let mask = u128::MAX >> (128 - bits) << up;
    let value = (value as u128) << up & mask;
    for (i, byte) in to.iter_mut().enumerate() {
        let at = match endian {
            Endian::Little => i,
            Endian::Big => count - 1 - i,
        } * 8;
        *byte = *byte & !((mask >> at) as u8) | (value >> at) as u8;
    }
    true
}
