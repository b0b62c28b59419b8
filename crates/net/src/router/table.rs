//! Routes by longest prefix.

use super::Target;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Some routes: of those whose prefix a destination has, the one with the longest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    four: Prefixes,
    six: Prefixes,
}

impl Table {
    /// Adds a route to where `prefix` bits of the destination say; one that is there is replaced.
    ///
    /// # Panics
    /// If an address has fewer bits than that.
    pub fn add(&mut self, destination: IpAddr, prefix: u8, target: Target) {
        let (address, length) = bits(destination);
        assert!(prefix <= length, "an address has {length} bits");
        self.family_mut(destination).add(address, prefix, target);
    }

    /// The route to a destination.
    #[must_use]
    pub fn find(&self, destination: IpAddr) -> Option<&Target> {
        self.longest(destination).map(|(_, target)| target)
    }

    /// The route to a destination, and how many bits of that it says.
    #[must_use]
    pub fn longest(&self, destination: IpAddr) -> Option<(u8, &Target)> {
        let family = if destination.is_ipv4() { &self.four } else { &self.six };
        family.longest(bits(destination).0)
    }

    /// What its routes do.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        self.four.routes.values().chain(self.six.routes.values())
    }

    fn family_mut(&mut self, destination: IpAddr) -> &mut Prefixes {
        if destination.is_ipv4() { &mut self.four } else { &mut self.six }
    }
}

/// The routes of one protocol. The bits of an address begin at the top, however many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Prefixes {
    routes: BTreeMap<(u8, u128), Target>,
    /// The lengths that there are, the longest first.
    lengths: BTreeSet<Reverse<u8>>,
}

impl Prefixes {
    fn add(&mut self, address: u128, prefix: u8, target: Target) {
        self.routes.insert((prefix, masked(address, prefix)), target);
        self.lengths.insert(Reverse(prefix));
    }

    fn longest(&self, address: u128) -> Option<(u8, &Target)> {
        let route = |length: u8| Some((length, self.routes.get(&(length, masked(address, length)))?));
        self.lengths.iter().find_map(|Reverse(length)| route(*length))
    }
}

/// An address, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

fn masked(address: u128, prefix: u8) -> u128 {
    let rest = 128 - u32::from(prefix);
    address.checked_shr(rest).map_or(0, |bits| bits << rest)
}
