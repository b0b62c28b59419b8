//! Maps and sets in order, out of what an iterator gives.

/// What gathers things one by one.
pub trait Gather: Iterator + Sized {
    /// As [`Iterator::collect`] into a [`BTreeMap`](std::collections::BTreeMap) or a
    /// [`BTreeSet`](std::collections::BTreeSet): of things with the same key the last value stays. `collect` sorts first,
    /// by a function of its own in each place, and builds the map from that.
    fn gather<C: Default + Extend<Self::Item>>(self) -> C {
        let mut all = C::default();
        all.extend(self);
        all
    }
}

impl<I: Iterator> Gather for I {}

#[cfg(test)]
mod tests {
    use super::Gather;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn what_is_gathered_is_what_would_be_collected() {
        let pairs = || [(3, 'a'), (1, 'b'), (3, 'c'), (2, 'd'), (1, 'e')].into_iter();
        let gathered: BTreeMap<_, _> = pairs().gather();
        assert_eq!(gathered, pairs().collect::<BTreeMap<_, _>>());
        assert_eq!(gathered[&3], 'c');
        let keys: BTreeSet<_> = pairs().map(|(key, _)| key).gather();
        assert!(keys.into_iter().eq([1, 2, 3]));
    }
}
