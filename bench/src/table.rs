//! Times of a set by kernel and engine, as a table in Markdown.

use crate::{
    EMPTY,
    engines::{self, Column},
    rounds::{Rounds, Time},
    set::{FIRST, Set},
};
use std::fmt;

/// What was measured of a set.
pub(crate) struct Table {
    set: &'static Set,
    version: &'static str,
    columns: Vec<Column>,
    empty: Vec<Option<Time>>,
    pub(crate) rows: Vec<(&'static str, Vec<Option<Time>>)>,
}

/// What a kernel is called that no verifier takes.
const UNPROVEN: &str = " (no verifier takes it: as plain memory, nothing known)";

impl Table {
    /// Measures the kernels of a set that are named, or all.
    pub(crate) fn measure(
        set: &'static Set,
        version: &'static str,
        rounds: Rounds,
        names: &[String],
    ) -> Result<Table, String> {
        let columns = engines::columns(set.name == FIRST.name);
        let empty = engines::measure(&columns, FIRST.name, &EMPTY, version, rounds)?;
        let wanted = set.kernels.iter().filter(|kernel| names.is_empty() || names.iter().any(|n| n == kernel.name));
        let row = |kernel| engines::measure(&columns, set.name, kernel, version, rounds);
        let rows = wanted.map(|kernel| Ok((kernel.name, row(kernel)?))).collect::<Result<_, String>>()?;
        Ok(Table { set, version, columns, empty, rows })
    }

    /// The names of its columns.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().map(|column| column.name)
    }

    /// An engine's least time without that of the empty kernel, in ns.
    fn own(&self, times: &[Option<Time>], column: usize) -> Option<f64> {
        Some(times[column]?.least - self.empty[column]?.least)
    }

    /// How many times that of the first column it is.
    pub(crate) fn ratio(&self, times: &[Option<Time>], column: usize) -> Option<f64> {
        Some(self.own(times, column)? / self.own(times, 0)?)
    }

    /// The geometric mean of an engine's ratios, and of how many.
    pub(crate) fn mean(&self, column: usize, without: &[&str]) -> Option<(f64, usize)> {
        let rows = self.rows.iter().filter(|(name, _)| !without.contains(name));
        let logs: Vec<f64> = rows.filter_map(|(_, times)| self.ratio(times, column)).map(f64::ln).collect();
        (!logs.is_empty()).then(|| ((logs.iter().sum::<f64>() / logs.len() as f64).exp(), logs.len()))
    }

    fn write_mean(&self, f: &mut fmt::Formatter<'_>, name: &str, without: &[&str]) -> fmt::Result {
        let count = self.rows.iter().filter(|(name, _)| !without.contains(name)).count();
        write!(f, "| **{name}** |")?;
        for column in 0..self.columns.len() {
            match self.mean(column, without) {
                Some((mean, of)) if of == count => write!(f, " | **{mean:.2}** |")?,
                Some((mean, of)) => write!(f, " | {mean:.2} of {of} |")?,
                None => write!(f, " | |")?,
            }
        }
        writeln!(f)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The {} set, `-mcpu={}`:\n", self.set.name, self.version)?;
        writeln!(f, "| bench |{}", self.names().map(|name| format!(" {name} ns | × |")).collect::<String>())?;
        writeln!(f, "|---|{}", "---:|---:|".repeat(self.columns.len()))?;
        let cell = |time: &Option<Time>| time.map_or(String::new(), |t| format!("{:.1} ({:.1})", t.least, t.median));
        writeln!(f, "| empty |{}", self.empty.iter().map(|time| format!(" {} | |", cell(time))).collect::<String>())?;
        for (name, times) in &self.rows {
            let unproven = self.set.kernels.iter().any(|kernel| kernel.name == *name && kernel.unproven);
            write!(f, "| {name}{} |", if unproven { UNPROVEN } else { "" })?;
            for (column, time) in times.iter().enumerate() {
                let ratio = self.ratio(times, column).map_or(String::new(), |ratio| format!("{ratio:.2}"));
                write!(f, " {} | {ratio} |", cell(time))?;
            }
            writeln!(f)?;
        }
        self.write_mean(f, "geometric mean", &[])?;
        if !self.set.apart.is_empty() {
            self.write_mean(f, &format!("without {}", self.set.apart.join(", ")), self.set.apart)?;
        }
        Ok(())
    }
}
