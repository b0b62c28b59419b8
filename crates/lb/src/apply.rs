//! From what the data plane holds to what it shall hold, step by step: packets see what each key leads to as it was or as it
//! shall be, never something between. A pure function of the two; who carries out the steps is not its matter.

use crate::{
    config::{Limits, Table},
    maglev::{Member, Size},
    wanted::{Wanted, WantedRing, WantedVip},
    wire::{self, Service, Settings, Way},
};
use alveary_diag::{Diagnostic, Place};
use alveary_sort::{Gather, Sort};
pub use reals::Reals;
use std::collections::{BTreeMap, BTreeSet};

mod reals;

/// One change of the maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An entry of `reals`.
    Real(wire::Real),
    /// The counters of a real, or of a VIP, begin anew.
    ResetReal(u32),
    /// As above.
    ResetVip(u32),
    /// Entries of `rings`: from where, and names of reals.
    Ring(u32, Vec<u32>),
    /// An entry of `services`.
    Service(u32, Service),
    /// A key of `vips4` or `vips6` gets a slot of `services`.
    Key(Vec<u8>, u32),
    /// It goes.
    NoKey(Vec<u8>),
    /// A key of `prefixes4` or `prefixes6` gets a slot.
    Prefix(Vec<u8>, u32),
    /// It goes.
    NoPrefix(Vec<u8>),
    /// A key of `ids` gets a real.
    Id(Vec<u8>, u32),
    /// It goes.
    NoId(Vec<u8>),
    /// A key of `away` comes.
    Away(Vec<u8>),
    /// It goes.
    NoAway(Vec<u8>),
    /// The settings.
    Settings(Settings),
    /// Packets that are on their way end theirs before what nobody names any more is used again.
    Grace,
}

/// What the data plane holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Running {
    /// `vips4` and `vips6`: slots.
    pub keys: BTreeMap<Vec<u8>, u32>,
    /// `prefixes4` and `prefixes6`: slots.
    pub prefixes: BTreeMap<Vec<u8>, u32>,
    /// `ids`: names of reals.
    pub ids: BTreeMap<Vec<u8>, u32>,
    /// `away`.
    pub away: BTreeSet<Vec<u8>>,
    /// Slots of `services` that something names.
    pub services: BTreeMap<u32, Service>,
    /// What stands in their rings.
    pub rings: BTreeMap<u32, Ring>,
    /// `reals` by number, those that are gone among them.
    pub reals: Reals,
    /// The settings, if they are known.
    pub settings: Option<Settings>,
}

/// A ring that is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ring {
    /// What stands in it, as one number.
    digest: u64,
    /// For each real, by number, how many places it has.
    pub places: BTreeMap<u32, u32>,
    /// What it was made from, unless it was read: who wants the same need not make it.
    recipe: Option<Recipe>,
}

/// What a ring follows from.
type Recipe = (Table, Size, Vec<(u32, Member)>);

impl Ring {
    /// The ring that holds these names of reals.
    #[must_use]
    pub fn of(names: &[u32]) -> Ring {
        // Rings have many places for each of few reals, whose numbers are near each other.
        let numbers = || names.iter().map(|name| wire::number(*name));
        let (low, high) = numbers().fold((u32::MAX, 0), |(low, high), number| (low.min(number), high.max(number)));
        let mut counts = vec![0; (u64::from(high) + 1).saturating_sub(low.into()) as usize];
        numbers().for_each(|number| counts[(number - low) as usize] += 1);
        let places = (low..).zip(counts).filter(|(_, count)| *count > 0).gather();
        Ring { digest: digest(names), places, recipe: None }
    }
}

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Numbers of VIPs, from 0 on.
    pub vips: u32,
    /// Slots of `services`; the first one is never used.
    pub services: u32,
    /// Keys of each family.
    pub keys: u32,
    /// Numbers of reals; the first one is never used.
    pub reals: u32,
    /// Places in `rings`.
    pub slots: u32,
    /// Keys of `away`.
    pub away: u32,
}

/// Keys of `away`: of a real that is gone for more VIPs than that while others have it, the rest do not know.
const AWAY: u32 = 65_536;

impl Room {
    /// What maps have that are made with these limits.
    #[must_use]
    pub fn of(limits: &Limits) -> Room {
        Room {
            vips: limits.vips,
            services: limits.vips * 4 + 16,
            keys: limits.vips * 4,
            reals: limits.reals + 1,
            slots: limits.slots,
            away: AWAY,
        }
    }
}

/// What was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// VIPs that got another service or ring.
    pub vips: usize,
    /// Reals that came, went, or are others now.
    pub reals: usize,
    /// Keys that came or went.
    pub keys: usize,
}

/// Why it was not applied.
#[derive(Debug)]
pub enum Refused<E> {
    /// There is no room: nothing was changed.
    Room(Diagnostic),
    /// A step failed. Each key is as it was or as it shall be.
    Step(E),
}

/// What stands in a ring, as one number.
fn digest(names: &[u32]) -> u64 {
    // Multiplication by an odd number and rotation lose nothing: two rings that differ in one place differ.
    let mix = |hash: u64, name: u32| (hash ^ u64::from(name)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    names.iter().copied().fold(0x243f_6a88_85a3_08d3, mix)
}

/// Brings what runs to what is wanted: hands over the steps, and remembers what each has done.
///
/// # Errors
/// [`Refused::Room`] before the first step, [`Refused::Step`] behind the one that failed; what runs has to be read anew then.
pub fn apply<E>(
    running: &mut Running,
    wanted: &Wanted,
    room: Room,
    step: impl FnMut(Step) -> Result<(), E>,
) -> Result<Changed, Refused<E>> {
    fits(wanted, room).map_err(Refused::Room)?;
    let names = running.names(wanted, room).map_err(Refused::Room)?;
    let mut work = Work { running, room, step, changed: Changed::default(), fresh: BTreeSet::new() };
    work.all(wanted, &names)
}

/// What is needed of [`Room`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) vips: u64,
    pub(crate) keys4: u64,
    pub(crate) keys6: u64,
    rings: u64,
    pub(crate) reals: u64,
    slots: u64,
    largest: u64,
}

impl Needs {
    /// A ring more.
    pub(crate) fn ring(&mut self, size: Size) {
        let slots = u64::from(size.slots());
        self.rings += 1;
        self.slots += slots;
        self.largest = self.largest.max(slots);
    }

    /// What there is no room for, if there is something.
    pub(crate) fn beyond(&self, room: Room) -> Option<Diagnostic> {
        for (what, limit, needed, there) in [
            ("VIPs", "vips", self.vips, room.vips),
            ("keys of IPv4 VIPs", "vips", self.keys4, room.keys),
            ("keys of IPv6 VIPs", "vips", self.keys6, room.keys),
            // One is free, for the one that changes; the first one is never used.
            ("tables of VIPs and routes", "vips", self.rings, room.services.saturating_sub(2)),
            ("reals", "reals", self.reals, room.reals.saturating_sub(1)),
            ("slots of tables, and one table that changes", "slots", self.slots + self.largest, room.slots),
        ] {
            if needed > there.into() {
                let message = format!("there is no room for so many {what}");
                return Some(
                    Diagnostic::new("lb-room", message, Place::Nowhere)
                        .expected(format!("at most {there}"))
                        .found(needed.to_string())
                        .help(format!(
                            "a larger `{limit}` in [limits]; what runs keeps the room that it was begun with until `alveary lb stop`"
                        )),
                );
            }
        }
        None
    }
}

/// Whether there is room for it.
fn fits(wanted: &Wanted, room: Room) -> Result<(), Diagnostic> {
    let mut needs = Needs { vips: wanted.vips.len() as u64, reals: wanted.reals.len() as u64, ..Needs::default() };
    for vip in &wanted.vips {
        for key in &vip.keys {
            *if key.len() == 8 { &mut needs.keys4 } else { &mut needs.keys6 } += 1;
        }
        vip.rings.iter().for_each(|ring| needs.ring(ring.size));
    }
    needs.beyond(room).map_or(Ok(()), Err)
}

impl Running {
    /// The number of a VIP: that of whichever of its keys is there.
    #[must_use]
    pub fn vip_number(&self, keys: &[Vec<u8>]) -> Option<u32> {
        keys.iter().find_map(|key| self.services.get(self.keys.get(key)?)).map(|service| service.number)
    }

    /// The number of the real that is made from this.
    #[must_use]
    pub fn real_number(&self, content: &wire::Real) -> Option<u32> {
        self.reals.made_from(content)
    }

    /// What those reals were made from that packets get to.
    pub fn in_use(&self) -> impl Iterator<Item = wire::Real> {
        self.reals.iter().filter(|real| real.way != Way::None).map(|real| real.content())
    }

    /// The names of the reals that are wanted: those that they have, or new ones.
    fn names(&self, wanted: &Wanted, room: Room) -> Result<Vec<u32>, Diagnostic> {
        let kept: BTreeSet<u32> = wanted.reals.iter().filter_map(|(real, _)| self.real_number(real)).gather();
        // First those that no real ever had, then those of reals that are gone.
        let is_gone = |number: &u32| self.reals.get(*number).is_some_and(|real| real.way == Way::None);
        let never = (1..room.reals).filter(|number| self.reals.get(*number).is_none());
        let gone = (1..room.reals).filter(|number| is_gone(number) && !kept.contains(number));
        let mut free = never.chain(gone);
        let mut names = Vec::new();
        for (real, _) in &wanted.reals {
            let name = match self.real_number(real) {
                Some(number) => self.reals.get(number).map_or(number, |there| there.name),
                None => {
                    let number = free.next().ok_or_else(|| {
                        let message = "there is no number left for a real: those that go still have theirs";
                        Diagnostic::new("lb-room", message, Place::Nowhere).help("a larger `reals` in [limits]")
                    })?;
                    wire::next_name(number, self.reals.get(number).map_or(0, |there| there.name))
                }
            };
            names.push(name);
        }
        Ok(names)
    }
}

/// A change under way.
struct Work<'a, F> {
    running: &'a mut Running,
    room: Room,
    step: F,
    changed: Changed,
    /// Slots that are filled and not yet named.
    fresh: BTreeSet<u32>,
}

impl<E, F: FnMut(Step) -> Result<(), E>> Work<'_, F> {
    fn all(&mut self, wanted: &Wanted, names: &[u32]) -> Result<Changed, Refused<E>> {
        if self.running.settings != Some(wanted.settings) {
            self.take(Step::Settings(wanted.settings))?;
        }
        // Reals come before rings name them, and go when none does any more.
        for ((real, standing), name) in wanted.reals.iter().zip(names) {
            if standing.keeps {
                let mut flags = real.flags;
                flags |= if standing.share == 0 { wire::flag::REAL_DRAINING } else { 0 };
                flags |= if standing.leaves { wire::flag::REAL_LEAVING } else { 0 };
                self.real(*real, wire::Real { name: *name, flags, ..*real })?;
            }
        }
        let numbers = self.numbers(wanted);
        // Who is no longer away can get packets at once, and makes room for others.
        let away = |(vip, (number, _)): (&WantedVip, &(u32, bool))| {
            vip.away.iter().map(|real| wire::away_key(*number, names[*real])).collect::<Vec<_>>()
        };
        let away: BTreeSet<Vec<u8>> = wanted.vips.iter().zip(&numbers).flat_map(away).gather();
        for key in self.running.away.difference(&away).cloned().collect::<Vec<_>>() {
            self.take(Step::NoAway(key))?;
        }
        let mut named = BTreeSet::new();
        for (vip, number) in wanted.vips.iter().zip(numbers) {
            self.vip(vip, number, names, &mut named)?;
        }
        self.forget(wanted, &named)?;
        self.take(Step::Grace)?;
        self.free();
        for ((real, standing), name) in wanted.reals.iter().zip(names) {
            if !standing.keeps {
                self.real(*real, wire::Real { name: *name, way: Way::None, ..*real })?;
            }
        }
        let wanted_names: BTreeSet<u32> = names.iter().copied().gather();
        let gone = |real: &&wire::Real| real.way != Way::None && !wanted_names.contains(&real.name);
        for real in self.running.reals.iter().filter(gone).copied().collect::<Vec<_>>() {
            self.running.reals.forget(wire::number(real.name));
            self.changed.reals += 1;
            self.take(Step::Real(wire::Real { way: Way::None, ..real }))?;
        }
        Ok(self.changed)
    }

    /// Carries out a step, and remembers it.
    fn take(&mut self, step: Step) -> Result<(), Refused<E>> {
        let running = &mut *self.running;
        match &step {
            Step::Real(real) => running.reals.put(*real),
            Step::Service(slot, service) => drop(running.services.insert(*slot, *service)),
            Step::Key(key, slot) => drop(running.keys.insert(key.clone(), *slot)),
            Step::NoKey(key) => drop(running.keys.remove(key)),
            Step::Prefix(key, slot) => drop(running.prefixes.insert(key.clone(), *slot)),
            Step::NoPrefix(key) => drop(running.prefixes.remove(key)),
            Step::Id(key, real) => drop(running.ids.insert(key.clone(), *real)),
            Step::NoId(key) => drop(running.ids.remove(key)),
            Step::Away(key) => drop(running.away.insert(key.clone())),
            Step::NoAway(key) => drop(running.away.remove(key)),
            Step::Settings(settings) => running.settings = Some(*settings),
            Step::Ring(..) | Step::ResetReal(_) | Step::ResetVip(_) | Step::Grace => {}
        }
        (self.step)(step).map_err(Refused::Step)
    }

    /// A real, unless it is there as it shall be.
    fn real(&mut self, content: wire::Real, real: wire::Real) -> Result<(), Refused<E>> {
        let number = wire::number(real.name);
        let there = self.running.reals.get(number).copied();
        if there == Some(real) {
            return Ok(());
        }
        if there.is_none_or(|there| there.name != real.name) {
            self.take(Step::ResetReal(number))?;
        }
        self.changed.reals += 1;
        self.take(Step::Real(real))?;
        self.running.reals.make(number, content.way);
        Ok(())
    }

    /// Numbers of the VIPs: those that they have, or free ones.
    fn numbers(&mut self, wanted: &Wanted) -> Vec<(u32, bool)> {
        let mut taken: BTreeSet<u32> = self.running.services.values().map(|service| service.number).gather();
        let mut kept = BTreeSet::new();
        let mut numbers = Vec::new();
        for vip in &wanted.vips {
            let own = self.running.vip_number(&vip.keys).filter(|number| kept.insert(*number));
            numbers.push(own);
        }
        let free = |taken: &mut BTreeSet<u32>| {
            let number = (0..).find(|number| !taken.contains(number)).unwrap_or_default();
            taken.insert(number);
            number
        };
        numbers.into_iter().map(|own| own.map_or_else(|| (free(&mut taken), true), |own| (own, false))).collect()
    }

    /// A VIP: its rings and services, then what names them.
    fn vip(
        &mut self,
        vip: &WantedVip,
        (number, is_new): (u32, bool),
        names: &[u32],
        named: &mut BTreeSet<Vec<u8>>,
    ) -> Result<(), Refused<E>> {
        if is_new {
            self.take(Step::ResetVip(number))?;
        }
        // Before the service asks for them.
        for real in &vip.away {
            let key = wire::away_key(number, names[*real]);
            if !self.running.away.contains(&key) && self.running.away.len() < self.room.away as usize {
                self.take(Step::Away(key))?;
            }
        }
        let mut changed = false;
        let mut slots = Vec::new();
        for (index, ring) in vip.rings.iter().enumerate() {
            let prefix = vip.prefixes.iter().find(|(_, _, ring)| *ring == index);
            let before = match (index, prefix) {
                (0, _) => vip.keys.iter().find_map(|key| self.running.keys.get(key)).copied(),
                (_, Some((ip, bits, _))) => self.running.prefixes.get(&wire::prefix_key(number, *ip, *bits)).copied(),
                (_, None) => None,
            };
            let (slot, new) = self.service(before, wire::Service { number, ..vip.service }, ring, names)?;
            changed |= new;
            slots.push(slot);
        }
        for (ip, bits, ring) in &vip.prefixes {
            let (key, slot) = (wire::prefix_key(number, *ip, *bits), slots[*ring]);
            if self.running.prefixes.get(&key) != Some(&slot) {
                self.take(Step::Prefix(key.clone(), slot))?;
            }
            named.insert(key);
        }
        for (kind, id, real) in &vip.ids {
            let (key, name) = (wire::id_key(number, *kind, id), names[*real]);
            if self.running.ids.get(&key) != Some(&name) {
                self.take(Step::Id(key.clone(), name))?;
            }
            named.insert(key);
        }
        for key in &vip.keys {
            if self.running.keys.get(key) != Some(&slots[0]) {
                self.changed.keys += usize::from(!self.running.keys.contains_key(key));
                self.take(Step::Key(key.clone(), slots[0]))?;
            }
            named.insert(key.clone());
        }
        self.changed.vips += usize::from(changed);
        self.fresh.clear();
        Ok(())
    }

    /// A slot that holds this service with this ring: the one that is there if it does, else a new one.
    fn service(
        &mut self,
        before: Option<u32>,
        service: Service,
        ring: &WantedRing,
        names: &[u32],
    ) -> Result<(u32, bool), Refused<E>> {
        let members = ring.members.iter().map(|(real, member)| (names[*real], *member));
        let recipe = (ring.table, ring.size, members.collect());
        let old = before.and_then(|slot| Some((slot, *self.running.services.get(&slot)?)));
        let known = old.and_then(|(slot, _)| self.running.rings.get(&slot));
        let (mut words, mut made) = (Vec::new(), service);
        let ring = match (known, old) {
            (Some(known), Some((_, old))) if known.recipe.as_ref() == Some(&recipe) => {
                made.ring_size = old.ring_size;
                known.clone()
            }
            _ => {
                words = ring.compute().unwrap_or_default();
                words.iter_mut().for_each(|real| *real = names[*real as usize]);
                made.ring_size = words.len() as u32;
                Ring { recipe: Some(recipe), ..Ring::of(&words) }
            }
        };
        let same_ring = |(slot, old): &(u32, Service)| {
            old.ring_size == made.ring_size
                && self.running.rings.get(slot).is_some_and(|there| there.digest == ring.digest)
        };
        if let Some((slot, old)) = old.filter(same_ring) {
            made.ring = old.ring;
            if made == old {
                self.running.rings.insert(slot, ring);
                return Ok((slot, false));
            }
        } else if !words.is_empty() {
            made.ring = self.range(made.ring_size)?;
            self.take(Step::Ring(made.ring, words))?;
        }
        let slot = self.slot()?;
        self.running.rings.insert(slot, ring);
        self.fresh.insert(slot);
        self.take(Step::Service(slot, made))?;
        Ok((slot, true))
    }

    /// A free slot of `services`.
    fn slot(&mut self) -> Result<u32, Refused<E>> {
        let free = |running: &Running, room: Room| (1..room.services).find(|slot| !running.services.contains_key(slot));
        if free(self.running, self.room).is_none() {
            self.take(Step::Grace)?;
            self.free();
        }
        free(self.running, self.room).ok_or_else(|| Refused::Room(full("services", "vips")))
    }

    /// Free places in `rings`.
    fn range(&mut self, len: u32) -> Result<u32, Refused<E>> {
        let free = |running: &Running, room: Room| {
            let mut taken: Vec<(u32, u32)> =
                running.services.values().map(|service| (service.ring, service.ring_size)).collect();
            taken.order();
            let mut at = 0;
            for (start, size) in taken {
                if start >= at + len {
                    break;
                }
                at = at.max(start + size);
            }
            (at.checked_add(len)? <= room.slots).then_some(at)
        };
        if free(self.running, self.room).is_none() {
            self.take(Step::Grace)?;
            self.free();
        }
        free(self.running, self.room).ok_or_else(|| Refused::Room(full("slots of tables", "slots")))
    }

    /// Takes away what nobody wants.
    fn forget(&mut self, wanted: &Wanted, named: &BTreeSet<Vec<u8>>) -> Result<(), Refused<E>> {
        let wanted_keys: BTreeSet<&Vec<u8>> = wanted.vips.iter().flat_map(|vip| &vip.keys).gather();
        let gone = |key: &&Vec<u8>| !wanted_keys.contains(*key);
        for key in self.running.keys.keys().filter(gone).cloned().collect::<Vec<_>>() {
            self.changed.keys += 1;
            self.take(Step::NoKey(key))?;
        }
        for key in self.running.prefixes.keys().filter(|key| !named.contains(*key)).cloned().collect::<Vec<_>>() {
            self.take(Step::NoPrefix(key))?;
        }
        for key in self.running.ids.keys().filter(|key| !named.contains(*key)).cloned().collect::<Vec<_>>() {
            self.take(Step::NoId(key))?;
        }
        Ok(())
    }

    /// Slots that nobody names are free.
    fn free(&mut self) {
        let running = &mut *self.running;
        let named = running.keys.values().chain(running.prefixes.values());
        let used: BTreeSet<u32> = named.chain(&self.fresh).copied().gather();
        running.services.retain(|slot, _| used.contains(slot));
        running.rings.retain(|slot, _| used.contains(slot));
    }
}

fn full(what: &str, limit: &str) -> Diagnostic {
    Diagnostic::new("lb-room", format!("there is no room for more {what}"), Place::Nowhere).help(format!(
        "a larger `{limit}` in [limits]; what runs keeps the room that it was begun with until `alveary lb stop`"
    ))
}

#[cfg(test)]
mod tests;
