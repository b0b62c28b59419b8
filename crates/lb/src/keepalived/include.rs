//! The files that a pattern names: `conf.d/*.conf`, beside the file that says so.

use super::Files;
use alveary_sort::Sort;
use rustix::fs::OFlags;
use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// Bytes of a file that are most.
const MOST: u64 = 16 << 20;
/// Files of a pattern that are most.
const MATCHES: usize = 1000;

/// Files of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn matching(&self, from: &str, pattern: &str) -> Result<Vec<String>, String> {
        if pattern.is_empty() {
            return Err("no file is named".into());
        }
        let beside = Path::new(from).parent().unwrap_or(Path::new(""));
        let paths = glob(&beside.join(pattern));
        if paths.is_empty() {
            return Err("there is no such file".into());
        }
        paths
            .iter()
            .map(|path| path.to_str().map(str::to_owned).ok_or_else(|| format!("{}: no name in UTF-8", path.display())))
            .collect()
    }

    fn text(&self, name: &str) -> Result<String, String> {
        text(Path::new(name)).map_err(|why| why.to_string())
    }
}

fn text(path: &Path) -> io::Result<String> {
    let told = |why: String| Err(io::Error::other(why));
    // A FIFO, to which nobody may ever write, is not waited for.
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return told("it is no file".into());
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return told(format!("it is larger than {} MiB", MOST >> 20));
    }
    String::from_utf8(bytes).or_else(|_| told("it is no text".into()))
}

/// The paths of a pattern, in the order of their names.
fn glob(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str().to_string_lossy();
        if !name.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut next = Vec::new();
        for path in &found {
            let folder = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            let Ok(entries) = fs::read_dir(folder) else { continue };
            let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
            // What begins with a dot is not meant by a star.
            let mut names: Vec<String> =
                names.filter(|one| one.starts_with('.') == name.starts_with('.') && fits(&name, one)).collect();
            names.order();
            next.extend(names.into_iter().take(MATCHES).map(|one| path.join(one)));
        }
        found = next;
        found.truncate(MATCHES);
    }
    found.retain(|path| path.exists());
    found
}

/// Whether a name is one of a pattern's: `*` any letters, `?` one, `[a-z]` one of these, `[!a-z]` one of the others.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star stands, and how much it takes so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let one = pattern.get(p).and_then(|c| match c {
            '*' => None,
            '?' => Some(p + 1),
            '[' => class(&pattern[p..], name[n])
                .map_or_else(|| (name[n] == '[').then_some(p + 1), |(is, length)| is.then_some(p + length)),
            c => (*c == name[n]).then_some(p + 1),
        });
        match (one, pattern.get(p), star) {
            (Some(next), ..) => (p, n) = (next, n + 1),
            (None, Some('*'), _) => {
                star = Some((p, n));
                p += 1;
            }
            (None, _, Some((at, taken))) => {
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether a letter is of the class that begins here, and how long that is; `None` if it is not closed.
fn class(pattern: &[char], letter: char) -> Option<(bool, usize)> {
    let not = matches!(pattern.get(1), Some('!' | '^'));
    let begin = 1 + usize::from(not);
    // The first one may be the bracket itself.
    let end = (begin + 1..pattern.len()).find(|at| pattern[*at] == ']')?;
    let (mut at, mut is) = (begin, false);
    while at < end {
        if at + 2 < end && pattern[at + 1] == '-' {
            is |= (pattern[at]..=pattern[at + 2]).contains(&letter);
            at += 3;
        } else {
            is |= pattern[at] == letter;
            at += 1;
        }
    }
    Some((is != not, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = std::env::temp_dir().join(format!("alveary-lb-include-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (from, mode) =
            (folder.join("k.conf").display().to_string(), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.join("a.conf"), mode).expect("a FIFO");
        fs::write(folder.join("b.conf"), "b").expect("a file");
        let names = Disk.matching(&from, "?.conf").expect("two of them");
        let texts: Vec<_> = names.iter().filter(|name| !name.ends_with("k.conf")).map(|name| Disk.text(name)).collect();
        assert_eq!(texts, [Err("it is no file".to_owned()), Ok("b".to_owned())]);
        fs::remove_dir_all(folder).expect("it is ours");
    }

    #[test]
    fn patterns_are_the_shells() {
        for (pattern, name, fit) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.confx", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "ä", true),
            ("[a-c]1", "b1", true),
            ("[!a-c]1", "b1", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("*", "", true),
            ("**x", "x", true),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern, name), fit, "{pattern} {name}");
        }
    }
}
