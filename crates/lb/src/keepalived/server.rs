//! Virtual servers and their reals.

use super::{
    At, Import, Keys,
    check::{Asked, Checked},
    port,
    read::Statement,
    unknown,
};
use crate::config::{self, Mac};
use std::{collections::BTreeSet, fmt::Write as _, net::IpAddr};

/// A VIP of ours.
pub(super) struct Server {
    pub(super) toml: String,
    pub(super) reals: Vec<Carried>,
}

/// A real of a VIP of ours.
pub(super) struct Carried {
    /// Whether packets to it need an address to come from, of IPv6 or else of IPv4.
    pub(super) needs_source: Option<bool>,
    /// Its port behind NAT, if it has one of its own.
    own_port: Option<u16>,
}

/// Servers of all addresses of all groups together: a group of many addresses has its servers at each of them.
const REALS: usize = 200_000;

/// Where a VIP comes from, as a comment begins with it.
fn comment(at: &At) -> String {
    match &at.file {
        None => format!("Line {}", at.line),
        // Whatever a file is called, it ends no comment.
        Some(file) => format!("Line {} of {}", at.line, file.replace(char::is_control, " ")),
    }
}

/// A way to a server.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Nat,
    L2,
    Ip,
    Gue { port: Option<u16>, checksum: bool },
}

/// A `real_server` as far as it is the same for all addresses of its virtual server.
struct Real<'a> {
    said: &'a Statement,
    address: IpAddr,
    port: u16,
    weight: Option<u16>,
    way: Way,
}

impl Import<'_> {
    /// The VIPs that a virtual server becomes: one for each address of its group.
    pub(super) fn virtual_server(&mut self, statement: &Statement) -> Vec<Server> {
        let places: Vec<(IpAddr, u16)> = match (statement.word(1), statement.word(2)) {
            ("fwmark", _) => {
                self.leave(statement, "packets are not told apart by firewall marks".into());
                return Vec::new();
            }
            ("group", name) => match self.groups.get(name) {
                Some(places) => places.clone(),
                None => {
                    self.leave(statement, format!("there is no virtual_server_group `{name}`"));
                    return Vec::new();
                }
            },
            (address, at) => match (address.parse(), port(at)) {
                (Ok(address), Some(port)) => vec![(address, port)],
                _ => {
                    self.leave(statement, format!("`{address} {at}` is no address and port"));
                    return Vec::new();
                }
            },
        };
        let (mut body, mut protocol) = (Keys::default(), Some("tcp"));
        let (mut way, mut interval, mut scheduler, mut by_port) = (Some(Way::Nat), None, "", false);
        for said in statement.inside() {
            let value = said.word(1);
            match said.name() {
                "protocol" => {
                    protocol = match value.to_ascii_lowercase().as_str() {
                        "tcp" => Some("tcp"),
                        "udp" => Some("udp"),
                        _ => None,
                    };
                    if protocol.is_none() {
                        self.leave(said, format!("protocol {value} is not balanced: the virtual server is left out"));
                    }
                }
                "lb_kind" | "lvs_method" => way = self.way(said, "the virtual server is left out"),
                "lb_algo" | "lvs_sched" => {
                    scheduler = value;
                    if !matches!(value, "sh" | "mh" | "wrr" | "rr") {
                        self.leave(said, format!("`{value}` becomes consistent hashing of flows, by weight"));
                    }
                }
                "sh-port" | "mh-port" => by_port = true,
                "persistence_timeout" => {
                    body.set("hash", "\"source\"".to_owned());
                    self.leave(said, "a client keeps its server by its address, without a time".into());
                }
                "delay_loop" => interval = self.time(said),
                "quorum"
                | "hysteresis"
                | "quorum_up"
                | "quorum_down"
                | "alpha"
                | "omega"
                | "virtualhost"
                | "ops"
                | "sorry_server"
                | "sorry_server_inhibit"
                | "sorry_server_lvs_method"
                | "sh-fallback"
                | "mh-fallback"
                | "persistence_granularity"
                | "persistence_engine"
                | "ha_suspend"
                | "retry"
                | "delay_before_retry"
                | "warmup"
                | "inhibit_on_failure"
                | "ip_family"
                | "smtp_alert" => {
                    self.leave(said, format!("`{}` has nothing that it could become", said.name()));
                }
                "real_server" => {}
                name => self.leave(said, unknown(name, "is not known")),
            }
        }
        // IPVS hashes clients' addresses alone, unless it is told to take ports, too.
        if matches!(scheduler, "sh" | "mh") && !by_port {
            body.set("hash", "\"source\"".to_owned());
        }
        let (Some(protocol), Some(way)) = (protocol, way) else { return Vec::new() };
        if protocol != "tcp" {
            body.set("protocol", format!("\"{protocol}\""));
        }
        let mut checked = Checked { interval, check: None, unchecked: Vec::new() };
        let reals: Vec<Real<'_>> = statement
            .inside()
            .iter()
            .filter(|said| said.name() == "real_server")
            .filter_map(|said| self.real_server(said, way, scheduler == "rr", &mut checked))
            .collect();
        if let Some((_, first)) = &checked.check {
            for said in std::mem::take(&mut checked.unchecked) {
                self.leave(said, format!("the server has no check, and gets the VIP's: that of {first}"));
            }
        }
        let mut servers = Vec::new();
        for (address, at) in places {
            servers.extend(self.vip(statement, (address, at, protocol), &body, &reals, &checked));
        }
        servers
    }

    /// A VIP of an address and port.
    fn vip(
        &mut self,
        statement: &Statement,
        key: (IpAddr, u16, &'static str),
        body: &Keys,
        reals: &[Real<'_>],
        checked: &Checked<'_>,
    ) -> Option<Server> {
        let (address, at, protocol) = key;
        let place = if at == 0 { address.to_string() } else { format!("{address} {at}") };
        if let Some(odd) = config::odd(address) {
            self.leave(statement, format!("`{place}` is {odd}: the virtual server is left out"));
            return None;
        }
        self.reals += reals.len();
        if self.reals > REALS {
            self.leave(statement, format!("`{place}` is left out: at most {REALS} servers are carried over in all"));
            return None;
        }
        if !self.seen.insert(key) {
            self.leave(statement, format!("there is a virtual server of `{place}`, {protocol}, already"));
            return None;
        }
        let (mut toml, mut all, mut asked, mut seen) = (String::new(), Vec::new(), Vec::new(), BTreeSet::new());
        for real in reals {
            if let Some(made) = self.real(real, address, at, &mut seen, &mut toml) {
                asked.push(Asked { port: real.port, own: made.own_port });
                all.push(made);
            }
        }
        if all.is_empty() {
            self.leave(statement, format!("`{place}` has no server that could be carried over, and is left out"));
            return None;
        }
        let mut text = format!("\n# {}.\n[[vip]]\naddress = \"{address}\"\n", comment(&statement.at));
        if at != 0 {
            let _ = writeln!(text, "port = {at}");
        }
        text.push_str(&body.text());
        if let Some((check, line)) = &checked.check {
            match check.text(at, &asked, protocol) {
                Some((check, port)) => {
                    text.push_str(&check);
                    if let Some(port) = port {
                        let what = format!("the servers have several ports, and all of them are checked at {port}");
                        self.leave(statement, what);
                    }
                }
                None => {
                    let what = format!("the check of {line} has no port: the VIP takes all of them");
                    self.leave(statement, what);
                }
            }
        }
        Some(Server { toml: text + &toml, reals: all })
    }

    fn real_server<'s>(
        &mut self,
        said: &'s Statement,
        way: Way,
        alike: bool,
        checked: &mut Checked<'s>,
    ) -> Option<Real<'s>> {
        let Ok(address) = said.word(1).parse::<IpAddr>() else {
            self.leave(said, unknown(said.word(1), "is no address"));
            return None;
        };
        let Some(port) = port(said.word(2)) else {
            self.leave(said, format!("`{}` is no port", said.word(2)));
            return None;
        };
        let (mut way, mut weight, mut any) = (Some(way), None, false);
        for inside in said.inside() {
            let value = inside.word(1);
            match inside.name() {
                "weight" => match value.parse::<u16>() {
                    // Round robin looks at no weight but 0.
                    Ok(said) if alike && said > 0 => {}
                    Ok(said) => weight = Some(said),
                    Err(_) => self.leave(inside, format!("`{value}` is no weight from 0 to 65535")),
                },
                "lvs_method" | "lb_kind" => way = self.way(inside, "the server is left out"),
                "TCP_CHECK" | "HTTP_GET" | "SSL_GET" | "DNS_CHECK" | "MISC_CHECK" => {
                    any = true;
                    self.check(inside, checked);
                }
                name @ ("SMTP_CHECK" | "PING_CHECK" | "BFD_CHECK" | "UDP_CHECK" | "FILE_CHECK") => {
                    self.leave(inside, format!("`{name}` is no check here: tcp, http, https, dns and exec are"));
                }
                name => self.leave(inside, unknown(name, "has nothing that it could become")),
            }
        }
        if !any {
            checked.unchecked.push(said);
        }
        Some(Real { said, address, port, weight, way: way? })
    }

    /// A real of a VIP, at the end of `toml`.
    fn real(
        &mut self,
        real: &Real<'_>,
        vip: IpAddr,
        vip_port: u16,
        seen: &mut BTreeSet<(IpAddr, u16)>,
        toml: &mut String,
    ) -> Option<Carried> {
        let (said, address) = (real.said, real.address);
        // What is addressed to the machine stays there, whatever the way.
        let local = address == vip || address.is_loopback() || self.told.sources.contains(&address);
        let mut keys = Keys::default();
        keys.set("address", format!("\"{address}\""));
        let mut own_port = 0;
        if local {
            if real.port != 0 && real.port != vip_port {
                self.leave(
                    said,
                    format!("`{address}` is this machine, where ports are not replaced: the server is left out"),
                );
                return None;
            }
            keys.set("forward", "\"local\"".to_owned());
        } else if let Some(odd) = config::odd(address) {
            self.leave(said, format!("`{address}` is {odd}: the server is left out"));
            return None;
        } else {
            match real.way {
                Way::Nat if address.is_ipv4() != vip.is_ipv4() => {
                    let what = format!(
                        "NAT does not get from `{vip}` to `{address}`, of another family: the server is left out"
                    );
                    self.leave(said, what);
                    return None;
                }
                Way::Nat => {
                    keys.set("forward", "\"nat\"".to_owned());
                    if real.port != 0 {
                        own_port = real.port;
                        keys.set("port", format!("{}", real.port));
                    }
                }
                Way::L2 => {
                    keys.set("forward", "\"l2\"".to_owned());
                    self.met.insert(address);
                    match self.told.macs.get(&address) {
                        Some(Mac(mac)) => {
                            let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
                            keys.set("mac", format!("\"{}\"", mac.join(":")));
                        }
                        None => {
                            let fill = format!("mac: the Ethernet address of {address} ({}; `--mac`)", said.at);
                            if !self.fill.contains(&fill) {
                                self.fill.push(fill);
                            }
                        }
                    }
                }
                Way::Ip => keys.set("forward", "\"ip\"".to_owned()),
                Way::Gue { port, checksum } => {
                    keys.set("forward", "\"gue\"".to_owned());
                    if let Some(port) = port {
                        keys.set("gue-port", format!("{port}"));
                    }
                    if checksum {
                        keys.set("checksum", "true".into());
                    }
                }
            }
        }
        if !seen.insert((address, own_port)) {
            self.leave(said, format!("the VIP has a server `{address}` already"));
            return None;
        }
        if let Some(weight) = real.weight {
            keys.set("weight", format!("{weight}"));
        }
        let _ = write!(toml, "[[vip.real]]\n{}", keys.text());
        let source = !local && real.way != Way::L2;
        Some(Carried {
            needs_source: source.then_some(address.is_ipv6()),
            own_port: Some(own_port).filter(|port| *port != 0),
        })
    }

    /// `NAT`, `DR`, `TUN`, `TUN type gue port 6080 nocsum`; what cannot be followed is said, and what becomes of it.
    fn way(&mut self, said: &Statement, else_: &str) -> Option<Way> {
        let words: Vec<String> = said.words.iter().skip(1).map(|word| word.to_ascii_lowercase()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["nat"] => return Some(Way::Nat),
            ["dr"] => return Some(Way::L2),
            ["tun"] | ["tun", "type", "ipip"] => return Some(Way::Ip),
            ["tun", "type", "gue", ref rest @ ..] => {
                let (mut port, mut checksum, mut rest) = (None, false, rest);
                loop {
                    match rest {
                        [] => return Some(Way::Gue { port, checksum }),
                        ["port", number, more @ ..] if number.parse::<u16>().is_ok_and(|port| port > 0) => {
                            (port, rest) = (number.parse().ok(), more);
                        }
                        ["csum", more @ ..] => (checksum, rest) = (true, more),
                        ["nocsum", more @ ..] => (checksum, rest) = (false, more),
                        _ => break,
                    }
                }
            }
            _ => {}
        }
        let what = said.words.iter().skip(1).map(String::as_str).collect::<Vec<_>>().join(" ");
        self.leave(said, format!("`{what}` is no way to a server here: {else_}"));
        None
    }
}
