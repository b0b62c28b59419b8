//! Tables of a TOML file, read key by key: each fault with its place, and reading goes on behind it.

use super::places::Notes;
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_sort::Sort;
use std::{collections::BTreeSet, ops::Range, sync::Arc};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A file, and what is wrong with it so far.
pub(super) struct Faults {
    file: Arc<str>,
    text: Arc<str>,
    pub(super) all: Vec<Diagnostic>,
    /// A part of the file is no TOML: what is wrong is said of the whole.
    pub(super) broken: bool,
    pub(super) notes: Notes,
}

/// What is shown of a value or a name, in letters.
const SHOWN: usize = 60;

/// As much of a text as is shown: of its first line, and not too much of that.
pub(crate) fn shown(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let (cut, more) = match line.char_indices().nth(SHOWN) {
        Some((at, _)) => (&line[..at], "…"),
        None => (line, if line.len() < text.len() { " …" } else { "" }),
    };
    // Nothing that a terminal would obey.
    cut.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).chain(more.chars()).collect()
}

impl Faults {
    pub(super) fn new(file: &str, text: &str) -> Faults {
        Faults { file: file.into(), text: text.into(), all: Vec::new(), broken: false, notes: Notes::default() }
    }

    /// That nothing is wrong; else all that is, in the order of the file.
    pub(super) fn none(self) -> Result<(), Vec<Diagnostic>> {
        if self.all.is_empty() { Ok(()) } else { Err(self.sorted()) }
    }

    /// All that is wrong, in the order of the file.
    pub(super) fn sorted(mut self) -> Vec<Diagnostic> {
        self.all.order_by_key(|fault| match fault.place() {
            Place::Text { bytes, .. } => bytes.start,
            _ => 0,
        });
        self.all
    }

    /// What the file is called, and what stands in it.
    pub(super) fn file(&self) -> (Arc<str>, Arc<str>) {
        (self.file.clone(), self.text.clone())
    }

    /// A place of the file.
    pub(super) fn at(&self, bytes: Range<usize>) -> Place {
        Place::Text { file: self.file.clone(), text: self.text.clone(), bytes: bytes.start as u32..bytes.end as u32 }
    }

    /// What stands there.
    pub(super) fn said(&self, bytes: Range<usize>) -> String {
        shown(self.text.get(bytes).unwrap_or_default())
    }

    /// Something is wrong there.
    pub(super) fn wrong(&mut self, message: impl Into<String>, at: Range<usize>) -> &mut Diagnostic {
        let fault = Diagnostic::new("lb-config", message.into(), self.at(at));
        self.all.push(fault);
        // One was pushed.
        let last = self.all.len() - 1;
        &mut self.all[last]
    }

    /// A value is not what it should be.
    pub(super) fn unexpected(&mut self, key: &str, expected: &str, at: Range<usize>) {
        let found = self.said(at.clone());
        let fault = self.wrong(format!("`{key}` is not what it should be"), at);
        fault.expected = Some(expected.to_owned());
        fault.found = Some(found);
    }
}

/// What is expected of a key, where its numbers are fewer than those of their kind.
fn expected_of<'a>(key: &str, expected: &'a str) -> &'a str {
    if key == "port" && expected.starts_with("a whole number") { "a port from 1 to 65535" } else { expected }
}

/// A value of a file as a value of ours; else what is expected.
pub(super) trait Read: Sized {
    fn read(value: &DeValue<'_>) -> Result<Self, String>;
}

/// A table of the file.
pub(super) struct Table<'a> {
    table: &'a DeTable<'a>,
    span: Range<usize>,
    /// What it is, in messages.
    what: &'static str,
    known: BTreeSet<&'static str>,
    /// Where in the file the part begins that it was read from: what places in that part are to be added to.
    base: usize,
}

impl<'a> Table<'a> {
    pub(super) fn new(what: &'static str, table: &'a DeTable<'a>, span: Range<usize>, base: usize) -> Table<'a> {
        Table { table, span, what, known: BTreeSet::new(), base }
    }

    /// Where its first line stands.
    pub(super) fn place(&self) -> Range<usize> {
        self.moved(self.span.clone())
    }

    /// A place of the part as one of the file.
    fn moved(&self, place: Range<usize>) -> Range<usize> {
        place.start + self.base..place.end + self.base
    }

    /// Where the value of a key stands; the table, if it has none.
    pub(super) fn value_place(&self, key: &str) -> Range<usize> {
        self.table.get(key).map_or_else(|| self.place(), |value| self.moved(value.span()))
    }

    /// What stands behind a key.
    pub(super) fn raw(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.insert(key);
        self.table.get(key)
    }

    /// A value, if the key is there and it is one.
    pub(super) fn get<T: Read>(&mut self, key: &'static str, faults: &mut Faults) -> Option<T> {
        let value = self.raw(key)?;
        faults.notes.note(self.what, key, &value.span());
        match T::read(value.get_ref()) {
            Ok(value) => Some(value),
            Err(expected) => {
                faults.unexpected(key, expected_of(key, &expected), self.moved(value.span()));
                None
            }
        }
    }

    /// A value that there has to be.
    pub(super) fn need<T: Read>(&mut self, key: &'static str, faults: &mut Faults) -> Option<T> {
        if self.raw(key).is_none() {
            if !self.is_misspelt(key) {
                let what = self.what;
                faults.wrong(format!("`{what}` lacks `{key}`"), self.place());
            }
            return None;
        }
        self.get(key, faults)
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether a key is there under a name that nobody knows, which is a fault by itself.
    pub(super) fn is_misspelt(&self, key: &str) -> bool {
        let other = |name: &str| !self.known.contains(name) && did_you_mean(name, [key]).is_some();
        !self.table.contains_key(key) && self.table.iter().any(|(name, _)| other(name.get_ref()))
    }

    /// Whether there was something wrong with a key so far: what follows from that is no other fault. Keys whose names are
    /// like this one's have been asked for before.
    pub(super) fn is_unread(&self, key: &str, faults: &Faults) -> bool {
        let Some(value) = self.table.get(key) else { return self.is_misspelt(key) };
        let at = self.moved(value.span());
        faults.all.iter().any(|fault| match fault.place() {
            Place::Text { bytes, .. } => (at.start..at.end.max(at.start + 1)).contains(&(bytes.start as usize)),
            _ => false,
        })
    }

    /// One value, or an array of them.
    pub(super) fn list<T: Read>(&mut self, key: &'static str, faults: &mut Faults) -> Vec<(T, Range<usize>)> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        faults.notes.note(self.what, key, &value.span());
        let single = std::slice::from_ref(value);
        let all = match value.get_ref() {
            DeValue::Array(array) => array.iter().as_slice(),
            _ => single,
        };
        if all.is_empty() {
            let fault = faults.wrong(format!("`{key}` names nothing"), self.moved(value.span()));
            fault.help.push(format!("leave `{key}` out, or name something"));
        }
        let mut read = Vec::new();
        for one in all {
            match T::read(one.get_ref()) {
                Ok(value) => read.push((value, self.moved(one.span()))),
                Err(expected) => faults.unexpected(key, expected_of(key, &expected), self.moved(one.span())),
            }
        }
        read
    }

    /// A table in it.
    pub(super) fn table(&mut self, key: &'static str, faults: &mut Faults) -> Option<Table<'a>> {
        let value = self.raw(key)?;
        faults.notes.note(self.what, key, &value.span());
        let table = self.inner(key, value);
        if table.is_none() {
            faults.unexpected(key, "a table", self.moved(value.span()));
        }
        table
    }

    /// An array of tables in it.
    pub(super) fn tables(&mut self, key: &'static str, faults: &mut Faults) -> Vec<Table<'a>> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            faults.unexpected(key, &format!("tables: [[{key}]]"), self.moved(value.span()));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for one in array.iter() {
            match self.inner(key, one) {
                Some(table) => tables.push(table),
                None => faults.unexpected(key, "a table", self.moved(one.span())),
            }
        }
        tables
    }

    fn inner(&self, what: &'static str, value: &'a Spanned<DeValue<'a>>) -> Option<Table<'a>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Table::new(what, table, value.span(), self.base)),
            _ => None,
        }
    }

    /// Says which keys nobody asked for.
    pub(super) fn finish(self, faults: &mut Faults) {
        for (key, _) in self.table {
            let name: &str = key.get_ref();
            if self.known.contains(name) {
                continue;
            }
            let message = format!("`{}` has no key `{}`", self.what, shown(name));
            let fault = faults.wrong(message, self.moved(key.span()));
            match did_you_mean(name, self.known.iter().copied()) {
                Some(meant) => fault.help.push(format!("did you mean `{meant}`?")),
                None => {
                    fault.expected =
                        Some(self.known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "))
                }
            }
        }
    }
}
