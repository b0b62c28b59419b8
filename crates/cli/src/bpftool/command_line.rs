//! Command lines as bpftool takes them, turned into ours: options stand before the verb there, and a binary that is
//! called `bpftool` takes every word down to its first letter.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

/// An option that bpftool takes before its verb.
struct Leading {
    names: &'static [&'static str],
    value: bool,
    /// The verbs that take it here, with their action; the others do without, as most of bpftool's do.
    takers: Takers,
}

enum Takers {
    /// All but `gen`, which makes files.
    Every,
    Only(&'static [(&'static str, &'static str)]),
}

const LEADING: [Leading; 9] = [
    Leading::new(&["-j", "--json"], Takers::Every),
    Leading::new(&["-p", "--pretty"], Takers::Every),
    Leading::new(&["-f", "--bpffs"], Takers::Every),
    Leading::new(&["-n", "--nomount"], Takers::Every),
    Leading::new(&["-d", "--debug"], Takers::Only(&[("prog", "load"), ("prog", "loadall")])),
    Leading {
        value: true,
        ..Leading::new(&["-B", "--base-btf"], Takers::Only(&[("btf", "dump"), ("gen", "min_core_btf")]))
    },
    // A program that loads others, for kernels that demand signatures: nothing that a user would see.
    Leading::new(&["-L", "--use-loader"], Takers::Only(&[])),
    // These mean nothing to bpftool any more.
    Leading::new(&["-m", "--mapcompat"], Takers::Only(&[])),
    Leading::new(&["-l", "--legacy"], Takers::Only(&[])),
];

impl Leading {
    const fn new(names: &'static [&'static str], takers: Takers) -> Leading {
        Leading { names, value: false, takers }
    }

    /// The options that a word is, with the value that is written to one; none if bpftool does not know it all.
    fn of(word: &OsStr) -> Vec<(&'static Leading, Option<OsString>)> {
        let Some(word) = word.to_str() else { return Vec::new() };
        let named = |name: &str| LEADING.iter().find(|option| option.names.contains(&name));
        if let Some(option) = named(word) {
            return vec![(option, None)];
        }
        if let Some((name, value)) = word.split_once('=').filter(|(name, _)| name.starts_with("--")) {
            return named(name)
                .filter(|option| option.value)
                .map(|option| (option, Some(value.into())))
                .into_iter()
                .collect();
        }
        // Letters behind one dash: `-jf`, `-Bfile`.
        let mut found = Vec::new();
        let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')) else { return found };
        for (at, letter) in letters.char_indices() {
            let Some(option) = named(&format!("-{letter}")) else { return Vec::new() };
            let rest = &letters[at + letter.len_utf8()..];
            if option.value && !rest.is_empty() {
                found.push((option, Some(rest.into())));
                break;
            }
            found.push((option, None));
        }
        found
    }

    fn is_taken(&self, line: &[OsString]) -> bool {
        let is = |at: usize, word: &str| line.get(at).is_some_and(|found| found == word);
        match self.takers {
            Takers::Every => !is(1, "gen") || self.names.contains(&"--json"),
            Takers::Only(some) => some.iter().any(|(verb, action)| is(1, verb) && is(2, action)),
        }
    }
}

/// Those that ask for JSON.
const JSON: [&str; 4] = ["-j", "--json", "-p", "--pretty"];

/// bpftool's verbs in its own order, which decides what a short one means, with the actions of each.
const VERBS: [(&str, &[&str]); 13] = [
    ("prog", PROG),
    ("map", MAP),
    ("link", &["show", "list", "pin", "detach"]),
    ("cgroup", &["show", "list", "tree", "attach", "detach"]),
    ("perf", &["show", "list"]),
    ("net", &["show", "list", "attach", "detach"]),
    ("feature", &["probe", "list_builtins"]),
    ("btf", &["show", "list", "dump"]),
    ("gen", &["object", "skeleton", "subskeleton", "min_core_btf"]),
    ("struct_ops", &["show", "list", "register", "unregister", "dump"]),
    ("iter", &["pin"]),
    ("token", &["show", "list"]),
    ("batch", &[]),
];
const PROG: &[&str] =
    &["show", "list", "dump", "pin", "load", "loadall", "attach", "detach", "tracelog", "run", "profile", "top"];
const MAP: &[&str] = &[
    "show",
    "list",
    "dump",
    "update",
    "lookup",
    "getnext",
    "delete",
    "pin",
    "event_pipe",
    "peek",
    "push",
    "enqueue",
    "pop",
    "dequeue",
    "freeze",
    "create",
    "export",
    "import",
    "watch",
];

/// The command line as our own parser takes it.
pub(crate) fn ours(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut words = given.collect::<Vec<_>>().into_iter().peekable();
    let mut given: Vec<OsString> = words.next().into_iter().collect();
    let is_bpftool = given.first().is_some_and(|name| Path::new(name).file_name() == Some(OsStr::new("bpftool")));
    let mut options = Vec::new();
    // bpftool takes its options anywhere; behind a verb those of `alveary` are the verb's own.
    while let Some(word) = words.next_if(|word| is_bpftool || !Leading::of(word).is_empty()) {
        if word == "--" {
            break;
        }
        let known = Leading::of(&word);
        if known.is_empty() {
            given.push(word);
        }
        for (option, value) in known {
            let value = value.or_else(|| if option.value { words.next() } else { None });
            options.push((option, value));
        }
    }
    given.extend(words);
    if is_bpftool {
        spell_out(&mut given);
    }
    let (mut verbs, mut actions) = (Vec::new(), Vec::new());
    for (option, value) in options {
        if option.is_taken(&given) {
            let takes = if matches!(option.takers, Takers::Every) { &mut verbs } else { &mut actions };
            // `gen` knows the long word alone.
            let name = if option.names.contains(&"--json") { "--json" } else { option.names[0] };
            // Twice is once.
            if takes.iter().any(|taken| taken == name) {
                continue;
            }
            takes.push(name.into());
            takes.extend(value);
        }
    }
    // Behind the verb, or its action: options are their own.
    for (at, taken) in [(3, actions), (2, verbs)] {
        let at = given.len().min(at);
        given.splice(at..at, taken);
    }
    given
}

/// Whether a command line, as [`ours`] gives it, asks for JSON in bpftool's way. What is wrong is then told as JSON too,
/// even if the rest of the line makes no sense.
pub(crate) fn asks_json(line: &[OsString]) -> bool {
    let theirs = line.get(1).is_some_and(|verb| VERBS.iter().any(|(name, _)| verb == name));
    theirs && line.iter().skip(2).any(|word| JSON.iter().any(|option| word == option))
}

/// Writes verb and action in full; says the action that bpftool has in mind if none is there.
fn spell_out(given: &mut Vec<OsString>) {
    if given.get(1).is_some_and(|word| word == "version") {
        given[1] = "--version".into();
        return;
    }
    let verbs: Vec<_> = VERBS.iter().map(|(verb, _)| *verb).collect();
    let Some(verb) = given.get_mut(1).and_then(|word| in_full(word, &verbs)) else { return };
    let actions = VERBS.iter().find(|(name, _)| *name == verb).map_or(&[][..], |(_, actions)| actions);
    match given.get_mut(2) {
        Some(action) => drop(in_full(action, actions)),
        // A cgroup would have to be named.
        None => given.extend(
            actions.first().filter(|first| matches!(**first, "show" | "probe") && verb != "cgroup").map(OsString::from),
        ),
    }
}

/// Makes a word the first of the known ones that begins so.
fn in_full(word: &mut OsString, known: &[&'static str]) -> Option<&'static str> {
    let short = word.to_str().filter(|word| !word.is_empty())?.to_owned();
    let found = known.iter().find(|name| name.starts_with(&short))?;
    *word = (*found).into();
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(line: &str) -> String {
        let words = super::ours(line.split(' ').map(OsString::from));
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn options_before_the_verb_are_its_own() {
        assert_eq!(ours("alveary -j -f prog show"), "alveary prog --json -f show");
        assert_eq!(ours("alveary -B base.btf btf dump file x"), "alveary btf dump -B base.btf file x");
        assert_eq!(ours("alveary -d -L -B base.btf -p map show"), "alveary map -p show");
        assert_eq!(ours("alveary -d prog load a.o b"), "alveary prog load -d a.o b");
        assert_eq!(ours("alveary -j -n gen skeleton a.o"), "alveary gen --json skeleton a.o");
        assert_eq!(ours("alveary --json run a.o"), "alveary run --json a.o");
        assert_eq!(ours("alveary --version"), "alveary --version");
        assert_eq!(ours("alveary prog show id 1"), "alveary prog show id 1");
    }

    #[test]
    fn json_is_asked_for_by_bpftools_options_too() {
        let asks = |line: &str| asks_json(&super::ours(line.split(' ').map(OsString::from)));
        assert!(asks("alveary -j prog show") && asks("alveary prog -p shwo") && asks("bpftool -p m"));
        assert!(!asks("alveary prog show") && !asks("alveary run -p x.o"));
    }

    #[test]
    fn a_link_named_bpftool_takes_short_words() {
        assert_eq!(ours("/usr/sbin/bpftool -m -p p s id 1"), "/usr/sbin/bpftool prog -p show id 1");
        assert_eq!(ours("bpftool m d name x"), "bpftool map dump name x");
        assert_eq!(ours("bpftool net"), "bpftool net show");
        assert_eq!(ours("bpftool -j f"), "bpftool feature --json probe");
        assert_eq!(ours("bpftool iter"), "bpftool iter");
        assert_eq!(ours("bpftool version"), "bpftool --version");
    }

    #[test]
    fn a_link_named_bpftool_takes_options_anywhere() {
        assert_eq!(ours("bpftool prog --json"), "bpftool prog --json show");
        assert_eq!(ours("bpftool -j prog --json -j"), "bpftool prog --json show");
        assert_eq!(ours("bpftool p show -jf name x"), "bpftool prog --json -f show name x");
        assert_eq!(ours("bpftool btf dump file x -Bbase format c"), "bpftool btf dump -B base file x format c");
        assert_eq!(ours("bpftool btf dump file x --base-btf=b"), "bpftool btf dump -B b file x");
        assert_eq!(ours("bpftool batch file -"), "bpftool batch file -");
        assert_eq!(ours("bpftool map dump name -- -j"), "bpftool map dump name -j");
        assert_eq!(ours("bpftool prog dump xlated id 1 --svg"), "bpftool prog dump xlated id 1 --svg");
        assert_eq!(ours("alveary prog show -j"), "alveary prog show -j");
    }
}
