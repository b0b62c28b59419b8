//! VIPs: what a `[[vip]]` says of itself, and what `[default]` says for those that do not.
//!
//! | file | holds |
//! |---|---|
//! | `check` | how its reals are checked |
//! | `real` | its reals, and clients that have reals of their own |
//! | `together` | what does not go together, in one VIP and among all |

mod check;
mod real;
mod together;

pub use check::Check;
pub use real::{Real, Route};
pub(super) use together::All;

use super::{
    Config, is_name, odd,
    table::{Faults, Read, Table as Section, shown},
    value::{Action, CheckKind, Forward, Hash, Policy, Protocol, Quic, Table},
};
use crate::maglev::Size;
use check::read_check;
use real::{read_real, read_routes};
use std::{net::IpAddr, ops::Range, time::Duration};
use together::{Known, together};

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

/// What VIPs say unless they say otherwise.
#[derive(Default)]
pub(super) struct Defaults {
    slots: Option<Size>,
    forward: Option<Forward>,
    drain: Option<Duration>,
    slow_start: Option<Duration>,
    check: Option<Check>,
    unread: Unread,
}

/// What `[default]` says and could not be read: VIPs that say nothing else have none of their own, and nothing follows from that.
#[derive(Clone, Copy, Default)]
struct Unread {
    slots: bool,
    forward: bool,
    check: bool,
}

impl Defaults {
    /// Of a table that could not be read.
    pub(super) fn unread() -> Defaults {
        Defaults { unread: Unread { slots: true, forward: true, check: true }, ..Defaults::default() }
    }
}

pub(crate) const SLOTS: u32 = 65_537;
/// The least prime number that a table's slots can be.
const LEAST_SLOTS: u32 = 3;
const DRAIN: Duration = Duration::from_secs(300);
/// How reals and VIPs may be called.
const NAMES: &str = "1 to 128 bytes without control characters, and no space at either end";

pub(super) fn defaults(mut table: Section<'_>, config: &Config, faults: &mut Faults) -> Defaults {
    let mut defaults = Defaults {
        slots: table.get("slots", faults),
        forward: table.get("forward", faults),
        drain: table.get("drain", faults),
        slow_start: table.get("slow-start", faults),
        ..Defaults::default()
    };
    let before = faults.all.len();
    defaults.check = table.table("check", faults).and_then(|check| read_check(check, config, faults));
    defaults.unread = Unread {
        slots: table.is_unread("slots", faults),
        forward: table.is_unread("forward", faults),
        check: faults.all.len() > before,
    };
    table.finish(faults);
    defaults
}

/// An address, a port (0: any), a protocol.
pub type Key = (IpAddr, u16, Protocol);

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

    /// Whether packets of one TCP connection go to different reals: nobody remembers where the first one went, none says it,
    /// and no hash tells it. Datagrams may well be meant so.
    pub(super) fn scatters(&self) -> bool {
        let takes_tcp = self.protocols.iter().any(|protocol| matches!(protocol, Protocol::Tcp | Protocol::Any));
        let unknown = self.hash == Hash::Random && self.remember == Remember::Nobody && !self.tcp_id;
        unknown && takes_tcp && self.reals.iter().filter(|real| real.weight > 0).count() > 1
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
    if !ports.is_empty()
        && !table.is_unread("protocol", faults)
        && protocols.iter().all(|protocol| matches!(protocol, Protocol::Icmp | Protocol::Any))
    {
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
        Some(value) => match <u16 as Read>::read(value) {
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
    let knows_quic = knows_quic && !table.is_misspelt("quic");
    if knows_quic
        && !table.is_unread("quic-server-id", faults)
        && (quic == Some(Quic::QuicLb)) == quic_lengths.is_empty()
    {
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
    // One that is not known takes no room.
    let unknown = if defaults.unread.slots { LEAST_SLOTS } else { SLOTS };
    let slots = table.get("slots", faults).or(defaults.slots).or(katran.map(|k| k.ring)).or(Size::new(unknown))?;
    let so_far = faults.all.len();
    let (check, check_known) = match table.table("check", faults) {
        Some(check) => (read_check(check, config, faults), true),
        None => (defaults.check.clone(), !defaults.unread.check),
    };
    let check_known = check_known && faults.all.len() == so_far;
    let ports_known = check_known && !table.is_unread("port", faults);
    let (real_tables, routes) = (table.tables("real", faults), table.tables("route", faults));
    let said = (real_tables.len(), faults.all.len());
    let way_unread = table.is_unread("forward", faults) || !table.has("forward") && defaults.unread.forward;
    let ways = (forward, way_unread);
    let mut reals: Vec<Real> = real_tables.into_iter().filter_map(|real| read_real(real, ways, faults)).collect();
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
        let known = Known { reals: all_reals, ways: all_reals && !way_unread, quic: knows_quic, ports: ports_known };
        together(&vip, &known, config, faults);
    }
    protocols_of(&vip, &table, check_known, faults);
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

/// What is about a protocol, of VIPs that have another one.
fn protocols_of(vip: &Vip, table: &Section<'_>, check_known: bool, faults: &mut Faults) {
    let takes = |protocol: Protocol| vip.protocols.iter().any(|own| *own == protocol || *own == Protocol::Any);
    for (key, given, protocol) in [
        ("mss", vip.mss.is_some(), Protocol::Tcp),
        ("tcp-id", vip.tcp_id, Protocol::Tcp),
        ("udp-id", vip.udp_id, Protocol::Udp),
        ("quic", vip.quic.is_some(), Protocol::Udp),
        ("idle", vip.idle.is_some(), Protocol::Udp),
        ("echo", vip.echo, Protocol::Icmp),
    ] {
        if given && !takes(protocol) && !table.is_unread("protocol", faults) {
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
        && check_known
        && !vip.ports.is_empty()
        && !takes(Protocol::Tcp)
        && !table.is_unread("protocol", faults)
    {
        let kind = check.kind.name();
        let message = format!("the check `{kind}` asks by TCP, at a port of the VIP's, which takes no TCP");
        let at = if table.value_place("check") == table.place() { vip.at.clone() } else { table.value_place("check") };
        let fault = faults.wrong(message, at);
        fault.help.push("`port` in [vip.check] says where TCP is answered; or `type = \"dns\"` or \"exec\"".into());
    }
}
