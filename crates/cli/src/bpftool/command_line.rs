//! Command lines as bpftool takes them, turned into ours: options stand before the verb there, and a binary that is
//! called `bpftool` takes every word down to its first letter.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
};

/// The options that bpftool takes before its verb, and whether a value follows.
const LEADING: [(&[&str], bool); 7] = [
    (&["-j", "--json"], false),
    (&["-p", "--pretty"], false),
    (&["-f", "--bpffs"], false),
    (&["-n", "--nomount"], false),
    (&["-d", "--debug"], false),
    (&["-L", "--use-loader"], false),
    (&["-B", "--base-btf"], true),
];

/// Those that ask for JSON.
const JSON: [&str; 4] = ["-j", "--json", "-p", "--pretty"];

/// Options that mean nothing to bpftool any more.
const IGNORED: [&str; 4] = ["-m", "--mapcompat", "-l", "--legacy"];

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
    let mut given: Vec<OsString> = given.collect();
    let is_bpftool = given.first().is_some_and(|name| Path::new(name).file_name() == Some(OsStr::new("bpftool")));
    let options = leading(&given);
    if options.end == options.start && !is_bpftool {
        return given;
    }
    let mut moved: Vec<OsString> = given.drain(options).collect();
    moved.retain(|option| !IGNORED.iter().any(|ignored| option == ignored));
    if is_bpftool {
        spell_out(&mut given);
    }
    // Behind the verb: its options are its own.
    let at = if given.len() > 1 { 2 } else { 1 };
    given.splice(at..at, moved);
    given
}

/// Whether a command line, as [`ours`] gives it, asks for JSON in bpftool's way. What is wrong is then told as JSON too,
/// even if the rest of the line makes no sense.
pub(crate) fn asks_json(line: &[OsString]) -> bool {
    let theirs = line.get(1).is_some_and(|verb| VERBS.iter().any(|(name, _)| verb == name));
    theirs && line.iter().skip(2).any(|word| JSON.iter().any(|option| word == option))
}

/// The options between the binary's name and the verb, if bpftool knows them all.
fn leading(given: &[OsString]) -> std::ops::Range<usize> {
    let mut end = 1.min(given.len());
    while let Some(option) = given.get(end) {
        let known = LEADING.iter().find(|(names, _)| names.iter().any(|name| option == name));
        let words = match known {
            Some((_, value)) => 1 + usize::from(*value),
            None if IGNORED.iter().any(|ignored| option == ignored) => 1,
            None => break,
        };
        end += words;
    }
    1.min(given.len())..end.min(given.len())
}

/// Writes verb and action in full.
fn spell_out(given: &mut [OsString]) {
    let verbs: Vec<_> = VERBS.iter().map(|(verb, _)| *verb).collect();
    let Some(verb) = given.get_mut(1).and_then(|word| in_full(word, &verbs)) else { return };
    let actions = VERBS.iter().find(|(name, _)| *name == verb).map_or(&[][..], |(_, actions)| actions);
    if let Some(action) = given.get_mut(2) {
        in_full(action, actions);
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
        assert_eq!(ours("alveary -j -f prog show"), "alveary prog -j -f show");
        assert_eq!(ours("alveary -B base.btf btf dump file x"), "alveary btf -B base.btf dump file x");
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
        assert_eq!(ours("bpftool net"), "bpftool net");
    }
}
