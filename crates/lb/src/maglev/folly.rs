//! What Katran's library orders its endpoints by: the hash that the library folly makes of an address. Written from what it
//! is (FNV-1, the finish of CityHash, SpookyHash V2 of 16 bytes: the first and the last are in the public domain), not from
//! its code.

use std::net::IpAddr;

/// What it calls the families.
const IPV4: u64 = 2;
const IPV6: u64 = 10;

/// The hash of an address, which is the key of a member of Katran's rings.
#[must_use]
pub fn katran_key(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(four) => combined(IPV4, fnv(four.octets())),
        IpAddr::V6(six) => {
            let (one, two) = spooky(six.octets());
            combined(IPV6, combined(one, two))
        }
    }
}

/// FNV-1 of 32 bits, its octets with a sign.
fn fnv(octets: [u8; 4]) -> u64 {
    let step = |hash: u32, octet: u8| hash.wrapping_mul(0x0100_0193) ^ i32::from(octet.cast_signed()).cast_unsigned();
    octets.into_iter().fold(0x811c_9dc5, step).into()
}

/// Two hashes as one.
fn combined(upper: u64, lower: u64) -> u64 {
    const FACTOR: u64 = 0x9ddf_ea08_eb38_2d69;
    let mix = |hash: u64| hash ^ (hash >> 47);
    let a = mix((lower ^ upper).wrapping_mul(FACTOR));
    mix((upper ^ a).wrapping_mul(FACTOR)).wrapping_mul(FACTOR)
}

/// SpookyHash V2 of 16 bytes, both halves.
fn spooky(bytes: [u8; 16]) -> (u64, u64) {
    const CONSTANT: u64 = 0xdead_beef_dead_beef;
    let words = u128::from_le_bytes(bytes);
    let mut h = [0, 0, CONSTANT.wrapping_add(words as u64), CONSTANT.wrapping_add((words >> 64) as u64)];
    let mut at = 2;
    for by in [50, 52, 30, 41, 54, 48, 38, 37, 62, 34, 5, 36] {
        h[at] = u64::rotate_left(h[at], by).wrapping_add(h[(at + 1) % 4]);
        h[(at + 2) % 4] ^= h[at];
        at = (at + 1) % 4;
    }
    // How many bytes there were; nothing is left of them.
    h[3] = h[3].wrapping_add(16 << 56).wrapping_add(CONSTANT);
    h[2] = h[2].wrapping_add(CONSTANT);
    let mut at = 3;
    for by in [15, 52, 26, 51, 28, 9, 47, 54, 32, 25, 63] {
        let before = (at + 3) % 4;
        h[at] ^= h[before];
        h[before] = h[before].rotate_left(by);
        h[at] = h[at].wrapping_add(h[before]);
        at = (at + 1) % 4;
    }
    (h[0], h[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maglev::{Member, Ring, Size, katran};

    /// Which real a place of a ring belongs to, as Katran's public fixtures have it.
    #[test]
    fn rings_of_addresses_are_katrans() {
        let four = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
        let six = ["fc00::1", "fc00::2", "fc00::3"];
        let both = [&four[..], &six[..]].concat();
        for (reals, place, wanted) in PLACES {
            let reals: &[&str] = match *reals {
                4 => &four,
                6 => &six,
                _ => &both,
            };
            let size = Size::new(65_537).expect("a prime number");
            let member = |real: &&str| Member::new(katran_key(real.parse().expect("an address")), 1);
            let members: Vec<Member> = reals.iter().map(member).collect();
            let ring = katran(Ring::First, size, &members).expect("weights");
            assert_eq!(reals[ring[*place] as usize], *wanted, "place {place} of {reals:?}");
        }
    }

    /// Reals of IPv4, of IPv6 or both; where a flow falls in the ring; its real.
    const PLACES: &[(u8, usize, &str)] = &[
        (4, 48_717, "10.0.0.3"),
        (4, 39_962, "10.0.0.2"),
        (4, 6_078, "10.0.0.2"),
        (4, 26_268, "10.0.0.3"),
        (6, 48_717, "fc00::1"),
        (6, 37_505, "fc00::3"),
        (6, 22_498, "fc00::1"),
        (6, 42_990, "fc00::1"),
        (46, 6_381, "10.0.0.2"),
    ];

    #[test]
    fn octets_have_a_sign() {
        assert_ne!(katran_key([10, 0, 0, 1].into()), katran_key([10, 0, 0, 2].into()));
        assert_eq!(fnv([0, 0, 0, 0x80]) as u32 >> 8, !(fnv([0, 0, 0, 0]) as u32 >> 8) & 0x00ff_ffff);
    }
}
