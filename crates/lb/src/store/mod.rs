//! The data plane's maps on a target: steps carried out, what runs read back, counters.

use crate::{
    Fault, Result,
    apply::{Changed, Refused, Ring, Room, Running, Step, apply},
    config::{Config, Limits},
    wanted::Wanted,
    wire::{self, LAYOUT, Real, Service},
};
use alveary::{Backend, Linux, LinuxMap, Loaded, MapHandle, Object, User, UserMap, kernel::read::MappedArray};
use alveary_diag::{Diagnostic, Place};
use std::{collections::BTreeMap, net::IpAddr, thread, time::Duration};

/// How long packets may be on their way through the program: a thousand times what they are.
const GRACE: Duration = Duration::from_millis(20);
/// Connections of a set of the CPUs' tables.
const WAYS: u32 = 4;

/// A target on which the data plane can be.
pub trait Plane: Backend {
    /// Words of an array, to be read and written many at once.
    ///
    /// # Errors
    /// The target's.
    fn words(map: &Self::Map) -> Result<Box<dyn Words>>;
}

/// An array of words.
pub trait Words {
    /// Writes some.
    ///
    /// # Errors
    /// The target's, and if they do not fit.
    fn write(&mut self, at: u32, words: &[u32]) -> Result<()>;

    /// Reads some.
    ///
    /// # Errors
    /// As above.
    fn read(&mut self, at: u32, count: u32) -> Result<Vec<u32>>;
}

impl Plane for User {
    fn words(map: &UserMap) -> Result<Box<dyn Words>> {
        Ok(Box::new(map.clone()))
    }
}

impl Words for UserMap {
    fn write(&mut self, at: u32, words: &[u32]) -> Result<()> {
        (at..).zip(words).try_for_each(|(at, word)| Ok(self.update(&at.to_ne_bytes(), &word.to_ne_bytes(), 0)?))
    }

    fn read(&mut self, at: u32, count: u32) -> Result<Vec<u32>> {
        let word = |at: u32| Ok(wire::word(&self.lookup(&at.to_ne_bytes())?.unwrap_or_default(), 0));
        (at..at.saturating_add(count)).map(word).collect()
    }
}

impl Plane for Linux {
    fn words(map: &LinuxMap) -> Result<Box<dyn Words>> {
        Ok(Box::new(Mapped(map.clone())))
    }
}

/// An array of the kernel's. It is mapped table by table: all tables together may be larger than the rest of the process.
struct Mapped(LinuxMap);

impl Mapped {
    fn part(&self, at: u32, count: usize) -> Result<MappedArray> {
        let end = u32::try_from(count).ok().and_then(|count| at.checked_add(count)).unwrap_or(u32::MAX);
        let part = MappedArray::part(self.0.sys(), true, at..end);
        part.map_err(|why| {
            failed(format!("words {at} to {end} of map `{}` cannot be mapped: {why}", self.0.spec().name))
        })
    }
}

impl Words for Mapped {
    fn write(&mut self, at: u32, words: &[u32]) -> Result<()> {
        if words.is_empty() {
            return Ok(());
        }
        let part = self.part(at, words.len())?;
        let fits = (at..).zip(words).all(|(at, word)| part.write(at, 0, &word.to_ne_bytes()));
        if fits { Ok(()) } else { Err(failed(format!("{} words at {at} are behind the end", words.len()))) }
    }

    fn read(&mut self, at: u32, count: u32) -> Result<Vec<u32>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let part = self.part(at, count as usize)?;
        let word = |at: u32| part.value(at).map(|bytes| wire::word(&bytes, 0));
        let words: Option<Vec<u32>> = (at..at.saturating_add(count)).map(word).collect();
        words.ok_or_else(|| failed(format!("{count} words at {at} are behind the end")))
    }
}

fn failed(message: String) -> Fault {
    Diagnostic::new("lb", message, Place::Nowhere).into()
}

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

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What is counted of a VIP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VipCounts {
    /// To it.
    pub to: Traffic,
    /// From its reals behind NAT.
    pub back: Traffic,
    /// New connections.
    pub opened: u64,
    /// Flows that another CPU, or a peer, knew.
    pub global: u64,
}

/// The maps, open.
#[derive(Debug)]
pub struct Store<B: Plane> {
    maps: BTreeMap<String, B::Map>,
    /// What runs, as it was read or written last.
    pub running: Running,
}

/// The maps that the control plane has to do with.
const MAPS: [&str; 19] = [
    "layout",
    "vips4",
    "vips6",
    "services",
    "rings",
    "reals",
    "prefixes4",
    "prefixes6",
    "ids",
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
                .collect())
        };
        let mut running =
            Running { keys: words("vips4")?, prefixes: words("prefixes4")?, ids: words("ids")?, ..Running::default() };
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
            Step::Settings(settings) => self.map(SETTINGS).update(&0u32.to_ne_bytes(), &settings.to_bytes(), 0),
            Step::Ring(..) | Step::Grace => Ok(()),
        }
    }

    /// An entry of counters, all CPUs together.
    fn counts<const N: usize>(&self, map: &str, index: u32) -> Result<[u64; N]> {
        let bytes = self.value(map, index)?;
        let mut sums = [0u64; N];
        for cpu in bytes.chunks_exact(8 * N) {
            for (sum, word) in sums.iter_mut().zip(cpu.chunks_exact(8)) {
                *sum = sum.wrapping_add(u64::from_ne_bytes(wire::some(word, 0)));
            }
        }
        Ok(sums)
    }

    /// What is counted of a VIP, by its number.
    ///
    /// # Errors
    /// The target's.
    pub fn vip(&self, number: u32) -> Result<VipCounts> {
        let [packets, bytes, back_packets, back_bytes, opened, global] = self.counts("vip_counters", number)?;
        let back = Traffic { packets: back_packets, bytes: back_bytes };
        Ok(VipCounts { to: Traffic { packets, bytes }, back, opened, global })
    }

    /// What is counted of a real, by its number.
    ///
    /// # Errors
    /// The target's.
    pub fn real(&self, number: u32) -> Result<Traffic> {
        let [packets, bytes] = self.counts("real_counters", number)?;
        Ok(Traffic { packets, bytes })
    }

    /// What became of packets, in the order of [`wire::VERDICTS`].
    ///
    /// # Errors
    /// The target's.
    pub fn verdicts(&self) -> Result<Vec<Traffic>> {
        (0..wire::VERDICTS.len() as u32)
            .map(|index| self.counts("verdicts", index).map(|[packets, bytes]| Traffic { packets, bytes }))
            .collect()
    }

    /// What else was counted, in the order of [`wire::EVENTS`].
    ///
    /// # Errors
    /// The target's.
    pub fn events(&self) -> Result<Vec<u64>> {
        (0..wire::EVENTS.len() as u32).map(|index| self.counts("events", index).map(|[count]| count)).collect()
    }

    /// Connections that all CPUs know: client, VIP, protocol, real by number; no more than `most`.
    ///
    /// # Errors
    /// The target's.
    pub fn flows(&self, most: usize) -> Result<Vec<Flow>> {
        let mut flows = Vec::new();
        for (map, width) in [("connections4", 4), ("connections6", 16)] {
            for (key, value) in self.map(map).entries()? {
                if flows.len() == most {
                    return Ok(flows);
                }
                let ip = |at: usize| match width {
                    4 => IpAddr::from(wire::some::<4>(&key, at)),
                    _ => IpAddr::from(wire::some::<16>(&key, at)),
                };
                let port = |at: usize| u16::from_be_bytes(wire::some(&key, at));
                let [protocol] = wire::some(&key, 2 * width + 4);
                let (client, to) = ((ip(0), port(2 * width)), (ip(width), port(2 * width + 2)));
                flows.push(Flow { client, to, protocol, real: wire::number(wire::word(&value, 0)) });
            }
        }
        Ok(flows)
    }
}

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The client's address and port.
    pub client: (IpAddr, u16),
    /// The VIP's.
    pub to: (IpAddr, u16),
    /// The protocol's number.
    pub protocol: u8,
    /// The real's number.
    pub real: u32,
}
