//! The addresses of a name: by `/etc/hosts`, else by DNS as `/etc/resolv.conf` has it.
//!
//! The C library's way would load more of itself where it runs, of the very version that it was linked from, which a static
//! binary cannot expect of a machine; and it is an eightieth of that binary.

mod dns;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

const HOSTS: &str = "/etc/hosts";
const SETTINGS: &str = "/etc/resolv.conf";
const PORT: u16 = 53;
/// As the C library has it: name servers that are asked, and the most that may be said of how.
const SERVERS: usize = 3;
const NDOTS: usize = 15;
const TIMEOUT: u64 = 30;
const ATTEMPTS: usize = 5;

/// How DNS is asked.
#[derive(Debug, PartialEq, Eq)]
struct Settings {
    servers: Vec<SocketAddr>,
    /// Domains that a name may be below.
    search: Vec<String>,
    /// Dots from which on a name is looked for as it is first.
    ndots: usize,
    timeout: Duration,
    attempts: usize,
}

/// The addresses of a host, of which it may be one; those that there is a route to first.
///
/// # Errors
/// There is none, or nobody who can be asked answers.
pub(crate) fn addresses(host: &str) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let known = in_hosts(&fs::read_to_string(HOSTS).unwrap_or_default(), host);
    let found = match known.is_empty() {
        false => known,
        true => Settings::read(&fs::read_to_string(SETTINGS).unwrap_or_default()).look_up(host)?,
    };
    let (mut near, far): (Vec<IpAddr>, Vec<IpAddr>) = found.into_iter().partition(|address| has_route(*address));
    near.extend(far);
    Ok(near)
}

/// What a file like `/etc/hosts` says. This machine itself is known without.
fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
    };
    let mut found: Vec<IpAddr> = Vec::new();
    for address in text.lines().filter_map(line) {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    // RFC 6761, section 6.3.
    let last = host.rsplit('.').next().unwrap_or_default();
    if found.is_empty() && last.eq_ignore_ascii_case("localhost") {
        found = vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
    }
    found
}

/// Whether packets for an address have a way to go: nothing is sent.
fn has_route(address: IpAddr) -> bool {
    socket(address).and_then(|socket| socket.connect((address, PORT))).is_ok()
}

/// A socket from which an address can be reached.
fn socket(to: IpAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((any, 0))
}

impl Settings {
    /// Of a text like `/etc/resolv.conf`; what it does not say is as resolv.conf(5) has it.
    fn read(text: &str) -> Settings {
        let (mut servers, mut search) = (Vec::new(), Vec::new());
        let (mut ndots, mut timeout, mut attempts) = (1, 5, 2);
        for line in text.lines() {
            let mut words = line.split(['#', ';']).next().unwrap_or_default().split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    servers.extend(server.map(|server| SocketAddr::new(server, PORT)));
                }
                Some("search" | "domain") => search = words.map(str::to_owned).collect(),
                Some("options") => {
                    for (name, value) in words.filter_map(|word| word.split_once(':')) {
                        let Ok(value) = value.parse::<usize>() else { continue };
                        match name {
                            "ndots" => ndots = value.min(NDOTS),
                            "timeout" => timeout = (value as u64).clamp(1, TIMEOUT),
                            "attempts" => attempts = value.clamp(1, ATTEMPTS),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        servers.truncate(SERVERS);
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        Settings { servers, search, ndots, timeout: Duration::from_secs(timeout), attempts }
    }

    /// The names that a name may stand for, in the order in which they are tried.
    fn candidates(&self, host: &str) -> Vec<String> {
        if let Some(whole) = host.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let mut all: Vec<String> = self.search.iter().map(|domain| format!("{host}.{domain}")).collect();
        let as_it_is = if host.matches('.').count() >= self.ndots { 0 } else { all.len() };
        all.insert(as_it_is, host.to_owned());
        all
    }

    /// Asks DNS.
    fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let mut failed = None;
        for name in self.candidates(host) {
            match self.ask(&name) {
                Ok(found) if found.is_empty() => {}
                Ok(found) => return Ok(found),
                Err(why) => failed = failed.or(Some(why)),
            }
        }
        Err(failed.unwrap_or_else(|| {
            let words = format!("the name `{host}` has no address, in {HOSTS} or by DNS");
            io::Error::new(io::ErrorKind::NotFound, words)
        }))
    }

    /// What the first server says that answers.
    fn ask(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut failed = String::new();
        for server in (0..self.attempts).flat_map(|_| &self.servers) {
            match dns::ask(*server, name, self.timeout) {
                Ok(found) => return Ok(found),
                Err(why) if why.kind() == io::ErrorKind::InvalidInput => return Err(why),
                Err(why) => failed = format!("the name server {} is no help with `{name}`: {why}", server.ip()),
            }
        }
        Err(io::Error::other(failed))
    }
}
