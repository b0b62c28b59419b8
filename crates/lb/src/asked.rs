//! What requests to the API say, in their bodies or behind `?`. Knows nothing of who asks, and does nothing about it.

use crate::config::{Prefix, TIME, duration, shown};
use alveary_diag::did_you_mean;
use serde_json::{Map, Value};
use std::time::Duration;

/// That a real is to get no new connections, or again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// The real's name.
    pub real: String,
    /// Of this VIP alone.
    pub vip: Option<String>,
    /// In which time its connections have to end.
    pub within: Option<Duration>,
}

/// Which connections are to be told: those for which all holds that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flows {
    /// Their client is one of these.
    pub client: Option<Prefix>,
    /// They are to this VIP, by its name or its address.
    pub vip: Option<String>,
    /// They have this real, by name.
    pub real: Option<String>,
}

/// That a balancer is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The pins of the one that is meant, as [`crate::owner::Owner::pins`] tells them.
    pub pins: Option<String>,
}

fn no_time(found: &str) -> String {
    format!("`within` is not what it should be: expected {TIME}; found {found}")
}

impl Drain {
    /// Reads the body of `/v1/drain`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(body: &[u8]) -> Result<Drain, String> {
        let said = object(body, &["real", "vip", "within"])?;
        let within = match said.get("within") {
            None | Some(Value::Null) => None,
            Some(Value::String(time)) => Some(duration(time).ok_or_else(|| no_time(&format!("`{}`", shown(time))))?),
            Some(other) => return Err(no_time(&shown(&other.to_string()))),
        };
        Ok(Drain { within, ..Drain::whom(&said)? })
    }

    /// Reads the body of `/v1/undrain`, in which there is no time.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read_end(body: &[u8]) -> Result<Drain, String> {
        Drain::whom(&object(body, &["real", "vip"])?)
    }

    fn whom(said: &Map<String, Value>) -> Result<Drain, String> {
        let real = text(said, "real")?.ok_or("the body says no `real`")?;
        Ok(Drain { real, vip: text(said, "vip")?, within: None })
    }
}

impl Flows {
    /// Reads what stands behind `?` in `/v1/flows`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(query: &str) -> Result<Flows, String> {
        const KNOWN: [&str; 3] = ["client", "vip", "real"];
        let mut flows = Flows::default();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = decoded(value).ok_or_else(|| format!("`{key}` is no text: a byte is `%` and two digits"))?;
            match key {
                "client" => {
                    let clients = value.parse().map_err(|()| {
                        format!("`client` is no prefix without bits behind it (\"198.51.100.0/24\"): `{value}`")
                    });
                    flows.client = Some(clients?);
                }
                "vip" => flows.vip = Some(value),
                "real" => flows.real = Some(value),
                other => return Err(unknown("what is asked for", other, &KNOWN)),
            }
        }
        Ok(flows)
    }

    /// What [`Flows::read`] reads.
    #[must_use]
    pub fn query(client: Option<Prefix>, vip: Option<&str>, real: Option<&str>) -> String {
        let client = client.map(|client| client.to_string());
        let said = [("client", client.as_deref()), ("vip", vip), ("real", real)];
        let parts = said.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", encoded(value?))));
        parts.collect::<Vec<_>>().join("&")
    }
}

fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' | b':' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut left) = (Vec::new(), text.as_bytes());
    while let Some((first, rest)) = left.split_first() {
        left = rest;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, rest) = rest.split_at_checked(2)?;
        let digit = |at: usize| char::from(digits[at]).to_digit(16);
        bytes.push((digit(0)? * 16 + digit(1)?) as u8);
        left = rest;
    }
    String::from_utf8(bytes).ok()
}

impl Stop {
    /// Reads a body; there may be none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(body: &[u8]) -> Result<Stop, String> {
        let said = object(if body.is_empty() { b"{}" } else { body }, &["pins"])?;
        Ok(Stop { pins: text(&said, "pins")? })
    }
}

/// That there is nothing in a body that would not be heard.
///
/// # Errors
/// What is wrong with it.
pub fn nothing(body: &[u8]) -> Result<(), String> {
    if body.is_empty() { Ok(()) } else { object(body, &[]).map(drop) }
}

/// An object with no other keys than these.
fn object(body: &[u8], known: &[&str]) -> Result<Map<String, Value>, String> {
    let said: Value = serde_json::from_slice(body).map_err(|why| format!("the body is no JSON: {why}"))?;
    let Value::Object(said) = said else { return Err("the body is no JSON object".into()) };
    match said.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(said),
        Some(key) => Err(unknown("the body", key, known)),
    }
}

/// That nobody knows a key, and which there are.
fn unknown(what: &str, key: &str, known: &[&str]) -> String {
    match (did_you_mean(key, known.iter().copied()), known) {
        (Some(meant), _) => format!("{what} has no key `{key}`; did you mean `{meant}`?"),
        (None, []) => format!("{what} has no key `{key}`, nor any other"),
        (None, known) => {
            let known = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            format!("{what} has no key `{key}`; there are {known}")
        }
    }
}

fn text(said: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    match said.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{key}` is no text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_say_what_is_known_and_nothing_else() {
        let drain = Drain::read(br#"{"real": "a", "vip": null, "within": "30s"}"#).expect("it is right");
        assert_eq!(drain, Drain { real: "a".into(), vip: None, within: Some(Duration::from_secs(30)) });
        for (body, why) in [
            ("{", "no JSON"),
            ("[]", "no JSON object"),
            ("{}", "no `real`"),
            (r#"{"real": 1}"#, "`real` is no text"),
            (r#"{"real": "a", "vip": ["b"]}"#, "`vip` is no text"),
            (r#"{"real": "a", "vips": "b"}"#, "no key `vips`; did you mean `vip`?"),
            (r#"{"real": "a", "reason": "b"}"#, "no key `reason`"),
            (
                r#"{"real": "a", "within": 30}"#,
                "expected a time of at most a day: \"500ms\", \"30s\", \"5m\", \"24h\"; found 30",
            ),
            (r#"{"real": "a", "within": "48h"}"#, "\"24h\"; found `48h`"),
        ] {
            let said = Drain::read(body.as_bytes()).expect_err(body);
            assert!(said.contains(why), "{body}: {said}");
        }
        let late = Drain::read_end(br#"{"real": "a", "within": "30s"}"#).expect_err("it has no time");
        assert!(late.contains("no key `within`; there are `real`, `vip`"), "{late}");
        let meant = Stop { pins: Some("00:2b:7".into()) };
        assert_eq!(Stop::read(b"").and_then(|_| Stop::read(br#"{"pins": "00:2b:7"}"#)), Ok(meant));
        assert!(Stop::read(br#"{"pins": 7}"#).is_err() && Stop::read(br#"{"pisn": "1"}"#).is_err());
        assert!(nothing(b"").is_ok() && nothing(b"{}").is_ok() && nothing(br#"{"force": true}"#).is_err());
    }

    #[test]
    fn which_flows_are_asked_for() {
        let all = Flows {
            client: Some("198.51.100.0/24".parse().expect("a prefix")),
            vip: Some("192.0.2.1:443/tcp, 192.0.2.1:80/tcp".into()),
            real: Some("größe & co=1%".into()),
        };
        let query = Flows::query(all.client, all.vip.as_deref(), all.real.as_deref());
        assert!(query.starts_with("client=198.51.100.0/24&vip=192.0.2.1:443/tcp%2C%20") && query.is_ascii(), "{query}");
        assert_eq!(Flows::read(&query), Ok(all));
        assert_eq!((Flows::read(""), Flows::query(None, None, None)), (Ok(Flows::default()), String::new()));
        for (query, why) in [
            ("client=198.51.100.7/24", "`client` is no prefix"),
            ("real=%f", "`real` is no text"),
            ("real=%ff", "`real` is no text"),
            ("reals=a", "no key `reals`; did you mean `real`?"),
            ("most=9", "no key `most`; there are `client`, `vip`, `real`"),
        ] {
            let said = Flows::read(query).expect_err(query);
            assert!(said.contains(why), "{query}: {said}");
        }
    }
}
