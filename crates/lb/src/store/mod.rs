//! The data plane's maps on a target: steps carried out, what runs read back.
//!
//! | file | holds |
//! |---|---|
//! | `counts` | what the data plane has counted |
//! | `flows` | connections that all CPUs know |
//! | `plane` | what it needs of a target |

mod counts;
mod flows;
mod plane;

pub use counts::{Traffic, VipCounts};
pub use flows::{Flow, Flows, Which};
pub use plane::{Plane, Words};

use crate::{
    Result,
    apply::{Changed, Refused, Ring, Room, Running, Step, apply},
    config::{Config, Limits},
    wanted::Wanted,
    wire::{self, LAYOUT, Real, Service},
};
use alveary::{Loaded, MapHandle, Object};
use alveary_diag::{Diagnostic, Place};
use alveary_sort::Gather;
use std::{collections::BTreeMap, thread, time::Duration};

/// How long packets may be on their way through the program: a thousand times what they are.
const GRACE: Duration = Duration::from_millis(20);
/// Connections of a set of the CPUs' tables.
const WAYS: u32 = 4;

/// Gives an object the sizes and constants that a configuration asks for; `cpus` are those of the target.
///
/// # Errors
/// For an object that is not the balancer's.
pub fn prepare(object: &mut Object, config: &Config, cpus: u32) -> Result<()> {
    let (limits, room) = (config.limits, Room::of(&config.limits));
    let sets = (limits.connections_per_cpu / WAYS).next_power_of_two().max(1);
    for (map, entries) in [
        ("vips4", room.keys),
        ("vips6", room.keys),
        ("services", room.services),
        ("vip_counters", room.vips * 2),
        ("rings", room.slots),
        ("reals", room.reals),
        ("real_counters", room.reals),
        ("connections4", limits.connections),
        ("connections6", limits.connections),
        ("nat4", limits.connections),
        ("nat6", limits.connections),
        ("cached", cpus.saturating_mul(sets)),
    ] {
        object.map_spec_mut(map)?.def.max_entries = entries;
    }
    let (ring, vips) = config.katran.map_or((0, 0), |katran| (katran.ring.slots(), katran.vips));
    object.set_variable("lb_katran", &ring.to_ne_bytes())?;
    object.set_variable("lb_katran_vips", &vips.to_ne_bytes())?;
    object.set_variable("lb_seed", &config.seed.to_ne_bytes())?;
    object.set_variable("lb_sets", &sets.to_ne_bytes())?;
    Ok(object.set_variable("lb_cpus", &cpus.to_ne_bytes())?)
}

/// The maps, open.
#[derive(Debug)]
pub struct Store<B: Plane> {
    maps: BTreeMap<String, B::Map>,
    /// What runs, as it was read or written last.
    pub running: Running,
}

/// The maps that the control plane has to do with.
const MAPS: [&str; 20] = [
    "layout",
    "vips4",
    "vips6",
    "services",
    "rings",
    "reals",
    "prefixes4",
    "prefixes6",
    "ids",
    "away",
    "vip_counters",
    "real_counters",
    "verdicts",
    "events",
    "matches",
    "records",
    "samples",
    "news",
    "connections4",
    "connections6",
];
const SETTINGS: &str = ".data.settings";

impl<B: Plane> Store<B> {
    /// The maps of an object that is loaded; new ones get the version of their layout.
    ///
    /// # Errors
    /// For an object that is not the balancer's; for maps of another version.
    pub fn open(loaded: &Loaded<B>) -> Result<Store<B>> {
        let mut maps = BTreeMap::new();
        for name in MAPS.into_iter().chain([SETTINGS]) {
            maps.insert(name.to_owned(), loaded.map(name)?.clone());
        }
        let mut store: Store<B> = Store { maps, running: Running::default() };
        let layout = store.value("layout", 0)?;
        match wire::word(&layout, 0) {
            0 => store.map("layout").update(&0u32.to_ne_bytes(), &LAYOUT.to_ne_bytes(), 0)?,
            LAYOUT => {}
            other => {
                let why = Diagnostic::new("lb-layout", "the maps that run are another version's", Place::Nowhere)
                    .expected(format!("layout {LAYOUT}"))
                    .found(format!("layout {other}"))
                    .help("`alveary lb stop` ends what runs; then it can begin anew");
                return Err(why.into());
            }
        }
        store.read()?;
        Ok(store)
    }

    /// A map.
    ///
    /// # Panics
    /// If it is none of those that the control plane has to do with.
    #[must_use]
    pub fn map(&self, name: &str) -> &B::Map {
        &self.maps[name]
    }

    fn value(&self, map: &str, index: u32) -> Result<Vec<u8>> {
        Ok(self.map(map).lookup(&index.to_ne_bytes())?.unwrap_or_default())
    }

    /// Reads what runs.
    ///
    /// # Errors
    /// The target's.
    pub fn read(&mut self) -> Result<()> {
        let words = |map: &str| -> Result<BTreeMap<Vec<u8>, u32>> {
            let entries = self.map(map).entries()?;
            Ok(entries
                .into_iter()
                .map(|(key, value)| (key, wire::word(&value, 0)))
                .filter(|(_, word)| *word != 0)
                .gather())
        };
        let mut running =
            Running { keys: words("vips4")?, prefixes: words("prefixes4")?, ids: words("ids")?, ..Running::default() };
        running.away = self.map("away").entries()?.into_iter().map(|(key, _)| key).gather();
        running.keys.extend(words("vips6")?);
        running.prefixes.extend(words("prefixes6")?);
        let mut rings = B::words(self.map("rings"))?;
        for slot in running.keys.values().chain(running.prefixes.values()) {
            if !running.services.contains_key(slot) {
                let service = Service::from_bytes(&self.value("services", *slot)?);
                running.rings.insert(*slot, Ring::of(&rings.read(service.ring, service.ring_size)?));
                running.services.insert(*slot, service);
            }
        }
        for number in 1..self.map("reals").spec().def.max_entries {
            let real = Real::from_bytes(&self.value("reals", number)?);
            if real.name != 0 {
                running.reals.put(real);
            }
        }
        running.reals.learn();
        self.running = running;
        Ok(())
    }

    /// How much room there is.
    #[must_use]
    pub fn room(&self) -> Room {
        let entries = |map: &str| self.map(map).spec().def.max_entries;
        Room {
            vips: entries("vip_counters") / 2,
            services: entries("services"),
            keys: entries("vips4"),
            reals: entries("reals"),
            slots: entries("rings"),
            away: entries("away"),
        }
    }

    /// The limits that the maps were made with; `said` where they do not tell.
    #[must_use]
    pub fn limits(&self, said: Limits) -> Limits {
        let room = self.room();
        let connections = self.map("connections4").spec().def.max_entries;
        Limits { vips: room.vips, reals: room.reals.saturating_sub(1), slots: room.slots, connections, ..said }
    }

    /// Brings what runs to what is wanted.
    ///
    /// # Errors
    /// Without room, before anything is changed; the target's, behind which each VIP is as it was or as it shall be.
    pub fn apply(&mut self, wanted: &Wanted) -> Result<Changed> {
        let mut rings = B::words(self.map("rings"))?;
        let mut running = std::mem::take(&mut self.running);
        let mut pending = false;
        let applied = apply(&mut running, wanted, self.room(), |step| {
            // Without a change nobody waits.
            if step == Step::Grace {
                if std::mem::take(&mut pending) {
                    thread::sleep(GRACE);
                }
                return Ok(());
            }
            pending = true;
            self.take(step, rings.as_mut())
        });
        self.running = running;
        match applied {
            Ok(changed) => Ok(changed),
            Err(Refused::Room(why)) => Err(why.into()),
            Err(Refused::Step(why)) => {
                self.read()?;
                Err(why)
            }
        }
    }

    fn take(&self, step: Step, rings: &mut dyn Words) -> Result<()> {
        if let Step::Ring(at, words) = step {
            return rings.write(at, &words);
        }
        Ok(self.entry(step)?)
    }

    /// A step that is one entry of a map.
    fn entry(&self, step: Step) -> alveary::Result<()> {
        let by_family = |four: &'static str, six: &'static str, key: &[u8], short: usize| {
            self.map(if key.len() == short { four } else { six }).clone()
        };
        let vips = |key: &[u8]| by_family("vips4", "vips6", key, 8);
        let prefixes = |key: &[u8]| by_family("prefixes4", "prefixes6", key, 12);
        let reset = |map: &str, index: u32| {
            let map = self.map(map);
            map.update(&index.to_ne_bytes(), &vec![0; map.entry_size()], 0)
        };
        match step {
            Step::Real(real) => self.map("reals").update(&wire::number(real.name).to_ne_bytes(), &real.to_bytes(), 0),
            Step::ResetReal(number) => reset("real_counters", number),
            Step::ResetVip(number) => reset("vip_counters", number),
            Step::Service(slot, service) => self.map("services").update(&slot.to_ne_bytes(), &service.to_bytes(), 0),
            Step::Key(key, slot) => vips(&key).update(&key, &slot.to_ne_bytes(), 0),
            Step::NoKey(key) => vips(&key).delete(&key).map(drop),
            Step::Prefix(key, slot) => prefixes(&key).update(&key, &slot.to_ne_bytes(), 0),
            Step::NoPrefix(key) => prefixes(&key).delete(&key).map(drop),
            Step::Id(key, real) => self.map("ids").update(&key, &real.to_ne_bytes(), 0),
            Step::NoId(key) => self.map("ids").delete(&key).map(drop),
            Step::Away(key) => self.map("away").update(&key, &1u32.to_ne_bytes(), 0),
            Step::NoAway(key) => self.map("away").delete(&key).map(drop),
            Step::Settings(settings) => self.map(SETTINGS).update(&0u32.to_ne_bytes(), &settings.to_bytes(), 0),
            Step::Ring(..) | Step::Grace => Ok(()),
        }
    }
}
