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

/// The account of one activation of the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fuel {
    /// See the head of this file.
    pub(crate) account: i64,
    total: i64,
    bank: u64,
}

impl Fuel {
    /// Opens the account with what `fuel` holds; `before` instructions stand before the first one.
    pub(crate) fn open(fuel: &Cell<u64>, total: usize, before: i64) -> Fuel {
        let left = fuel.get().min(MOST);
        let total = total as i64;
        Fuel { account: left as i64 + before - total, total, bank: fuel.get() - left }
    }

    /// What may still be run where `before` instructions stand before the next one.
    #[inline(always)]
    pub(crate) fn left(&self, before: i64) -> i64 {
        self.account + self.total - before
    }

    /// Writes the account back.
    #[inline(always)]
    pub(crate) fn save(&self, fuel: &Cell<u64>, before: i64) {
        fuel.set(self.bank + self.left(before).max(0) as u64);
    }

    /// Reads the account again after others counted in `fuel`.
    #[inline(always)]
    pub(crate) fn restore(&mut self, fuel: &Cell<u64>, before: i64) {
        self.account = fuel.get().saturating_sub(self.bank).min(MOST) as i64 + before - self.total;
    }
}
