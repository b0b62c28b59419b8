//! The engine beside native code, the running kernel and other engines: the same kernels in C on all of them, in turns.
//!
//! `cargo run --release -p alveary-bench [--features peers] -- [--set first|second] [--version v3|v4] [--rounds N]
//! [--svg FILE] [NAME…]` prints tables in Markdown. `cargo xtask bench --peers` puts them into docs/performance.md.
//! `--examples` measures the programs of examples/ in the same way, over the packets of their capture, `--costs` what a
//! run costs before the program does anything and what compiling takes, `--passes NAME,…|all` what passes of the
//! compiler give (`NAME+NAME`: without both), with `--examples` to those.

mod alone;
mod arena;
mod chart;
mod compile;
mod costs;
mod engines;
mod examples;
mod gains;
mod helpers;
mod kernel;
mod machine;
mod native;
mod ours;
mod packet;
#[cfg(feature = "peers")]
mod peers;
mod rounds;
mod set;
mod table;
#[cfg(test)]
mod tests;

use alveary_runtime::Pass;
use gains::Change;
use rounds::Rounds;
use set::{EMPTY, FIRST, SECOND, Set};
use std::{path::PathBuf, process::ExitCode, time::Duration};
use table::Table;

/// What is asked for.
struct Wanted {
    sets: Vec<&'static Set>,
    versions: Vec<&'static str>,
    rounds: Rounds,
    svg: Option<PathBuf>,
    names: Vec<String>,
    examples: bool,
    costs: bool,
    /// Passes whose gain is measured.
    changes: Vec<Change>,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|wanted| measure(&wanted)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        sets: vec![&FIRST, &SECOND],
        versions: compile::VERSIONS.to_vec(),
        rounds: Rounds { count: 25, batch: Duration::from_millis(2) },
        svg: None,
        names: vec![],
        examples: false,
        costs: false,
        changes: vec![],
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--set" => wanted.sets = vec![one_of(&[&FIRST, &SECOND], |set| set.name, &value()?)?],
            "--version" => wanted.versions = vec![one_of(&compile::VERSIONS, |version| version, &value()?)?],
            "--rounds" => wanted.rounds.count = value()?.parse().map_err(|_| "--rounds takes a number")?,
            "--svg" => wanted.svg = Some(value()?.into()),
            "--examples" => wanted.examples = true,
            "--costs" => wanted.costs = true,
            "--passes" => wanted.changes = changes(&value()?)?,
            name if name.starts_with('-') => return Err(format!("there is no option {name}")),
            name => wanted.names.push(name.to_owned()),
        }
    }
    Ok(wanted)
}

/// Of names such as `sum,compare` and `sum+compare`.
fn changes(names: &str) -> Result<Vec<Change>, String> {
    let all: Vec<Pass> = Pass::all().collect();
    if names == "all" {
        return Ok(all.into_iter().map(|pass| Change(vec![pass])).collect());
    }
    let one = |name| one_of(&all, Pass::name, name);
    names.split(',').map(|names| Ok(Change(names.split('+').map(one).collect::<Result<_, _>>()?))).collect()
}

fn one_of<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str, wanted: &str) -> Result<T, String> {
    let names = || all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", ");
    all.iter().copied().find(|one| name(*one) == wanted).ok_or_else(|| format!("`{wanted}` is none of {}", names()))
}

fn measure(wanted: &Wanted) -> Result<(), String> {
    let _scratch = compile::Scratch;
    if wanted.examples && !wanted.changes.is_empty() {
        return gains::measure_examples(wanted);
    }
    if wanted.examples {
        return examples::measure(wanted.rounds, &wanted.names);
    }
    if wanted.costs {
        return costs::measure(wanted.rounds);
    }
    println!("{}\n", machine::describe());
    if !wanted.changes.is_empty() {
        return gains::measure(wanted);
    }
    for set in &wanted.sets {
        for version in &wanted.versions {
            let table = Table::measure(set, version, wanted.rounds, &wanted.names)?;
            println!("{table}");
            if let Some(svg) = wanted.svg.as_ref().filter(|_| set.name == FIRST.name && *version == "v3") {
                std::fs::write(svg, chart::draw(&table)).map_err(|error| format!("{}: {error}", svg.display()))?;
            }
        }
    }
    Ok(())
}
