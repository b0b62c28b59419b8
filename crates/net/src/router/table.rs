//! Routes by longest prefix.

use super::Target;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::Ipv6Addr,
};

/// Some routes: of those whose prefix a destination has, the one with the longest counts.
#[derive(Clone, Debug, Default)]
pub struct Table {
    routes: BTreeMap<(u8, u128), Target>,
    /// The lengths that there are, the longest first.
    lengths: BTreeSet<Reverse<u8>>,
}

impl Table {
    /// Adds a route to where `prefix` bits of the destination say; one that is there is replaced.
    ///
    /// # Panics
    /// If an address has fewer bits than that.
    pub fn add(&mut self, destination: Ipv6Addr, prefix: u8, target: Target) {
        assert!(prefix <= 128, "an address has 128 bits");
        self.routes.insert((prefix, masked(destination, prefix)), target);
        self.lengths.insert(Reverse(prefix));
    }

    /// The route to a destination.
    #[must_use]
    pub fn find(&self, destination: Ipv6Addr) -> Option<&Target> {
        self.lengths.iter().find_map(|Reverse(length)| self.routes.get(&(*length, masked(destination, *length))))
    }
}

fn masked(address: Ipv6Addr, prefix: u8) -> u128 {
    let rest = 128 - u32::from(prefix);
    u128::from(address).checked_shr(rest).map_or(0, |bits| bits << rest)
}
