//! Reals of a VIP, each by itself, and which clients have reals of their own. What they have to do with the VIP is not known here.

use super::{NAMES, Vip};
use crate::config::{
    Name, is_device, is_name, odd,
    table::{Faults, Table as Section, shown},
    value::{Forward, Mac, Prefix},
};
use std::{collections::BTreeSet, net::IpAddr, ops::Range};

/// A server of a VIP.
#[derive(Clone, Debug, PartialEq)]
pub struct Real {
    /// What it is called; unless it is said, its address (and port).
    pub name: Name,
    /// Its address.
    pub address: IpAddr,
    /// Its port behind NAT; `None`: that of the packet.
    pub port: Option<u16>,
    /// Its part of the flows.
    pub weight: u16,
    /// How packets get there.
    pub forward: Forward,
    /// Port of GUE.
    pub gue_port: u16,
    /// Whether GUE over IPv4 has checksums.
    pub checksum: bool,
    /// Its Ethernet address, or that of the router in front of it.
    pub mac: Option<Mac>,
    /// The device that it is behind; `None`: the one that packets come in by.
    pub device: Option<Box<str>>,
    /// Longest IP packet on the way to it; `None`: as the balancer says.
    pub mtu: Option<u16>,
    /// What names it in packets.
    pub ids: Box<[u32]>,
    /// Where it stands in the file.
    pub at: Range<usize>,
}

/// Clients that have servers of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Their addresses.
    pub from: Vec<Prefix>,
    /// The VIP's reals that they go to, by their numbers in it.
    pub reals: Vec<usize>,
}

pub(super) fn read_real(
    mut table: Section<'_>,
    (default, unread): (Option<Forward>, bool),
    faults: &mut Faults,
) -> Option<Real> {
    let address: Option<IpAddr> = table.need("address", faults);
    let port = table.get::<u16>("port", faults);
    if port == Some(0) {
        faults.unexpected("port", "a port from 1 to 65535", table.value_place("port"));
    }
    let forward = table.get("forward", faults).or(default).unwrap_or(Forward::Ip);
    let knows_way = (table.has("forward") || !unread) && !table.is_unread("forward", faults);
    // Of a real that is here least is asked.
    let forward = if knows_way { forward } else { Forward::Local };
    if let (Some(address), at) = (address, table.value_place("address"))
        && let Some(odd) = odd(address)
        // What is on this machine may be asked there whether it is well.
        && !(forward == Forward::Local && address.is_loopback())
    {
        faults.unexpected("address", &format!("an address that packets can be sent to, and this is {odd}"), at);
    }
    let gue_port = table.get("gue-port", faults);
    for key in ["gue-port", "checksum"] {
        if table.raw(key).is_some() && forward != Forward::Gue && knows_way {
            faults.wrong(format!("`{key}` is of `forward = \"gue\"` alone"), table.value_place(key));
        }
    }
    let ids = table.list::<u32>("id", faults).into_iter().map(|(id, _)| id).collect();
    let mtu = table.get::<u16>("mtu", faults);
    let device = table.get::<String>("device", faults).map(String::into_boxed_str);
    let weight = table.get("weight", faults).unwrap_or(1);
    let (checksum, mac) = (table.get("checksum", faults).unwrap_or(false), table.get("mac", faults));
    if device.as_ref().is_some_and(|device| !is_device(device)) {
        faults.unexpected("device", "the name of a network device", table.value_place("device"));
    }
    if let Some(device) = &device
        && !faults.notes.devices.contains_key(device)
    {
        faults.notes.devices.insert(device.clone(), table.value_place("device"));
    }
    let name = table.get::<String>("name", faults);
    if name.as_ref().is_some_and(|name| !is_name(name)) {
        faults.unexpected("name", NAMES, table.value_place("name"));
    }
    let Some(address) = address else {
        table.finish(faults);
        return None;
    };
    let default_name = || match (address, port) {
        (IpAddr::V6(_), Some(port)) => format!("[{address}]:{port}"),
        (_, Some(port)) => format!("{address}:{port}"),
        (_, None) => address.to_string(),
    };
    let name = name.unwrap_or_else(default_name);
    let at = table.place();
    if forward == Forward::L2 && mac.is_none() && !table.is_unread("mac", faults) {
        let message = format!("`{}` is reached by its Ethernet address, which is not said", shown(&name));
        faults.wrong(message, at.clone()).help.push("mac = \"02:00:00:00:00:01\"".into());
    }
    if port.is_some() && forward != Forward::Nat && knows_way {
        let message = format!("the port of `{}` is replaced with `forward = \"nat\"` alone", shown(&name));
        let fault = faults.wrong(message, at.clone());
        fault.help.push("without `port` it gets packets to the VIP's port".into());
    }
    table.finish(faults);
    Some(Real {
        name: Name::from(&*name),
        address,
        port,
        weight,
        forward,
        gue_port: gue_port.unwrap_or(6080),
        checksum,
        mac,
        device,
        mtu,
        ids,
        at,
    })
}

pub(super) fn read_routes(vip: &Vip, tables: Vec<Section<'_>>, all_reals: bool, faults: &mut Faults) -> Vec<Route> {
    let (mut routes, mut seen) = (Vec::new(), BTreeSet::new());
    for mut table in tables {
        let mut route = Route { from: Vec::new(), reals: Vec::new() };
        for (prefix, at) in table.list::<Prefix>("from", faults) {
            if prefix.address.is_ipv6() != vip.address.is_ipv6() {
                faults.wrong("the clients are of another family than the VIP", at);
            } else if !seen.insert(prefix) {
                faults.wrong(format!("clients of {prefix} have two routes"), at);
            } else {
                route.from.push(prefix);
            }
        }
        for (name, at) in table.list::<String>("reals", faults) {
            match vip.reals.iter().position(|real| real.name == name) {
                Some(real) => route.reals.push(real),
                // It may be one of those that could not be read.
                None if !all_reals => {}
                None => {
                    let fault = faults.wrong(format!("the VIP has no real `{}`", shown(&name)), at);
                    let meant = alveary_diag::did_you_mean(&name, vip.reals.iter().map(|real| real.name.as_str()));
                    fault.help.extend(meant.map(|meant| format!("did you mean `{meant}`?")));
                }
            }
        }
        for key in ["from", "reals"] {
            if table.raw(key).is_none() && !table.is_misspelt(key) {
                faults.wrong(format!("the route lacks `{key}`"), table.place());
            }
        }
        table.finish(faults);
        routes.push(route);
    }
    routes
}
