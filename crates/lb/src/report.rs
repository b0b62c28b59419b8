//! What a balancer tells of itself: as JSON, for Prometheus, as a page.

use crate::{
    Result,
    asked::Flows,
    config::{Config, Real, Vip, shown},
    control::{Control, Health},
    store::{Flow, Plane, Store, Traffic, Which},
    wanted::Wanted,
    wire,
};
use alveary_diag::did_you_mean;
use alveary_sort::Gather;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::Instant,
};

/// The page. It asks for nothing but the API.
pub const PAGE: &str = include_str!("page.html");
/// What the API has.
pub const OPENAPI: &str = include_str!("openapi.json");

/// A balancer as it is.
pub(crate) struct View<'a, B: Plane> {
    pub(crate) config: &'a Config,
    pub(crate) control: &'a Control,
    pub(crate) store: &'a Store<B>,
    pub(crate) wanted: &'a Wanted,
    pub(crate) adopted: bool,
    pub(crate) now: Instant,
}

fn traffic(traffic: Traffic) -> Value {
    json!({ "packets": traffic.packets, "bytes": traffic.bytes })
}

impl<B: Plane> View<'_, B> {
    /// All of it.
    pub(crate) fn status(&self) -> Result<Value> {
        let mut vips = Vec::new();
        for index in 0..self.config.vips.len() {
            vips.push(self.vip(index)?);
        }
        let verdicts = self.store.verdicts()?;
        let verdict = |(at, all): (usize, &Traffic)| {
            let (name, about) = wire::VERDICTS[at];
            let mut value = traffic(*all);
            value["name"] = name.into();
            value["about"] = about.into();
            value["drops"] = (at >= wire::FIRST_DROP).into();
            value
        };
        let events = self.store.events()?;
        let event = |(at, count): (usize, &u64)| json!({ "name": wire::EVENTS[at].0, "about": wire::EVENTS[at].1, "count": count });
        Ok(json!({
            "name": self.config.name,
            "version": env!("CARGO_PKG_VERSION"),
            "adopted": self.adopted,
            "devices": self.config.devices,
            "vips": vips,
            "verdicts": verdicts.iter().enumerate().map(verdict).collect::<Vec<_>>(),
            "events": events.iter().enumerate().map(event).collect::<Vec<_>>(),
        }))
    }

    /// The number of a VIP, of its slot, and the numbers of its reals.
    fn places(&self, index: usize) -> (Option<u32>, Option<u32>, Vec<Option<u32>>) {
        let (running, Some(wanted)) = (&self.store.running, self.wanted.vips.get(index)) else {
            return (None, None, Vec::new());
        };
        let slot = wanted.keys.iter().find_map(|key| running.keys.get(key)).copied();
        let real = |(place, _): &(usize, _)| running.real_number(&self.wanted.reals[*place].0);
        (running.vip_number(&wanted.keys), slot, wanted.rings[0].members.iter().map(real).collect())
    }

    fn vip(&self, index: usize) -> Result<Value> {
        let vip = &self.config.vips[index];
        let (number, slot, numbers) = self.places(index);
        let counts = number.map(|number| self.store.vip(number)).transpose()?.unwrap_or_default();
        let ring = slot.and_then(|slot| self.store.running.rings.get(&slot));
        let mut reals = Vec::new();
        for (real, number) in vip.reals.iter().zip(numbers) {
            let counts = number.map(|number| self.store.real(number)).transpose()?.unwrap_or_default();
            let places =
                number.zip(ring).and_then(|(number, ring)| ring.places.get(&number)).copied().unwrap_or_default();
            reals.push(self.real(vip, real, counts, places));
        }
        Ok(json!({
            "name": vip.name,
            "address": vip.address,
            "ports": vip.ports,
            "protocols": vip.protocols.iter().map(|protocol| protocol.name()).collect::<Vec<_>>(),
            "slots": vip.slots.slots(),
            "to": traffic(counts.to),
            "back": traffic(counts.back),
            "opened": counts.opened,
            "global": counts.global,
            "reals": reals,
        }))
    }

    fn real(&self, vip: &Vip, real: &Real, counts: Traffic, places: u32) -> Value {
        let state = self.control.state(&vip.name, &real.name);
        let standing = self.control.standing(vip, &real.name, self.now);
        let (health, why) = match state.map(|state| &state.health) {
            Some(Health::Up) => ("up", None),
            Some(Health::Down(why)) => ("down", Some(why.clone())),
            Some(Health::Unchecked) => ("unchecked", None),
            Some(Health::Unknown { .. }) | None => ("unknown", None),
        };
        let lost = state.filter(|state| state.lost).and_then(|_| self.config.device_of(real));
        let (health, why) = match lost {
            Some(device) => ("down", Some(format!("there is no network device `{}`", shown(device)))),
            None => (health, why),
        };
        let drained =
            state.and_then(|state| state.drained).map(|end| end.saturating_duration_since(self.now).as_secs());
        let took = state.and_then(|state| state.last.as_deref()).map(|(_, took)| took.as_secs_f64());
        json!({
            "name": &*real.name,
            "address": real.address,
            "port": real.port,
            "forward": real.forward.name(),
            "weight": real.weight,
            "health": health,
            "why": why,
            "check_seconds": took,
            "drained_seconds_left": drained,
            "share": f64::from(standing.share) / 1000.0,
            "slots": places,
            "packets": counts.packets,
            "bytes": counts.bytes,
        })
    }

    /// Connections that all CPUs know, those that are asked for; or that the configuration has no such VIP or real.
    ///
    /// # Errors
    /// The target's.
    pub(crate) fn flows(&self, asked: &Flows, most: usize) -> Result<std::result::Result<Value, String>> {
        let mut names = BTreeMap::new();
        for (index, vip) in self.config.vips.iter().enumerate() {
            let (_, _, numbers) = self.places(index);
            names.extend(
                numbers.into_iter().zip(&vip.reals).filter_map(|(number, real)| Some((number?, real.name.as_str()))),
            );
        }
        let which = match self.which(asked, &names) {
            Ok(which) => which,
            Err(why) => return Ok(Err(why)),
        };
        let found = self.store.flows(&which, most)?;
        let flow = |flow: &Flow| {
            json!({
                "client": flow.client.0, "client_port": flow.client.1, "vip": flow.to.0, "vip_port": flow.to.1,
                "protocol": flow.protocol, "real": names.get(&flow.real),
            })
        };
        let flows: Vec<_> = found.flows.iter().map(flow).collect();
        Ok(Ok(json!({ "flows": flows, "most": most, "more": found.more })))
    }

    /// Names as the tables have them; an error for those that there are not.
    fn which(&self, asked: &Flows, names: &BTreeMap<u32, &str>) -> std::result::Result<Which, String> {
        let vip = asked.vip.as_ref().map(|said| {
            let named = self.config.vips.iter().find(|vip| vip.name == *said);
            let address = said.parse().map(|address| (address, Vec::new()));
            named.map(|vip| (vip.address, vip.ports.clone())).or(address.ok()).ok_or_else(|| {
                let meant = did_you_mean(said, self.config.vips.iter().map(|vip| vip.name.as_str()));
                format!(
                    "no VIP is called `{said}`{}",
                    meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
                )
            })
        });
        let reals = asked.real.as_ref().map(|said| {
            let numbers: BTreeSet<u32> =
                names.iter().filter(|(_, name)| *name == said).map(|(number, _)| *number).gather();
            if !numbers.is_empty() {
                return Ok(numbers);
            }
            let meant = did_you_mean(said, names.values().copied());
            Err(format!(
                "no VIP has a real `{said}`{}",
                meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
            ))
        });
        Ok(Which { client: asked.client, vip: vip.transpose()?, reals: reals.transpose()? })
    }

    /// The text that Prometheus reads.
    pub(crate) fn metrics(&self) -> Result<String> {
        let mut text = Text::default();
        let (mut vips, mut reals) = (Vec::new(), Vec::new());
        // A real's packets are those of all its VIPs: they are told once. What is called so elsewhere may be another one.
        let (mut once, mut seen) = (BTreeMap::<String, Traffic>::new(), BTreeSet::new());
        for (index, vip) in self.config.vips.iter().enumerate() {
            let (number, slot, numbers) = self.places(index);
            let counts = number.map(|number| self.store.vip(number)).transpose()?.unwrap_or_default();
            let ring = slot.and_then(|slot| self.store.running.rings.get(&slot));
            vips.push((label("vip", &vip.name), counts));
            for (real, number) in vip.reals.iter().zip(numbers) {
                let labels = format!("{},{}", label("vip", &vip.name), label("real", &real.name));
                let counts = number.map(|number| self.store.real(number)).transpose()?.unwrap_or_default();
                let places =
                    number.zip(ring).and_then(|(number, ring)| ring.places.get(&number)).copied().unwrap_or_default();
                let standing = self.control.standing(vip, &real.name, self.now);
                let all = once.entry(label("real", &real.name)).or_default();
                if number.is_some_and(|number| seen.insert(number)) {
                    all.packets += counts.packets;
                    all.bytes += counts.bytes;
                }
                reals.push((labels, places, standing));
            }
        }
        text.family(
            "vip_packets_total",
            "counter",
            "Packets to a VIP",
            vips.iter().map(|(l, c)| (l.clone(), c.to.packets)),
        );
        text.family("vip_bytes_total", "counter", "Bytes to a VIP", vips.iter().map(|(l, c)| (l.clone(), c.to.bytes)));
        text.family(
            "vip_connections_total",
            "counter",
            "New connections of a VIP",
            vips.iter().map(|(l, c)| (l.clone(), c.opened)),
        );
        text.family(
            "real_packets_total",
            "counter",
            "Packets to reals of a name, of all VIPs",
            once.iter().map(|(l, c)| (l.clone(), c.packets)),
        );
        text.family(
            "real_bytes_total",
            "counter",
            "Bytes to reals of a name, of all VIPs",
            once.iter().map(|(l, c)| (l.clone(), c.bytes)),
        );
        text.family(
            "real_up",
            "gauge",
            "Whether a real gets packets",
            reals.iter().map(|(l, _, s)| (l.clone(), u64::from(s.keeps))),
        );
        text.family(
            "real_slots",
            "gauge",
            "Slots of a VIP's table that a real has",
            reals.iter().map(|(l, p, _)| (l.clone(), u64::from(*p))),
        );
        let verdicts = self.store.verdicts()?;
        let verdict = |(at, all): (usize, &Traffic)| (label("verdict", wire::VERDICTS[at].0), all.packets);
        text.family("packets_total", "counter", "What became of packets", verdicts.iter().enumerate().map(verdict));
        let events = self.store.events()?;
        let event = |(at, count): (usize, &u64)| (label("event", wire::EVENTS[at].0), *count);
        text.family("events_total", "counter", "What else was counted", events.iter().enumerate().map(event));
        Ok(text.0)
    }
}

/// A label, with what the text format wants escaped.
fn label(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str, values: impl Iterator<Item = (String, u64)>) {
        // There is always room in a text.
        let _ = writeln!(self.0, "# HELP alveary_lb_{name} {help}\n# TYPE alveary_lb_{name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(self.0, "alveary_lb_{name}{{{labels}}} {value}");
        }
    }
}

#[cfg(test)]
mod tests;
