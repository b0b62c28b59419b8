//! How often each name was given: of several types of one name all but the first get a number.
//!
//! There are as many names as types, and each is asked for once or twice: what counts is how much memory is touched.

use crate::hash::Seed;

/// Names and their counts, found by hash in a table that is at least twice as long as they are many.
pub(super) struct Names<'a> {
    seed: Seed,
    /// For each hash the number of a name in `names`, from 1 on; 0 is free. Beside it a part of the hash, so that hardly
    /// ever a name is compared that is not the one.
    slots: Vec<(u32, u32)>,
    names: Vec<(&'a str, u32)>,
}

impl<'a> Names<'a> {
    /// With room for `count` names; more may come.
    pub(super) fn new(count: usize) -> Names<'a> {
        let slots = vec![(0, 0); (2 * count).max(16).next_power_of_two()];
        Names { seed: Seed::new(), slots, names: Vec::with_capacity(count) }
    }

    /// How often a name was given, this time too.
    pub(super) fn count(&mut self, name: &'a str) -> u32 {
        if self.slots.len() < 2 * (self.names.len() + 1) {
            self.grow();
        }
        let hash = self.seed.bytes(name.as_bytes());
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let (part, number) = self.slots[at];
            match self.names.get_mut((number as usize).wrapping_sub(1)) {
                None => break,
                Some((known, count)) if part == (hash >> 32) as u32 && *known == name => {
                    *count += 1;
                    return *count;
                }
                Some(_) => at = (at + 1) & mask,
            }
        }
        self.names.push((name, 1));
        self.slots[at] = ((hash >> 32) as u32, self.names.len() as u32);
        1
    }

    fn grow(&mut self) {
        let names = std::mem::take(&mut self.names);
        *self = Names { seed: self.seed, ..Names::new(2 * names.len()) };
        for (name, count) in names {
            self.count(name);
            if let Some((_, counted)) = self.names.last_mut() {
                *counted = count;
            }
        }
    }
}
