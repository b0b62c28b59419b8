//! What passes of the compiler give: kernels as native code with the usual passes, and with some of them changed,
//! in turns.

use crate::{
    Wanted,
    alone::Alone,
    compile::{self, CLANG},
    examples::{self, Example},
    native::Native,
    ours::Ours,
    rounds::Runs,
    set::{EMPTY, FIRST, Kernel},
};
use alveary_runtime::{Pass, Passes};
use std::fmt;

/// Times of less than this part from each other are the same.
const NOISE: f64 = 0.02;

/// Passes that are changed together: those that are usual are left out, the others made.
#[derive(Clone, Debug)]
pub(crate) struct Change(pub(crate) Vec<Pass>);

impl Change {
    fn passes(&self) -> Passes {
        let usual = Passes::default();
        self.0.iter().fold(
            usual,
            |passes, &pass| {
                if usual.has(pass) { passes.without(pass) } else { passes.with(pass) }
            },
        )
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = self.0.iter().map(|&pass| {
            let how = if Passes::default().has(pass) { "without" } else { "with" };
            format!("{how} `{}`", pass.name())
        });
        f.write_str(&texts.collect::<Vec<String>>().join(", "))
    }
}

/// A kernel's times as ratios to clang's native code: with the usual passes, then with each change of them.
struct Row {
    kernel: &'static str,
    ratios: Vec<f64>,
}

impl Row {
    /// Of times in that order behind clang's, without those of a program that does nothing.
    fn of(kernel: &'static str, times: &[f64], empty: &[f64]) -> Row {
        let own: Vec<f64> = times.iter().zip(empty).map(|(all, empty)| all - empty).collect();
        Row { kernel, ratios: own[1..].iter().map(|ours| ours / own[0]).collect() }
    }
}

/// Prints a table for each set and version that is asked for.
pub(crate) fn measure(wanted: &Wanted) -> Result<(), String> {
    for set in &wanted.sets {
        for version in &wanted.versions {
            let empty = times(FIRST.name, &EMPTY, version, wanted)?;
            let named = |kernel: &&Kernel| wanted.names.is_empty() || wanted.names.iter().any(|n| n == kernel.name);
            let rows = set
                .kernels
                .iter()
                .filter(named)
                .map(|kernel| Ok(Row::of(kernel.name, &times(set.name, kernel, version, wanted)?, &empty)));
            let title = format!("The {} set, `-mcpu={version}`", set.name);
            print(&title, &wanted.changes, &rows.collect::<Result<Vec<Row>, String>>()?);
        }
    }
    Ok(())
}

/// Prints a table for the programs of examples/.
pub(crate) fn measure_examples(wanted: &Wanted) -> Result<(), String> {
    let rows = examples::each(&wanted.names, |example, empty, packets| {
        let times = |example: &Example| {
            let passes = with_usual(&wanted.changes);
            least(wanted, examples::by_passes(example, packets, passes)?)
        };
        let (own, empty) = (times(example)?, times(empty)?);
        Ok(Row::of(example.name, &own, &empty))
    })?;
    print("The programs of examples/", &wanted.changes, &rows);
    Ok(())
}

/// Least times of clang's native code, of ours, and of ours with each change.
fn times(set: &str, kernel: &Kernel, version: &str, wanted: &Wanted) -> Result<Vec<f64>, String> {
    let packet = || (kernel.packet)();
    let mut engines: Vec<Option<Box<dyn Runs>>> =
        vec![Some(Box::new(Native::open(&CLANG.native(set, kernel)?, packet())?))];
    for passes in with_usual(&wanted.changes) {
        engines.push(Some(if kernel.unproven {
            Box::new(Alone::link(&compile::plain(set, kernel, version)?, Some(passes), packet())?)
        } else {
            Box::new(Ours::native(&compile::xdp(set, kernel, version)?, passes, &packet())?)
        }));
    }
    least(wanted, engines)
}

fn least(wanted: &Wanted, mut engines: Vec<Option<Box<dyn Runs>>>) -> Result<Vec<f64>, String> {
    let times = wanted.rounds.measure(&mut engines)?;
    Ok(times.into_iter().map(|time| time.map_or(f64::NAN, |time| time.least)).collect())
}

/// The usual passes, and then with each change.
fn with_usual(changes: &[Change]) -> impl Iterator<Item = Passes> {
    std::iter::once(Passes::default()).chain(changes.iter().map(Change::passes))
}

fn print(title: &str, changes: &[Change], rows: &[Row]) {
    let mean = |column: usize| {
        let logs: Vec<f64> = rows.iter().map(|row| row.ratios[column].ln()).collect();
        (logs.iter().sum::<f64>() / logs.len() as f64).exp()
    };
    println!("{title}, the usual passes: {:.3} of clang's time.\n", mean(0));
    println!("| change | geometric mean | kernels that take longer | that take less |\n|---|---:|---|---|");
    for (column, change) in (1..).zip(changes) {
        let mut gains: Vec<(f64, &Row)> =
            rows.iter().map(|row| (row.ratios[column] / row.ratios[0] - 1.0, row)).collect();
        gains.sort_by(|(one, _), (other, _)| other.abs().total_cmp(&one.abs()));
        let list = |sign: f64| {
            let these = gains.iter().filter(|(gain, _)| gain * sign > NOISE);
            let texts =
                these.map(|(_, row)| format!("{} {:.2} ({:.2})", row.kernel, row.ratios[column], row.ratios[0]));
            texts.collect::<Vec<String>>().join(", ")
        };
        println!("| {change} | {:.3} | {} | {} |", mean(column), list(1.0), list(-1.0));
    }
    println!();
}
