//! Both targets at once: each packet on either, the first difference kept.

use super::{
    dump::Dump,
    engine::{Engine, Judged, OnLinux, OnUser, Stopped},
    outputs::hex,
};
use alveary::{Context, Packet};
use alveary_diag::{Diagnostic, Place};
use alveary_spec::Program;
use std::time::Duration;

/// Either target, in step. What is shown is the user-space kernel's.
pub(super) struct Both<'c> {
    user: OnUser<'c>,
    linux: OnLinux,
    packets: u64,
    /// What either left of a packet.
    left: [Vec<u8>; 2],
    /// And of its context.
    contexts: [Context; 2],
    took: Duration,
    first: Option<Diagnostic>,
}

impl<'c> Both<'c> {
    pub(super) fn new(user: OnUser<'c>, linux: OnLinux) -> Both<'c> {
        Both {
            user,
            linux,
            packets: 0,
            left: Default::default(),
            contexts: Default::default(),
            took: Duration::ZERO,
            first: None,
        }
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
        if let Some(at) = mine.iter().zip(other).position(|(a, b)| a != b) {
            return differ(&format!("byte {at}"), shown(&mine[at..]), shown(&other[at..]));
        }
        let [mine, other] = &self.contexts;
        if mine.metadata != other.metadata {
            return differ("metadata", shown(&mine.metadata), shown(&other.metadata));
        }
        let mut fields = mine.fields.iter().zip(&other.fields);
        let ((name, ours), (_, theirs)) = fields.find(|(ours, theirs)| ours != theirs)?;
        differ(&format!("`{name}`"), format!("{ours:#x}"), format!("{theirs:#x}"))
    }
}

impl Engine for Both<'_> {
    fn run(&mut self, packet: &Packet<'_>, left: Option<&mut Vec<u8>>) -> Result<Judged, Stopped> {
        self.packets += 1;
        let [mine, other] = &mut self.left;
        mine.clear();
        other.clear();
        let [context, its_context] = &mut self.contexts;
        let theirs = self.linux.judge(packet, Some(other), Some(its_context));
        let since = std::time::Instant::now();
        // What the kernel takes for no packet is none to compare.
        let theirs = theirs?;
        let ours = self.user.judge(packet, Some(mine), Some(context))?;
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

/// The first bytes.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    hex(&bytes[..bytes.len().min(8)], &mut text);
    text
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

/// What helpers tell a program of a machine that cannot be set on the running kernel: numbers of the helpers, and what.
const OWN: [(i32, &str); 8] = [
    (7, "bpf_get_prandom_u32: the running kernel's randomness takes no seed"),
    (5, "bpf_ktime_get_ns: the running kernel has its own clock"),
    (125, "bpf_ktime_get_boot_ns: the running kernel has its own clock"),
    (160, "bpf_ktime_get_coarse_ns: the running kernel has its own clock"),
    (208, "bpf_ktime_get_tai_ns: the running kernel has its own clock"),
    (118, "bpf_jiffies64: the running kernel has its own clock"),
    (14, "bpf_get_current_pid_tgid: the processes are others"),
    (42, "bpf_get_numa_node_id: the machines are others"),
];

/// A difference, with what of the program makes one likely.
pub(super) fn explained(difference: Diagnostic, program: &Program) -> Diagnostic {
    const CALL: u8 = 0x85;
    let called = |number: i32| program.insns.iter().any(|i| i.op == CALL && i.src.0 == 0 && i.imm == number);
    let own = OWN.iter().filter(|(number, _)| called(*number));
    own.fold(difference, |why, (_, what)| why.note(format!("the program calls {what}")))
}
