//! What a verifier says of a program, whichever of the two said it.

use std::time::Duration;

/// A judgement.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// Instructions processed.
    pub(crate) insns: Option<u64>,
    /// How long it took, loading and rendering left out.
    pub(crate) time: Option<Duration>,
    /// By how many bytes the process grew; none unless asked for.
    pub(crate) memory: Option<u64>,
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Accept,
    /// With the message of the log, as it stands there.
    Reject(String),
    /// It did not come to a judgement, and why.
    None(String),
}

impl Verdict {
    pub(crate) fn none(why: impl Into<String>) -> Verdict {
        Verdict { outcome: Outcome::None(why.into()), insns: None, time: None, memory: None }
    }
}

impl Outcome {
    pub(crate) const fn accepts(&self) -> bool {
        matches!(self, Outcome::Accept)
    }

    /// `accept`, or the message.
    pub(crate) fn text(&self) -> &str {
        match self {
            Outcome::Accept => "accept",
            Outcome::Reject(why) | Outcome::None(why) => why,
        }
    }
}

/// The message of a log that ends in a refusal: its last line that is not about work, paths or states.
pub(crate) fn message(log: &str) -> String {
    const OTHERS: [&str; 10] = [
        "insns processed ",
        "processed ",
        "verification time ",
        "stack depth",
        "func#",
        "mark_precise:",
        "from ",
        "cur state:",
        "old state:",
        "Func#",
    ];
    let says = |line: &&str| !line.is_empty() && !OTHERS.iter().any(|start| line.starts_with(start)) && !is_trace(line);
    // The time stands behind what has no end of line.
    let lines = log.lines().map(|line| line.split("verification time ").next().unwrap_or_default().trim());
    lines.rev().find(says).unwrap_or_default().to_owned()
}

/// A line that tells of the way: an instruction, a source line, the registers.
fn is_trace(line: &str) -> bool {
    let number = line.split(':').next().unwrap_or_default();
    line.starts_with(';') || (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// A message without its numbers and names, by which messages of one kind are counted together.
pub(crate) fn family(message: &str) -> String {
    let mut family = String::with_capacity(message.len());
    let mut rest = message.chars().peekable();
    while let Some(c) = rest.next() {
        if !c.is_ascii_digit() {
            family.push(c);
            continue;
        }
        while rest.next_if(|c| c.is_ascii_hexdigit() || *c == 'x').is_some() {}
        family.push('#');
    }
    family
}

/// The number that stands behind `key` in a log (`processed 12 insns`).
pub(crate) fn figure(log: &str, key: &str) -> Option<u64> {
    let (_, rest) = log.rsplit_once(key)?;
    rest.split_whitespace().next()?.parse().ok()
}
