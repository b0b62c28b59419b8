//! Both targets at once: each packet on either, the first difference kept.

use super::{
    dump::Dump,
    engine::{Engine, Judged, OnLinux, OnUser, Stopped},
    outputs::hex,
};
use alveary::Packet;
use alveary_diag::{Diagnostic, Place};
use std::time::Duration;

/// Either target, in step. What is shown is the user-space kernel's.
pub(super) struct Both<'c> {
    user: OnUser<'c>,
    linux: OnLinux,
    packets: u64,
    /// What either left of a packet.
    left: [Vec<u8>; 2],
    took: Duration,
    first: Option<Diagnostic>,
}

impl<'c> Both<'c> {
    pub(super) fn new(user: OnUser<'c>, linux: OnLinux) -> Both<'c> {
        Both { user, linux, packets: 0, left: [Vec::new(), Vec::new()], took: Duration::ZERO, first: None }
    }

    /// The first packet on which they differ, and in what.
    pub(super) fn difference(&self) -> Option<Diagnostic> {
        self.first.clone()
    }

    fn compare(&self, ours: &Judged, theirs: &Judged) -> Option<Diagnostic> {
        let differ = |what: &str, ours: String, theirs: String| {
            let message = format!("packet {}: user and linux differ in {what}", self.packets);
            Some(Diagnostic::new("difference", message, Place::Nowhere).expected(theirs).found(ours))
        };
        if ours.code != theirs.code {
            let verdict = |judged: &Judged| judged.name.map_or_else(|| judged.code.to_string(), str::to_owned);
            return differ("the verdict", verdict(ours), verdict(theirs));
        }
        let [mine, other] = &self.left;
        if mine.len() != other.len() {
            return differ("length", format!("{} bytes", mine.len()), format!("{} bytes", other.len()));
        }
        let at = mine.iter().zip(other).position(|(a, b)| a != b)?;
        let shown = |bytes: &[u8]| {
            let mut text = String::new();
            hex(&bytes[at..bytes.len().min(at + 8)], &mut text);
            text
        };
        differ(&format!("byte {at}"), shown(mine), shown(other))
    }
}

impl Engine for Both<'_> {
    fn run(&mut self, packet: &Packet<'_>, left: Option<&mut Vec<u8>>) -> Result<Judged, Stopped> {
        self.packets += 1;
        let [mine, other] = &mut self.left;
        mine.clear();
        other.clear();
        let theirs = self.linux.run(packet, Some(other));
        let since = std::time::Instant::now();
        // What the kernel takes for no packet is none to compare.
        let theirs = theirs?;
        let ours = self.user.run(packet, Some(mine))?;
        self.took += since.elapsed();
        if self.first.is_none() {
            self.first = self.compare(&ours, &theirs);
        }
        if let Some(left) = left {
            left.extend_from_slice(&self.left[0]);
        }
        Ok(ours)
    }

    fn took(&mut self) -> Option<Duration> {
        Some(std::mem::take(&mut self.took))
    }
}

/// The first map in which the targets differ.
pub(super) fn maps(ours: &[Dump], theirs: &[Dump]) -> Option<Diagnostic> {
    ours.iter().find_map(|map| {
        let other = theirs.iter().find(|other| other.name() == map.name())?;
        let [found, expected] = map.difference(other)?;
        let message = format!("user and linux differ in map `{}`", map.name());
        Some(Diagnostic::new("difference", message, Place::Nowhere).expected(expected).found(found))
    })
}
