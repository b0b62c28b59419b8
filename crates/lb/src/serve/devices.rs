//! Devices that come and go while a balancer is served.

use super::Server;
use crate::{config::Config, instance::Here, wanted::Devices};
use alveary::kernel::netlink;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// Devices that a configuration names, as they are: numbers and Ethernet addresses of those that are there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen(BTreeMap<String, Option<(u32, [u8; 6])>>);

impl Seen {
    pub(super) fn of(config: &Config) -> Seen {
        let reals = config.vips.iter().flat_map(|vip| &vip.reals);
        let names: BTreeSet<&str> =
            config.devices.iter().map(String::as_str).chain(reals.filter_map(|real| real.device.as_deref())).collect();
        Seen(names.into_iter().map(|name| (name.to_owned(), Here.device(name))).collect())
    }

    /// The same ones as they are now.
    fn again(&self) -> Seen {
        Seen(self.0.keys().map(|name| (name.clone(), Here.device(name))).collect())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.device(name).is_some()
    }
}

impl Devices for Seen {
    fn device(&self, name: &str) -> Option<(u32, [u8; 6])> {
        *self.0.get(name)?
    }
}

/// The numbers of devices that there are; `None`: the machine cannot be asked, which says nothing.
pub(super) fn indexes() -> Option<BTreeSet<u32>> {
    Some(netlink::devices().ok()?.iter().map(|device| device.index).collect())
}

impl Server<'_> {
    /// Looks whether devices came, went, or are others now: reals behind those that are gone get nothing until they are back,
    /// and those that packets come in by get the program again.
    pub(super) fn look(&mut self) {
        self.see();
        let lacking = self.instance.lacking(&self.config);
        let mut why_not = Vec::new();
        let mut left = lacking.len();
        for name in lacking.into_iter().filter(|name| self.seen.has(name)) {
            match self.instance.attach_again(name, self.config.mode) {
                Ok(notes) => {
                    left -= 1;
                    notes.iter().for_each(|note| (self.log)(note));
                    (self.log)(&format!("{}: the program is attached to `{name}` again", self.config.name));
                }
                Err(why) => why_not.push(format!("{}: the program cannot be attached again: {why}", self.config.name)),
            }
        }
        // It is tried again and again; that it is as it was is nothing new.
        for line in why_not.iter().filter(|line| !self.not_attached.contains(line)) {
            (self.log)(line);
        }
        self.not_attached = why_not;
        // Packets that came nevertheless would be nobody's.
        let blind = left == self.config.devices.len();
        if blind != self.blind {
            self.blind = blind;
            self.announce();
        }
    }

    fn see(&mut self) {
        let seen = self.seen.again();
        if seen == self.seen {
            return;
        }
        for ((name, now), before) in seen.0.iter().zip(self.seen.0.values()) {
            let what = match (before.map(|(index, _)| index), now.map(|(index, _)| index)) {
                (Some(_), None) if self.config.devices.contains(name) => {
                    "is gone: no packets come by it until it is back"
                }
                (Some(_), None) => "is gone: reals behind it get nothing until it is back",
                (None, Some(_)) => "is back",
                (before, now) if before != now => "is another one now",
                _ => continue,
            };
            (self.log)(&format!("{}: the network device `{name}` {what}", self.config.name));
        }
        self.seen = seen;
        self.control.look(&self.config, &|device| self.seen.has(device));
        self.unsettled.turned(Instant::now());
    }
}
