//! How much passes look at. What a hostile program makes them look at again and again is bounded, so that compiling takes
//! time by a program's length alone: a pass takes what it does from a [`Budget`] and leaves off where that is used up.
//!
//! Tests count all that is looked at.

/// Steps for each node of a function, and what a small function may take beyond.
const PER_NODE: usize = 64;
const LEAST: usize = 1 << 18;

/// What a pass may still look at in a function.
pub(super) struct Budget(usize);

impl Budget {
    /// In a function of so many nodes.
    pub(super) fn of(nodes: usize) -> Budget {
        Budget(LEAST + PER_NODE * nodes)
    }

    /// Takes so many steps; whether there were as many.
    pub(super) fn take(&mut self, steps: usize) -> bool {
        count(steps);
        let left = self.0.checked_sub(steps);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// Something was looked at, so often.
#[inline(always)]
pub(super) fn count(_steps: usize) {
    #[cfg(test)]
    tests::COUNTED.with(|counted| counted.set(counted.get() + _steps as u64));
}

#[cfg(test)]
mod tests;
