//! What a run comes to: counted while it goes on, then as text or as JSON.

use super::{On, dump::Dump, outputs, proof::Proof};
use crate::table::{HEADING, grouped, printable};
use alveary::Dropped;
use alveary_abi::{Profile, ProgType};
use alveary_diag::Diagnostic;
use serde_json::{Map as Object, Value, json};
use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

/// Verdicts that are shown one by one; a socket filter may give as many as there are lengths.
const SHOWN: usize = 12;

/// Least width of the column of numbers: tables of several runs stand below each other.
const NUMBERS: usize = 12;

/// Small codes are counted in an array: all that have names.
const SMALL: usize = 16;

/// Numbers of a run.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) packets: u64,
    /// Captured bytes before the program.
    pub(super) bytes: u64,
    pub(super) changed: u64,
    /// Packets in which the program was stopped.
    pub(super) stopped: u64,
    /// Packets that the stack dropped, whatever the program returned, and why.
    pub(super) dropped: BTreeMap<Dropped, u64>,
    /// Packets that the target takes for none.
    pub(super) refused: u64,
    /// Why the first of them, and its number.
    pub(super) refusal: Option<(Diagnostic, u64)>,
    /// Runs, instructions and time: of all repetitions.
    pub(super) runs: u64,
    pub(super) insns: u64,
    pub(super) time: Duration,
    small: [u64; SMALL],
    others: BTreeMap<i32, u64>,
}

impl Totals {
    /// Counts a verdict.
    #[inline]
    pub(super) fn count(&mut self, code: i32) {
        match usize::try_from(code).ok().and_then(|code| self.small.get_mut(code)) {
            Some(count) => *count += 1,
            None => *self.others.entry(code).or_default() += 1,
        }
    }

    /// Verdicts that were given, and how often.
    fn verdicts(&self) -> impl Iterator<Item = (i32, u64)> + '_ {
        let small = self.small.iter().enumerate().map(|(code, count)| (code as i32, *count));
        small.chain(self.others.iter().map(|(code, count)| (*code, *count))).filter(|(_, count)| *count > 0)
    }
}

/// A run that has ended.
pub(super) struct Summary<'a> {
    pub(super) program: &'a str,
    pub(super) ty: ProgType,
    pub(super) profile: &'a Profile,
    pub(super) capture: &'a str,
    pub(super) on: On,
    /// What is proven, where user space runs it.
    pub(super) proof: Option<&'a Proof>,
    pub(super) totals: &'a Totals,
    pub(super) dumps: &'a [Dump],
}

impl Summary<'_> {
    /// For machines: one object.
    pub(super) fn json(&self) -> Value {
        let totals = self.totals;
        let verdicts = totals.verdicts().map(|(code, count)| (self.name(code), count.into()));
        let insns = self.counts().then(|| tenths(totals.insns as f64, totals.runs));
        let mut object = json!({
            "program": self.program,
            "type": self.type_name(),
            "target": self.on.name(),
            "packets": totals.packets,
            "bytes": totals.bytes,
            "verdicts": verdicts.collect::<Object<_, _>>(),
            "stopped": totals.stopped,
            "changed": totals.changed,
            "ns_per_packet": tenths(totals.time.as_nanos() as f64, totals.runs),
            "insns_per_packet": insns,
            "verified": self.unproven().is_none(),
            "maps": self.dumps.iter().map(|d| (d.name().to_owned(), d.json())).collect::<Object<_, _>>(),
        });
        if let Some(why) = self.unproven() {
            object["unverified_because"] = why.into();
        }
        if !totals.dropped.is_empty() {
            let dropped = totals.dropped.iter().map(|(why, count)| (why.to_string(), (*count).into()));
            object["dropped_by_stack"] = dropped.collect::<Object<_, _>>().into();
        }
        if totals.refused > 0 {
            object["refused"] = totals.refused.into();
        }
        object
    }

    /// Why the program runs checked, if it does.
    fn unproven(&self) -> Option<&str> {
        self.proof.and_then(Proof::unproven)
    }

    /// Whether its instructions were counted: those of proven programs are not.
    fn counts(&self) -> bool {
        self.unproven().is_some()
    }

    /// For people: a table, and the maps.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let totals = self.totals;
        let (program, capture) = (printable(self.program), printable(self.capture));
        writeln!(out, "{HEADING}{program}{HEADING:#}: {} program over {capture}\n", self.type_name())?;
        let share = |count: u64| format!("{:.1} %", 100.0 * count as f64 / totals.packets.max(1) as f64);
        let mut lines = vec![
            ("packets".to_owned(), grouped(totals.packets), String::new()),
            ("bytes".to_owned(), grouped(totals.bytes), String::new()),
        ];
        let mut hidden = 0;
        for (at, (code, count)) in totals.verdicts().enumerate() {
            if at < SHOWN {
                lines.push((self.label(code), grouped(count), share(count)));
            } else {
                hidden += count;
            }
        }
        if hidden > 0 {
            lines.push(("other verdicts".to_owned(), grouped(hidden), share(hidden)));
        }
        for (why, count) in &totals.dropped {
            lines.push((format!("  {why}"), grouped(*count), share(*count)));
        }
        if totals.stopped > 0 {
            lines.push(("stopped".to_owned(), grouped(totals.stopped), share(totals.stopped)));
        }
        if totals.refused > 0 {
            lines.push(("refused".to_owned(), grouped(totals.refused), share(totals.refused)));
        }
        lines.push(("changed".to_owned(), grouped(totals.changed), share(totals.changed)));
        lines.push((
            "ns per packet".to_owned(),
            grouped_tenths(tenths(totals.time.as_nanos() as f64, totals.runs)),
            String::new(),
        ));
        if self.counts() {
            let insns = grouped_tenths(tenths(totals.insns as f64, totals.runs));
            lines.push(("insns per packet".to_owned(), insns, String::new()));
        }
        columns(&lines, out)?;
        self.dumps.iter().try_for_each(|dump| {
            writeln!(out)?;
            dump.write(out)
        })
    }

    fn type_name(&self) -> &'static str {
        self.profile.prog_type(self.ty).map_or("unknown", |row| row.name)
    }

    fn name(&self, code: i32) -> String {
        outputs::verdict(self.ty, code, self.profile.verdict_name(self.ty, code)).into_owned()
    }

    /// A verdict as the table calls it.
    fn label(&self, code: i32) -> String {
        match (self.profile.verdict_name(self.ty, code), self.ty, code) {
            (Some(name), ..) => name.to_owned(),
            (None, ProgType::SOCKET_FILTER, 0) => "dropped".to_owned(),
            (None, ProgType::SOCKET_FILTER, length) => format!("accepted {}", grouped((length as u32).into())),
            (None, _, code) => format!("unknown {code}"),
        }
    }
}

/// An average with one digit behind the point.
fn tenths(sum: f64, count: u64) -> f64 {
    (10.0 * sum / count.max(1) as f64).round() / 10.0
}

/// `1,234.5`; a tenth of a million says nothing.
fn grouped_tenths(number: f64) -> String {
    let tenths = (10.0 * number).round() as u64;
    match grouped(tenths / 10) {
        large if tenths > 10_000_000 => large,
        small => format!("{small}.{}", tenths % 10),
    }
}

fn columns(lines: &[(String, String, String)], out: &mut dyn Write) -> io::Result<()> {
    let width = |cell: fn(&(String, String, String)) -> &String| lines.iter().map(|l| cell(l).len()).max().unwrap_or(0);
    let (names, numbers, shares) = (width(|l| &l.0), width(|l| &l.1).max(NUMBERS), width(|l| &l.2));
    lines.iter().try_for_each(|(name, number, share)| {
        let line = format!("  {name:names$}  {number:>numbers$}  {share:>shares$}");
        writeln!(out, "{}", line.trim_end())
    })
}
