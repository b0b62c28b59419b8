//! Stable sorting by one function for all types. The standard library's is made anew for each type and order, with 4 kB of
//! code each time; there were a hundred in the binary, most of which sort a handful of things that nobody waits for, and not
//! all are seen: `collect` sorts what becomes a `BTreeMap`, which [`Gather`] does not. Where somebody waits, the standard
//! library's own are the ones to take.
//!
//! ```
//! use alveary_sort::Sort;
//!
//! let mut words = ["three", "one", "two"];
//! words.order_by_key(|word| word.len());
//! assert_eq!(words, ["one", "two", "three"]);
//! ```

#![forbid(unsafe_code)]

mod gather;

pub use gather::Gather;

use std::cmp::Ordering;

/// What can be sorted.
pub trait Sort<T> {
    /// As [`slice::sort_by`].
    fn order_by(&mut self, compare: impl FnMut(&T, &T) -> Ordering);

    /// As [`slice::sort_by_key`].
    fn order_by_key<K: Ord>(&mut self, key: impl FnMut(&T) -> K);

    /// As [`slice::sort`].
    fn order(&mut self)
    where
        T: Ord;
}

impl<T> Sort<T> for [T] {
    fn order_by(&mut self, mut compare: impl FnMut(&T, &T) -> Ordering) {
        let mut from = sorted(self.len(), &mut |one, other| compare(&self[one], &self[other]));
        // Each goes where it belongs, and what stood there where that belongs, until the first one's place is free.
        for start in 0..from.len() {
            let mut to = start;
            while from[to] != start {
                let next = from[to];
                self.swap(to, next);
                from[to] = to;
                to = next;
            }
            from[to] = to;
        }
    }

    fn order_by_key<K: Ord>(&mut self, mut key: impl FnMut(&T) -> K) {
        self.order_by(|one, other| key(one).cmp(&key(other)));
    }

    fn order(&mut self)
    where
        T: Ord,
    {
        self.order_by(T::cmp);
    }
}

/// Which of so many things belongs at each place.
#[inline(never)]
fn sorted(count: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut from: Vec<usize> = (0..count).collect();
    from.sort_by(|one, other| compare(*one, *other));
    from
}

#[cfg(test)]
mod tests {
    use super::Sort;

    #[test]
    fn the_order_is_that_of_the_standard_library() {
        let mut state = 1_u32;
        let mut random = |most: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % most
        };
        for len in (0..40).chain([1000]) {
            for most in [1, 3, 10, 1 << 20] {
                let all: Vec<(u32, usize)> = (0..len).map(|at| (random(most), at)).collect();
                let (mut ours, mut theirs) = (all.clone(), all);
                ours.order_by_key(|(key, _)| *key);
                theirs.sort_by_key(|(key, _)| *key);
                assert_eq!(ours, theirs);
                ours.order_by(|one, other| other.cmp(one));
                theirs.sort_by(|one, other| other.cmp(one));
                assert_eq!(ours, theirs);
                ours.order();
                theirs.sort();
                assert_eq!(ours, theirs);
            }
        }
    }
}
