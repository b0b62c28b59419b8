//! The Internet checksum as Linux's helpers compute it (RFC 1071): sums in 32 bits, folded late.
//! Sums are over 16-bit words in memory order, so that a folded sum can be stored as it is.

/// Adds the bytes to `seed`, as [`partial`] sums of the kernel are: one's complement, 32 bits.
#[must_use]
pub fn partial(bytes: &[u8], seed: u32) -> u32 {
    let mut sum = u64::from(seed);
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        sum += u64::from(u32::from_ne_bytes(*word));
    }
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    sum += u64::from(u32::from_ne_bytes(last));
    from64to32(sum)
}

/// Folds a 64-bit sum into 32 bits.
fn from64to32(sum: u64) -> u32 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    ((sum & 0xffff_ffff) + (sum >> 32)) as u32
}

/// One's complement sum of two sums.
#[must_use]
pub fn add(a: u32, b: u32) -> u32 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u32::from(carry)
}

/// `a` without `b`.
#[must_use]
pub fn sub(a: u32, b: u32) -> u32 {
    add(a, !b)
}

/// The 16-bit checksum of a sum: what a header's field holds.
#[must_use]
pub fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

/// `bpf_csum_diff`: `seed` with `to` instead of `from`, not folded.
#[must_use]
pub fn diff(from: &[u8], to: &[u8], seed: u32) -> u32 {
    match (from.is_empty(), to.is_empty()) {
        (false, false) => sub(partial(to, seed), partial(from, 0)),
        (false, true) => !partial(from, !seed),
        (true, false) => partial(to, seed),
        (true, true) => seed,
    }
}
