//! Which of several ways a packet goes: the same for all packets of a flow.

use crate::seg6::{Octets, SEGMENT};

/// Picks one of some ways by their weights: source, destination, flow label and protocol of a packet count, as in Linux
/// by default (`fib_multipath_hash_policy` 0); the hash is our own, since Linux's has a secret in it.
pub(super) fn pick(packet: &[u8], weights: impl Iterator<Item = u32> + Clone) -> Option<usize> {
    let all: u64 = weights.clone().map(u64::from).sum();
    let mut point = hash(packet) % all.max(1);
    for (way, weight) in weights.enumerate() {
        match point.checked_sub(u64::from(weight)) {
            Some(rest) => point = rest,
            None => return Some(way),
        }
    }
    None
}

fn hash(packet: &[u8]) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15;
    if packet.first().is_some_and(|first| first >> 4 == 4) {
        let protocol = u64::from(packet.octet(9).unwrap_or(0));
        let addresses = packet.array::<8>(12).map_or(0, u64::from_be_bytes);
        state = mix(state ^ protocol);
        return mix(state ^ addresses);
    }
    let [_, label @ ..] = packet.array::<4>(0).unwrap_or_default();
    let label = u64::from(u32::from_be_bytes([0, label[0] & 0xf, label[1], label[2]]));
    state = mix(state ^ label << 8 ^ u64::from(packet.octet(6).unwrap_or(0)));
    for at in (8..8 + 2 * SEGMENT).step_by(8) {
        state = mix(state ^ packet.array::<8>(at).map_or(0, u64::from_be_bytes));
    }
    state
}

/// The finalizer of splitmix64.
fn mix(mut state: u64) -> u64 {
    state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}
