//! MurmurHash3 (Austin Appleby, public domain), its 128-bit variant for 64-bit machines over exactly 16 bytes; of the result
//! the first half.

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// The hash of two numbers, the first one's bytes first.
pub(super) fn murmur3(first: u64, second: u64, seed: u32) -> u64 {
    let seed = u64::from(seed);
    let k1 = first.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let k2 = second.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let h1 = (seed ^ k1).rotate_left(27).wrapping_add(seed).wrapping_mul(5).wrapping_add(0x52dc_e729);
    let h2 = (seed ^ k2).rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    // 16 bytes were hashed.
    let (h1, h2) = (h1 ^ 16, h2 ^ 16);
    let h1 = h1.wrapping_add(h2);
    let h2 = h2.wrapping_add(h1);
    mixed(h1).wrapping_add(mixed(h2))
}

/// Every bit of it depends on every bit of what it is made of.
fn mixed(k: u64) -> u64 {
    let k = (k ^ (k >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let k = (k ^ (k >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    k ^ (k >> 33)
}

#[cfg(test)]
mod tests {
    use super::murmur3;

    #[test]
    fn as_others_compute_it() {
        // By another implementation of the same function.
        assert_eq!(murmur3(0, 0, 0), 0x4bbd_1bf2_7da9_18d6);
        assert_eq!(murmur3(1, 2, 3), 0x911f_9cd9_4258_7832);
    }
}
