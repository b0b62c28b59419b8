//! `alveary prog top`: which programs run, how often and for how long.

use crate::{
    bpftool::{
        json::Json,
        options::{Options, Shape},
        select,
    },
    failure::Failure,
    output,
    table::{Align, Table, grouped},
};
use alveary_abi::Profile;
use alveary_linux::sys::{self, Object, ProgParts};
use clap::Args;
use std::{
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    thread,
    time::{Duration, Instant},
};

/// Show which programs run, how often and for how long: again and again
///
/// The kernel counts runs only while someone asks for it, which costs each run some time. On a terminal each look takes the
/// place of the one before; elsewhere they follow each other, with --json as one object a line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary prog top
  alveary prog top --interval 200 --looks 5 --json")]
pub(super) struct Top {
    /// How often to look, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    interval: u64,

    /// End after so many looks
    #[arg(long, value_name = "N")]
    looks: Option<u64>,
}

/// Where a terminal's screen begins, and nothing behind it.
const CLEAR: &str = "\x1b[H\x1b[2J\x1b[3J";

impl Top {
    pub(super) fn run(&self, options: Options, json: bool) -> Result<(), Failure> {
        let shape = options.shape(json);
        let counted = sys::enable_stats()?;
        let (mut before, mut since) = (snapshot()?, Instant::now());
        for _ in 0..self.looks.unwrap_or(u64::MAX) {
            thread::sleep(Duration::from_millis(self.interval));
            let (now, at) = (snapshot()?, Instant::now());
            let rows = rows(&before, &now);
            let time = at - since;
            output::write(|out| match shape {
                Shape::Text => text(&rows, time, out),
                Shape::Json { .. } => object(&rows, time, out),
            })?;
            (before, since) = (now, at);
        }
        drop(counted);
        Ok(())
    }
}

/// A program, as it was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    ty: String,
    name: String,
    runs: u64,
    nanoseconds: u64,
}

fn snapshot() -> Result<BTreeMap<u32, Seen>, Failure> {
    let profile = Profile::linux_6_18();
    let mut all = BTreeMap::new();
    for fd in select::all(Object::Prog) {
        let info = sys::prog_info(fd?.as_fd(), ProgParts::default())?;
        let ty = profile.prog_type(info.ty).map_or_else(|| format!("type {}", info.ty.0), |row| row.name.to_owned());
        all.insert(info.id, Seen { ty, name: info.name, runs: info.run_count, nanoseconds: info.run_time_ns });
    }
    Ok(all)
}

/// A program, and what it did between two looks.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    id: u32,
    seen: &'a Seen,
    runs: u64,
    nanoseconds: u64,
}

/// Those that ran, the longest first.
fn rows<'a>(before: &BTreeMap<u32, Seen>, now: &'a BTreeMap<u32, Seen>) -> Vec<Row<'a>> {
    let mut rows: Vec<_> = now
        .iter()
        .map(|(id, seen)| {
            let (runs, nanoseconds) = before.get(id).map_or((0, 0), |seen| (seen.runs, seen.nanoseconds));
            Row {
                id: *id,
                seen,
                runs: seen.runs.saturating_sub(runs),
                nanoseconds: seen.nanoseconds.saturating_sub(nanoseconds),
            }
        })
        .filter(|row| row.runs > 0)
        .collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.nanoseconds), row.id));
    rows
}

/// Of one CPU, in hundredths of a percent.
fn share(nanoseconds: u64, time: Duration) -> u64 {
    (u128::from(nanoseconds) * 10_000 / time.as_nanos().max(1)) as u64
}

fn text(rows: &[Row<'_>], time: Duration, out: &mut dyn Write) -> io::Result<()> {
    if io::stdout().is_terminal() {
        write!(out, "{CLEAR}")?;
    }
    let right = |name| (name, Align::Right);
    let mut table = Table::new([
        right("id"),
        ("type", Align::Left),
        ("name", Align::Left),
        right("runs"),
        right("ns per run"),
        right("CPU %"),
    ]);
    for row in rows {
        let share = share(row.nanoseconds, time);
        table.row([
            row.id.to_string(),
            row.seen.ty.clone(),
            row.seen.name.clone(),
            grouped(row.runs),
            grouped(row.nanoseconds / row.runs),
            format!("{}.{:02}", share / 100, share % 100),
        ]);
    }
    if rows.is_empty() {
        writeln!(out, "no program ran")?;
    } else {
        table.write("", out)?;
    }
    writeln!(out)
}

fn object(rows: &[Row<'_>], time: Duration, out: &mut dyn Write) -> io::Result<()> {
    Json::new(&mut *out, false).object(|json| {
        json.field("ns", time.as_nanos() as u64)?;
        json.name("programs")?;
        json.array(|json| {
            rows.iter().try_for_each(|row| {
                json.object(|json| {
                    json.field("id", row.id)?;
                    json.field("type", &row.seen.ty)?;
                    json.field("name", &row.seen.name)?;
                    json.field("run_cnt", row.runs)?;
                    json.field("run_time_ns", row.nanoseconds)
                })
            })
        })
    })?;
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_longest_comes_first() {
        let seen = |runs, nanoseconds| Seen { ty: "xdp".into(), name: "p".into(), runs, nanoseconds };
        let before = BTreeMap::from([(1, seen(5, 100)), (2, seen(7, 700)), (3, seen(1, 1))]);
        let now = BTreeMap::from([(1, seen(6, 110)), (2, seen(9, 900)), (3, seen(1, 1)), (4, seen(1, 50))]);
        let found: Vec<_> = rows(&before, &now).iter().map(|row| (row.id, row.runs, row.nanoseconds)).collect();
        assert_eq!(found, [(2, 2, 200), (4, 1, 50), (1, 1, 10)]);
        assert_eq!(share(500, Duration::from_nanos(1000)), 5000);
    }
}
