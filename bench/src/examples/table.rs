//! What was measured, in Markdown.

use super::{COLUMNS, Hook, Row};
use crate::rounds::Time;
use std::fmt;

pub(super) struct Table<'a>(pub(super) &'a [Row]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "### The networking programs of examples/\n\nNanoseconds a packet:\n")?;
        writeln!(
            f,
            "| program |{}",
            COLUMNS.iter().map(|column| format!(" {} ns | × |", column.name)).collect::<String>()
        )?;
        writeln!(f, "|---|{}", "---:|---:|".repeat(COLUMNS.len()))?;
        for (hook, name) in [(Hook::Xdp, "empty, XDP"), (Hook::Tc, "empty, tc")] {
            if let Some(row) = self.0.iter().find(|row| row.hook == hook) {
                let cells = row.empty.iter().map(|time| format!(" {} | |", cell(*time)));
                writeln!(f, "| {name} |{}", cells.collect::<String>())?;
            }
        }
        for row in self.0 {
            write!(f, "| {} |", row.name)?;
            for (column, time) in row.times.iter().enumerate() {
                let ratio = ratio(row, column).map_or(String::new(), |ratio| format!("{ratio:.2}"));
                write!(f, " {} | {ratio} |", cell(*time))?;
            }
            writeln!(f)?;
        }
        write!(f, "| **geometric mean** |")?;
        for column in 0..COLUMNS.len() {
            let ratios: Vec<f64> = self.0.iter().filter_map(|row| ratio(row, column)).collect();
            let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
            match ratios.len() {
                0 => write!(f, " | |")?,
                all if all == self.0.len() => write!(f, " | **{mean:.2}** |")?,
                some => write!(f, " | {mean:.2} of {some} |")?,
            }
        }
        writeln!(f)
    }
}

fn cell(time: Option<Time>) -> String {
    time.map_or(String::new(), |time| format!("{:.1} ({:.1})", time.least, time.median))
}

/// How many times that of the first column it takes, without the empty program.
fn ratio(row: &Row, column: usize) -> Option<f64> {
    let own = |column: usize| Some(row.times[column]?.least - row.empty[column]?.least);
    Some(own(column)? / own(0)?)
}
