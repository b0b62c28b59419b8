//! `cargo xtask dist --order`: which functions short commands run, and what constants they read, for the linker to have them
//! stand side by side.
//!
//! The commands run in valgrind, which tells each address that they touch; the linker's map tells whose it is. The lists name
//! functions without the hashes of a build, and members of the C library. What they name is held against each binary that
//! is made.

use super::map::{KINDS, Section};
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

/// The linker's script, in which a list begins behind `.KIND.start : {`.
pub(super) const SCRIPT: &str = "xtask/src/dist/layout.ld";
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

    let mut script = read()?;
    for kind in KINDS {
        let mut list = order(&runs, sections.iter().filter(|section| section.kind() == kind));
        let (head, old, tail) = parts(&script, kind)?;
        // Of functions with the same code one is kept, and which one depends on the list: names stay as long as they name
        // something.
        let stay = old.lines().map(str::trim).filter(|old| sections.iter().any(|section| section.is_named(old)));
        let stay: Vec<String> = stay.filter(|old| !list.iter().any(|new| new == old)).map(str::to_owned).collect();
        list.extend(stay);
        println!("{SCRIPT}: {} names of {kind}", list.len());
        let list: String = list.iter().map(|pattern| format!("    {pattern}\n")).collect();
        script = format!("{head}{list}{tail}");
    }
    fs::write(path(SCRIPT), script).map_err(|error| format!("{SCRIPT}: {error}"))
}

/// Holds the lists against a binary: what is out of date puts little side by side.
pub(super) fn check(sections: &[Section]) -> Outcome {
    let script = read()?;
    let lists = KINDS.iter().map(|kind| Ok(parts(&script, kind)?.1)).collect::<Result<Vec<_>, String>>()?;
    let patterns: Vec<&str> = lists.iter().flat_map(|list| list.lines().map(str::trim)).collect();
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

/// The script.
fn read() -> Result<String, String> {
    fs::read_to_string(path(SCRIPT)).map_err(|error| format!("{SCRIPT}: {error}"))
}

/// A script: what stands before the list of a kind, the list, what stands behind it.
fn parts<'s>(script: &'s str, kind: &str) -> Result<(&'s str, &'s str, &'s str), String> {
    let begin = format!("  {kind}.start : {{\n");
    let begin = script.find(&begin).ok_or_else(|| format!("{SCRIPT} has no list for {kind}"))? + begin.len();
    let (head, rest) = script.split_at(begin);
    let (list, tail) = rest.split_at(rest.find(END).ok_or_else(|| format!("{SCRIPT} has no end"))?);
    Ok((head, list, tail))
}

/// Runs a command; gives the granules of the addresses that it touches.
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

/// The address in a line: of an instruction (`I  0040a1b0,3`), or of what one loads (` L 0040a1b0,8`) or changes.
fn address(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let line = ["I ", " L", " S", " M"].iter().find_map(|kind| line.strip_prefix(kind))?;
    u64::from_str_radix(line.split(',').next()?.trim(), 16).ok()
}

/// What functions are to be named by, in the order in which they are to stand: those that most commands run first, of these
/// those of which most is run, so that large functions of which little is run share no page with others.
fn order<'s>(runs: &[BTreeSet<u64>], sections: impl Iterator<Item = &'s Section>) -> Vec<String> {
    let sections: Vec<&Section> = sections.collect();
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
            order(&runs, sections.iter()),
            ["*(.text._ZN5small17h*)", "*(.text._ZN5large17h*)", "*(.text._ZN4once17h*)"]
        );
    }

    #[test]
    fn what_is_touched_has_an_address() {
        assert_eq!(address(b"I  0031c480,3"), Some(0x31c480));
        assert_eq!(address(b" L 1ffeffe7e8,8"), Some(0x1f_feff_e7e8));
        assert_eq!(address(b"==12== Command: x"), None);
    }

    #[test]
    fn the_script_has_lists_and_what_belongs_around_them() {
        let script = fs::read_to_string(path(SCRIPT)).expect("the script");
        for kind in KINDS {
            let (head, list, tail) = parts(&script, kind).expect("a list");
            assert!(head.contains("DISCARD") && tail.contains(&format!("INSERT BEFORE {kind}")), "{head}{tail}");
            assert!(list.lines().all(|line| line.trim().starts_with('*') && line.ends_with(')')), "{list}");
        }
    }
}
