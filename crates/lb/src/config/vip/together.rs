//! What does not go together: keys and reals of one VIP, VIPs among each other, and all of them with the room that there is.

use super::{Defaults, Key, Real, Vip, read_vip};
use crate::{
    apply::{Needs, Room},
    config::{
        Config, LEAST_MTU, Limits,
        table::{Faults, Table as Section, shown},
        value::{CheckKind, Forward, Protocol},
    },
};
use alveary_sort::Gather;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::Range,
};

/// The reals of a VIP that are most.
const REALS: usize = 10_000;

/// The VIPs so far; and what does not go together among them.
pub(in crate::config) struct All<'a> {
    defaults: &'a Defaults,
    config: &'a Config,
    pub(in crate::config) vips: Vec<Vip>,
    names: BTreeMap<String, Range<usize>>,
    keys: BTreeMap<Key, Range<usize>>,
}

impl All<'_> {
    pub(in crate::config) fn new<'a>(defaults: &'a Defaults, config: &'a Config) -> All<'a> {
        All { defaults, config, vips: Vec::new(), names: BTreeMap::new(), keys: BTreeMap::new() }
    }

    pub(in crate::config) fn read(&mut self, table: Section<'_>, faults: &mut Faults) {
        let Some(vip) = read_vip(table, self.defaults, self.config, faults) else { return };
        if let Some(other) = self.names.insert(vip.name.clone(), vip.at.clone()) {
            let other = faults.at(other);
            let fault = faults.wrong(format!("two VIPs are called `{}`", shown(&vip.name)), vip.at.clone());
            *fault = fault
                .clone()
                .label(other, "the other one")
                .help("a VIP is called by its address and port: name = \"…\"");
        }
        for key in vip.keys() {
            if let Some(other) = self.keys.insert(key, vip.at.clone())
                && other != vip.at
            {
                let other = faults.at(other);
                let fault = faults.wrong(format!("two VIPs are {}", key_name(key)), vip.at.clone());
                *fault = fault.clone().label(other, "the other one");
            }
        }
        self.vips.push(vip);
    }

    /// All of them, with what is wrong with them together.
    pub(in crate::config) fn done(self, faults: &mut Faults) -> Vec<Vip> {
        elsewhere(&self.vips, self.config, faults);
        answers(&self.vips, self.config, faults);
        room(&self.vips, &self.config.limits, faults);
        self.vips
    }
}

/// Reals whose packets would come back: those with an address that is a VIP's, or the balancer's own.
fn elsewhere(vips: &[Vip], config: &Config, faults: &mut Faults) {
    let addresses: BTreeMap<IpAddr, &str> = vips.iter().map(|vip| (vip.address, vip.name.as_str())).gather();
    let own =
        |ip: IpAddr| config.sources.v4.map(IpAddr::from) == Some(ip) || config.sources.v6.map(IpAddr::from) == Some(ip);
    for real in vips.iter().flat_map(|vip| &vip.reals).filter(|real| real.forward != Forward::Local) {
        let (address, name) = (real.address, shown(&real.name));
        let fault = match addresses.get(&address) {
            Some(vip) => {
                let message =
                    format!("`{name}` has the address of the VIP `{}`: what it gets would come back", shown(vip));
                faults.wrong(message, real.at.clone())
            }
            None if own(address) => {
                let message =
                    format!("`{name}` has an address that is the balancer's own: what it gets would come back");
                faults.wrong(message, real.at.clone())
            }
            None => continue,
        };
        fault.help.push("forward = \"local\", if this machine is the real".into());
    }
}

/// VIPs that would take what reals behind NAT answer: those at the address that NAT comes from, where they take its ports.
fn answers(vips: &[Vip], config: &Config, faults: &mut Faults) {
    let is_nat = |vip: &&Vip| vip.reals.iter().any(|real| real.forward == Forward::Nat);
    let asked =
        |source: IpAddr| vips.iter().filter(is_nat).filter(move |vip| vip.address.is_ipv6() == source.is_ipv6());
    let (first, last) = config.ports;
    for source in [config.sources.v4.map(IpAddr::from), config.sources.v6.map(IpAddr::from)].into_iter().flatten() {
        let protocols: BTreeSet<Protocol> = asked(source).flat_map(|vip| vip.protocols.iter().copied()).gather();
        let all = protocols.contains(&Protocol::Any);
        let takes = |one: &Protocol| match one {
            Protocol::Icmp => false,
            Protocol::Any => !protocols.is_empty(),
            Protocol::Tcp | Protocol::Udp => all || protocols.contains(one),
        };
        for vip in vips.iter().filter(|vip| vip.address == source && vip.protocols.iter().any(takes)) {
            let taken = vip.ports.iter().find(|port| (first..=last).contains(port));
            let which = match taken {
                Some(port) => format!("port {port} of it"),
                None if vip.ports.is_empty() => "all ports of it".to_owned(),
                None => continue,
            };
            let message = format!("NAT comes from {source}, and the VIP `{}` takes {which}: answers", shown(&vip.name));
            let fault = faults.wrong(format!("{message} of reals would be taken for its clients'"), vip.at.clone());
            fault.help.push(match taken {
                Some(_) => format!("`nat-ports` without it ([{first}, {last}] now); or another address as `source`"),
                None => "another address as `source`".to_owned(),
            });
        }
    }
}

/// Where there is no room for what is said.
fn room(vips: &[Vip], limits: &Limits, faults: &mut Faults) {
    let mut needs = Needs::default();
    let mut reals = BTreeSet::new();
    let room = Room::of(limits);
    for vip in vips {
        needs.vips += 1;
        for _ in vip.keys() {
            *if vip.address.is_ipv4() { &mut needs.keys4 } else { &mut needs.keys6 } += 1;
        }
        for _ in 0..=vip.routes.len() {
            needs.ring(vip.slots);
        }
        reals.extend(vip.reals.iter().map(|real| {
            let Real { address, port, forward, gue_port, checksum, mac, device, mtu, .. } = real;
            (address, port, forward, gue_port, checksum, mac, device, mtu)
        }));
        needs.reals = reals.len() as u64;
        if let Some(mut fault) = needs.beyond(room) {
            // The first one that is too much.
            fault.labels[0].at = faults.at(vip.at.clone());
            faults.all.push(fault);
            return;
        }
    }
}

fn key_name((address, port, protocol): Key) -> String {
    match port {
        0 => format!("{address}, {}", protocol.name()),
        port => format!("{address}, port {port}, {}", protocol.name()),
    }
}

/// What of a VIP could be read: nothing is said of what follows from the rest.
pub(super) struct Known {
    /// All its reals.
    pub(super) reals: bool,
    /// The ways to all of them: those that are not known are none ([`Forward::Local`]), of which nothing is asked.
    pub(super) ways: bool,
    /// What it says of QUIC.
    pub(super) quic: bool,
    /// Its ports, and its check.
    pub(super) ports: bool,
}

/// What does not go together in one VIP, as far as its reals, and what it says of QUIC, could be read.
pub(super) fn together(vip: &Vip, known: &Known, config: &Config, faults: &mut Faults) {
    let (mut names, mut addresses, mut ids) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    let names_reals = vip.names_reals() || !known.quic;
    if vip.reals.len() > REALS {
        faults.wrong(format!("a VIP has at most {REALS} reals"), vip.at.clone());
    }
    for real in &vip.reals {
        let name = shown(&real.name);
        if !names.insert(&*real.name) {
            faults.wrong(format!("two reals of the VIP are called `{name}`"), real.at.clone());
        } else if !addresses.insert((real.address, real.port)) {
            let message = format!("another real of the VIP has the address of `{name}`");
            let fault = faults.wrong(message, real.at.clone());
            fault.help.push("one real, with the `weight` of both".into());
        }
        for id in &*real.ids {
            if !names_reals {
                let message = format!("`{name}` has an id, and the VIP looks for none in packets");
                let fault = faults.wrong(message, real.at.clone());
                fault.help.push("`quic`, `tcp-id` or `udp-id` in the VIP".into());
                break;
            }
            if known.quic && crate::wanted::id_bytes(vip, *id).is_empty() {
                faults.wrong(format!("the id {id} of `{name}` does not fit into packets to the VIP"), real.at.clone());
            }
            if ids.insert(*id, ()).is_some() {
                faults.wrong(format!("two reals of the VIP have the id {id}"), real.at.clone());
            }
        }
        let six = real.address.is_ipv6();
        let source = config.sources.has(six);
        let needs_source = matches!(real.forward, Forward::Ip | Forward::Gue | Forward::Nat);
        if needs_source && !source {
            let family = if six { "an IPv6" } else { "an IPv4" };
            let message = format!("packets to `{}` need {family} address to come from", shown(&real.name));
            let fault = faults.wrong(message, real.at.clone());
            fault.help.push("[balancer]\nsource = [\"192.0.2.1\", \"2001:db8::1\"]: addresses of this machine".into());
        }
        if real.forward == Forward::Nat && six != vip.address.is_ipv6() {
            let message =
                format!("`{}` is of another family than the VIP, which NAT does not bridge", shown(&real.name));
            faults.wrong(message, real.at.clone()).help.push("forward = \"ip\" does".into());
        }
        if config.inner_mtu(real) < if vip.address.is_ipv6() { LEAST_MTU } else { 576 } {
            let message = format!("{} bytes are left for a packet to `{}`", config.inner_mtu(real), shown(&real.name));
            faults.wrong(message, real.at.clone()).help.push("a larger `mtu` of the way to it".into());
        }
    }
    if known.reals
        && known.quic
        && names_reals
        && vip.reals.iter().all(|real| real.ids.is_empty())
        && !vip.reals.is_empty()
    {
        let fault = faults.wrong("packets shall name reals, and no real has an `id`", vip.at.clone());
        fault.help.push("id = 1, in each [[vip.real]]".into());
    }
    if vip.check.as_ref().is_some_and(|check| check.tunnel) {
        let has_none = |forward| match forward {
            Forward::Ip | Forward::Gue => false,
            Forward::L2 | Forward::Nat => true,
            Forward::Local => known.ways,
        };
        for real in vip.reals.iter().filter(|real| has_none(real.forward)) {
            let message = format!("`{}` is checked through the tunnel, and is reached without one", shown(&real.name));
            let fault = faults.wrong(message, real.at.clone());
            fault.help.push("forward = \"ip\" or \"gue\"; or [vip.check] without `tunnel`".into());
        }
        if !config.sources.has(vip.address.is_ipv6()) {
            let family = if vip.address.is_ipv6() { "an IPv6" } else { "an IPv4" };
            let message = format!("checks through the tunnel need {family} address that the reals answer to");
            let fault = faults.wrong(message, vip.at.clone());
            fault.help.push("[balancer]\nsource = [\"192.0.2.1\", \"2001:db8::1\"]: addresses of this machine".into());
        }
    }
    if let Some(check) = &vip.check
        && check.kind != CheckKind::Exec
        && check.port.is_none()
        && vip.ports.is_empty()
        && known.ports
        && !vip.reals.is_empty()
    {
        let fault = faults.wrong("the check has no port: the VIP takes all of them", vip.at.clone());
        fault.help.push("port = 80, in [vip.check]".into());
    }
}
