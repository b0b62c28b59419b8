//! VIPs, their reals, and how those are checked.

use super::{
    Config, Limits, Name, is_device, is_name, odd,
    table::{Faults, Table as Section, shown},
    value::{Action, CheckKind, Forward, Hash, Mac, Policy, Prefix, Protocol, Quic, Statuses, Table},
};
use crate::{
    apply::{Needs, Room},
    check,
    maglev::Size,
    tls::Trust,
};
use alveary_sort::Gather;
use rustls::pki_types::ServerName;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::Range,
    path::PathBuf,
    time::Duration,
};

/// A service.
#[derive(Clone, Debug, PartialEq)]
pub struct Vip {
    /// What it is called.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// Its ports; none: all of them.
    pub ports: Vec<u16>,
    /// Its protocols.
    pub protocols: Vec<Protocol>,
    /// What becomes of packets to it.
    pub action: Action,
    /// What a flow's real follows from.
    pub hash: Hash,
    /// How its table is made.
    pub table: Table,
    /// Slots of its table.
    pub slots: Size,
    /// Whether connections are remembered: by no one, by the CPU, by all CPUs.
    pub remember: Remember,
    /// Datagrams of one flow that are further apart are two connections.
    pub idle: Option<Duration>,
    /// How QUIC's connection ids name reals.
    pub quic: Option<Quic>,
    /// Bytes of server ids by configuration of `quic-lb`, for configurations 0, 1 …
    pub quic_lengths: Vec<u8>,
    /// TCP's option names reals.
    pub tcp_id: bool,
    /// Datagrams' payloads name reals.
    pub udp_id: bool,
    /// Echo requests are answered by the balancer.
    pub echo: bool,
    /// The hop limit is decreased.
    pub hop_limit: bool,
    /// The largest MSS that a SYN may promise; `Some(None)`: as much as the way to the reals takes.
    pub mss: Option<Option<u16>>,
    /// Packets in parts.
    pub fragments: Policy,
    /// Packets with IP options or extension headers.
    pub options: Policy,
    /// How long a drained real keeps its connections.
    pub drain: Duration,
    /// In which time a real that comes gets all its weight.
    pub slow_start: Duration,
    /// How reals are checked.
    pub check: Option<Check>,
    /// Its servers.
    pub reals: Vec<Real>,
    /// Clients that have servers of their own.
    pub routes: Vec<Route>,
    /// Where it stands in the file.
    pub at: Range<usize>,
}

/// Who remembers connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remember {
    /// Nobody: each packet goes by the table.
    Nobody,
    /// The CPU.
    Cpu,
    /// The CPU, and behind it all of them.
    All,
}

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

/// How a real's health is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// By what.
    pub kind: CheckKind,
    /// From the beginning of one check to that of the next.
    pub interval: Duration,
    /// After that a check has failed.
    pub timeout: Duration,
    /// Checks in a row that a real has to pass to be well.
    pub rise: u32,
    /// Checks in a row that a real has to fail to be down.
    pub fall: u32,
    /// Checks of many reals are spread: each interval is longer or shorter by up to this part of it, in percent.
    pub jitter: u16,
    /// The port; `None`: the real's, or else the VIP's.
    pub port: Option<u16>,
    /// All but `exec`: what is asked goes through the tunnel, to the VIP's address.
    pub tunnel: bool,
    /// `http`, `https`: what is asked for.
    pub path: String,
    /// `http`, `https`: whom it is asked of.
    pub host: Option<String>,
    /// `http`, `https`: statuses that are expected.
    pub status: Vec<u16>,
    /// `https`: the name that the certificate has to be for; `None`: that of `host`, or else the real's address.
    pub server_name: Option<String>,
    /// `https`: whose certificates are believed.
    pub trust: Trust,
    /// `dns`: the name that is asked for.
    pub query: String,
    /// `exec`: the program and its arguments; `{address}`, `{port}` are replaced.
    pub command: Vec<String>,
}

/// What VIPs say unless they say otherwise.
#[derive(Default)]
pub(super) struct Defaults {
    slots: Option<Size>,
    forward: Option<Forward>,
    drain: Option<Duration>,
    slow_start: Option<Duration>,
    check: Option<Check>,
}

pub(crate) const SLOTS: u32 = 65_537;
const DRAIN: Duration = Duration::from_secs(300);
const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(1);
/// The reals of a VIP that are most.
const REALS: usize = 10_000;

pub(super) fn defaults(mut table: Section<'_>, config: &Config, faults: &mut Faults) -> Defaults {
    let defaults = Defaults {
        slots: table.get("slots", faults),
        forward: table.get("forward", faults),
        drain: table.get("drain", faults),
        slow_start: table.get("slow-start", faults),
        check: table.table("check", faults).and_then(|check| read_check(check, config, faults)),
    };
    table.finish(faults);
    defaults
}

/// The VIPs so far; and what does not go together among them.
pub(super) struct All<'a> {
    defaults: &'a Defaults,
    config: &'a Config,
    pub(super) vips: Vec<Vip>,
    names: BTreeMap<String, Range<usize>>,
    keys: BTreeMap<Key, Range<usize>>,
}

impl All<'_> {
    pub(super) fn new<'a>(defaults: &'a Defaults, config: &'a Config) -> All<'a> {
        All { defaults, config, vips: Vec::new(), names: BTreeMap::new(), keys: BTreeMap::new() }
    }

    pub(super) fn read(&mut self, table: Section<'_>, faults: &mut Faults) {
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
    pub(super) fn done(self, faults: &mut Faults) -> Vec<Vip> {
        elsewhere(&self.vips, self.config, faults);
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

/// An address, a port (0: any), a protocol.
pub type Key = (IpAddr, u16, Protocol);

fn key_name((address, port, protocol): Key) -> String {
    match port {
        0 => format!("{address}, {}", protocol.name()),
        port => format!("{address}, port {port}, {}", protocol.name()),
    }
}

impl Vip {
    /// Whether packets are asked for who they are for.
    fn names_reals(&self) -> bool {
        self.quic.is_some() || self.tcp_id || self.udp_id
    }

    /// Why nobody gets packets to it, if it balances none although it says nothing of the kind.
    pub(super) fn drops_all(&self) -> Option<&'static str> {
        // Others than reals answer, or some packets have reals of their own.
        let elsewhere = self.echo || self.names_reals() || !self.routes.is_empty();
        if self.action != Action::Balance || elsewhere || self.reals.iter().any(|real| real.weight > 0) {
            return None;
        }
        Some(if self.reals.is_empty() { "has no reals" } else { "has no real with a weight" })
    }

    /// What packets to it are addressed to.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        let any = [0];
        let ports: Vec<u16> = if self.ports.is_empty() { any.to_vec() } else { self.ports.clone() };
        self.protocols.iter().flat_map(move |protocol| {
            let ports = match protocol {
                // These have no ports.
                Protocol::Icmp | Protocol::Any => vec![0],
                Protocol::Tcp | Protocol::Udp => ports.clone(),
            };
            ports.into_iter().map(|port| (self.address, port, *protocol))
        })
    }
}

fn read_vip(mut table: Section<'_>, defaults: &Defaults, config: &Config, faults: &mut Faults) -> Option<Vip> {
    let at = table.place();
    let before = faults.all.len();
    let address: Option<IpAddr> = table.need("address", faults);
    if let (Some(address), at) = (address, table.value_place("address"))
        && let Some(odd) = odd(address)
    {
        faults.unexpected("address", &format!("an address that packets are routed to, and this is {odd}"), at);
    }
    let mut ports: Vec<u16> = Vec::new();
    for (port, at) in table.list::<u16>("port", faults) {
        if port == 0 {
            faults.unexpected("port", "a port from 1 to 65535, several of them, or no `port` for all", at);
        } else if ports.contains(&port) {
            faults.wrong(format!("port {port} is named twice"), at);
        } else {
            ports.push(port);
        }
    }
    let mut protocols: Vec<Protocol> = Vec::new();
    for (protocol, at) in table.list::<Protocol>("protocol", faults) {
        if protocols.contains(&protocol) {
            faults.wrong(format!("`{}` is named twice", protocol.name()), at);
        } else {
            protocols.push(protocol);
        }
    }
    if protocols.is_empty() {
        protocols.push(Protocol::Tcp);
    }
    if !ports.is_empty() && protocols.iter().all(|protocol| matches!(protocol, Protocol::Icmp | Protocol::Any)) {
        faults.wrong("this protocol has no ports", table.value_place("port"));
    }
    let default_name = address.map(|address| match (address, ports.first()) {
        (IpAddr::V6(_), Some(port)) => format!("[{address}]:{port}"),
        (_, Some(port)) => format!("{address}:{port}"),
        (_, None) => address.to_string(),
    });
    let name = table.get::<String>("name", faults);
    if name.as_ref().is_some_and(|name| !is_name(name)) {
        faults.unexpected("name", NAMES, table.value_place("name"));
    }
    let name = name.or(default_name);
    let mss_place = table.value_place("mss");
    let mss = match table.raw("mss").map(|value| value.get_ref()) {
        None => None,
        Some(value) if value.as_bool() == Some(true) => Some(None),
        Some(value) if value.as_bool() == Some(false) => None,
        Some(value) => match <u16 as super::table::Read>::read(value) {
            Ok(mss) if mss >= 500 => Some(Some(mss)),
            _ => {
                faults.unexpected("mss", "true (what the way to the reals takes), or bytes from 500 on", mss_place);
                None
            }
        },
    };
    let so_far = faults.all.len();
    let quic = read_quic(&mut table, faults);
    let knows_quic = faults.all.len() == so_far;
    let lengths = table.list::<u16>("quic-server-id", faults);
    let mut quic_lengths = Vec::new();
    for (length, at) in lengths {
        match length {
            1..=15 => quic_lengths.push(length as u8),
            _ => faults.unexpected("quic-server-id", "lengths from 1 to 15, for configurations 0, 1 …", at),
        }
    }
    if quic_lengths.len() > 7 {
        faults.wrong("there are seven configurations, 0 to 6", table.value_place("quic-server-id"));
    }
    if knows_quic && (quic == Some(Quic::QuicLb)) == quic_lengths.is_empty() {
        let fault = faults.wrong("`quic = \"quic-lb\"` and `quic-server-id` go together", table.value_place("quic"));
        fault.help.push("quic-server-id = [4]: configuration 0 has server ids of 4 bytes, in clear".into());
    }
    let remember = match table.get::<String>("remember", faults).as_deref() {
        None | Some("all") => Remember::All,
        Some("cpu") => Remember::Cpu,
        Some("nobody") => Remember::Nobody,
        Some(_) => {
            faults.unexpected("remember", "\"all\", \"cpu\", \"nobody\"", table.value_place("remember"));
            Remember::All
        }
    };
    let forward = table.get("forward", faults).or(defaults.forward);
    let katran = config.katran;
    let slots = table.get("slots", faults).or(defaults.slots).or(katran.map(|k| k.ring)).or(Size::new(SLOTS))?;
    let check = match table.table("check", faults) {
        Some(check) => read_check(check, config, faults),
        None => defaults.check.clone(),
    };
    let (real_tables, routes) = (table.tables("real", faults), table.tables("route", faults));
    let said = (real_tables.len(), faults.all.len());
    let mut reals: Vec<Real> = real_tables.into_iter().filter_map(|real| read_real(real, forward, faults)).collect();
    reals.shrink_to_fit();
    // What does not go together with those that cannot be read is not known.
    let all_reals = faults.all.len() == said.1;
    let has_ports = !ports.is_empty();
    let fragments: Option<Policy> = table.get("fragments", faults);
    let mut vip = Vip {
        name: name.unwrap_or_default(),
        address: address.unwrap_or(IpAddr::from([0; 4])),
        ports,
        protocols,
        action: table.get("action", faults).unwrap_or(Action::Balance),
        hash: table.get("hash", faults).unwrap_or(Hash::Flow),
        table: table.get("table", faults).unwrap_or(if katran.is_some() { Table::Katran } else { Table::Maglev }),
        slots,
        remember,
        idle: table.get("idle", faults),
        quic,
        quic_lengths,
        tcp_id: table.get("tcp-id", faults).unwrap_or(false),
        udp_id: table.get("udp-id", faults).unwrap_or(false),
        echo: table.get("echo", faults).unwrap_or(false),
        hop_limit: table.get("hop-limit", faults).unwrap_or(false),
        mss,
        fragments: fragments.unwrap_or(if has_ports { Policy::Pass } else { Policy::Hash }),
        options: table.get("options", faults).unwrap_or(Policy::Hash),
        drain: table.get("drain", faults).or(defaults.drain).unwrap_or(DRAIN),
        slow_start: table.get("slow-start", faults).or(defaults.slow_start).unwrap_or_default(),
        check,
        reals,
        routes: Vec::new(),
        at,
    };
    if has_ports && vip.fragments != Policy::Pass {
        let fault = faults.wrong("a fragment has no ports, and the VIP has", table.value_place("fragments"));
        fault.help.push("a VIP of the address without `port` gets fragments, and can balance or drop them".into());
    }
    let by_nat = vip.reals.iter().find(|real| real.forward == Forward::Nat);
    if let Some(real) = by_nat.filter(|_| !has_ports && fragments == Some(Policy::Hash)) {
        let message = format!("a fragment has no ports, which are replaced on the way to `{}`", shown(&real.name));
        let fault = faults.wrong(message, table.value_place("fragments"));
        fault
            .help
            .push("fragments = \"pass\" or \"drop\"; without either, those for reals behind NAT are dropped".into());
    }
    if vip.action != Action::Balance && !vip.reals.is_empty() {
        let name = shown(&vip.reals[0].name);
        let message = format!("packets to the VIP are not balanced, and it has reals: `{name}`");
        faults.wrong(message, table.value_place("action")).help.push("no `action`: they are balanced".into());
    }
    if let Some(katran) = katran
        && (vip.table == Table::Maglev || vip.slots != katran.ring)
    {
        let message = format!("with [katran] all tables are its rings, of {} slots", katran.ring.slots());
        let fault = faults.wrong(message, vip.at.clone());
        fault.help.push("`table = \"katran\"` or \"katran-v2\", and no `slots`".into());
    }
    vip.routes = read_routes(&vip, routes, all_reals, faults);
    if address.is_some() {
        together(&vip, (all_reals, knows_quic), config, faults);
    }
    protocols_of(&vip, &table, faults);
    table.finish(faults);
    (faults.all.len() == before).then_some(vip)
}

/// How connection ids name reals. Of the draft's ids the encrypted ones are nobody's here.
fn read_quic(table: &mut Section<'_>, faults: &mut Faults) -> Option<Quic> {
    let said = table.raw("quic").and_then(|value| value.get_ref().as_str());
    let at = if said.is_some_and(|said| said.starts_with("quic-lb-")) {
        table.value_place("quic")
    } else if table.value_place("quic-key") != table.place() {
        // No key that there is.
        table.raw("quic-key");
        table.value_place("quic-key")
    } else {
        return table.get("quic", faults);
    };
    let fault = faults.wrong("encrypted connection ids of QUIC are not read here", at);
    fault.help.push("quic = \"quic-lb\", and servers that give out plaintext ids".into());
    None
}

/// What does not go together in one VIP, as far as its reals, and what it says of QUIC, could be read.
fn together(vip: &Vip, (all_reals, knows_quic): (bool, bool), config: &Config, faults: &mut Faults) {
    let (mut names, mut addresses, mut ids) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
    let names_reals = vip.names_reals() || !knows_quic;
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
            if knows_quic && crate::wanted::id_bytes(vip, *id).is_empty() {
                faults.wrong(format!("the id {id} of `{name}` does not fit into packets to the VIP"), real.at.clone());
            }
            if ids.insert(*id, ()).is_some() {
                faults.wrong(format!("two reals of the VIP have the id {id}"), real.at.clone());
            }
        }
        let six = real.address.is_ipv6();
        let source = config.sources.has(six);
        let (needs_source, needs_mac) = match real.forward {
            Forward::Ip | Forward::Gue | Forward::Nat => (true, false),
            Forward::L2 => (false, true),
            Forward::Local => (false, false),
        };
        if needs_source && !source {
            let family = if six { "an IPv6" } else { "an IPv4" };
            let message = format!("packets to `{}` need {family} address to come from", shown(&real.name));
            let fault = faults.wrong(message, real.at.clone());
            fault.help.push("[balancer]\nsource = [\"192.0.2.1\", \"2001:db8::1\"]: addresses of this machine".into());
        }
        if needs_mac && real.mac.is_none() {
            let message = format!("`{}` is reached by its Ethernet address, which is not said", shown(&real.name));
            faults.wrong(message, real.at.clone()).help.push("mac = \"02:00:00:00:00:01\"".into());
        }
        if real.forward == Forward::Nat && six != vip.address.is_ipv6() {
            let message =
                format!("`{}` is of another family than the VIP, which NAT does not bridge", shown(&real.name));
            faults.wrong(message, real.at.clone()).help.push("forward = \"ip\" does".into());
        }
        if real.port.is_some() && real.forward != Forward::Nat {
            let message = format!("the port of `{}` is replaced with `forward = \"nat\"` alone", shown(&real.name));
            let fault = faults.wrong(message, real.at.clone());
            fault.help.push("without `port` it gets packets to the VIP's port".into());
        }
        if config.inner_mtu(real) < if vip.address.is_ipv6() { super::LEAST_MTU } else { 576 } {
            let message = format!("{} bytes are left for a packet to `{}`", config.inner_mtu(real), shown(&real.name));
            faults.wrong(message, real.at.clone()).help.push("a larger `mtu` of the way to it".into());
        }
    }
    if all_reals
        && knows_quic
        && names_reals
        && vip.reals.iter().all(|real| real.ids.is_empty())
        && !vip.reals.is_empty()
    {
        let fault = faults.wrong("packets shall name reals, and no real has an `id`", vip.at.clone());
        fault.help.push("id = 1, in each [[vip.real]]".into());
    }
    if vip.check.as_ref().is_some_and(|check| check.tunnel) {
        for real in vip.reals.iter().filter(|real| !matches!(real.forward, Forward::Ip | Forward::Gue)) {
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
        && !vip.reals.is_empty()
    {
        let fault = faults.wrong("the check has no port: the VIP takes all of them", vip.at.clone());
        fault.help.push("port = 80, in [vip.check]".into());
    }
}

/// What is about a protocol, of VIPs that have another one.
fn protocols_of(vip: &Vip, table: &Section<'_>, faults: &mut Faults) {
    let takes = |protocol: Protocol| vip.protocols.iter().any(|own| *own == protocol || *own == Protocol::Any);
    for (key, given, protocol) in [
        ("mss", vip.mss.is_some(), Protocol::Tcp),
        ("tcp-id", vip.tcp_id, Protocol::Tcp),
        ("udp-id", vip.udp_id, Protocol::Udp),
        ("quic", vip.quic.is_some(), Protocol::Udp),
        ("idle", vip.idle.is_some(), Protocol::Udp),
        ("echo", vip.echo, Protocol::Icmp),
    ] {
        if given && !takes(protocol) {
            let name = protocol.name();
            let fault = faults.wrong(
                format!("`{key}` is about {}, and the VIP takes none of it", name.to_uppercase()),
                table.value_place(key),
            );
            fault.help.push(format!("protocol = \"{name}\", or several of them"));
        }
    }
    let by_tcp = |check: &&Check| matches!(check.kind, CheckKind::Tcp | CheckKind::Http | CheckKind::Https);
    if let Some(check) = vip.check.as_ref().filter(by_tcp)
        && check.port.is_none()
        && !vip.ports.is_empty()
        && !takes(Protocol::Tcp)
    {
        let kind = check.kind.name();
        let message = format!("the check `{kind}` asks by TCP, at a port of the VIP's, which takes no TCP");
        let at = if table.value_place("check") == table.place() { vip.at.clone() } else { table.value_place("check") };
        let fault = faults.wrong(message, at);
        fault.help.push("`port` in [vip.check] says where TCP is answered; or `type = \"dns\"` or \"exec\"".into());
    }
}

/// How reals and VIPs may be called.
const NAMES: &str = "1 to 128 bytes without control characters, and no space at either end";

fn read_real(mut table: Section<'_>, default: Option<Forward>, faults: &mut Faults) -> Option<Real> {
    let at = table.place();
    let address: Option<IpAddr> = table.need("address", faults);
    let port = table.get::<u16>("port", faults);
    if port == Some(0) {
        faults.unexpected("port", "a port from 1 to 65535", table.value_place("port"));
    }
    let forward = table.get("forward", faults).or(default).unwrap_or(Forward::Ip);
    if let (Some(address), at) = (address, table.value_place("address"))
        && let Some(odd) = odd(address)
        // What is on this machine may be asked there whether it is well.
        && !(forward == Forward::Local && address.is_loopback())
    {
        faults.unexpected("address", &format!("an address that packets can be sent to, and this is {odd}"), at);
    }
    let gue_port = table.get("gue-port", faults);
    for key in ["gue-port", "checksum"] {
        if table.raw(key).is_some() && forward != Forward::Gue {
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
    table.finish(faults);
    let address = address?;
    let default_name = || match (address, port) {
        (IpAddr::V6(_), Some(port)) => format!("[{address}]:{port}"),
        (_, Some(port)) => format!("{address}:{port}"),
        (_, None) => address.to_string(),
    };
    Some(Real {
        name: Name::from(&*name.unwrap_or_else(default_name)),
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

fn read_routes(vip: &Vip, tables: Vec<Section<'_>>, all_reals: bool, faults: &mut Faults) -> Vec<Route> {
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
            if table.raw(key).is_none() {
                faults.wrong(format!("the route lacks `{key}`"), table.place());
            }
        }
        table.finish(faults);
        routes.push(route);
    }
    routes
}

/// Notes the program of a command, and looks what its words leave to be filled in.
fn read_command(words: &[(String, Range<usize>)], faults: &mut Faults) {
    if let Some((program, at)) = words.first() {
        if program.is_empty() {
            faults.unexpected("command", "a program and its arguments", at.clone());
        } else if !check::FILLED.iter().any(|(name, _)| program.contains(name)) {
            faults.notes.programs.push((program.as_str().into(), at.clone()));
        }
    }
    for (word, at) in words {
        for name in check::unfilled(word) {
            // Others may be the program's own: awk's, a shell's.
            let Some(meant) = alveary_diag::did_you_mean(name, check::FILLED.iter().map(|(name, _)| *name)) else {
                continue;
            };
            let fault = faults.wrong(format!("nothing is filled in for `{}`", shown(name)), at.clone());
            fault.help.push(format!("did you mean `{meant}`?"));
        }
    }
}

fn read_check(mut table: Section<'_>, config: &Config, faults: &mut Faults) -> Option<Check> {
    let kind: Option<CheckKind> = table.need("type", faults);
    // Who writes a key of etcd does not thereby run programs on every balancer.
    if kind == Some(CheckKind::Exec) && config.etcd.as_ref().is_some_and(|etcd| !etcd.exec) {
        let fault = faults.wrong("a check that etcd names runs no program here", table.value_place("type"));
        fault.help.push("in this machine's own file: [etcd]\nexec = true".into());
    }
    let timeout: Option<Duration> = table.get("timeout", faults);
    let interval = table.get("interval", faults).unwrap_or(INTERVAL.max(timeout.unwrap_or_default()));
    let timeout = timeout.unwrap_or(interval.min(TIMEOUT));
    let path: Option<String> = table.get("path", faults);
    if path.as_ref().is_some_and(|path| !path.starts_with('/') || path.contains(|c: char| c <= ' ' || c == '\x7f')) {
        faults.unexpected("path", "a path that begins with /, without spaces", table.value_place("path"));
    }
    let host: Option<String> = table.get("host", faults);
    if host.as_ref().is_some_and(|host| host.is_empty() || host.contains(|c: char| c <= ' ' || c == '\x7f')) {
        faults.unexpected("host", "a name without spaces", table.value_place("host"));
    }
    let server_name: Option<String> = table.get("server-name", faults);
    let named = |host: &String| check::server_name(host).is_some();
    if kind == Some(CheckKind::Https) && server_name.is_none() && host.as_ref().is_some_and(|host| !named(host)) {
        faults
            .wrong("no certificate is for such a host", table.value_place("host"))
            .help
            .push("server-name = \"www.example\": the name that the certificate has to be for".into());
    }
    if server_name.as_ref().is_some_and(|name| ServerName::try_from(name.as_str()).is_err()) {
        faults.unexpected("server-name", "a domain name, or an address", table.value_place("server-name"));
    }
    let (ca, verify): (Option<PathBuf>, Option<bool>) = (table.get("ca", faults), table.get("verify", faults));
    faults.notes.files.extend(ca.clone().map(|ca| (ca, table.value_place("ca"))));
    if verify == Some(false) && ca.is_some() {
        faults.wrong("certificates are not verified, and `ca` says by what", table.value_place("ca"));
    }
    let query: Option<String> = table.get("query", faults);
    let label = |label: &str| (1..=63).contains(&label.len());
    if query.as_ref().is_some_and(|name| name.len() > 253 || !name.trim_end_matches('.').split('.').all(label)) {
        faults.unexpected("query", "a domain name", table.value_place("query"));
    }
    let words: Vec<(String, Range<usize>)> = table.list("command", faults);
    read_command(&words, faults);
    let command: Vec<String> = words.into_iter().map(|(word, _)| word).collect();
    let mut statuses = Vec::new();
    for (Statuses(first, last), _) in table.list::<Statuses>("status", faults) {
        statuses.extend(first..=last);
    }
    let check = Check {
        kind: kind.unwrap_or(CheckKind::Tcp),
        interval,
        timeout,
        rise: table.get("rise", faults).unwrap_or(2),
        fall: table.get("fall", faults).unwrap_or(3),
        jitter: table.get("jitter", faults).unwrap_or(10),
        port: table.get("port", faults),
        tunnel: table.get("tunnel", faults).unwrap_or(false),
        path: path.clone().unwrap_or_else(|| "/".into()),
        host: host.clone(),
        status: statuses,
        server_name,
        trust: match (verify, ca) {
            (Some(false), _) => Trust::Anybody,
            (_, Some(path)) => Trust::File(path),
            (_, None) => Trust::Machine,
        },
        query: query.clone().unwrap_or_default(),
        command: command.clone(),
    };
    if interval < Duration::from_millis(10) {
        faults.unexpected("interval", "at least 10 ms", table.value_place("interval"));
    }
    if timeout.is_zero() {
        faults.unexpected("timeout", "more than nothing", table.value_place("timeout"));
    }
    if timeout > interval {
        let message = format!(
            "a check may take longer (`timeout`, {timeout:?}) than it is to the next (`interval`, {interval:?})"
        );
        let at = table.value_place("timeout");
        faults.wrong(message, at).help.push("timeout: at most the interval".into());
    }
    if table.get::<u16>("port", faults) == Some(0) {
        faults.unexpected("port", "a port from 1 to 65535", table.value_place("port"));
    }
    for (key, count) in [("rise", check.rise), ("fall", check.fall)] {
        if count == 0 {
            faults.unexpected(key, "at least 1", table.value_place(key));
        }
    }
    if check.jitter > 90 {
        faults.unexpected("jitter", "percent from 0 to 90", table.value_place("jitter"));
    }
    const HTTP: &[CheckKind] = &[CheckKind::Http, CheckKind::Https];
    const HTTPS: &[CheckKind] = &[CheckKind::Https];
    const TUNNEL: &[CheckKind] = &[CheckKind::Tcp, CheckKind::Http, CheckKind::Https, CheckKind::Dns];
    for (key, owners) in [
        ("tunnel", TUNNEL),
        ("path", HTTP),
        ("host", HTTP),
        ("status", HTTP),
        ("server-name", HTTPS),
        ("ca", HTTPS),
        ("verify", HTTPS),
        ("query", &[CheckKind::Dns]),
        ("command", &[CheckKind::Exec]),
    ] {
        let there = table.value_place(key) != table.place();
        let owned = kind.is_some_and(|kind| owners.contains(&kind));
        if there && kind.is_some() && !owned {
            let names: Vec<String> = owners.iter().map(|kind| format!("`type = \"{}\"`", kind.name())).collect();
            faults.wrong(format!("`{key}` is of {} alone", names.join(" and ")), table.value_place(key));
        }
        if !there && owned && matches!(key, "query" | "command") {
            faults.wrong(format!("the check lacks `{key}`"), table.place());
        }
    }
    table.finish(faults);
    kind.map(|_| check)
}
