//! Where what a key names stands in a list, without a copy of the key: of a hundred thousand reals those are most of it.

use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash, RandomState};

/// Places in a list by what stands there; whoever asks says what does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    table: HashTable<u32>,
    state: RandomState,
}

impl Places {
    /// The place of this.
    pub(crate) fn find<T: Hash + Eq>(&self, what: &T, at: impl Fn(u32) -> T) -> Option<u32> {
        self.table.find(self.state.hash_one(what), |place| at(*place) == *what).copied()
    }

    /// What stands there is found from now on; of two that are alike, the one that was added last.
    pub(crate) fn add<T: Hash + Eq>(&mut self, place: u32, at: impl Fn(u32) -> T) {
        let Places { table, state } = self;
        let what = at(place);
        match table.find_mut(state.hash_one(&what), |other| at(*other) == what) {
            Some(other) => *other = place,
            None => drop(table.insert_unique(state.hash_one(&what), place, |other| state.hash_one(at(*other)))),
        }
    }

    /// What stands there is not found any more.
    pub(crate) fn remove<T: Hash + Eq>(&mut self, place: u32, at: impl Fn(u32) -> T) {
        if let Ok(entry) = self.table.find_entry(self.state.hash_one(at(place)), |other| *other == place) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_found_until_it_is_removed() {
        let list: Vec<String> = (0..1000).map(|number| format!("real {}", number % 999)).collect();
        let at = |place: u32| list[place as usize].clone();
        let mut places = Places::default();
        (0..1000).for_each(|place| places.add(place, at));
        assert_eq!(places.find(&"real 500".to_owned(), at), Some(500));
        assert_eq!(places.find(&"real 0".to_owned(), at), Some(999), "the last one of those that are alike");
        places.remove(0, at);
        places.remove(500, at);
        assert_eq!(places.find(&"real 0".to_owned(), at), Some(999), "another one was there");
        assert_eq!(places.find(&"real 500".to_owned(), at), None);
    }
}
