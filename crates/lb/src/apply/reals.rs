//! Reals that are there, by number, and which of them was made from what. There may be a hundred thousand: each is held once.

use crate::{
    places::Places,
    wire::{self, Way},
};

/// `reals` by number.
#[derive(Clone, Debug, Default)]
pub struct Reals {
    /// By number; those that never were have no name.
    all: Vec<wire::Real>,
    /// By number: the way that each was made with, which those that are gone have lost in the map; none if that is no
    /// real's any more.
    ways: Vec<Way>,
    /// Numbers by what they were made from.
    made: Places,
}

impl PartialEq for Reals {
    fn eq(&self, other: &Reals) -> bool {
        // The rest follows from these.
        self.iter().eq(other.iter()) && self.contents().eq(other.contents())
    }
}

impl Reals {
    /// The real of a number, if there ever was one.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&wire::Real> {
        self.all.get(number as usize).filter(|real| real.name != 0)
    }

    /// All that ever were, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &wire::Real> {
        self.all.iter().filter(|real| real.name != 0)
    }

    /// The number of the real that was made from this.
    #[must_use]
    pub fn made_from(&self, content: &wire::Real) -> Option<u32> {
        self.made.find(&content.content(), |number| content_of(&self.all, &self.ways, number))
    }

    /// A real as the map has it now. What its number was made from before is no real's any more.
    pub(crate) fn put(&mut self, real: wire::Real) {
        let number = wire::number(real.name);
        self.forget(number);
        let enough = number as usize + 1;
        if self.all.len() < enough {
            self.all.resize(enough, wire::Real::default());
            self.ways.resize(enough, Way::None);
        }
        self.all[number as usize] = real;
    }

    /// The real of this number was made from what it is, with this way.
    pub(crate) fn make(&mut self, number: u32, way: Way) {
        self.forget(number);
        let Some(own) = self.ways.get_mut(number as usize) else { return };
        *own = way;
        if way != Way::None {
            let (all, ways) = (&self.all, &self.ways);
            self.made.add(number, |number| content_of(all, ways, number));
        }
    }

    /// What the real of this number was made from is no real's any more.
    pub(crate) fn forget(&mut self, number: u32) {
        if self.ways.get(number as usize).is_some_and(|way| *way != Way::None) {
            let (all, ways) = (&self.all, &self.ways);
            self.made.remove(number, |number| content_of(all, ways, number));
            self.ways[number as usize] = Way::None;
        }
    }

    /// Notes what reals are made from, as far as the map tells.
    pub(crate) fn learn(&mut self) {
        for number in 0..self.all.len() {
            let real = self.all[number];
            if real.name != 0 && real.way != Way::None {
                self.make(number as u32, real.way);
            }
        }
    }

    /// What those were made from that are not forgotten.
    fn contents(&self) -> impl Iterator<Item = (usize, wire::Real)> {
        let known = self.ways.iter().enumerate().filter(|(_, way)| **way != Way::None);
        known.map(|(number, way)| (number, wire::Real { way: *way, ..self.all[number] }.content()))
    }
}

fn content_of(all: &[wire::Real], ways: &[Way], number: u32) -> wire::Real {
    wire::Real { way: ways[number as usize], ..all[number as usize] }.content()
}
