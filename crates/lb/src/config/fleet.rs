//! What a balancer has to do with others: routes that are announced, VIPs from etcd, connections that peers are told of.

use super::{
    table::{Faults, Read, Table},
    value::When,
};
use crate::{announce::LINGER, tls::Trust};
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};
use toml::de::DeValue;

/// How routes to VIPs are announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The file that BIRD's configuration includes.
    pub file: PathBuf,
    /// BIRD's control socket.
    pub bird: PathBuf,
    /// Which VIPs of an address have to have a real that is well.
    pub when: When,
    /// From the withdrawal of routes to the end of balancing.
    pub linger: Duration,
    /// The number of our autonomous system, if we have peers.
    pub number: Option<u32>,
    /// How often BFD asks whether a peer is there.
    pub bfd: Option<Duration>,
    /// Who is told.
    pub peers: Vec<Peer>,
}

/// A router that is told of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The number of its autonomous system.
    pub number: u32,
}

/// The table `[announce]`.
pub(super) fn announce(file: &mut Table<'_>, faults: &mut Faults) -> Option<Announce> {
    let mut table = file.table("announce", faults)?;
    let mut announce = Announce {
        file: table.need("file", faults).unwrap_or_default(),
        bird: table.get("bird", faults).unwrap_or_else(|| "/run/bird/bird.ctl".into()),
        when: table.get("when", faults).unwrap_or(When::Any),
        linger: table.get("linger", faults).unwrap_or(Duration::from_secs(1)),
        number: table.get("as", faults),
        bfd: table.get("bfd", faults),
        peers: Vec::new(),
    };
    if announce.file.file_name().is_none() && table.raw("file").is_some() && !table.is_unread("file", faults) {
        faults.unexpected("file", "a file, which BIRD's configuration includes", table.value_place("file"));
    }
    if announce.linger > LINGER {
        faults.unexpected("linger", &format!("a time up to {} s", LINGER.as_secs()), table.value_place("linger"));
    }
    for mut peer in table.tables("peer", faults) {
        let (address, number) = (peer.need("address", faults), peer.need("as", faults));
        if announce.number.is_none() && !table.is_unread("as", faults) {
            let fault = faults.wrong("there are peers, and no number of our own autonomous system", peer.place());
            fault.help.push("[announce]\nas = 65001".into());
        }
        announce.peers.extend(address.zip(number).map(|(address, number)| Peer { address, number }));
        peer.finish(faults);
    }
    for (key, needless) in [("as", announce.number.is_some()), ("bfd", announce.bfd.is_some())] {
        if needless && announce.peers.is_empty() && table.raw("peer").is_none() && !table.is_misspelt("peer") {
            let fault = faults.wrong(format!("`{key}` is about peers, and there are none"), table.value_place(key));
            fault.help.push("[[announce.peer]]; or leave it to the rest of BIRD's configuration".into());
        }
    }
    table.finish(faults);
    Some(announce)
}

/// Where the VIPs are, if not in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etcd {
    /// Members of the cluster.
    pub endpoints: Vec<Endpoint>,
    /// The key whose value has the tables `[default]` and `[[vip]]`.
    pub key: String,
    /// The file in which the last value is kept that was right.
    pub kept: PathBuf,
    /// A user, and the file with the password.
    pub user: Option<(String, PathBuf)>,
    /// Checks of the value's may run programs here.
    pub exec: bool,
    /// Whose certificates are believed, of members that speak TLS.
    pub trust: Trust,
    /// What is shown to them: files with a chain of certificates, and with the key of the first.
    pub shown: Option<(PathBuf, PathBuf)>,
}

/// A member of an etcd cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// It speaks TLS.
    pub tls: bool,
}

impl Read for Endpoint {
    fn read(value: &DeValue<'_>) -> Result<Endpoint, String> {
        const EXPECTED: &str = "a member of etcd: \"https://10.0.0.5:2379\", or with http://";
        let text = value.as_str().ok_or(EXPECTED)?;
        let (rest, tls) = match text.strip_prefix("https://") {
            Some(rest) => (rest, true),
            None => (text.strip_prefix("http://").ok_or(EXPECTED)?, false),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = rest.rsplit_once(':').ok_or(EXPECTED)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match port.parse() {
            Ok(port) if !host.is_empty() && !host.contains(['/', '@', ' ', '\r', '\n']) => {
                Ok(Endpoint { host: host.to_owned(), port, tls })
            }
            _ => Err(EXPECTED.into()),
        }
    }
}

/// The table `[etcd]`; `name` is the balancer's.
pub(super) fn etcd(file: &mut Table<'_>, name: &str, faults: &mut Faults) -> Option<Etcd> {
    let mut table = file.table("etcd", faults)?;
    let endpoints: Vec<Endpoint> = table.list("endpoints", faults).into_iter().map(|(endpoint, _)| endpoint).collect();
    if table.raw("endpoints").is_none() && !table.is_misspelt("endpoints") {
        faults
            .wrong("`etcd` lacks `endpoints`", table.place())
            .help
            .push("endpoints = [\"http://10.0.0.5:2379\"]".into());
    }
    let user = table.get::<String>("user", faults);
    let password = table.get::<PathBuf>("password", faults);
    let either =
        |one: &str, other: &str, faults: &Faults| table.is_unread(one, faults) || table.is_unread(other, faults);
    if user.is_some() != password.is_some() && !either("user", "password", faults) {
        let fault = faults.wrong("a user has a password, and a password its user", table.place());
        fault.help.push("user = \"lb\"\npassword = \"/etc/alveary/etcd\": a file with the password".into());
    }
    let ca = table.get::<PathBuf>("ca", faults);
    let (certificate, secret) =
        (table.get::<PathBuf>("certificate", faults), table.get::<PathBuf>("certificate-key", faults));
    let either =
        |one: &str, other: &str, faults: &Faults| table.is_unread(one, faults) || table.is_unread(other, faults);
    if certificate.is_some() != secret.is_some() && !either("certificate", "certificate-key", faults) {
        let fault = faults.wrong("a certificate has a key, and a key its certificate", table.place());
        fault.help.push("certificate = \"/etc/alveary/etcd.crt\"\ncertificate-key = \"/etc/alveary/etcd.key\"".into());
    }
    for key in ["ca", "certificate"] {
        let at = table.value_place(key);
        if at != table.place()
            && !endpoints.iter().any(|endpoint| endpoint.tls)
            && !endpoints.is_empty()
            && !table.is_unread("endpoints", faults)
        {
            let fault = faults.wrong(format!("`{key}` is for members that speak TLS, and there are none"), at);
            fault.help.push("endpoints = [\"https://10.0.0.5:2379\"]".into());
        }
    }
    let etcd = Etcd {
        endpoints,
        key: table.get("key", faults).unwrap_or_else(|| format!("/alveary/lb/{name}")),
        kept: table.get("kept", faults).unwrap_or_else(|| format!("/var/lib/alveary/lb-{name}.toml").into()),
        user: user.zip(password),
        // What cannot be read forbids nothing: a file with a fault holds nowhere.
        exec: table.get("exec", faults).unwrap_or_else(|| table.is_unread("exec", faults)),
        trust: ca.map_or(Trust::Machine, Trust::File),
        shown: certificate.zip(secret),
    };
    if etcd.key.is_empty() {
        faults.unexpected("key", "the name of a key", table.value_place("key"));
    }
    table.finish(faults);
    Some(etcd)
}

/// Who else is told of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Where peers' datagrams come to, and ours come from.
    pub listen: SocketAddr,
    /// Where ours go.
    pub peers: Vec<SocketAddr>,
    /// The file with the secret that all of them share.
    pub key: PathBuf,
}

/// The table `[sync]`.
pub(super) fn sync(file: &mut Table<'_>, faults: &mut Faults) -> Option<Sync> {
    let mut table = file.table("sync", faults)?;
    let (listen, key) = (table.need::<SocketAddr>("listen", faults), table.need::<PathBuf>("key", faults));
    let mut peers = Vec::new();
    for (peer, at) in table.list::<SocketAddr>("peers", faults) {
        match listen {
            Some(own) if own == peer => drop(faults.wrong("a balancer is no peer of its own", at)),
            Some(own) if own.is_ipv4() != peer.is_ipv4() => {
                faults.unexpected("peers", "addresses of the same family as `listen`", at);
            }
            _ => peers.push(peer),
        }
    }
    if table.raw("peers").is_none() && !table.is_misspelt("peers") {
        faults.wrong("`sync` lacks `peers`", table.place()).help.push("peers = [\"10.0.9.3:7947\"]".into());
    }
    table.finish(faults);
    Some(Sync { listen: listen?, peers, key: key? })
}
