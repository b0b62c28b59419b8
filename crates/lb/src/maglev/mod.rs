//! Consistent hashing: a VIP has a table of slots, a flow's hash names a slot, the slot a real server.
//!
//! After Maglev (Eisenbud et al., NSDI 2016, section 3.4): each real server has an order of preference among the slots, and
//! they take turns. What is added: weights, and a quota for each server, so that its slots are its share of the table
//! rounded down or up, never further away; and that most slots are given before that, each to who wants it most, whatever
//! others got: when a server goes, that moves nothing but its own slots, and turns are taken for the few that are left. A
//! table depends on who is in it and with which weight alone: not on their order, nor on the table before. So all balancers
//! of a site have the same one.
//!
//! Who is away for a while, or not yet at full weight, keeps its place in that order: from the table of all, it gives away
//! what it has beyond its share of the moment, and nothing else moves.

mod folly;
mod katran;
mod murmur;

pub use folly::katran_key;
pub use katran::{Ring, katran};

use murmur::murmur3;
use std::net::{IpAddr, Ipv6Addr};

/// Slots of a table: a prime number, so that each order of preference visits all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u32);

impl Size {
    /// The most slots of a table.
    pub const MOST: u32 = 1 << 20;

    /// A table of `slots`; `None` if that is not a prime number from 3 to [`Size::MOST`].
    #[must_use]
    pub fn new(slots: u32) -> Option<Size> {
        ((3..=Size::MOST).contains(&slots) && is_prime(slots)).then_some(Size(slots))
    }

    /// The smallest table of at least that many slots, the largest that there is if that is too much.
    #[must_use]
    pub fn at_least(slots: u32) -> Size {
        // The largest prime below `MOST` is 3 less.
        let slots = (slots.max(3)..=Size::MOST).find(|slots| is_prime(*slots));
        Size(slots.unwrap_or(Size::MOST - 3))
    }

    /// How many slots.
    #[must_use]
    pub fn slots(self) -> u32 {
        self.0
    }
}

fn is_prime(number: u32) -> bool {
    number >= 2 && (2..).take_while(|d| d * d <= number).all(|d| !number.is_multiple_of(d))
}

/// Who wants slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// What tells it from others: where its slots are follows from this.
    pub key: u64,
    /// Its share is this part of the sum of all.
    pub weight: u32,
    /// The same for now: 0 as long as it is away.
    pub now: u32,
}

impl Member {
    /// One that is there with all its weight.
    #[must_use]
    pub fn new(key: u64, weight: u32) -> Member {
        Member { key, weight, now: weight }
    }
}

/// The key of a real server: of its address, and of its port where servers of one address are told apart by that.
#[must_use]
pub fn key(address: IpAddr, port: Option<u16>) -> u64 {
    let bits = match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    };
    let bits = Ipv6Addr::to_bits(bits);
    let address = murmur3((bits >> 64) as u64, bits as u64, 0);
    port.map_or(address, |port| murmur3(address, u64::from(port), 1))
}

/// The table of these members: for each slot the number of the member that has it. `None` if no one has any weight now.
///
/// Of two members with one key the first one has the lower slots' preference; nobody gains by that.
#[must_use]
pub fn table(size: Size, members: &[Member]) -> Option<Vec<u32>> {
    let mut turns: Vec<Turn> = (0..).zip(members).map(|(index, member)| Turn::of(size, index, *member)).collect();
    // In the order of keys, so that the order of the configuration is nobody's advantage.
    turns.sort_by_key(|turn| turn.key);
    let mut slots = vec![FREE; size.0 as usize];
    give_quotas(size, &mut turns);
    bid(&mut slots, &mut turns);
    fill(&mut slots, &mut turns);
    if members.iter().any(|member| member.now != member.weight) {
        let now = |turn: &Turn| u64::from(members[turn.index as usize].now);
        turns.iter_mut().for_each(|turn| turn.weight = now(turn));
        give_quotas(size, &mut turns);
        turns.iter_mut().for_each(|turn| turn.give_back(&mut slots));
        fill(&mut slots, &mut turns);
    }
    turns.iter().any(|turn| turn.weight > 0).then_some(slots)
}

/// Members bid for this many times their share of the slots. With fewer bids more slots are left to turns, which move when a
/// member goes; with more it takes longer.
const BIDS: u64 = 3;

/// Each member bids for the slots that it likes best, and who bids earlier has a slot: those of half the weight bid half as
/// often. What is more than a quota is given back then, what was bid for last at first.
fn bid(slots: &mut [u32], turns: &mut [Turn]) {
    /// Whose the slot is, and when that was bid.
    #[derive(Clone, Copy)]
    struct Bid {
        by: u32,
        at: u32,
    }
    let (size, sum) = (slots.len() as u64, turns.iter().map(|turn| turn.weight).sum::<u64>());
    let mut bids = vec![Bid { by: FREE, at: 0 }; slots.len()];
    let bids = bids.as_mut_slice();
    for (by, index) in (0..).zip(0..turns.len()) {
        let Turn { weight, .. } = turns[index];
        let most = (BIDS * size * weight).checked_div(sum).unwrap_or_default().min(size);
        for at in 1..=most as u32 {
            let slot = turns[index].step(size as u32);
            let best = bids[slot];
            let other = turns.get(best.by as usize);
            // Of two at once the one with the lower key has it.
            if other.is_none_or(|other| u64::from(at) * other.weight < u64::from(best.at) * weight) {
                bids[slot] = Bid { by, at };
                turns[index].has += 1;
                if let Some(other) = turns.get_mut(best.by as usize) {
                    other.has -= 1;
                }
            }
        }
    }
    for (by, turn) in (0..).zip(&mut *turns) {
        while turn.has > turn.quota {
            let slot = turn.step_back(size as u32);
            if bids[slot].by == by {
                bids[slot].by = FREE;
                turn.has -= 1;
            }
        }
    }
    for (slot, bid) in slots.iter_mut().zip(&*bids) {
        *slot = turns.get(bid.by as usize).map_or(FREE, |turn| turn.index);
    }
}

/// Members take free slots by turns until each has its quota.
fn fill(slots: &mut [u32], turns: &mut [Turn]) {
    let mut left: u32 = turns.iter().map(|turn| turn.quota - turn.has).sum();
    let most = turns.iter().map(|turn| turn.weight).max().unwrap_or_default();
    turns.iter_mut().for_each(|turn| (turn.credit, turn.next) = (0, turn.first));
    while left > 0 {
        let before = left;
        for turn in turns.iter_mut().filter(|turn| turn.has < turn.quota) {
            // The heaviest takes a slot each time, who has half its weight every other time.
            turn.credit += turn.weight;
            if turn.credit >= most {
                turn.credit -= most;
                turn.take(slots);
                left -= 1;
            }
        }
        if left == before {
            // Only light ones are left: it may be billions of rounds until the next one has its turn.
            let waiting = turns.iter().filter(|turn| turn.has < turn.quota);
            let idle = waiting.map(|turn| (most - 1 - turn.credit) / turn.weight).min().unwrap_or_default();
            turns.iter_mut().filter(|turn| turn.has < turn.quota).for_each(|turn| turn.credit += idle * turn.weight);
        }
    }
}

/// A slot that nobody has yet.
const FREE: u32 = u32::MAX;

/// A member while the table is filled.
struct Turn {
    index: u32,
    key: u64,
    weight: u64,
    credit: u64,
    /// Slots that it gets, and that it has.
    quota: u32,
    has: u32,
    /// The slot that it likes best, the one that it wants next, and how far behind each the one after is.
    first: u32,
    next: u32,
    skip: u32,
}

impl Turn {
    fn of(size: Size, index: u32, Member { key, weight, .. }: Member) -> Turn {
        let (first, skip) = preference(size, key);
        Turn { index, key, weight: weight.into(), credit: 0, quota: 0, has: 0, first, next: first, skip }
    }

    /// The slot that it wants next.
    fn step(&mut self, slots: u32) -> usize {
        let slot = self.next;
        let rest = slots - self.skip;
        self.next = if slot >= rest { slot - rest } else { slot + self.skip };
        slot as usize
    }

    /// The slot that it wanted before.
    fn step_back(&mut self, slots: u32) -> usize {
        self.next = if self.next >= self.skip { self.next - self.skip } else { self.next + (slots - self.skip) };
        self.next as usize
    }

    /// Takes the free slot that it likes best. There is one: quotas are no more than there are slots.
    fn take(&mut self, slots: &mut [u32]) {
        loop {
            let slot = self.step(slots.len() as u32);
            if slots[slot] == FREE {
                slots[slot] = self.index;
                self.has += 1;
                return;
            }
        }
    }

    /// Gives the slots back that are more than its quota: those that it likes least.
    fn give_back(&mut self, slots: &mut [u32]) {
        let (mut seen, had) = (0, self.has);
        self.next = self.first;
        while self.has > self.quota && seen < had {
            let slot = self.step(slots.len() as u32);
            if slots[slot] == self.index {
                seen += 1;
                if seen > self.quota {
                    slots[slot] = FREE;
                    self.has -= 1;
                }
            }
        }
    }
}

/// Seeds of the two hashes that make an order of preference. Those of Katran, whose rings need them.
const FIRST: (u64, u32) = (42, 0);
const SKIP: (u64, u32) = (2_718_281_828, 2307);

/// The slot that a member wants most, and how far behind each slot the next one is.
fn preference(Size(size): Size, key: u64) -> (u32, u32) {
    let size = u64::from(size);
    let first = murmur3(key, FIRST.0, FIRST.1) % size;
    let skip = murmur3(key, SKIP.0, SKIP.1) % (size - 1) + 1;
    (first as u32, skip as u32)
}

/// Divides the slots by weight: each member's share rounded down, and one more for those who have that already, and then
/// for those who lose most by rounding.
fn give_quotas(Size(size): Size, turns: &mut [Turn]) {
    let sum: u64 = turns.iter().map(|turn| turn.weight).sum();
    if sum == 0 {
        return turns.iter_mut().for_each(|turn| turn.quota = 0);
    }
    let share = |turn: &Turn| u64::from(size) * turn.weight;
    let mut left = size;
    for turn in turns.iter_mut() {
        turn.quota = (share(turn) / sum) as u32;
        left -= turn.quota;
    }
    let mut order: Vec<usize> = (0..turns.len()).filter(|index| !share(&turns[*index]).is_multiple_of(sum)).collect();
    order.sort_by_key(|index| {
        let turn = &turns[*index];
        (turn.has <= turn.quota, std::cmp::Reverse(share(turn) % sum), turn.key)
    });
    order.iter().take(left as usize).for_each(|index| turns[*index].quota += 1);
}

#[cfg(test)]
mod tests;
