//! How reals are checked: the table `check` of a VIP, or of `[default]`.

use crate::{
    check,
    config::{
        Config,
        table::{Faults, Table as Section, shown},
        value::{CheckKind, Statuses},
    },
    tls::Trust,
};
use rustls::pki_types::ServerName;
use std::{ops::Range, path::PathBuf, time::Duration};

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

const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(1);

pub(super) fn read_check(mut table: Section<'_>, config: &Config, faults: &mut Faults) -> Option<Check> {
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
    let port: Option<u16> = table.get("port", faults);
    let check = Check {
        kind: kind.unwrap_or(CheckKind::Tcp),
        interval,
        timeout,
        rise: table.get("rise", faults).unwrap_or(2),
        fall: table.get("fall", faults).unwrap_or(3),
        jitter: table.get("jitter", faults).unwrap_or(10),
        port,
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
    if timeout > interval && !table.is_unread("interval", faults) && !table.is_unread("timeout", faults) {
        let message = format!(
            "a check may take longer (`timeout`, {timeout:?}) than it is to the next (`interval`, {interval:?})"
        );
        let at = table.value_place("timeout");
        faults.wrong(message, at).help.push("timeout: at most the interval".into());
    }
    if port == Some(0) {
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
        if !there && owned && matches!(key, "query" | "command") && !table.is_misspelt(key) {
            faults.wrong(format!("the check lacks `{key}`"), table.place());
        }
    }
    table.finish(faults);
    kind.map(|_| check)
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
            let bare = |name: &'static str| name.trim_matches(['{', '}']);
            let filled = check::FILLED.iter().map(|(name, _)| bare(name));
            let Some(meant) = alveary_diag::did_you_mean(name.trim_matches(['{', '}']), filled) else { continue };
            let fault = faults.wrong(format!("nothing is filled in for `{}`", shown(name)), at.clone());
            fault.help.push(format!("did you mean `{{{meant}}}`?"));
        }
    }
}
