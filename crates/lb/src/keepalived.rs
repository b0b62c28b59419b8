//! Balancers of keepalived as configurations of ours: `virtual_server`, its `real_server`s and their checks. What cannot be
//! carried over is said, line by line.

use std::{collections::BTreeMap, fmt::Write as _, net::IpAddr};

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// A configuration of ours.
    pub toml: String,
    /// What it does not say, by line of keepalived's file.
    pub left: Vec<(usize, String)>,
}

/// A statement: its words, and what stands in its braces.
#[derive(Debug, Default)]
struct Statement {
    line: usize,
    words: Vec<String>,
    block: Option<Vec<Statement>>,
}

/// Blocks in blocks that are followed; keepalived's own are four deep.
const DEPTH: usize = 16;

/// Translates a file of keepalived's.
#[must_use]
pub fn import(text: &str) -> Imported {
    let mut left = Vec::new();
    let statements = parse(text, &mut left);
    let mut toml = String::from(
        "[balancer]\n# The device that packets to these addresses come in by.\ndevices = [\"eth0\"]\n\
         # Addresses of this machine: tunnels and NAT come from them.\n# source = [\"192.0.2.1\", \"2001:db8::1\"]\n",
    );
    let groups = groups(&statements, &mut left);
    for statement in &statements {
        match statement.name() {
            "virtual_server" => virtual_server(statement, &groups, &mut toml, &mut left),
            "virtual_server_group" => {}
            name => left.push((statement.line, format!("`{name}` is not the balancer's"))),
        }
    }
    left.sort();
    Imported { toml, left }
}

impl Statement {
    fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    fn inside(&self) -> &[Statement] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// The statements of a file. What is wrong with its braces is said.
fn parse(text: &str, left: &mut Vec<(usize, String)>) -> Vec<Statement> {
    // The blocks that are open, the file itself first.
    let mut open: Vec<Vec<Statement>> = vec![Vec::new()];
    let mut heads: Vec<Statement> = Vec::new();
    let mut skipped = 0usize;
    let mut last = 0;
    for (number, line) in (1..).zip(text.lines()) {
        last = number;
        let mut statement = Statement { line: number, ..Statement::default() };
        for word in words(line) {
            match word.as_str() {
                "{" if heads.len() >= DEPTH => skipped += 1,
                "{" => {
                    let mut head = std::mem::take(&mut statement);
                    if head.words.is_empty() {
                        // It may stand on the line behind.
                        match open.last_mut().and_then(Vec::pop) {
                            Some(before) => head = before,
                            None => left.push((number, "a block of nothing".into())),
                        }
                    }
                    heads.push(head);
                    open.push(Vec::new());
                    statement.line = number;
                }
                "}" if skipped > 0 => skipped -= 1,
                "}" => {
                    finish(&mut open, &mut statement, number);
                    close(&mut open, &mut heads, left, number);
                }
                _ => statement.words.push(word),
            }
        }
        finish(&mut open, &mut statement, number);
    }
    while !heads.is_empty() {
        left.push((last, "a block is not closed".into()));
        close(&mut open, &mut heads, left, last);
    }
    open.pop().unwrap_or_default()
}

fn finish(open: &mut [Vec<Statement>], statement: &mut Statement, number: usize) {
    let done = std::mem::take(statement);
    statement.line = number;
    if let Some(block) = open.last_mut()
        && !done.words.is_empty()
    {
        block.push(done);
    }
}

fn close(open: &mut Vec<Vec<Statement>>, heads: &mut Vec<Statement>, left: &mut Vec<(usize, String)>, number: usize) {
    let Some(mut head) = heads.pop() else {
        left.push((number, "`}` closes nothing".into()));
        return;
    };
    head.block = open.pop();
    if let Some(outer) = open.last_mut() {
        outer.push(head);
    }
}

/// The words of a line: those in quotation marks stay together, comments are none.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (quoted, any) = (!quoted, true),
            _ if quoted => word.push(c),
            '#' | '!' if !any => break,
            '{' | '}' | ' ' | '\t' => {
                if any {
                    words.push(std::mem::take(&mut word));
                    any = false;
                }
                if matches!(c, '{' | '}') {
                    words.push(c.into());
                }
            }
            _ => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    words
}

/// Addresses and ports of groups, by name.
type Groups = BTreeMap<String, Vec<(IpAddr, u16)>>;

fn groups(statements: &[Statement], left: &mut Vec<(usize, String)>) -> Groups {
    let mut groups = Groups::new();
    for group in statements.iter().filter(|statement| statement.name() == "virtual_server_group") {
        let members = groups.entry(group.word(1).to_owned()).or_default();
        for member in group.inside() {
            match (member.name().parse(), member.word(1).parse()) {
                (Ok(address), Ok(port)) => members.push((address, port)),
                _ => left.push((member.line, format!("`{}` names no address and port", member.words.join(" ")))),
            }
        }
    }
    groups
}

fn virtual_server(statement: &Statement, groups: &Groups, toml: &mut String, left: &mut Vec<(usize, String)>) {
    let places: Vec<(IpAddr, u16)> = match (statement.word(1), statement.word(2)) {
        ("fwmark", _) => {
            left.push((statement.line, "packets are not told apart by firewall marks".into()));
            return;
        }
        ("group", name) => match groups.get(name) {
            Some(places) => places.clone(),
            None => {
                left.push((statement.line, format!("there is no virtual_server_group `{name}`")));
                return;
            }
        },
        (address, port) => match (address.parse(), if port.is_empty() { Ok(0) } else { port.parse() }) {
            (Ok(address), Ok(port)) => vec![(address, port)],
            _ => {
                left.push((statement.line, format!("`{address} {port}` is no address and port")));
                return;
            }
        },
    };
    let (mut body, mut reals) = (Keys::default(), String::new());
    let (mut forward, mut interval) = ("nat", None);
    for said in statement.inside() {
        let value = said.word(1);
        match said.name() {
            "protocol" => match value.to_ascii_lowercase().as_str() {
                protocol @ ("tcp" | "udp") => body.set("protocol", format!("\"{protocol}\"")),
                _ => left.push((said.line, format!("protocol {value} is not balanced"))),
            },
            "lb_kind" | "lvs_method" => match value.to_ascii_uppercase().as_str() {
                "NAT" => forward = "nat",
                "DR" => forward = "l2",
                "TUN" => forward = "ip",
                _ => left.push((said.line, format!("`{value}` is no way to a server"))),
            },
            "lb_algo" | "lvs_sched" => match value {
                "sh" => body.set("hash", "\"source\"".to_owned()),
                "mh" | "wrr" | "rr" => {}
                _ => left.push((said.line, format!("`{value}` becomes consistent hashing of flows, by weight"))),
            },
            "persistence_timeout" => {
                body.set("hash", "\"source\"".to_owned());
                left.push((said.line, "a client keeps its server by its address, without a time".into()));
            }
            "delay_loop" => interval = value.parse::<u32>().ok(),
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
            | "persistence_granularity"
            | "ha_suspend"
            | "retry"
            | "delay_before_retry"
            | "warmup"
            | "ip_family"
            | "smtp_alert" => {
                left.push((said.line, format!("`{}` has nothing that it could become", said.name())));
            }
            "real_server" => {}
            name => left.push((said.line, format!("`{name}` is not known"))),
        }
    }
    let mut check = None;
    for said in statement.inside().iter().filter(|said| said.name() == "real_server") {
        real_server(said, forward, interval, &mut reals, &mut check, left);
    }
    for (address, port) in places {
        let _ = write!(toml, "\n# Line {}.\n[[vip]]\naddress = \"{address}\"\n", statement.line);
        if port != 0 {
            let _ = writeln!(toml, "port = {port}");
        }
        toml.push_str(&body.text());
        if let Some((check, _)) = &check {
            toml.push_str(check);
        }
        toml.push_str(&reals);
    }
}

/// A check of a VIP: as ours is written, and keepalived's line.
type Checked = Option<(String, usize)>;

fn real_server(
    statement: &Statement,
    forward: &str,
    interval: Option<u32>,
    toml: &mut String,
    check: &mut Checked,
    left: &mut Vec<(usize, String)>,
) {
    let Ok(address) = statement.word(1).parse::<IpAddr>() else {
        left.push((statement.line, format!("`{}` is no address", statement.word(1))));
        return;
    };
    let mut real = Keys::default();
    real.set("address", format!("\"{address}\""));
    real.set("forward", format!("\"{forward}\""));
    if let ("nat", Ok(port @ 1..)) = (forward, statement.word(2).parse::<u16>()) {
        real.set("port", format!("{port}"));
    }
    if forward == "l2" {
        real.set("mac", "\"\" # its Ethernet address".to_owned());
        left.push((statement.line, "the server's Ethernet address has to be filled in (`mac`)".into()));
    }
    for said in statement.inside() {
        let value = said.word(1);
        match said.name() {
            "weight" => match value.parse::<u16>() {
                Ok(weight) => real.set("weight", format!("{weight}")),
                Err(_) => left.push((said.line, format!("`{value}` is no weight from 0 to 65535"))),
            },
            "TCP_CHECK" | "HTTP_GET" | "SSL_GET" | "DNS_CHECK" | "MISC_CHECK" => {
                let made = translate_check(said, interval, left);
                match check {
                    None => *check = made.map(|made| (made, said.line)),
                    Some((before, line)) if made.as_ref() != Some(before) => {
                        left.push((said.line, format!("a VIP has one check: that of line {line}")));
                    }
                    Some(_) => {}
                }
            }
            name => left.push((said.line, format!("`{name}` has nothing that it could become"))),
        }
    }
    let _ = write!(toml, "[[vip.real]]\n{}", real.text());
}

fn translate_check(check: &Statement, interval: Option<u32>, left: &mut Vec<(usize, String)>) -> Option<String> {
    let mut toml = Keys::default();
    let kind = match check.name() {
        "TCP_CHECK" => "tcp",
        "HTTP_GET" => "http",
        "SSL_GET" => "https",
        "DNS_CHECK" => "dns",
        _ => "exec",
    };
    toml.set("type", format!("\"{kind}\""));
    if kind == "https" {
        // Nor does keepalived.
        toml.set("verify", "false".into());
    }
    if let Some(seconds) = interval.filter(|seconds| *seconds > 0) {
        toml.set("interval", format!("\"{seconds}s\""));
    }
    let (mut named, mut urls) = (false, 0);
    for said in check.inside() {
        let value = said.word(1);
        match (kind, said.name()) {
            (_, "connect_timeout" | "misc_timeout") => match value.parse::<u32>() {
                Ok(seconds @ 1..) => toml.set("timeout", format!("\"{seconds}s\"")),
                _ => left.push((said.line, format!("`{value}` is no time"))),
            },
            (_, "connect_port") => match value.parse::<u16>() {
                Ok(port @ 1..) => toml.set("port", format!("{port}")),
                _ => left.push((said.line, format!("`{value}` is no port"))),
            },
            (_, "retry" | "nb_get_retry") => match value.parse::<u32>() {
                Ok(tries) => toml.set("fall", format!("{}", tries.saturating_add(1))),
                Err(_) => left.push((said.line, format!("`{value}` is no number"))),
            },
            ("http" | "https", "url") => {
                urls += 1;
                if urls > 1 {
                    left.push((said.line, "one URL is asked for, the first one".into()));
                    continue;
                }
                url(said, &mut toml, left);
            }
            ("http" | "https", "virtualhost") => toml.set("host", quoted(value)),
            ("dns", "name") => {
                named = true;
                toml.set("query", quoted(value));
            }
            ("exec", "misc_path") => {
                named = true;
                let words: Vec<String> = value.split_whitespace().map(quoted).collect();
                toml.set("command", format!("[{}]", words.join(", ")));
            }
            (_, name) => left.push((said.line, format!("`{name}` has nothing that it could become"))),
        }
    }
    if kind == "dns" && !named {
        toml.set("query", "\".\"".to_owned());
    }
    if kind == "exec" && !named {
        left.push((check.line, "the check names no program".into()));
        return None;
    }
    Some(format!("[vip.check]\n{}", toml.text()))
}

fn url(url: &Statement, toml: &mut Keys, left: &mut Vec<(usize, String)>) {
    for said in url.inside() {
        match said.name() {
            "path" => toml.set("path", quoted(said.word(1))),
            "status_code" => {
                let codes: Vec<&str> =
                    said.words.iter().skip(1).map(String::as_str).filter(|code| code.parse::<u16>().is_ok()).collect();
                if codes.len() + 1 < said.words.len() {
                    left.push((said.line, "statuses are single numbers".into()));
                }
                toml.set("status", format!("[{}]", codes.join(", ")));
            }
            "virtualhost" => toml.set("host", quoted(said.word(1))),
            name => left.push((said.line, format!("`{name}` of an answer is not looked at"))),
        }
    }
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
mod tests {
    use super::*;
    use crate::{
        config::{CheckKind, Config, Forward, Hash, Protocol},
        tls::Trust,
    };
    use proptest::prelude::*;

    const FILE: &str = r#"! Configuration File for keepalived
global_defs {
   router_id LVS_DEVEL
}

virtual_server 192.0.2.1 443 {
    delay_loop 6
    lb_algo wrr
    lb_kind TUN
    persistence_timeout 50
    protocol TCP
    sorry_server 192.0.2.99 80

    real_server 10.0.0.1 443 {
        weight 3
        SSL_GET {
            url { path / }
            connect_timeout 3
            connect_port 8443
            retry 2
        }
    }
    real_server 10.0.0.2 443
    {
        weight 1
        TCP_CHECK {
            connect_timeout 3
            connect_port 8443
            retry 2
        }
    }
}

virtual_server_group dns {
    192.0.2.53 53
    2001:db8::53 53
}
virtual_server group dns {
    protocol UDP
    lb_kind NAT
    lb_algo lc
    real_server 10.0.0.3 5353 {
        DNS_CHECK { name example.org }
        notify_up "/bin/true"
    }
}
virtual_server fwmark 3 { }
"#;

    #[test]
    fn a_file_becomes_one_of_ours() {
        let Imported { toml, left } = import(FILE);
        let with = toml.replace("# source", "source").replace(", \"2001:db8::1\"", "");
        // The second VIP of the group is IPv6, its server IPv4: NAT does not bridge.
        let without = &with[..with.rfind("\n# Line").expect("three VIPs")];
        let config = Config::read("out.toml", without).unwrap_or_else(|faults| panic!("{faults:#?}\n{toml}"));
        let [web, dns] = &config.vips[..] else { panic!("{toml}") };
        assert_eq!((web.hash, web.protocols[0]), (Hash::Source, Protocol::Tcp));
        assert_eq!(web.reals.iter().map(|real| real.weight).collect::<Vec<_>>(), [3, 1]);
        assert!(web.reals.iter().all(|real| real.forward == Forward::Ip && real.port.is_none()));
        let check = web.check.as_ref().expect("a check");
        assert_eq!((check.kind, check.path.as_str(), &check.trust), (CheckKind::Https, "/", &Trust::Anybody));
        assert_eq!((check.port, check.fall), (Some(8443), 3));
        assert_eq!((check.interval.as_secs(), check.timeout.as_secs()), (6, 3));
        assert_eq!(
            (dns.protocols[0], dns.reals[0].port, dns.reals[0].forward),
            (Protocol::Udp, Some(5353), Forward::Nat)
        );
        assert_eq!(dns.check.as_ref().map(|check| check.query.as_str()), Some("example.org"));
        let left: Vec<String> = left.iter().map(|(line, what)| format!("{line}: {what}")).collect();
        assert_eq!(
            left,
            [
                "2: `global_defs` is not the balancer's",
                "10: a client keeps its server by its address, without a time",
                "12: `sorry_server` has nothing that it could become",
                "26: a VIP has one check: that of line 16",
                "41: `lc` becomes consistent hashing of flows, by weight",
                "44: `notify_up` has nothing that it could become",
                "47: packets are not told apart by firewall marks",
            ]
        );
    }

    #[test]
    fn braces_that_do_not_match_are_said() {
        assert_eq!(import("}\na {\n").left[0], (1, "`}` closes nothing".into()));
        assert!(import("a {\n").left.contains(&(1, "a block is not closed".into())));
    }

    proptest! {
        /// Whatever stands there, what comes out is TOML.
        #[test]
        fn nothing_makes_it_panic(cut in 0usize..FILE.len(), len in 0usize..30, with in "[\\PC\n{}\"!# ]{0,16}") {
            let text = format!("{}{with}{}", &FILE[..cut], &FILE[(cut + len).min(FILE.len())..]);
            let imported = import(&text);
            prop_assert!(imported.toml.parse::<toml::Table>().is_ok(), "{}", imported.toml);
        }

        #[test]
        fn nor_do_many_braces(depth in 0usize..10_000) {
            drop(import(&"a {\n".repeat(depth)));
        }
    }
}
