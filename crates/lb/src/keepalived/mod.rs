//! Balancers of keepalived as configurations of ours: `virtual_server`, its `real_server`s and their checks. What cannot be
//! carried over is said, line by line; nothing gets a meaning that it has not.
//!
//! | file | holds |
//! |---|---|
//! | `read` | statements of files, and of those that they include |
//! | `include` | the files that a pattern names |
//! | `server` | virtual servers and their reals |
//! | `check` | checks |

mod check;
mod include;
mod read;
mod server;

pub use include::Disk;
pub use read::Files;

use crate::{
    config::{Config, Limits, Mac, is_device},
    maglev::Size,
};
use alveary_diag::{Diagnostic, Place};
use alveary_sort::Sort;
use read::Statement;
use server::Server;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
    net::IpAddr,
    sync::Arc,
};

/// What keepalived's files do not say.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Devices that packets come in by; none: those of `vrrp_instance`s.
    pub devices: Vec<String>,
    /// Addresses that tunnels and NAT come from.
    pub sources: Vec<IpAddr>,
    /// Ethernet addresses of reals.
    pub macs: BTreeMap<IpAddr, Mac>,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// A configuration of ours.
    pub toml: String,
    /// What it does not say.
    pub left: Vec<Left>,
    /// What has to be filled in before it can be served.
    pub fill: Vec<String>,
    /// Servers whose Ethernet address was told, and none is reached by that.
    pub idle: Vec<IpAddr>,
}

/// A line of keepalived's files; `file` is that of an included one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Its name.
    pub file: Option<Arc<str>>,
    /// From 1 on.
    pub line: usize,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            None => write!(f, "line {}", self.line),
            Some(file) => write!(f, "{file}, line {}", self.line),
        }
    }
}

/// What could not be carried over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Left {
    /// Where it stands.
    pub at: At,
    /// Why not, or what becomes of it.
    pub what: String,
}

/// Translates a file of keepalived's.
///
/// # Errors
/// A file that is cut, or that has no virtual server which can be carried over.
pub fn import(file: &str, text: &str, told: &Told, files: &dyn Files) -> Result<Imported, Vec<Diagnostic>> {
    let mut left = Vec::new();
    let statements = read::read(file, text, files, &mut left)?;
    let mut import = Import {
        told,
        groups: BTreeMap::new(),
        left,
        fill: Vec::new(),
        seen: BTreeSet::new(),
        reals: 0,
        met: BTreeSet::new(),
    };
    import.groups(&statements);
    let (mut servers, mut any, mut interfaces) = (Vec::new(), false, BTreeSet::new());
    for statement in &statements {
        match statement.name() {
            "virtual_server" => {
                any = true;
                servers.extend(import.virtual_server(statement));
            }
            "virtual_server_group" => {}
            "vrrp_instance" => {
                let inside = statement.inside().iter().filter(|said| said.name() == "interface");
                interfaces.extend(inside.map(|said| said.word(1).to_owned()).filter(|name| is_device(name)));
                import.leave(
                    statement,
                    "`vrrp_instance` is not the balancer's: [announce] tells routers who serves".into(),
                );
            }
            name => import.leave(statement, unknown(name, "is not the balancer's")),
        }
    }
    if servers.is_empty() {
        let at = Place::Text { file: file.into(), text: text.into(), bytes: 0..0 };
        let message = if any { "no `virtual_server` can be carried over" } else { "the file has no `virtual_server`" };
        let mut why = Diagnostic::new("lb-import", message, at);
        import.left.order();
        why.notes.extend(import.left.iter().take(20).map(|left| format!("{}: {}", left.at, left.what)));
        return Err(vec![why]);
    }
    let toml = import.written(&servers, interfaces);
    let Import { mut left, mut fill, met, .. } = import;
    let idle = told.macs.keys().filter(|address| !met.contains(address)).copied().collect();
    if let Err(faults) = Config::read("what is written here", &toml)
        && fill.is_empty()
    {
        fill.extend(faults.iter().take(20).map(ToString::to_string));
    }
    left.order();
    left.dedup();
    Ok(Imported { toml, left, fill, idle })
}

/// What is said of a name that is not followed.
fn unknown(name: &str, otherwise: &str) -> String {
    match name.chars().next() {
        Some('$') => format!("`{name}`: parameters are not replaced"),
        Some('@') => format!("`{name}`: lines for one configuration id alone are not followed"),
        _ => format!("`{name}` {otherwise}"),
    }
}

/// What is known while a file is translated.
struct Import<'a> {
    told: &'a Told,
    groups: BTreeMap<String, Vec<(IpAddr, u16)>>,
    left: Vec<Left>,
    fill: Vec<String>,
    /// Addresses, ports and protocols that have a VIP.
    seen: BTreeSet<(IpAddr, u16, &'static str)>,
    /// Servers of all addresses so far.
    reals: usize,
    /// Servers whose Ethernet address was asked for.
    met: BTreeSet<IpAddr>,
}

impl Import<'_> {
    fn leave(&mut self, statement: &Statement, what: String) {
        self.left.push(Left { at: statement.at.clone(), what });
    }

    fn groups(&mut self, statements: &[Statement]) {
        for group in statements.iter().filter(|statement| statement.name() == "virtual_server_group") {
            let mut members = Vec::new();
            for member in group.inside() {
                match (range(member.name()), port(member.word(1))) {
                    (Some(all), Some(port)) => members.extend(all.into_iter().map(|address| (address, port))),
                    _ => self.leave(member, format!("`{}` names no address and port", member.words.join(" "))),
                }
            }
            self.groups.entry(group.word(1).to_owned()).or_default().extend(members);
        }
    }

    /// The configuration as a whole.
    fn written(&mut self, servers: &[Server], interfaces: BTreeSet<String>) -> String {
        let mut toml = String::from("[balancer]\n# Devices that packets to these addresses come in by.\n");
        let interfaces: Vec<String> = interfaces.into_iter().collect();
        let devices = match (&self.told.devices[..], &interfaces[..]) {
            ([], []) => {
                self.fill.push("devices: those that packets come in by; eth0 is a guess (`--device`)".into());
                &["eth0".to_owned()][..]
            }
            ([], interfaces) => interfaces,
            (devices, _) => devices,
        };
        let list = |all: Vec<String>| format!("[{}]", all.join(", "));
        let _ = writeln!(toml, "devices = {}", list(devices.iter().map(|device| quoted(device)).collect()));
        let own: Vec<String> = self.told.sources.iter().map(|source| format!("\"{source}\"")).collect();
        let needs =
            |six: bool| servers.iter().flat_map(|server| &server.reals).any(|real| real.needs_source == Some(six));
        toml.push_str("# Addresses of this machine: tunnels and NAT come from them.\n");
        let mut lacks = Vec::new();
        for (six, family, example) in [(false, "IPv4", "\"192.0.2.2\""), (true, "IPv6", "\"2001:db8::2\"")] {
            if needs(six) && !self.told.sources.iter().any(|source| source.is_ipv6() == six) {
                self.fill.push(format!(
                    "source: an {family} address of this machine, where packets to reals come from (`--source`)"
                ));
                lacks.push(example.to_owned());
            }
        }
        match (own.is_empty(), lacks.is_empty()) {
            (false, _) => drop(writeln!(toml, "source = {}", list(own))),
            (true, false) => drop(writeln!(toml, "# source = {}", list(lacks))),
            (true, true) => {}
        }
        self.sized(servers, &mut toml);
        servers.iter().for_each(|server| toml.push_str(&server.toml));
        toml
    }

    /// Room for them, where what there is without a word is too small.
    fn sized(&self, servers: &[Server], toml: &mut String) {
        let (there, slots) = (Limits::default(), u64::from(crate::config::SLOTS));
        let vips = servers.len() as u64;
        let reals: u64 = servers.iter().map(|server| server.reals.len() as u64).sum();
        let most = servers.iter().map(|server| server.reals.len() as u32).max().unwrap_or_default();
        let mut limits = String::new();
        if vips > there.vips.into() {
            let _ = writeln!(limits, "vips = {vips}");
        }
        if reals > there.reals.into() {
            let _ = writeln!(limits, "reals = {reals}");
        }
        let mut default = None;
        if (vips + 1) * slots > there.slots.into() {
            // A hundred slots for each real.
            let size = Size::at_least(most.saturating_mul(100).clamp(1009, crate::config::SLOTS)).slots();
            let needed = (vips + 1) * u64::from(size);
            if needed > there.slots.into() {
                let _ = writeln!(limits, "slots = {needed}");
            }
            default = Some(size);
        }
        if !limits.is_empty() {
            let _ = write!(toml, "\n[limits]\n{limits}");
        }
        if let Some(size) = default {
            let _ = write!(toml, "\n[default]\nslots = {size}\n");
        }
    }
}

/// A port; 0 or none: all of them.
fn port(text: &str) -> Option<u16> {
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

/// Addresses: one, or `192.0.2.1-10`, of which the last part goes on.
fn range(text: &str) -> Option<Vec<IpAddr>> {
    if let Ok(one) = text.parse() {
        return Some(vec![one]);
    }
    let (first, last) = text.split_once('-')?;
    let (IpAddr::V4(first), last) = (first.parse().ok()?, last.parse::<u8>().ok()?) else { return None };
    let [a, b, c, from] = first.octets();
    (from <= last).then(|| (from..=last).map(|d| IpAddr::from([a, b, c, d])).collect())
}

/// Keys of a table: of two that are the same, the later one counts.
#[derive(Default)]
struct Keys(Vec<(&'static str, String)>);

impl Keys {
    fn set(&mut self, key: &'static str, value: String) {
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    fn text(&self) -> String {
        self.0.iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
    }
}

/// Text as TOML writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c < ' ' || c == '\x7f' => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests;
