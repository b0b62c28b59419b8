//! What the bodies of requests to the API say. Knows nothing of who asks, and does nothing about it.

use crate::config::duration;
use serde_json::Value;
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

impl Drain {
    /// Reads a body.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(body: &[u8]) -> Result<Drain, String> {
        let said: Value = serde_json::from_slice(body).map_err(|why| format!("the body is no JSON: {why}"))?;
        let real = said["real"].as_str().ok_or("the body says no `real`")?;
        let within = match &said["within"] {
            Value::Null => None,
            Value::String(time) => Some(duration(time).ok_or("`within` is no time: \"30s\"")?),
            _ => return Err("`within` is no time: \"30s\"".into()),
        };
        Ok(Drain { real: real.to_owned(), vip: said["vip"].as_str().map(str::to_owned), within })
    }
}
