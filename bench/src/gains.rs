//! What each pass of the compiler gives: kernels as native code with the usual passes, and with one of them
//! changed, in turns.

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

/// Times of less than this part from each other are the same.
const NOISE: f64 = 0.02;

/// A kernel's times as ratios to clang's native code: with the usual passes, then with each of some changed.
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
            print(&title, &wanted.passes, &rows.collect::<Result<Vec<Row>, String>>()?);
        }
    }
    Ok(())
}

/// Prints a table for the programs of examples/.
pub(crate) fn measure_examples(wanted: &Wanted) -> Result<(), String> {
    let rows = examples::each(&wanted.names, |example, empty, packets| {
        let times = |example: &Example| {
            let passes = std::iter::once(Passes::default()).chain(wanted.passes.iter().map(|&pass| changed(pass)));
            least(wanted, examples::by_passes(example, packets, passes)?)
        };
        let (own, empty) = (times(example)?, times(empty)?);
        Ok(Row::of(example.name, &own, &empty))
    })?;
    print("The programs of examples/", &wanted.passes, &rows);
    Ok(())
}

/// Least times of clang's native code, of ours, and of ours without each pass, or with one that is not usual.
fn times(set: &str, kernel: &Kernel, version: &str, wanted: &Wanted) -> Result<Vec<f64>, String> {
    let packet = || (kernel.packet)();
    let mut engines: Vec<Option<Box<dyn Runs>>> =
        vec![Some(Box::new(Native::open(&CLANG.native(set, kernel)?, packet())?))];
    for passes in std::iter::once(Passes::default()).chain(wanted.passes.iter().map(|&pass| changed(pass))) {
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

/// The usual passes without this one, or with it, if it is not usual.
fn changed(pass: Pass) -> Passes {
    let usual = Passes::default();
    if usual.has(pass) { usual.without(pass) } else { usual.with(pass) }
}

fn print(title: &str, passes: &[Pass], rows: &[Row]) {
    let mean = |column: usize| {
        let logs: Vec<f64> = rows.iter().map(|row| row.ratios[column].ln()).collect();
        (logs.iter().sum::<f64>() / logs.len() as f64).exp()
    };
    println!("{title}, the usual passes: {:.3} of clang's time.\n", mean(0));
    println!("| change | geometric mean | kernels that take longer | that take less |\n|---|---:|---|---|");
    for (column, pass) in (1..).zip(passes) {
        let mut changes: Vec<(f64, &Row)> =
            rows.iter().map(|row| (row.ratios[column] / row.ratios[0] - 1.0, row)).collect();
        changes.sort_by(|(one, _), (other, _)| other.abs().total_cmp(&one.abs()));
        let list = |sign: f64| {
            let these = changes.iter().filter(|(change, _)| change * sign > NOISE);
            let texts =
                these.map(|(_, row)| format!("{} {:.2} ({:.2})", row.kernel, row.ratios[column], row.ratios[0]));
            texts.collect::<Vec<String>>().join(", ")
        };
        let how = if Passes::default().has(*pass) { "without" } else { "with" };
        println!("| {how} `{}` | {:.3} | {} | {} |", pass.name(), mean(column), list(1.0), list(-1.0));
    }
    println!();
}
