//! `cargo xtask fuzz [--seconds N] [--smoke] [TARGET…]`: runs the fuzz targets, one after the other, N seconds each.
//!
//! cargo-fuzz builds them with its sanitizer's flags, which are nightly's; the stable compiler takes them on request.
//! `--smoke` builds them in a third of the time, neither optimised nor with the sanitizer: whether they still run, as the
//! test run asks. Without cargo-fuzz there is [`replay`]: the same bodies over the seeds and some thousand changes of them.

use crate::{
    Outcome,
    process::{cargo, exists, path, run},
};
use std::fs;

const SECONDS: u64 = 600;

/// How cargo-fuzz builds what is only to be seen running.
const SMOKE: &[&str] = &["--dev", "--sanitizer", "none"];

#[derive(Debug, PartialEq, Eq)]
struct Order {
    seconds: u64,
    smoke: bool,
    /// All, if there are none.
    targets: Vec<String>,
}

/// The command.
pub(crate) fn run_targets(arguments: &[String]) -> Outcome {
    let Order { seconds, smoke, targets: wanted } = parse(arguments)?;
    let how = if smoke { SMOKE } else { &[] };
    let all = targets()?;
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        return Err(format!("there is no target `{unknown}`; there are {}", all.join(", ")));
    }
    if let Some(obstacle) = obstacle() {
        return Err(obstacle);
    }
    let chosen = if wanted.is_empty() { all } else { wanted };
    // All at once first: only then does the time of each begin.
    run(fuzz("build").args(how).env("RUSTC_BOOTSTRAP", "1"))?;
    chosen.iter().try_for_each(|target| {
        println!("\n{target}: {seconds} s");
        let corpus = path("fuzz/corpus").join(target);
        fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
        let mut command = fuzz("run");
        command.args(how).arg(target).arg(corpus).arg(path("fuzz/seeds").join(target));
        // A finding is: a failed assertion, an error of memory, 1 GiB held, 10 seconds for one input.
        command.args(["--", "-rss_limit_mb=1024", "-timeout=10", "-print_final_stats=1"]);
        run(command.arg(format!("-max_total_time={seconds}")).env("RUSTC_BOOTSTRAP", "1"))
    })
}

/// What hinders real fuzzing here.
pub(crate) fn obstacle() -> Option<String> {
    (!exists("cargo-fuzz")).then(|| "cargo-fuzz is not installed: `cargo install --locked cargo-fuzz`".into())
}

/// The bodies of the targets over their seeds, without a fuzzer.
pub(crate) fn replay() -> Outcome {
    run(&mut cargo(&["test", "--manifest-path", "fuzz/Cargo.toml", "--no-default-features", "--test", "replay"]))
}

fn fuzz(what: &str) -> std::process::Command {
    cargo(&["fuzz", what])
}

fn parse(arguments: &[String]) -> Result<Order, String> {
    let mut order = Order { seconds: SECONDS, smoke: false, targets: Vec::new() };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let number = arguments.next().and_then(|number| number.parse().ok()).filter(|seconds| *seconds > 0);
            order.seconds = number.ok_or("--seconds takes a number from 1 on")?;
        } else if argument == "--smoke" {
            order.smoke = true;
        } else {
            order.targets.push(argument.clone());
        }
    }
    Ok(order)
}

/// The names of the targets: those of their files.
fn targets() -> Result<Vec<String>, String> {
    let folder = path("fuzz/fuzz_targets");
    let files = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut names: Vec<String> =
        files.filter_map(|file| Some(file.ok()?.file_name().to_str()?.strip_suffix(".rs")?.to_owned())).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_seconds_and_targets() {
        let parsed = |words: &[&str]| parse(&words.iter().map(|word| word.to_string()).collect::<Vec<_>>());
        let order = |seconds, smoke, targets: &[&str]| {
            Ok(Order { seconds, smoke, targets: targets.iter().map(|target| target.to_string()).collect() })
        };
        assert_eq!(parsed(&[]), order(SECONDS, false, &[]));
        assert_eq!(parsed(&["elf", "--seconds", "5", "btf", "--smoke"]), order(5, true, &["elf", "btf"]));
        assert!(parsed(&["--seconds"]).is_err());
        assert!(parsed(&["--seconds", "0"]).is_err());
    }

    #[test]
    fn every_target_has_seeds() {
        for target in targets().expect("a readable folder") {
            assert!(path("fuzz/seeds").join(&target).is_dir(), "{target}");
        }
    }
}
