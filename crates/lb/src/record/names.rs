//! What numbers of VIPs and reals stand for, by the maps of the balancer that runs.

use super::Numbers;
use crate::{Result, wire};
use alveary::{LinuxMap, MapHandle};
use alveary_sort::Gather;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// VIPs and reals by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Keys of VIPs: address, port (0: any), protocol (0: any).
    pub vips: BTreeMap<u32, BTreeSet<(IpAddr, u16, u8)>>,
    /// Addresses of reals.
    pub reals: BTreeMap<u32, IpAddr>,
}

impl Known {
    /// Takes what is there now; what is there no more is remembered.
    pub(crate) fn learn(&mut self, now: Known) {
        self.vips.extend(now.vips);
        self.reals.extend(now.reals);
    }

    /// A VIP in words.
    #[must_use]
    pub fn vip(&self, number: u32) -> String {
        let Some(keys) = self.vips.get(&number) else { return format!("number {number}") };
        let mut words: Vec<String> =
            keys.iter().take(3).map(|(ip, port, protocol)| key(*ip, *port, *protocol)).collect();
        if keys.len() > words.len() {
            words.push("…".into());
        }
        words.join(", ")
    }

    /// A real in words.
    #[must_use]
    pub fn real(&self, number: u32) -> String {
        self.reals.get(&number).map_or_else(|| format!("number {number}"), IpAddr::to_string)
    }
}

fn key(ip: IpAddr, port: u16, protocol: u8) -> String {
    let at = match (ip, port) {
        (ip, 0) => ip.to_string(),
        (IpAddr::V4(ip), port) => format!("{ip}:{port}"),
        (IpAddr::V6(ip), port) => format!("[{ip}]:{port}"),
    };
    match protocol {
        0 => at,
        1 => format!("{at}/icmp"),
        6 => format!("{at}/tcp"),
        17 => format!("{at}/udp"),
        other => format!("{at}/{other}"),
    }
}

impl Numbers for Known {
    fn vips(&self, address: IpAddr, port: Option<u16>) -> BTreeSet<u32> {
        let is = |(ip, at, _): &(IpAddr, u16, u8)| *ip == address && port.is_none_or(|port| *at == port);
        self.vips.iter().filter(|(_, keys)| keys.iter().any(is)).map(|(number, _)| *number).gather()
    }

    fn reals(&self, address: IpAddr) -> BTreeSet<u32> {
        self.reals.iter().filter(|(_, ip)| **ip == address).map(|(number, _)| *number).gather()
    }
}

/// The maps that say it.
#[derive(Debug)]
pub(crate) struct Maps {
    vips: [LinuxMap; 2],
    services: LinuxMap,
    reals: LinuxMap,
}

impl Maps {
    pub(crate) fn open(pinned: &dyn Fn(&str) -> Result<LinuxMap>) -> Result<Maps> {
        let vips = [pinned("vips4")?, pinned("vips6")?];
        Ok(Maps { vips, services: pinned("services")?, reals: pinned("reals")? })
    }

    pub(crate) fn read(&self) -> Result<Known> {
        let mut known = Known::default();
        for map in &self.vips {
            for (key, slot) in map.entries()? {
                let service = self.services.lookup(&slot)?.unwrap_or_default();
                if let Some(key) = wire::vip_of(&key) {
                    known.vips.entry(wire::word(&service, 0)).or_default().insert(key);
                }
            }
        }
        for (_, value) in self.reals.entries()? {
            let real = wire::Real::from_bytes(&value);
            if real.name != 0 && real.way != wire::Way::None {
                known.reals.insert(wire::number(real.name), real.ip());
            }
        }
        Ok(known)
    }
}
