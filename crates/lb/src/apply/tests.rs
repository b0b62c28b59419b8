//! What packets see while changes are made: each VIP as it was or as it shall be.

use super::*;
use crate::{
    config::Config,
    wanted::{Devices, Standing, wanted},
};
use proptest::prelude::*;

struct NoDevices;

impl Devices for NoDevices {
    fn device(&self, name: &str) -> Option<(u32, [u8; 6])> {
        (name == "eth0").then_some((7, [2; 6]))
    }
}

const ROOM: Room = Room { vips: 8, services: 40, keys: 40, reals: 40, slots: 8000, away: 4 };

/// The maps, as packets read them.
#[derive(Clone, Default)]
struct Maps {
    keys: BTreeMap<Vec<u8>, u32>,
    prefixes: BTreeMap<Vec<u8>, u32>,
    services: BTreeMap<u32, Service>,
    reals: BTreeMap<u32, wire::Real>,
    rings: Vec<u32>,
}

/// What a key leads to: the service without its place, and for each slot of its ring the real.
type Seen = (Service, Vec<wire::Real>);

impl Maps {
    fn take(&mut self, step: &Step) {
        match step.clone() {
            Step::Real(real) => drop(self.reals.insert(wire::number(real.name), real)),
            Step::Ring(at, words) => {
                let end = at as usize + words.len();
                self.rings.resize(self.rings.len().max(end), 0);
                self.rings[at as usize..end].copy_from_slice(&words);
            }
            Step::Service(slot, service) => drop(self.services.insert(slot, service)),
            Step::Key(key, slot) => drop(self.keys.insert(key, slot)),
            Step::NoKey(key) => drop(self.keys.remove(&key)),
            Step::Prefix(key, slot) => drop(self.prefixes.insert(key, slot)),
            Step::NoPrefix(key) => drop(self.prefixes.remove(&key)),
            _ => {}
        }
    }

    fn seen(&self) -> BTreeMap<Vec<u8>, Seen> {
        let all = self.keys.iter().chain(&self.prefixes);
        let look = |(key, slot): (&Vec<u8>, &u32)| {
            let service = self.services[slot];
            let words = &self.rings[service.ring as usize..][..service.ring_size as usize];
            let real = |name: &u32| {
                let real = self.reals[&wire::number(*name)];
                assert_eq!(real.name, *name, "a ring names a real that is another by now");
                real.content()
            };
            (key.clone(), (Service { ring: 0, ..service }, words.iter().map(real).collect()))
        };
        all.map(look).collect()
    }
}

fn config(vips: &str) -> Config {
    let text = format!(
        "[balancer]\ndevices = [\"eth0\"]\nsource = [\"10.9.9.9\", \"fc00::9\"]\n[default]\nslots = 101\n{vips}"
    );
    Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}"))
}

fn want(config: &Config) -> Wanted {
    wanted(config, &|_, _| Standing::WELL, &NoDevices)
}

fn steps(running: &mut Running, wanted: &Wanted) -> Vec<Step> {
    let mut steps = Vec::new();
    apply::<()>(running, wanted, ROOM, |step| {
        steps.push(step);
        Ok(())
    })
    .expect("there is room");
    steps
}

/// Applies it, looks at the maps behind each step, and gives how many steps there were.
fn change(running: &mut Running, maps: &mut Maps, wanted: &Wanted) -> usize {
    let before = maps.seen();
    let steps = steps(running, wanted);
    let mut end = maps.clone();
    steps.iter().for_each(|step| end.take(step));
    let after = end.seen();
    for step in &steps {
        maps.take(step);
        for (key, seen) in maps.seen() {
            let (was, is) = (before.get(&key), after.get(&key));
            assert!(
                was == Some(&seen) || is == Some(&seen),
                "behind {step:?} {key:?} is neither as it was nor as it shall be"
            );
        }
    }
    // All that is wanted is there, and nothing else.
    assert_eq!(maps.keys.keys().collect::<Vec<_>>(), {
        let mut keys: Vec<_> = wanted.vips.iter().flat_map(|vip| &vip.keys).collect();
        keys.sort();
        keys
    });
    for vip in &wanted.vips {
        let (service, ring) = &after[&vip.keys[0]];
        assert_eq!(Service { number: 0, ring_size: 0, ..*service }, vip.service);
        let expected: Vec<_> = vip.rings[0].compute().unwrap_or_default();
        assert_eq!(ring.len(), expected.len());
        for (real, index) in ring.iter().zip(expected) {
            let wanted = wanted.reals[index as usize].0;
            assert_eq!(*real, wanted.content());
        }
    }
    steps.len()
}

#[test]
fn nothing_is_done_twice() {
    let config = config(
        "[[vip]]\naddress = \"192.0.2.1\"\nport = [80, 443]\nreal = [{ address = \"10.0.0.1\" }, { address = \"10.0.0.2\" }]\n\
         [[vip.route]]\nfrom = \"198.51.100.0/24\"\nreals = \"10.0.0.2\"",
    );
    let (mut running, mut maps) = (Running::default(), Maps::default());
    change(&mut running, &mut maps, &want(&config));
    assert_eq!(steps(&mut running, &want(&config)), [Step::Grace]);
    // What is read from the maps is what was remembered.
    let mut read = Running { keys: maps.keys, prefixes: maps.prefixes, ..running.clone() };
    read.reals.learn();
    assert_eq!(steps(&mut read, &want(&config)), [Step::Grace]);
}

#[test]
fn a_vip_that_changes_keeps_its_number_and_leaves_others_alone() {
    let vip = |address: &str, real: &str| {
        format!("[[vip]]\naddress = \"{address}\"\nport = 80\nreal = [{{ address = \"{real}\" }}]\n")
    };
    let (mut running, mut maps) = (Running::default(), Maps::default());
    change(&mut running, &mut maps, &want(&config(&(vip("192.0.2.1", "10.0.0.1") + &vip("192.0.2.2", "10.0.0.1")))));
    let other = maps.keys[&wire::vip_key("192.0.2.2".parse().expect("one"), 80, 6)];
    let numbers: Vec<_> = running.services.values().map(|service| service.number).collect();
    let wanted = want(&config(&(vip("192.0.2.1", "10.0.0.3") + &vip("192.0.2.2", "10.0.0.1"))));
    change(&mut running, &mut maps, &wanted);
    assert_eq!(maps.keys[&wire::vip_key("192.0.2.2".parse().expect("one"), 80, 6)], other);
    let mut now: Vec<_> = running.services.values().map(|service| service.number).collect();
    now.sort_unstable();
    assert_eq!(now, numbers);
    // The first one goes; a third one comes, with a number of its own, and counters that begin anew.
    let steps = steps(&mut running, &want(&config(&vip("192.0.2.3", "10.0.0.3"))));
    assert!(steps.contains(&Step::ResetVip(2)), "{steps:?}");
}

#[test]
fn who_is_gone_and_comes_back_is_who_it_was() {
    let config =
        config("[[vip]]\naddress = \"192.0.2.1\"\nreal = [{ address = \"10.0.0.1\" }, { address = \"10.0.0.2\" }]");
    let with = |standing: Standing| {
        let of = move |_, real| if real == 0 { standing } else { Standing::WELL };
        wanted(&config, &of, &NoDevices)
    };
    let (mut running, mut maps) = (Running::default(), Maps::default());
    change(&mut running, &mut maps, &with(Standing::WELL));
    let well = running.reals.clone();
    change(&mut running, &mut maps, &with(Standing::GONE));
    assert_eq!(running.reals.get(1).expect("a real").way, Way::None);
    change(&mut running, &mut maps, &with(Standing::WELL));
    assert_eq!(running.reals, well);
    change(&mut running, &mut maps, &with(Standing::DRAINING));
    assert_eq!(running.reals.get(1).expect("a real").flags & wire::flag::REAL_DRAINING, wire::flag::REAL_DRAINING);
    assert_eq!(running.reals.get(1).expect("a real").way, Way::Ip, "its connections go on");
}

/// A real of two VIPs was there for both as long as it was for one: connections of the other stayed at a dead one.
#[test]
fn who_is_gone_for_one_vip_is_away_from_it_alone() {
    let vip = |at: u8| {
        format!(
            "[[vip]]\naddress = \"192.0.2.{at}\"\nport = 80\nreal = [{{ address = \"10.0.0.1\" }}, {{ address = \"10.0.0.2\" }}]\n"
        )
    };
    let config = config(&(1..=6).map(vip).collect::<String>());
    let with = |gone: &[usize]| {
        let standing = |vip: usize, real: usize| match (gone.contains(&vip), real) {
            (true, 0) => Standing::GONE,
            (false, 1) => Standing::DRAINING,
            _ => Standing::WELL,
        };
        wanted(&config, &standing, &NoDevices)
    };
    let (mut running, mut maps) = (Running::default(), Maps::default());
    change(&mut running, &mut maps, &with(&[]));
    assert!(running.away.is_empty() && with(&[]).vips.iter().all(|vip| vip.away.is_empty()));
    let name = running.real_number(&with(&[]).reals[0].0).expect("it is there");
    let keys = |running: &Running, vips: &[usize]| -> BTreeSet<Vec<u8>> {
        let number = |vip: &usize| running.vip_number(&with(&[]).vips[*vip].keys).expect("a number");
        vips.iter().map(|vip| wire::away_key(number(vip), name)).collect()
    };
    // What a service asks for is there before it asks, and goes behind it.
    let order = steps(&mut running.clone(), &with(&[2]));
    let place = |what: &dyn Fn(&Step) -> bool| order.iter().position(what).expect("such a step");
    assert!(place(&|step| matches!(step, Step::Away(_))) < place(&|step| matches!(step, Step::Service(..))));
    change(&mut running, &mut maps, &with(&[2]));
    assert_eq!(running.away, keys(&running, &[2]));
    let asks =
        |running: &Running| running.services.values().filter(|service| service.flags & wire::flag::AWAY != 0).count();
    assert_eq!(asks(&running), 1);
    assert_eq!(steps(&mut running, &with(&[2])), [Step::Grace]);
    change(&mut running, &mut maps, &with(&[3, 4]));
    assert_eq!(running.away, keys(&running, &[3, 4]));
    // There is room for four.
    change(&mut running, &mut maps, &with(&[0, 1, 2, 3, 4]));
    assert_eq!(running.away.len(), 4);
    // Where nobody has looked yet, connections that a peer knows of stay as long as another VIP finds it well.
    let first = |vip: usize, real: usize| if (vip, real) == (0, 0) { Standing::UNKNOWN } else { Standing::WELL };
    assert!(wanted(&config, &first, &NoDevices).vips.iter().all(|vip| vip.away.is_empty()));
    // For all of them: then it is gone itself.
    change(&mut running, &mut maps, &with(&[0, 1, 2, 3, 4, 5]));
    assert!(running.away.is_empty() && asks(&running) == 0);
    assert_eq!(running.reals.get(name).map(|real| real.way), Some(Way::None));
    change(&mut running, &mut maps, &with(&[]));
    assert!(running.away.is_empty() && asks(&running) == 0);
}

#[test]
fn a_number_that_is_used_again_has_another_name() {
    let one =
        |real: usize| config(&format!("[[vip]]\naddress = \"192.0.2.1\"\nreal = [{{ address = \"10.0.1.{real}\" }}]"));
    let (mut running, mut maps) = (Running::default(), Maps::default());
    let mut names = BTreeSet::new();
    for real in 0..100 {
        change(&mut running, &mut maps, &want(&one(real)));
        let there = running.reals.iter().find(|real| real.way != Way::None).expect("one");
        assert!(names.insert(there.name), "two reals have the name {:#x}", there.name);
    }
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let many: String = (0..9).map(|i| format!("[[vip]]\naddress = \"192.0.2.{i}\"\naction = \"drop\"\n")).collect();
    let mut running = Running::default();
    let refused = apply::<()>(&mut running, &want(&config(&many)), ROOM, |step| panic!("{step:?}"));
    let Err(Refused::Room(why)) = refused else { panic!("{refused:?}") };
    assert_eq!(why.to_string(), "there is no room for so many VIPs (expected at most 8, found 9)");
    assert_eq!(running, Running::default());
}

/// VIPs and their reals by numbers, as a configuration.
fn drawn(vips: &[(u8, Vec<u8>, bool, bool)]) -> Config {
    let mut text = String::new();
    for (number, (port, reals, hash, route)) in vips.iter().enumerate() {
        let list: Vec<_> = reals.iter().collect::<BTreeSet<_>>().into_iter().collect();
        let real = |real: &&u8| format!("{{ address = \"10.0.0.{real}\", weight = {} }}", 1 + *real % 3);
        text += &format!(
            "[[vip]]\naddress = \"192.0.2.{number}\"\nport = {}\nhash = \"{}\"\nreal = [{}]\n",
            u16::from(*port) + 1,
            if *hash { "source" } else { "flow" },
            list.iter().map(real).collect::<Vec<_>>().join(", ")
        );
        if list.is_empty() {
            text += "action = \"drop\"\n";
        }
        if let (true, [first, ..]) = (route, &list[..]) {
            text += &format!("[[vip.route]]\nfrom = \"198.51.100.0/24\"\nreals = \"10.0.0.{first}\"\n");
        }
    }
    config(&text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever follows whatever, packets see each VIP as it was or as it shall be.
    #[test]
    fn changes_are_seen_whole(
        all in prop::collection::vec(
            prop::collection::vec((0u8..3, prop::collection::vec(0u8..12, 0..5), any::<bool>(), any::<bool>()), 0..5),
            1..6,
        ),
        down in any::<u16>(),
    ) {
        let (mut running, mut maps) = (Running::default(), Maps::default());
        for vips in all {
            let config = drawn(&vips);
            let standing = |vip: usize, real: usize| match (down >> ((vip * 3 + real) % 16)) & 3 {
                0 => Standing::GONE,
                1 => Standing::DRAINING,
                _ => Standing::WELL,
            };
            let wanted = wanted(&config, &standing, &NoDevices);
            change(&mut running, &mut maps, &wanted);
            prop_assert_eq!(steps(&mut running, &wanted), [Step::Grace]);
        }
    }
}
