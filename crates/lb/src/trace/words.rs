//! Steps of the data plane in words.

use crate::{
    Result, samples,
    wire::{self, Real, Service, Way, flag},
};
use alveary::{LinuxMap, MapHandle};
use std::{collections::BTreeMap, net::IpAddr};

/// What numbers stand for, and what was told so far.
#[derive(Default)]
pub(super) struct Words {
    keys: BTreeMap<u32, Vec<(IpAddr, u16, u8)>>,
    services: BTreeMap<u32, Service>,
    reals: BTreeMap<u32, Real>,
    /// The service whose table is asked.
    from: Service,
    served: bool,
}

impl Words {
    pub(super) fn of(live: &BTreeMap<&str, LinuxMap>) -> Result<Words> {
        let mut words = Words::default();
        for map in ["vips4", "vips6"] {
            for (key, slot) in live[map].entries()? {
                words.keys.entry(wire::word(&slot, 0)).or_default().extend(wire::vip_of(&key));
            }
        }
        for (slot, value) in live["services"].entries()? {
            if value.iter().any(|byte| *byte != 0) {
                words.services.insert(wire::word(&slot, 0), Service::from_bytes(&value));
            }
        }
        for (_, value) in live["reals"].entries()? {
            let real = Real::from_bytes(&value);
            words.reals.insert(wire::number(real.name), real);
        }
        Ok(words)
    }

    fn real(&self, name: u32) -> String {
        match self.reals.get(&wire::number(name)) {
            _ if name == 0 => "none".into(),
            Some(real) if real.name == name => format!("{} (number {})", real.ip(), wire::number(name)),
            _ => format!("number {}, which is another one now", wire::number(name)),
        }
    }

    /// A step: `enum lb_step_kind`, and its two numbers.
    pub(super) fn step(&mut self, kind: u32, a: u32, b: u32) -> String {
        match kind {
            0 => {
                self.from = self.services.get(&a).copied().unwrap_or_default();
                self.served = true;
                format!("it is for the VIP {} (`services` slot {a}, VIP number {b})", self.vip(a))
            }
            1 => {
                self.from = self.services.get(&a).copied().unwrap_or_default();
                format!("the client has a route of its own: the table of `services` slot {a} is asked, not the VIP's")
            }
            2 if b == 0 => format!("{} in the packet names nobody: the packet goes by its flow", id(a)),
            2 => format!("{} in the packet names the real {}", id(a), self.real(b)),
            3 => format!("the table of this CPU has the flow: real {}", self.real(a)),
            4 => format!("the table of all CPUs (`connections`) has the flow: real {}", self.real(a)),
            5 => format!("the real that a table has for the flow is gone: {}; the table of slots is asked", self.real(a)),
            6 => format!("the flow's hash is {a:08x}{b:08x} (addresses, ports, protocol)"),
            7 => self.slot(a, b),
            8 => format!("a new connection: the tables of connections have it from now on, with real {}", self.real(a)),
            9 => format!("a new connection to {}, in no table: there are too many of them in this second (`new-connections`)", self.real(a)),
            10 => self.towards(a),
            11 => format!("NAT sends it from port {a}"),
            12 => format!("an answer from behind NAT, of the real {}, to its client", self.real(a)),
            13 => "an ICMP error: it goes where the flow does that it is about, which follows".into(),
            14 => format!("the SYN promised segments of {a} bytes: {b} are what the way to the reals takes"),
            15 => self.verdict(a),
            16 => match a {
                0 => "a SYN opens a connection: no table of connections is asked".into(),
                1 => "the VIP remembers no connections: no table of them is asked".into(),
                _ => "a fragment has no ports: no table of connections is asked".into(),
            },
            17 => match a {
                0 => "the table of all CPUs (`connections`) does not have the flow; those of single CPUs are not asked here".into(),
                1 => "the table of all CPUs (`connections`) had the flow, too long ago (`idle`): it begins anew".into(),
                _ => "the VIP's connections are in tables of single CPUs, which are not asked here".into(),
            },
            other => format!("step {other}: {a}, {b}"),
        }
    }

    fn vip(&self, slot: u32) -> String {
        let Some(keys) = self.keys.get(&slot) else { return "of clients with reals of their own".into() };
        let mut words: Vec<String> =
            keys.iter().take(3).map(|(ip, port, protocol)| key(*ip, *port, *protocol)).collect();
        if keys.len() > words.len() {
            words.push(format!("and {} more keys", keys.len() - words.len()));
        }
        words.join(", ")
    }

    fn slot(&self, place: u32, name: u32) -> String {
        let flags = self.from.flags;
        let by = [
            (flag::RANDOM, "at random"),
            (flag::SOURCE, "by the client's address alone"),
            (flag::DESTINATION_PORT, "by the destination's port alone"),
            (flag::NO_SOURCE_PORT, "by all but the source's port"),
        ];
        let by = by.iter().find(|(bit, _)| flags & bit != 0).map_or("by the hash", |(_, by)| by);
        let passed = match self.reals.get(&wire::number(name)) {
            Some(real) if real.name == name && real.flags & flag::REAL_DRAINING != 0 => {
                ", which is drained: the next slot is asked"
            }
            Some(real) if real.name == name && real.way != Way::None => "",
            _ => ", which is gone: the next slot is asked",
        };
        format!("slot {place} of {} of the table is taken {by}: real {}{passed}", self.from.ring_size, self.real(name))
    }

    fn towards(&self, name: u32) -> String {
        let Some(real) = self.reals.get(&wire::number(name)) else { return format!("to the real {}", self.real(name)) };
        let source = wire::ip(real.source, real.flags & flag::REAL_V6 != 0);
        let to = real.ip();
        let way = match real.way {
            Way::None => "not at all".into(),
            Way::Ip => format!("in an outer IP header, {source} > {to}"),
            Way::Gue => format!("in GUE: IP {source} > {to}, UDP to port {}", real.port),
            Way::L2 => "unchanged but for its Ethernet addresses".into(),
            Way::Nat if real.port == 0 => format!("by NAT: from {source}, to {to} and the same port"),
            Way::Nat => format!("by NAT: from {source}, to {to} and port {}", real.port),
            Way::Local => "on this host: the stack gets it as it is".into(),
        };
        let device = if real.ifindex == 0 { String::new() } else { format!(", by device number {}", real.ifindex) };
        format!("to the real {}, {way}{device}", self.real(name))
    }

    fn verdict(&self, verdict: u32) -> String {
        let (name, about) = wire::VERDICTS.get(verdict as usize).copied().unwrap_or(("unknown", ""));
        match name {
            "no-vip" if !self.served => {
                format!(
                    "{name}: no VIP has its address, port and protocol, nor its address and protocol, nor its address; {about}"
                )
            }
            _ => format!("{name}: {about}"),
        }
    }
}

/// Kinds of ids, `enum lb_id_kind`.
fn id(kind: u32) -> String {
    match kind {
        1..=3 => format!("a connection id of QUIC (Katran's, version {kind})"),
        4 => "the server id in TCP's options".into(),
        5 => "the server id in the payload".into(),
        8.. => format!("a connection id of QUIC-LB (configuration {})", kind - 8),
        other => format!("an id of kind {other}"),
    }
}

fn key(ip: IpAddr, port: u16, protocol: u8) -> String {
    let protocol = match protocol {
        0 => return format!("{ip}, whatever no other VIP of the address takes"),
        other => samples::protocol(other),
    };
    match (ip, port) {
        (ip, 0) => format!("{ip}/{protocol}, all ports"),
        (IpAddr::V4(ip), port) => format!("{ip}:{port}/{protocol}"),
        (IpAddr::V6(ip), port) => format!("[{ip}]:{port}/{protocol}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each step that the data plane tells has words of its own, that name what it is about.
    #[test]
    fn steps_have_words() {
        let mut words = Words::default();
        words.keys.insert(7, vec![("192.0.2.1".parse().expect("one"), 443, 6)]);
        words.services.insert(7, Service { number: 2, ring_size: 101, ..Service::default() });
        words.services.insert(8, Service { ring_size: 11, flags: flag::SOURCE, ..Service::default() });
        let real = |number: u32, way, flags| Real {
            name: number,
            way,
            flags,
            address: wire::address(IpAddr::from([10, 0, 0, number as u8])),
            source: wire::address(IpAddr::from([10, 0, 9, 2])),
            port: 6080,
            ..Real::default()
        };
        words.reals.insert(3, real(3, Way::Ip, 0));
        words.reals.insert(4, real(4, Way::Nat, flag::REAL_DRAINING));
        for (step, said) in [
            (
                (15, 1, 2),
                "no-vip: no VIP has its address, port and protocol, nor its address and protocol, nor its address; ",
            ),
            ((0, 7, 2), "it is for the VIP 192.0.2.1:443/tcp (`services` slot 7, VIP number 2)"),
            ((6, 1, 2), "the flow's hash is 0000000100000002 (addresses, ports, protocol)"),
            ((16, 0, 0), "a SYN opens a connection: no table of connections is asked"),
            ((17, 0, 0), "the table of all CPUs (`connections`) does not have the flow"),
            ((7, 5, 3), "slot 5 of 101 of the table is taken by the hash: real 10.0.0.3 (number 3)"),
            ((7, 5, 4), "real 10.0.0.4 (number 4), which is drained: the next slot is asked"),
            ((7, 5, 3 | 1 << 20), "real number 3, which is another one now, which is gone: the next slot is asked"),
            ((1, 8, 0), "the client has a route of its own"),
            ((7, 2, 3), "slot 2 of 11 of the table is taken by the client's address alone"),
            ((8, 3, 0), "a new connection: the tables of connections have it from now on, with real 10.0.0.3"),
            ((10, 3, 1), "to the real 10.0.0.3 (number 3), in an outer IP header, 10.0.9.2 > 10.0.0.3"),
            ((10, 4, 4), "by NAT: from 10.0.9.2, to 10.0.0.4 and port 6080"),
            ((2, 9, 0), "a connection id of QUIC-LB (configuration 1) in the packet names nobody"),
            ((14, 1460, 1440), "the SYN promised segments of 1460 bytes: 1440 are what the way to the reals takes"),
            ((15, 6, 3), "forwarded: "),
        ] {
            let told = words.step(step.0, step.1, step.2);
            assert!(told.contains(said), "{step:?}: {told}");
        }
        let all: std::collections::BTreeSet<String> = (0..18).map(|kind| words.step(kind, 3, 0)).collect();
        assert_eq!(all.len(), 18, "no two are alike");
        assert!(!all.iter().any(|told| told.starts_with("step ")), "{all:?}");
    }
}
