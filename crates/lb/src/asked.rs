//! What the bodies of requests to the API say. Knows nothing of who asks, and does nothing about it.

use crate::config::duration;
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

/// That a balancer is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The process that is meant.
    pub pid: Option<u32>,
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
            Some(Value::String(time)) => Some(duration(time).ok_or("`within` is no time: \"30s\"")?),
            Some(_) => return Err("`within` is no time: \"30s\"".into()),
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

impl Stop {
    /// Reads a body; there may be none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(body: &[u8]) -> Result<Stop, String> {
        let said = object(if body.is_empty() { b"{}" } else { body }, &["pid"])?;
        let pid = match said.get("pid") {
            None | Some(Value::Null) => None,
            Some(pid) => Some(pid.as_u64().and_then(|pid| pid.try_into().ok()).ok_or("`pid` is no process's number")?),
        };
        Ok(Stop { pid })
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
        Some(key) => Err(match (did_you_mean(key, known.iter().copied()), known) {
            (Some(meant), _) => format!("the body has no key `{key}`; did you mean `{meant}`?"),
            (None, []) => format!("the body has no key `{key}`, nor any other"),
            (None, known) => {
                let known = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
                format!("the body has no key `{key}`; there are {known}")
            }
        }),
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
            (r#"{"real": "a", "within": 30}"#, "`within` is no time"),
        ] {
            let said = Drain::read(body.as_bytes()).expect_err(body);
            assert!(said.contains(why), "{body}: {said}");
        }
        let late = Drain::read_end(br#"{"real": "a", "within": "30s"}"#).expect_err("it has no time");
        assert!(late.contains("no key `within`; there are `real`, `vip`"), "{late}");
        assert_eq!(Stop::read(b"").and_then(|_| Stop::read(br#"{"pid": 7}"#)), Ok(Stop { pid: Some(7) }));
        assert!(Stop::read(br#"{"pid": -1}"#).is_err() && Stop::read(br#"{"pdi": 1}"#).is_err());
        assert!(nothing(b"").is_ok() && nothing(b"{}").is_ok() && nothing(br#"{"force": true}"#).is_err());
    }
}
