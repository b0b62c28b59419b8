//! The configuration: a TOML file, read as a whole. Everything that is wrong with it is said at once, each with its place;
//! only what is right becomes a [`Config`].
//!
//! | file | holds |
//! |---|---|
//! | `fleet` | what it has to do with others |
//! | `name` | names of reals |
//! | `pieces` | where VIPs stand in the file |
//! | `here` | what it asks of this machine |
//! | `places` | where its keys stand |
//! | `table` | tables of the file, and what is wrong with it so far |
//! | `value` | values, and what is expected where they are something else |
//! | `vip` | VIPs, their reals, health checks, and what does not go together |

mod fleet;
pub(crate) mod here;
mod name;
mod pieces;
mod places;
mod table;
mod value;
mod vip;

pub use fleet::{Announce, Endpoint, Etcd, Peer, Sync};
pub use name::Name;
pub use places::Places;
pub use value::{
    Action, CheckKind, Forward, Hash, Mac, Mode, Policy, Prefix, Protocol, Quic, TIME, Table, When, duration,
};
pub(crate) use vip::SLOTS;
pub use vip::{Check, Key, Real, Remember, Route, Vip};

use crate::{check::unfilled, maglev::Size, tls::Trust};
use alveary_diag::{Diagnostic, Place};
use std::{
    borrow::Cow,
    fs::File,
    io::Read as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::Range,
    path::{Path, PathBuf},
};
use table::Faults;
pub(crate) use table::shown;
use toml::de::DeTable;

/// A balancer, as its file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Its name among those of this machine: where its maps are pinned.
    pub name: String,
    /// Devices that packets to VIPs come in by.
    pub devices: Vec<String>,
    /// Which XDP they use.
    pub mode: Mode,
    /// Addresses that outer headers, and packets to reals behind NAT, come from.
    pub sources: Sources,
    /// Bits of the sources' last words that tunnels fill with the flow's hash.
    pub spread: u8,
    /// Longest IP packet on the way to the reals.
    pub mtu: u16,
    /// What hashes of flows begin with: the same for balancers that share flows.
    pub seed: u64,
    /// How much there is room for; fixed as long as the maps live.
    pub limits: Limits,
    /// What may change at any time.
    pub rates: Rates,
    /// Flows have the places that they have in Katran's rings.
    pub katran: Option<Katran>,
    /// Ports for NAT, both included.
    pub ports: (u16, u16),
    /// Where the API answers.
    pub api: Api,
    /// Where Prometheus asks.
    pub metrics: Option<SocketAddr>,
    /// How routes to VIPs are announced.
    pub announce: Option<Announce>,
    /// Where the services are, if not in the file.
    pub etcd: Option<Etcd>,
    /// Who else is told of connections.
    pub sync: Option<Sync>,
    /// The services.
    pub vips: Vec<Vip>,
}

/// What Katran's choice of a place depends on besides the flow: constants that its program is compiled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Katran {
    /// Slots of its rings, all of them alike.
    pub ring: Size,
    /// VIPs that it has room for.
    pub vips: u32,
}

/// Addresses of the balancer's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// For reals of IPv4.
    pub v4: Option<Ipv4Addr>,
    /// For reals of IPv6.
    pub v6: Option<Ipv6Addr>,
    /// What is said of them is wrong, so that nothing else need be said about those that are not there.
    unread: bool,
}

impl Sources {
    /// Whether packets of a family have an address to come from.
    fn has(&self, six: bool) -> bool {
        self.unread || if six { self.v6.is_some() } else { self.v4.is_some() }
    }
}

/// What is odd about an address that packets shall be sent to, or come from.
#[must_use]
pub fn odd(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("no address: any of them"),
        _ if address.is_loopback() => Some("a loopback address, which no packet has on a wire"),
        _ if address.is_multicast() => Some("a multicast address"),
        IpAddr::V4(Ipv4Addr::BROADCAST) => Some("the broadcast address"),
        _ => None,
    }
}

/// Whether a device may be called so.
pub(crate) fn is_device(name: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '/' && c != ':';
    (1..=15).contains(&name.len()) && name.chars().all(plain) && name != "." && name != ".."
}

/// Letters of a name of a VIP or real that are most.
const NAME: usize = 128;

/// Whether a VIP or a real may be called so: it has to be seen and typed.
fn is_name(name: &str) -> bool {
    let ends = |c: char| c.is_whitespace();
    (1..=NAME).contains(&name.len())
        && !name.starts_with(ends)
        && !name.ends_with(ends)
        && !name.contains(char::is_control)
}

/// Room in the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// VIPs, and their keys by address, port and protocol in either family.
    pub vips: u32,
    /// Reals, all VIPs' together.
    pub reals: u32,
    /// Slots of all tables together, those of a change beside those that it replaces.
    pub slots: u32,
    /// Connections that all CPUs know, of each family.
    pub connections: u32,
    /// Connections that each CPU knows.
    pub connections_per_cpu: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { vips: 1024, reals: 4096, slots: 1 << 20, connections: 1 << 18, connections_per_cpu: 1 << 16 }
    }
}

/// What may change while packets pass. 0: no limit, or none at all of what is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// New entries of tables by second and CPU.
    pub new_connections: u32,
    /// ICMP messages of our own by second and CPU.
    pub answers: u32,
    /// One of so many packets is logged.
    pub sample: u32,
}

impl Default for Rates {
    fn default() -> Rates {
        Rates { new_connections: 100_000, answers: 1000, sample: 0 }
    }
}

/// Where the API answers.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Api {
    /// A Unix socket; unless it is said, one in `/run/alveary`.
    pub socket: Option<PathBuf>,
    /// An address and port as well.
    pub address: Option<SocketAddr>,
    /// A file with the token that whoever comes to that address has to show.
    pub token: Option<PathBuf>,
    /// TLS at that address.
    pub tls: Option<ApiTls>,
}

/// TLS of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTls {
    /// A file with the chain of certificates.
    pub certificate: PathBuf,
    /// A file with the key of the first of them.
    pub key: PathBuf,
    /// A file with certificates: whoever comes has to show one that one of these has signed.
    pub clients: Option<PathBuf>,
}

impl Api {
    /// Whether whoever comes to the address says who it is.
    #[must_use]
    pub fn knows_clients(&self) -> bool {
        self.token.is_some() || self.tls.as_ref().is_some_and(|tls| tls.clients.is_some())
    }
}

impl Config {
    /// Reads a configuration; `file` is what it is called in messages.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(file: &str, text: &str) -> Result<Config, Vec<Diagnostic>> {
        Config::read_shared(file, text, None)
    }

    /// The same of a file whose VIPs are elsewhere: what that is called, and its text.
    ///
    /// # Errors
    /// All that is wrong with both.
    pub fn read_shared(file: &str, text: &str, shared: Option<(&str, &str)>) -> Result<Config, Vec<Diagnostic>> {
        Config::read_placed(file, text, shared).map(|(config, _)| config)
    }

    /// The same, and where its keys stand.
    ///
    /// # Errors
    /// All that is wrong with both.
    pub fn read_placed(
        file: &str,
        text: &str,
        shared: Option<(&str, &str)>,
    ) -> Result<(Config, Places), Vec<Diagnostic>> {
        // All that is wrong is said of a file as a whole; one that is right need not be in memory as such.
        match Config::read_pieces(file, text, shared, true) {
            Err(None) => Config::read_pieces(file, text, shared, false).map_err(Option::unwrap_or_default),
            done => done.map_err(Option::unwrap_or_default),
        }
    }

    /// The same, with the VIPs one by one if `pieces` says so. No faults: that cannot be done with this file.
    fn read_pieces(
        file: &str,
        text: &str,
        shared: Option<(&str, &str)>,
        pieces: bool,
    ) -> Result<(Config, Places), Option<Vec<Diagnostic>>> {
        let mut faults = Faults::new(file, text);
        let own = Vips::of(text, pieces && shared.is_none()).ok_or(None)?;
        let rest = own.rest();
        let Some(table) = parsed(&rest, &mut faults) else { return Err(Some(faults.sorted()).filter(|_| !pieces)) };
        let table = table.get_ref();
        if !own.pieces.is_empty() && ["vip", "etcd"].iter().any(|key| table.contains_key(*key)) {
            return Err(None);
        }
        let file = table::Table::new("configuration", table, 0..0, 0);
        let Some((name, text)) = shared else {
            let config = read(file, &own, None, &mut faults);
            if faults.broken {
                return Err(None);
            }
            let places = Places::new(&mut faults);
            return Ok(faults.none().map(|()| (config, places))?);
        };
        let mut others = Faults::new(name, text);
        let theirs = Vips::of(text, pieces).ok_or(None)?;
        let rest = theirs.rest();
        let Some(shared) = parsed(&rest, &mut others) else { return Err(Some(others.sorted()).filter(|_| !pieces)) };
        if !theirs.pieces.is_empty() && shared.get_ref().contains_key("vip") {
            return Err(None);
        }
        let mut shared = (table::Table::new("shared configuration", shared.get_ref(), 0..0, 0), others);
        let config = read(file, &theirs, Some(&mut shared), &mut faults);
        let (table, mut others) = shared;
        if others.broken {
            return Err(None);
        }
        table.finish(&mut others);
        let places = Places::new(&mut faults).with(&mut others);
        match (faults.none(), others.none()) {
            (Ok(()), Ok(())) => Ok((config, places)),
            (own, others) => Err(Some(own.err().into_iter().chain(others.err()).flatten().collect())),
        }
    }

    /// What is right, and yet to be known; `local` are the ports that the machine gives its own connections.
    #[must_use]
    pub fn remarks(&self, local: Option<(u16, u16)>) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.vips.is_empty() {
            remarks.push("there are no VIPs ([[vip]]): nothing is balanced".to_owned());
        }
        let nat = self.vips.iter().flat_map(|vip| &vip.reals).any(|real| real.forward == Forward::Nat);
        if let Some((first, last)) = local.filter(|_| nat)
            && first <= self.ports.1
            && self.ports.0 <= last
        {
            remarks.push(format!(
                "NAT's ports, {} to {} (`nat-ports`), are also those of this machine's own connections, {first} to {last} \
                 (net.ipv4.ip_local_port_range): answers to some of those would go to clients",
                self.ports.0, self.ports.1
            ));
        }
        for vip in &self.vips {
            if let Some(why) = vip.drops_all() {
                remarks.push(format!("{} {why}: all packets to it are dropped", shown(&vip.name)));
            }
        }
        for vip in self.vips.iter().filter(|vip| vip.scatters()) {
            remarks.push(format!(
                "{}: each packet of a TCP connection goes to another real, since `hash = \"random\"` and `remember = \"nobody\"`",
                shown(&vip.name)
            ));
        }
        for vip in &self.vips {
            for name in vip.check.iter().flat_map(|check| &check.command).flat_map(|word| unfilled(word)) {
                let (vip, name) = (shown(&vip.name), shown(name));
                remarks.push(format!(
                    "{vip}: `{name}` in the check's command stays as it is: `{{address}}` and `{{port}}` are filled in"
                ));
            }
        }
        let unverified = |check: &Check| check.kind == CheckKind::Https && check.trust == Trust::Anybody;
        for vip in self.vips.iter().filter(|vip| vip.check.as_ref().is_some_and(unverified)) {
            remarks
                .push(format!("{}: checks by HTTPS believe whoever answers, since `verify = false`", shown(&vip.name)));
        }
        remarks
    }

    /// The device without which a real gets nothing: its own, or the one whose Ethernet address packets to it come from.
    #[must_use]
    pub fn device_of<'a>(&'a self, real: &'a Real) -> Option<&'a str> {
        let first = || self.devices.first().filter(|_| real.mac.is_some()).map(String::as_str);
        real.device.as_deref().or_else(first)
    }

    /// The longest packet of a VIP that reaches a real whole, with this way to it.
    #[must_use]
    pub fn inner_mtu(&self, real: &Real) -> u16 {
        let outer = if real.address.is_ipv4() { 20 } else { 40 };
        let headers = match real.forward {
            Forward::Ip => outer,
            Forward::Gue => outer + 8,
            Forward::L2 | Forward::Nat | Forward::Local => 0,
        };
        real.mtu.unwrap_or(self.mtu).saturating_sub(headers)
    }
}

/// Ports for NAT unless others are said: those below Linux's own for connections of the machine (32768 to 60999), whose answers
/// would else be taken for answers to clients. That services listen at some of them is no matter: what comes from a real's
/// own port is an answer.
const PORTS: (u16, u16) = (1024, 32_767);

/// Ports that this machine gives its own connections, if it says so.
#[must_use]
pub fn local_ports() -> Option<(u16, u16)> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut words = text.split_whitespace().map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

/// The least MTU that IPv6 asks of any link, and the most that an IP packet can have.
const LEAST_MTU: u16 = 1280;

/// A file, and where the VIPs stand in it that are read one by one.
struct Vips<'t> {
    text: &'t str,
    pieces: Vec<Range<usize>>,
}

impl<'t> Vips<'t> {
    /// None of them, unless `pieces` says so; `None` if the file is not as simple as that.
    fn of(text: &'t str, pieces: bool) -> Option<Vips<'t>> {
        let pieces = pieces && text.len() as u64 <= MOST;
        Some(Vips { text, pieces: if pieces { pieces::of(text)? } else { Vec::new() } })
    }

    /// What is left of the file.
    fn rest(&self) -> Cow<'t, str> {
        pieces::without(self.text, &self.pieces)
    }
}

/// A file as a table, if it is TOML.
fn parsed<'t>(text: &'t str, faults: &mut Faults) -> Option<toml::Spanned<DeTable<'t>>> {
    if text.len() as u64 > MOST {
        faults.wrong(format!("the configuration is larger than {} MiB", MOST >> 20), 0..0);
        return None;
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let message = error.message().to_owned();
        faults.wrong(message, error.span().unwrap_or(0..0));
    }
    // What could not be read is missing in the table: that it is missing need not be said.
    errors.is_empty().then_some(table)
}

/// Bytes of a configuration that are most.
pub const MOST: u64 = 64 << 20;

/// The text of a configuration's file, which has an end.
///
/// # Errors
/// The file cannot be read, is no text, or larger than [`MOST`].
pub fn text(path: &Path) -> Result<String, Diagnostic> {
    let wrong =
        |message: String| Diagnostic::new("lb-config", message, Place::Nowhere).in_file(path.display().to_string());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|why| wrong(format!("the file cannot be opened: {why}")))?;
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|why| wrong(format!("the file cannot be read: {why}")))?;
    if bytes.len() as u64 > MOST {
        let why = wrong(format!("the file is larger than {} MiB", MOST >> 20));
        return Err(why.help("a configuration has a few hundred bytes for each real: is it the right file?"));
    }
    String::from_utf8(bytes).map_err(|why| {
        let offset = why.utf8_error().valid_up_to();
        wrong(format!("the file is no text: byte {offset} is not UTF-8"))
    })
}

fn read(
    mut file: table::Table<'_>,
    places: &Vips<'_>,
    shared: Option<&mut (table::Table<'_>, Faults)>,
    faults: &mut Faults,
) -> Config {
    let mut balancer = file.table("balancer", faults);
    let missing = balancer.is_none();
    if missing && file.raw("balancer").is_none() && !file.is_misspelt("balancer") {
        let fault = faults.wrong("the file lacks a table `[balancer]`", 0..0);
        fault.help.push("[balancer]\ndevices = [\"eth0\"]".into());
    }
    let mut config = Config {
        name: "main".into(),
        devices: Vec::new(),
        mode: Mode::Any,
        sources: Sources { unread: missing, ..Sources::default() },
        spread: 0,
        mtu: 1500,
        seed: 0x9e37_79b9_7f4a_7c15,
        limits: Limits::default(),
        rates: Rates::default(),
        katran: None,
        ports: PORTS,
        api: Api::default(),
        metrics: None,
        announce: None,
        etcd: None,
        sync: None,
        vips: Vec::new(),
    };
    if let Some(balancer) = &mut balancer {
        own(balancer, &mut config, faults);
    }
    config.limits = read_limits(&mut file, faults);
    if let Some(mut rates) = file.table("rates", faults) {
        let all = &mut config.rates;
        all.new_connections = rates.get("new-connections", faults).unwrap_or(all.new_connections);
        all.answers = rates.get("answers", faults).unwrap_or(all.answers);
        all.sample = rates.get("sample", faults).unwrap_or(all.sample);
        rates.finish(faults);
    }
    if let Some(mut api) = file.table("api", faults) {
        config.api.socket = api.get("socket", faults);
        config.api.address = api.get("address", faults);
        config.api.token = api.get("token", faults);
        read_tls(&mut api, &mut config.api, faults);
        if let Some(address) = config.api.address
            && !address.ip().is_loopback()
            && !config.api.knows_clients()
            && !["token", "certificate", "key", "clients"].iter().any(|key| api.is_unread(key, faults))
        {
            let fault =
                faults.wrong("others than this machine may ask here, and nothing says who", api.value_place("address"));
            fault.help.push("token = \"/etc/alveary/token\": a file with what they have to show".into());
            fault
                .help
                .push("or, with `certificate` and `key`, clients = FILE: who has signed their certificates".into());
        }
        api.finish(faults);
    }
    if let Some(mut metrics) = file.table("metrics", faults) {
        config.metrics = metrics.need("address", faults);
        if config.metrics.is_some_and(|at| at.port() != 0 && config.api.address == Some(at)) {
            faults.wrong("the API is answered there already", metrics.value_place("address"));
        }
        metrics.finish(faults);
    }
    if let Some(mut katran) = file.table("katran", faults) {
        let ring = katran.get("ring", faults).or(Size::new(vip::SLOTS));
        let vips = katran.get::<u32>("vips", faults).unwrap_or(512);
        // Tables are not held against rings that are not known.
        let known = !katran.is_unread("ring", faults);
        config.katran = ring.filter(|_| known).map(|ring| Katran { ring, vips });
        katran.finish(faults);
    }
    config.announce = fleet::announce(&mut file, faults);
    config.etcd = fleet::etcd(&mut file, &config.name, faults);
    config.sync = fleet::sync(&mut file, faults);
    match shared {
        Some((table, others)) => {
            if file.raw("etcd").is_none() {
                let fault = faults.wrong("its VIPs are said to be in etcd, and there is no table `[etcd]`", 0..0);
                fault.help.push("[etcd]\nendpoints = [\"http://10.0.0.5:2379\"]; or the VIPs in this file".into());
                // Those in the file are no keys that nobody knows.
                let _ = ["default", "vip"].map(|key| file.raw(key));
            }
            config.vips = vips(table, places, &config, others);
        }
        None => config.vips = vips(&mut file, places, &config, faults),
    }
    if config.etcd.is_some() {
        for key in ["default", "vip"] {
            if file.raw(key).is_some() && !file.is_unread(key, faults) {
                let at = file.value_place(key);
                faults.wrong(format!("`{key}` is in etcd, and not in this file as well"), at);
            }
        }
    }
    if let Some(balancer) = balancer {
        balancer.finish(faults);
    }
    file.finish(faults);
    config
}

/// How much there is room for. What is said and cannot be read is the most that it can be: nothing is beyond that.
fn read_limits(file: &mut table::Table<'_>, faults: &mut Faults) -> Limits {
    let mut read = Limits::default();
    let mut limits = file.table("limits", faults);
    let unread = limits.is_none() && file.is_unread("limits", faults);
    let mut all = [
        ("vips", &mut read.vips, 1 << 20),
        ("reals", &mut read.reals, (1 << 20) - 1),
        ("slots", &mut read.slots, 1 << 28),
        ("connections", &mut read.connections, 1 << 28),
        ("connections-per-cpu", &mut read.connections_per_cpu, 1 << 24),
    ];
    if let Some(limits) = &mut limits {
        for (key, value, most) in &mut all {
            let Some(said) = limits.get::<u32>(key, faults) else { continue };
            if said == 0 || said > *most {
                faults.unexpected(key, &format!("a number from 1 to {most}"), limits.value_place(key));
            }
            **value = said;
        }
    }
    for (key, value, most) in all {
        if unread || limits.as_ref().is_some_and(|limits| limits.is_unread(key, faults)) {
            *value = most;
        }
    }
    if let Some(limits) = limits {
        limits.finish(faults);
    }
    read
}

/// How the API is spoken to inside TLS, if it is.
fn read_tls(table: &mut table::Table<'_>, api: &mut Api, faults: &mut Faults) {
    let clients = table.get("clients", faults);
    let said = (table.get("certificate", faults), table.get("key", faults));
    let unread = ["certificate", "key", "clients"].iter().any(|key| table.is_unread(key, faults));
    match said {
        (Some(certificate), Some(key)) => api.tls = Some(ApiTls { certificate, key, clients }),
        (None, None) if clients.is_none() => {}
        _ if unread => {}
        (None, None) => drop(faults.wrong("certificates are shown in TLS alone", table.value_place("clients"))),
        (None, _) => drop(faults.wrong("a `key` goes with a `certificate`", table.value_place("key"))),
        (_, None) => drop(faults.wrong("a `certificate` goes with its `key`", table.value_place("certificate"))),
    }
    for key in ["token", "certificate", "clients"] {
        let at = table.value_place(key);
        if api.address.is_none() && at != table.place() && !table.is_unread("address", faults) {
            let fault = faults.wrong(format!("`{key}` is for who comes to the `address`, and there is none"), at);
            fault.help.push(
                "address = \"127.0.0.1:9200\": the Unix socket asks for nothing, its owner alone opens it".into(),
            );
        }
    }
}

/// The services, and what they take unless they say otherwise.
fn vips(file: &mut table::Table<'_>, places: &Vips<'_>, config: &Config, faults: &mut Faults) -> Vec<Vip> {
    let defaults = match file.table("default", faults) {
        Some(table) => vip::defaults(table, config, faults),
        None if file.is_unread("default", faults) => vip::Defaults::unread(),
        None => vip::Defaults::default(),
    };
    let mut all = vip::All::new(&defaults, config);
    for table in file.tables("vip", faults) {
        all.read(table, faults);
    }
    for piece in &places.pieces {
        let Ok(table) = DeTable::parse(&places.text[piece.clone()]) else {
            faults.broken = true;
            break;
        };
        let mut piece = table::Table::new("configuration", table.get_ref(), 0..0, piece.start);
        for table in piece.tables("vip", faults) {
            all.read(table, faults);
        }
    }
    if faults.broken { all.vips } else { all.done(faults) }
}

/// What a balancer says of itself.
fn own(balancer: &mut table::Table<'_>, config: &mut Config, faults: &mut Faults) {
    if let Some(name) = balancer.get::<String>("name", faults) {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            faults.unexpected("name", "letters, digits, - and _, at most 64", balancer.value_place("name"));
        }
        config.name = name;
    }
    for (device, at) in balancer.list::<String>("devices", faults) {
        if !is_device(&device) {
            faults.unexpected("devices", "names of network devices", at);
        } else if config.devices.contains(&device) {
            faults.wrong(format!("the device `{device}` is named twice"), at);
        } else {
            config.devices.push(device);
        }
    }
    if config.devices.is_empty() && balancer.raw("devices").is_none() && !balancer.is_misspelt("devices") {
        faults.wrong("the balancer has no devices", balancer.place()).help.push("devices = [\"eth0\"]".into());
    }
    config.mode = balancer.get("mode", faults).unwrap_or(config.mode);
    let before = faults.all.len();
    for (address, at) in balancer.list::<IpAddr>("source", faults) {
        if let Some(odd) = odd(address) {
            faults.unexpected("source", &format!("an address of this machine, and this is {odd}"), at);
            continue;
        }
        let before = match address {
            IpAddr::V4(four) => config.sources.v4.replace(four).is_some(),
            IpAddr::V6(six) => config.sources.v6.replace(six).is_some(),
        };
        if before {
            faults.wrong("there are two source addresses of one family", at);
        }
    }
    // Who lacks a source then does not lack one.
    config.sources.unread = faults.all.len() > before;
    if let Some(spread) = balancer.get::<u16>("spread", faults) {
        let last = config.sources.v4.map_or(0, u32::from) | config.sources.v6.map_or(0, |v6| u128::from(v6) as u32);
        if spread > 24 {
            faults.unexpected("spread", "bits from 0 to 24", balancer.value_place("spread"));
        } else if last.trailing_zeros() < spread.into() && !config.sources.unread {
            let at = balancer.value_place("spread");
            let fault = faults.wrong(format!("the last {spread} bits of `source` are not free"), at);
            fault
                .help
                .push("source = \"172.16.0.0\", spread = 16: tunnels come from 172.16.0.0 to 172.16.255.255".into());
        }
        config.spread = spread.min(24) as u8;
    }
    if let Some(mtu) = balancer.get::<u16>("mtu", faults) {
        if mtu < LEAST_MTU {
            faults.unexpected("mtu", &format!("at least {LEAST_MTU}"), balancer.value_place("mtu"));
        }
        config.mtu = mtu.max(LEAST_MTU);
    }
    config.seed = balancer.get("seed", faults).unwrap_or(config.seed);
    let ports = balancer.list::<u16>("nat-ports", faults);
    match ports[..] {
        _ if balancer.is_unread("nat-ports", faults) => {}
        [] => {}
        [(first, _), (last, _)] if 0 < first && first <= last => config.ports = (first, last),
        _ => faults.unexpected(
            "nat-ports",
            "the first and the last port: [1024, 32767]",
            balancer.value_place("nat-ports"),
        ),
    }
    config.sources.unread |= balancer.is_misspelt("source");
}

#[cfg(test)]
mod tests;
