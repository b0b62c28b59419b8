//! What the kernel counted of its programs, between two looks.

use crate::{bpftool::select, failure::Failure};
use alveary_abi::Profile;
use alveary_linux::sys::{self, Object, ProgParts};
use alveary_sort::Sort;
use clap::ValueEnum;
use std::{
    cmp::Ordering,
    collections::BTreeMap,
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// What rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Column {
    /// The program's id
    Id,
    /// Its type
    Type,
    /// Its name
    Name,
    /// How often it ran
    Runs,
    /// Time of a run
    Average,
    /// Time of all runs
    Cpu,
}

/// A program, as it was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) ty: String,
    pub(super) name: String,
    pub(super) runs: u64,
    pub(super) nanoseconds: u64,
}

/// A program, and what it did between two looks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) id: u32,
    pub(super) seen: &'a Seen,
    pub(super) runs: u64,
    pub(super) nanoseconds: u64,
}

/// All programs by id.
type Counts = BTreeMap<u32, Seen>;

/// What was counted, and what before that.
pub(super) struct Look {
    before: Counts,
    now: Counts,
    at: Instant,
    time: Duration,
}

impl Look {
    /// The first one, to which the next is compared.
    pub(super) fn first() -> Result<Look, Failure> {
        let now = counts()?;
        Ok(Look { before: now.clone(), now, at: Instant::now(), time: Duration::ZERO })
    }

    /// The next one.
    pub(super) fn next(self) -> Result<Look, Failure> {
        let now = counts()?;
        let at = Instant::now();
        Ok(Look { before: self.now, now, time: at - self.at, at })
    }

    /// A look at what was counted earlier.
    #[cfg(test)]
    pub(super) fn of(before: Counts, now: Counts, time: Duration) -> Look {
        Look { before, now, at: Instant::now(), time }
    }

    /// How long after the one before it.
    pub(super) fn time(&self) -> Duration {
        self.time
    }

    /// The programs that there are.
    pub(super) fn programs(&self) -> usize {
        self.now.len()
    }

    /// Those that ran meanwhile, in this order.
    pub(super) fn rows(&self, by: Column, reversed: bool) -> Vec<Row<'_>> {
        let mut rows: Vec<_> = self.now.iter().map(|(id, seen)| self.row(*id, seen)).filter(|r| r.runs > 0).collect();
        rows.order_by(|a, b| {
            let order = by.compare(a, b);
            (if reversed { order.reverse() } else { order }).then(a.id.cmp(&b.id))
        });
        rows
    }

    fn row<'a>(&self, id: u32, seen: &'a Seen) -> Row<'a> {
        let (runs, nanoseconds) = self.before.get(&id).map_or((0, 0), |seen| (seen.runs, seen.nanoseconds));
        Row {
            id,
            seen,
            runs: seen.runs.saturating_sub(runs),
            nanoseconds: seen.nanoseconds.saturating_sub(nanoseconds),
        }
    }
}

impl Row<'_> {
    /// Time of a run.
    pub(super) fn average(&self) -> u64 {
        self.nanoseconds / self.runs.max(1)
    }
}

impl Column {
    /// Which of two rows comes first: of numbers the larger.
    fn compare(self, a: &Row<'_>, b: &Row<'_>) -> Ordering {
        match self {
            Column::Id => a.id.cmp(&b.id),
            Column::Type => a.seen.ty.cmp(&b.seen.ty),
            Column::Name => a.seen.name.cmp(&b.seen.name),
            Column::Runs => b.runs.cmp(&a.runs),
            Column::Average => b.average().cmp(&a.average()),
            Column::Cpu => b.nanoseconds.cmp(&a.nanoseconds),
        }
    }
}

fn counts() -> Result<Counts, Failure> {
    let profile = Profile::linux_6_18();
    let mut all = Counts::new();
    for fd in select::all(Object::Prog) {
        let info = sys::prog_info(fd?.as_fd(), ProgParts::default())?;
        let ty = profile.prog_type(info.ty).map_or_else(|| format!("type {}", info.ty.0), |row| row.name.to_owned());
        all.insert(info.id, Seen { ty, name: info.name, runs: info.run_count, nanoseconds: info.run_time_ns });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_by_each_column() {
        let seen =
            |ty: &str, name: &str, runs, nanoseconds| Seen { ty: ty.into(), name: name.into(), runs, nanoseconds };
        let before = [(1, seen("xdp", "c", 5, 100)), (2, seen("kprobe", "b", 7, 700)), (3, seen("xdp", "idle", 1, 1))];
        let now = [
            (1, seen("xdp", "c", 6, 110)),
            (2, seen("kprobe", "b", 9, 900)),
            (3, seen("xdp", "idle", 1, 1)),
            (4, seen("lsm", "a", 5, 250)),
        ];
        let look = Look::of(Counts::from(before), Counts::from(now), Duration::from_secs(1));
        let ids = |by, reversed| look.rows(by, reversed).iter().map(|row| row.id).collect::<Vec<_>>();
        for (by, expected) in [
            (Column::Cpu, [4, 2, 1]),
            (Column::Runs, [4, 2, 1]),
            (Column::Average, [2, 4, 1]),
            (Column::Name, [4, 2, 1]),
            (Column::Type, [2, 4, 1]),
            (Column::Id, [1, 2, 4]),
        ] {
            assert_eq!(ids(by, false), expected, "{by:?}");
            assert_eq!(ids(by, true), expected.into_iter().rev().collect::<Vec<_>>(), "{by:?}");
        }
        let rows = look.rows(Column::Cpu, false);
        assert_eq!((rows[1].runs, rows[1].nanoseconds, rows[1].average()), (2, 200, 100));
    }
}
