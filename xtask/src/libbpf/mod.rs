//! `cargo xtask libbpf [OBJECT|FOLDER…]`: the instructions of objects, resolved by Alveary and by libbpf for the running
//! kernel, compared program by program. Without arguments the objects are those of our own sources, by every compiler
//! and for every version of the instruction set at hand, in both byte orders. With `--time`: how long both take for an
//! object with 500 CO-RE relocations.
//!
//! libbpf is the machine's own. Another is taken by its flags for the C compiler:
//! `LIBBPF_FLAGS="-I…/include …/libbpf.a -lelf -lz"`.

mod load;
mod matrix;
mod relocations;

pub(crate) use load::measure as measure_load;
pub(crate) use relocations::measure;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Outcome,
    process::{cargo, command, output, run, target},
};

/// Objects that a command is given at once.
const AT_ONCE: usize = 64;

/// The command.
pub(crate) fn compare(arguments: &[String]) -> Outcome {
    let groups = match arguments {
        [word] if word == "--time" => return relocations::measure(),
        [] => matrix::build()?,
        paths => vec![("given".to_owned(), objects(paths)?)],
    };
    run(&mut cargo(&["build", "--quiet", "--package", "alveary-object", "--example", "instructions"]))?;
    let (ours, theirs) = (target().join("debug/examples/instructions"), oracle()?);
    println!(
        "{:<24} {:>7} {:>5} {:>8} {:>9} {:>6} {:>10} {:>9} {:>9}",
        "objects", "objects", "read", "prepared", "programs", "same", "different", "only we", "only they"
    );
    let mut remarks = Vec::new();
    for (name, objects) in groups {
        let mut sum = Sum::default();
        for some in objects.chunks(AT_ONCE) {
            let some: Vec<&str> = some.iter().filter_map(|path| path.to_str()).collect();
            let [ours, theirs] = [&ours, &theirs].map(|program| answers(program, &some));
            sum.add(&ours?, &theirs?, &mut remarks);
        }
        let Sum { objects, read, prepared, programs, same, different, only_we, only_they } = sum;
        println!(
            "{name:<24} {objects:>7} {read:>5} {prepared:>8} {programs:>9} {same:>6} {different:>10} {only_we:>9} {only_they:>9}"
        );
    }
    for remark in &remarks {
        println!("{remark}");
    }
    if remarks.is_empty() { Ok(()) } else { Err(format!("{} programs are not as libbpf has them", remarks.len())) }
}

/// The program that asks libbpf, compiled.
fn oracle() -> Result<PathBuf, String> {
    let program = target().join("libbpf-oracle");
    let flags = std::env::var("LIBBPF_FLAGS").unwrap_or_else(|_| "-lbpf".to_owned());
    let path = program.to_str().ok_or("the target folder's path is not UTF-8")?;
    let mut compile = command("cc", &["-O1", "-Wall", "-Wextra", "xtask/src/libbpf/oracle.c", "-o", path]);
    run(compile.args(flags.split_whitespace()))?;
    Ok(program)
}

/// Files as they are, and the objects in folders.
fn objects(paths: &[String]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for path in paths {
        match fs::read_dir(path) {
            Err(_) => found.push(PathBuf::from(path)),
            Ok(entries) => {
                let files = entries.flatten().map(|entry| entry.path());
                found.extend(files.filter(|file| file.extension().is_some_and(|end| end == "o")));
            }
        }
    }
    found.sort();
    found.into_iter().map(|path| fs::canonicalize(&path).map_err(|e| format!("{}: {e}", path.display()))).collect()
}

/// What was made of an object.
#[derive(Default)]
struct Answer {
    refused: bool,
    /// The instructions of each program; `Err`: why there are none.
    programs: BTreeMap<String, Result<String, String>>,
}

/// Runs one of the two over objects.
fn answers(program: &Path, objects: &[&str]) -> Result<BTreeMap<String, Answer>, String> {
    let asked = output(&mut command(program.to_str().unwrap_or_default(), objects));
    // The command with all its objects would say nothing to anyone.
    let text = asked.map_err(|_| format!("{} gave up", program.display()))?;
    let mut all: BTreeMap<String, Answer> = BTreeMap::new();
    let mut object = String::new();
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "object" {
            object = rest.to_owned();
        }
        let answer = all.entry(object.clone()).or_default();
        let (name, said) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "refused" => answer.refused = true,
            "program" => drop(answer.programs.insert(name.to_owned(), Ok(said.to_owned()))),
            "unresolved" => drop(answer.programs.insert(name.to_owned(), Err(said.to_owned()))),
            _ => {}
        }
    }
    Ok(all)
}

/// A row of the table.
#[derive(Default)]
struct Sum {
    objects: usize,
    /// By us.
    read: usize,
    /// By libbpf.
    prepared: usize,
    programs: usize,
    same: usize,
    different: usize,
    only_we: usize,
    only_they: usize,
}

impl Sum {
    /// Counts objects; what should not be is remarked.
    fn add(&mut self, ours: &BTreeMap<String, Answer>, theirs: &BTreeMap<String, Answer>, remarks: &mut Vec<String>) {
        for (object, our) in ours {
            let none = Answer { refused: true, ..Answer::default() };
            let their = theirs.get(object).unwrap_or(&none);
            self.objects += 1;
            self.read += usize::from(!our.refused);
            self.prepared += usize::from(!their.refused);
            if our.refused && !their.refused {
                remarks.push(format!("{object}: not read"));
            }
            for (name, said) in &our.programs {
                self.programs += 1;
                match (said, their.programs.get(name)) {
                    (Ok(one), Some(Ok(other))) if one == other => self.same += 1,
                    (Ok(one), Some(Ok(other))) => {
                        self.different += 1;
                        let at = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
                        remarks.push(format!("{object}: {name}: different from instruction {} on", at / 16));
                    }
                    (Ok(_), _) => self.only_we += 1,
                    (Err(why), Some(Ok(_))) => {
                        self.only_they += 1;
                        remarks.push(format!("{object}: {name}: {why}"));
                    }
                    (Err(_), _) => {}
                }
            }
        }
    }
}
