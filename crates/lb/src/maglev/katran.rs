//! Rings as Katran computes them, for those who come from there, or have both in front of the same servers: flows keep
//! their servers. Written from what its rings are, not from its code.

use super::{FREE, Member, Size, preference};

/// Which of Katran's two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ring {
    /// `Maglev`: who has weight n takes n slots in the first round and one in each that follows. Weights shape the table
    /// only as long as they are large beside the number of slots.
    First,
    /// `MaglevV2`: who has half the largest weight takes a slot every other round.
    Second,
}

/// Katran's ring of these members: for each slot the number of the member that has it; `key` is what Katran calls the
/// endpoint's hash, `now` its weight. `None` if no one has any.
#[must_use]
pub fn katran(ring: Ring, size: Size, members: &[Member]) -> Option<Vec<u32>> {
    let mut turns: Vec<Turn> =
        (0..).zip(members).filter_map(|(index, member)| Turn::of(size, index, *member)).collect();
    turns.sort_by_key(|turn| turn.key);
    let most = turns.iter().map(|turn| turn.weight).max()?;
    if let [alone] = &turns[..] {
        return Some(vec![alone.index; size.0 as usize]);
    }
    let (mut slots, mut left) = (vec![FREE; size.0 as usize], size.0);
    let mut first = true;
    loop {
        for turn in &mut turns {
            let count = match ring {
                Ring::First if first => turn.weight,
                Ring::First => 1,
                Ring::Second => {
                    turn.credit += turn.weight;
                    let takes = turn.credit >= most;
                    turn.credit -= if takes { most } else { 0 };
                    u64::from(takes)
                }
            };
            for _ in 0..count {
                turn.take(&mut slots);
                left -= 1;
                if left == 0 {
                    return Some(slots);
                }
            }
        }
        first = false;
    }
}

/// A member while the ring is filled.
struct Turn {
    index: u32,
    key: u64,
    weight: u64,
    credit: u64,
    first: u32,
    skip: u32,
    tried: u32,
}

impl Turn {
    fn of(size: Size, index: u32, Member { key, now, .. }: Member) -> Option<Turn> {
        let (first, skip) = preference(size, key);
        let weight = u64::from(now);
        (weight > 0).then_some(Turn { index, key, weight, credit: 0, first, skip, tried: 0 })
    }

    fn take(&mut self, slots: &mut [u32]) {
        loop {
            // Its numbers have 32 bits, and wrap in large rings.
            let slot = self.first.wrapping_add(self.tried.wrapping_mul(self.skip)) % slots.len() as u32;
            if slots[slot as usize] == FREE {
                slots[slot as usize] = self.index;
                self.tried = self.tried.wrapping_add(1);
                return;
            }
            self.tried = self.tried.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tells one ring from another: FNV-1a over its numbers, little-endian.
    fn digest(ring: &[u32]) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        ring.iter().flat_map(|number| number.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, step)
    }

    #[test]
    fn rings_are_katrans() {
        let same = |_: u32| 1;
        let mixed = |i: u32| 1 + i % 7;
        let heavy = |i: u32| if i == 0 { 1000 } else { 1 };
        // By Katran's own `MaglevHash` and `MaglevHashV2`, commit of 2026: endpoints 0, 1 … with hashes 3, 13, 23 …
        let cases = [
            (17, 1, &same as &dyn Fn(u32) -> u32, [0xe7d1_6c6b_24f5_c8f5, 0xe7d1_6c6b_24f5_c8f5], [0, 0, 0, 0, 0, 0]),
            (17, 3, &same, [0x04c0_eeae_5a23_2b87, 0x04c0_eeae_5a23_2b87], [2, 1, 2, 0, 2, 2]),
            (101, 5, &mixed, [0x1e92_a02d_89d9_0697, 0xc0d7_6d05_3215_fac7], [1, 0, 3, 0, 3, 4]),
            (16381, 100, &same, [0xbe8d_0bd0_0318_79c5, 0xbe8d_0bd0_0318_79c5], [85, 98, 48, 74, 16, 49]),
            (16381, 100, &mixed, [0x2a4e_e11c_f0bc_3b2e, 0x70ae_210f_7b33_4fe0], [85, 98, 48, 74, 16, 49]),
            (65537, 100, &mixed, [0x787f_9170_4a19_0c5e, 0xb2dc_995c_9503_eea6], [82, 63, 31, 59, 57, 15]),
            (65537, 400, &same, [0x6078_61bb_a8b3_9606, 0x6078_61bb_a8b3_9606], [105, 63, 362, 59, 207, 15]),
            (65537, 3, &heavy, [0x7d53_4f18_34ce_a874, 0x7f63_e708_729e_9be6], [2, 1, 0, 0, 1, 0]),
        ];
        for (slots, reals, weight, [first, second], begins) in cases {
            let size = Size::new(slots).expect("a prime number");
            let members: Vec<_> = (0..reals).map(|i| Member::new(u64::from(10 * i + 3), weight(i))).collect();
            let one = katran(Ring::First, size, &members).expect("weights");
            assert_eq!(one[..6], begins, "{slots} slots, {reals} reals");
            assert_eq!(digest(&one), first, "{slots} slots, {reals} reals");
            let two = katran(Ring::Second, size, &members).expect("weights");
            assert_eq!(digest(&two), second, "{slots} slots, {reals} reals, V2");
        }
    }

    #[test]
    fn who_has_no_weight_has_no_slot() {
        let size = Size::new(17).expect("a prime number");
        let members = [Member::new(1, 0), Member::new(2, 5)];
        assert_eq!(katran(Ring::First, size, &members), Some(vec![1; 17]));
        assert_eq!(katran(Ring::Second, size, &members[..1]), None);
    }
}
