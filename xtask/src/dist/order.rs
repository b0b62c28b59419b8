//! `cargo xtask dist --order`: which functions short commands run, for the linker to have them stand side by side.
//!
//! The commands run in valgrind, which tells each instruction's address; the linker's map tells whose it is. The list names
//! functions without the hashes of a build, and members of the C library. What it names is held against each binary that is
//! made.

use super::map::Section;
use crate::{
    Outcome,
    process::{self, command, path},
};
use alveary_abi::ProgType;
use alveary_linux::sys::ProgLoad;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    path::Path,
};

/// The commands whose functions come first: what scripts call often, and what figures are given of.
const COMMANDS: &[&[&str]] =
    &[&["net", "show"], &["prog", "show"], &["map", "show"], &["link", "show"], &["show", "examples/count.bpf.o"]];

/// The linker's script, and where in it the list begins and ends.
pub(super) const SCRIPT: &str = "xtask/src/dist/layout.ld";
const BEGIN: &str = "  .text.start : {\n";
const END: &str = "  }\n";

/// How many names of a hundred may be of functions that are there no more.
const MOST_STALE: usize = 5;

/// Bytes that one mark stands for.
const GRANULE: u64 = 16;

/// Writes the list anew, from what a binary runs.
pub(super) fn renew(binary: &Path, sections: &[Section]) -> Outcome {
    if !process::exists("valgrind") {
        return Err("valgrind is not installed".into());
    }
    // A program for `prog show` to show.
    let code = alveary_testing::code("r0 = 0\nexit", |_, _| unreachable!("there is no symbol"));
    let load = ProgLoad { license: c"GPL", ..ProgLoad::new(ProgType::SOCKET_FILTER, &code) };
    let program = load.load().map_err(|why| why.diagnostic().message.to_string())?;
    let runs = COMMANDS.iter().map(|words| run(binary, words)).collect::<Result<Vec<_>, _>>()?;
    drop(program);

    let text = fs::read_to_string(path(SCRIPT)).map_err(|error| format!("{SCRIPT}: {error}"))?;
    let (head, _, tail) = parts(&text)?;
    let list: String = order(&runs, sections).iter().map(|pattern| format!("    {pattern}\n")).collect();
    fs::write(path(SCRIPT), format!("{head}{list}{tail}")).map_err(|error| format!("{SCRIPT}: {error}"))?;
    println!("{SCRIPT}: {} names", list.lines().count());
    Ok(())
}

/// Holds the list against a binary: a list that is out of date puts little side by side.
pub(super) fn check(sections: &[Section]) -> Outcome {
    let text = fs::read_to_string(path(SCRIPT)).map_err(|error| format!("{SCRIPT}: {error}"))?;
    let (_, list, _) = parts(&text)?;
    let patterns: Vec<&str> = list.lines().map(str::trim).collect();
    let stale: Vec<&&str> = patterns.iter().filter(|pattern| !sections.iter().any(|s| s.is_named(pattern))).collect();
    if stale.len() * 100 > patterns.len() * MOST_STALE {
        for pattern in &stale {
            eprintln!("{pattern}");
        }
        let (stale, all) = (stale.len(), patterns.len());
        return Err(format!(
            "{stale} of {all} names in {SCRIPT} are in the binary no more: `cargo xtask dist --order` writes them anew"
        ));
    }
    Ok(())
}

/// A script: what stands before the list, the list, what stands behind it.
fn parts(script: &str) -> Result<(&str, &str, &str), String> {
    let begin = script.find(BEGIN).ok_or_else(|| format!("{SCRIPT} has no list"))? + BEGIN.len();
    let (head, rest) = script.split_at(begin);
    let (list, tail) = rest.split_at(rest.find(END).ok_or_else(|| format!("{SCRIPT} has no end"))?);
    Ok((head, list, tail))
}

/// Runs a command; gives the granules of the addresses that its instructions have.
fn run(binary: &Path, words: &[&str]) -> Result<BTreeSet<u64>, String> {
    let log = process::target().join("order.log");
    let options = ["--tool=lackey", "--trace-mem=yes", &format!("--log-file={}", log.display())];
    process::output(command("valgrind", &options).arg(binary).args(words))?;
    let file = fs::File::open(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let mut found = BTreeSet::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| format!("{}: {error}", log.display()))?;
        found.extend(address(&line).map(|address| address / GRANULE));
    }
    drop(fs::remove_file(log));
    if found.is_empty() { Err(format!("valgrind saw nothing of {}", words.join(" "))) } else { Ok(found) }
}

/// The address in a line `I  0040a1b0,3`.
fn address(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("I ")?;
    u64::from_str_radix(line.split(',').next()?.trim(), 16).ok()
}

/// What functions are to be named by, in the order in which they are to stand: those that most commands run first, of these
/// those of which most is run, so that large functions of which little is run share no page with others.
fn order(runs: &[BTreeSet<u64>], sections: &[Section]) -> Vec<String> {
    let mut names: BTreeMap<String, (Vec<bool>, u64)> = BTreeMap::new();
    for section in sections.iter().filter(|section| section.size > 0) {
        let granules = section.start / GRANULE..(section.start + section.size).div_ceil(GRANULE);
        let touched: Vec<usize> = runs.iter().map(|run| run.range(granules.clone()).count()).collect();
        let most = touched.iter().copied().max().unwrap_or(0);
        if most > 0 {
            let (by, bytes) = names.entry(section.pattern()).or_insert_with(|| (vec![false; runs.len()], 0));
            by.iter_mut().zip(&touched).for_each(|(by, touched)| *by |= *touched > 0);
            *bytes += most as u64 * GRANULE;
        }
    }
    let rank = |(name, (by, bytes)): (String, (Vec<bool>, u64))| {
        let size: u64 = sections.iter().filter(|s| s.is_named(&name)).map(|s| s.size).sum();
        let commands = by.iter().filter(|by| **by).count();
        let run_of_thousand = bytes.saturating_mul(1000) / size.max(1);
        (Reverse(commands), Reverse(by), Reverse(run_of_thousand), name)
    };
    let ranked: BTreeSet<_> = names.into_iter().map(rank).collect();
    ranked.into_iter().map(|(.., name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(start: u64, size: u64, name: &str) -> Section {
        Section { start, size, file: "a.o".into(), name: name.into() }
    }

    #[test]
    fn what_all_run_comes_before_what_one_runs_and_what_is_run_whole_before_what_is_large() {
        let sections = [
            section(0, 1600, ".text._ZN5large17h0123456789abcdefE"),
            section(1600, 16, ".text._ZN5small17h0123456789abcdefE"),
            section(1616, 16, ".text._ZN4once17h0123456789abcdefE"),
            section(1632, 16, ".text._ZN5never17h0123456789abcdefE"),
        ];
        let runs = [BTreeSet::from([0, 100, 101]), BTreeSet::from([50, 100])];
        assert_eq!(
            order(&runs, &sections),
            ["*(.text._ZN5small17h*)", "*(.text._ZN5large17h*)", "*(.text._ZN4once17h*)"]
        );
    }

    #[test]
    fn instructions_alone_have_addresses() {
        assert_eq!(address(b"I  0031c480,3"), Some(0x31c480));
        assert_eq!(address(b" L 1ffeffe7e8,8"), None);
        assert_eq!(address(b"==12== Command: x"), None);
    }

    #[test]
    fn the_script_has_a_list_and_what_belongs_around_it() {
        let script = fs::read_to_string(path(SCRIPT)).expect("the script");
        let (head, list, tail) = parts(&script).expect("a list");
        assert!(head.contains("DISCARD") && tail.contains("INSERT BEFORE .text"), "{head}{tail}");
        assert!(list.lines().all(|line| line.trim().starts_with('*') && line.ends_with(')')), "{list}");
    }
}
