//! Checks of keepalived's as ours.

use super::{At, Import, Keys, quoted, read::Statement, unknown};
use std::time::Duration;

/// The check of a virtual server, while its reals are read.
pub(super) struct Checked<'s> {
    /// From one to the next.
    pub(super) interval: Option<Duration>,
    /// The first one, and where it stands.
    pub(super) check: Option<(Check, At)>,
    /// Servers that have none.
    pub(super) unchecked: Vec<&'s Statement>,
}

/// A check, but for its port where that is the server's.
#[derive(Default)]
pub(super) struct Check {
    kind: &'static str,
    keys: Keys,
    port: Option<u16>,
}

impl Check {
    /// As ours is written, for a VIP of this port and these servers; `None` if nothing says which port is asked. And the
    /// port at which all of them are asked, if keepalived asks each at its own.
    pub(super) fn text(&self, vip: u16, asked: &[Asked], protocol: &str) -> Option<(String, Option<u16>)> {
        let asks = self.kind != "exec";
        let theirs = |one: &Asked| if one.port == 0 { vip } else { one.port };
        // Ours asks at the server's port behind NAT, or at the VIP's; one of UDP, or of all ports, has to say at which.
        let other = asked.iter().any(|one| one.own.unwrap_or(vip) != theirs(one));
        let first = asked.first().map_or(vip, theirs);
        let needs = asks && (other || vip == 0 || protocol != "tcp" && self.kind != "dns");
        let port = self.port.or_else(|| needs.then_some(first));
        if asks && port == Some(0) {
            return None;
        }
        let alike = asked.iter().all(|one| theirs(one) == first);
        let all = if self.port.is_none() && !alike { port } else { None };
        let port = port.map(|port| format!("port = {port}\n")).unwrap_or_default();
        Some((format!("[vip.check]\n{}{port}", self.keys.text()), all))
    }

    fn same(&self, other: &Check) -> bool {
        (self.kind, self.keys.text(), self.port) == (other.kind, other.keys.text(), other.port)
    }
}

/// A server, where it is asked.
pub(super) struct Asked {
    /// Its port in keepalived's file; 0: the VIP's.
    pub(super) port: u16,
    /// Its own behind NAT, as ours is written.
    pub(super) own: Option<u16>,
}

impl Import<'_> {
    /// A time in seconds, with parts of them.
    pub(super) fn time(&mut self, said: &Statement) -> Option<Duration> {
        let value = said.word(1);
        let time = value.parse::<f64>().ok().filter(|seconds| (0.01..=86_400.0).contains(seconds));
        if time.is_none() {
            self.leave(said, format!("`{value}` is no time from 0.01 seconds to a day"));
        }
        time.map(Duration::from_secs_f64)
    }

    /// A check of a server: the VIP's, if that has none yet.
    pub(super) fn check(&mut self, said: &Statement, checked: &mut Checked<'_>) {
        let Some(made) = self.made(said, checked) else { return };
        match &checked.check {
            None => checked.check = Some((made, said.at.clone())),
            Some((before, first)) if !before.same(&made) => {
                let what = format!("a VIP has one check: that of {first}");
                self.leave(said, what);
            }
            Some(_) => {}
        }
    }

    fn made(&mut self, check: &Statement, checked: &Checked<'_>) -> Option<Check> {
        let kind = match check.name() {
            "TCP_CHECK" => "tcp",
            "HTTP_GET" => "http",
            "SSL_GET" => "https",
            "DNS_CHECK" => "dns",
            _ => "exec",
        };
        let mut made = Check { kind, ..Check::default() };
        made.keys.set("type", format!("\"{kind}\""));
        if kind == "https" {
            // Nor does keepalived.
            made.keys.set("verify", "false".into());
        }
        let mut interval = checked.interval;
        let (mut timeout, mut named, mut urls) = (None, false, 0);
        for said in check.inside() {
            let value = said.word(1);
            match (kind, said.name()) {
                (_, "connect_timeout" | "misc_timeout") => {
                    timeout = self.time(said).map(|time| (time, said)).or(timeout)
                }
                (_, "delay_loop") => interval = self.time(said).or(interval),
                ("exec", "connect_port") => self.leave(said, "a program is asked at no port".into()),
                (_, "connect_port") => match value.parse::<u16>() {
                    Ok(port @ 1..) => made.port = Some(port),
                    _ => self.leave(said, format!("`{value}` is no port")),
                },
                (_, "retry" | "nb_get_retry") => match value.parse::<u32>() {
                    Ok(tries) => made.keys.set("fall", format!("{}", tries.saturating_add(1))),
                    Err(_) => self.leave(said, format!("`{value}` is no number")),
                },
                ("http" | "https", "url") => {
                    urls += 1;
                    if urls > 1 {
                        self.leave(said, "one URL is asked for, the first one".into());
                        continue;
                    }
                    self.url(said, &mut made.keys);
                }
                ("http" | "https", "virtualhost") => self.host(said, &mut made.keys),
                ("dns", "name") => {
                    named = true;
                    made.keys.set("query", quoted(value));
                }
                ("dns", "type") if value.eq_ignore_ascii_case("A") => {}
                ("exec", "misc_path") => {
                    let words: Vec<String> = value.split_whitespace().map(quoted).collect();
                    named = !words.is_empty();
                    if value.contains(['\'', '"', '\\', '$', '|', '>', '<', '&', ';', '*']) {
                        self.leave(said, "no shell reads the command: it is split at its spaces".into());
                    }
                    made.keys.set("command", format!("[{}]", words.join(", ")));
                }
                (_, name) => self.leave(said, unknown(name, "has nothing that it could become")),
            }
        }
        if let Some(interval) = interval {
            made.keys.set("interval", seconds(interval));
        }
        if let Some((timeout, said)) = timeout {
            let most = interval.unwrap_or(timeout);
            if timeout > most {
                self.leave(said, format!("a check ends before the next one: its time is {}", seconds(most)));
            }
            made.keys.set("timeout", seconds(timeout.min(most)));
        }
        if kind == "dns" && !named {
            made.keys.set("query", "\".\"".to_owned());
        }
        if kind == "exec" && !named {
            self.leave(check, "the check names no program".into());
            return None;
        }
        Some(made)
    }

    fn url(&mut self, url: &Statement, keys: &mut Keys) {
        for said in url.inside() {
            match said.name() {
                "path"
                    if said.word(1).starts_with('/') && !said.word(1).contains(|c: char| c <= ' ' || c == '\x7f') =>
                {
                    keys.set("path", quoted(said.word(1)))
                }
                "path" => self.leave(said, format!("`{}` is no path", said.word(1))),
                "status_code" => {
                    let mut codes = Vec::new();
                    for code in said.words.iter().skip(1) {
                        let number = |text: &str| text.parse::<u16>().ok().filter(|code| (100..600).contains(code));
                        match (number(code), code.split_once('-').map(|(a, b)| (number(a), number(b)))) {
                            (Some(code), _) => codes.push(format!("{code}")),
                            (None, Some((Some(first), Some(last)))) if first <= last => codes.push(quoted(code)),
                            _ => {
                                self.leave(said, format!("`{code}` is no status from 100 to 599, and no range of them"))
                            }
                        }
                    }
                    if !codes.is_empty() {
                        keys.set("status", format!("[{}]", codes.join(", ")));
                    }
                }
                "virtualhost" => self.host(said, keys),
                name => self.leave(said, unknown(name, "of an answer is not looked at")),
            }
        }
    }

    fn host(&mut self, said: &Statement, keys: &mut Keys) {
        match said.word(1) {
            host if !host.is_empty() && !host.contains(|c: char| c <= ' ' || c == '\x7f') => {
                keys.set("host", quoted(host))
            }
            host => self.leave(said, format!("`{host}` is no host")),
        }
    }
}

/// A time as our configuration has it.
fn seconds(time: Duration) -> String {
    if time.subsec_nanos() == 0 { format!("\"{}s\"", time.as_secs()) } else { format!("\"{}ms\"", time.as_millis()) }
}
