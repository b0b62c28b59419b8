//! The hash function of the maps.
//!
//! Inlined lookups compute the same one, so it is made of what eBPF has: exclusive or, 64-bit multiplication, shifts.
//! Each step is a permutation of the 64-bit state, so that keys of up to 8 bytes never collide before the last shift.

/// Multiplier of each word: odd, with its bits spread (2^64 divided by the golden ratio).
pub const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
/// Multiplier of the end.
pub const FINISH: u64 = 0xd6e8_feb8_6659_fd93;

/// Hash of `key` under `seed`.
///
/// The key is taken as 64-bit words of this machine's byte order, a shorter rest filled up with zero bytes behind it
/// (a 4-byte key is one such word on a little-endian machine: itself). For each word: `state = (state ^ word) *`
/// [`MULTIPLIER`], `state ^= state >> 32`. At the end `state *= ` [`FINISH`], and the upper 32 bits are the hash.
///
/// ```
/// assert_eq!(alveary_maps::hash(&[0; 4], 0), 0);
/// assert_ne!(alveary_maps::hash(&[0; 4], 1), alveary_maps::hash(&[0; 4], 2));
/// ```
#[inline]
#[must_use]
pub fn hash(key: &[u8], seed: u64) -> u32 {
    let (words, rest) = key.as_chunks();
    let mut state = seed;
    for word in words {
        state = step(state, u64::from_ne_bytes(*word));
    }
    if let Ok(rest) = rest.try_into() {
        state = step(state, u64::from_ne_bytes(padded::<4>(rest)));
    } else if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        state = step(state, u64::from_ne_bytes(word));
    }
    (state.wrapping_mul(FINISH) >> 32) as u32
}

#[inline]
fn step(state: u64, word: u64) -> u64 {
    let state = (state ^ word).wrapping_mul(MULTIPLIER);
    state ^ (state >> 32)
}

#[inline]
fn padded<const N: usize>(bytes: &[u8; N]) -> [u8; 8] {
    let mut word = [0; 8];
    word[..N].copy_from_slice(bytes);
    word
}
