//! The instruction budget, exact at the price of one addition for each jump that is taken.
//!
//! Let `before(i)` be how many instructions stand before slot `i`. Along a straight line, the account
//! `left + before(here) - total` does not change, where `left` is what may still be run and `total` what the program
//! has. A jump from `i` to `t` adds `before(t) - before(i) - 1`, which predecoding knows. While the account is not
//! negative, at least as many instructions may be run as any straight line has: nothing is asked on the way. When it
//! is negative, the engine changes over to a loop that asks before every instruction.

use std::cell::Cell;

/// The most that is counted in one go; what a budget has beyond this is kept in `bank`.
const MOST: u64 = 1 << 60;

/// What the accounts of one activation have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fuel {
    total: i64,
    bank: u64,
}

impl Fuel {
    /// For a program of `total` instructions, with what `fuel` holds.
    pub(crate) fn open(fuel: &Cell<u64>, total: usize) -> Fuel {
        Fuel { total: total as i64, bank: fuel.get().saturating_sub(MOST) }
    }

    /// The account, where `before` instructions stand before the next one.
    #[inline(always)]
    pub(crate) fn account(&self, fuel: &Cell<u64>, before: i64) -> i64 {
        fuel.get().saturating_sub(self.bank).min(MOST) as i64 + before - self.total
    }

    /// What may still be run where `before` instructions stand before the next one.
    #[inline(always)]
    pub(crate) fn left(&self, account: i64, before: i64) -> i64 {
        account + self.total - before
    }

    /// Writes the account back.
    #[inline(always)]
    pub(crate) fn save(&self, account: i64, fuel: &Cell<u64>, before: i64) {
        fuel.set(self.bank + self.left(account, before).max(0) as u64);
    }
}
