//! Files of keepalived's as statements: words, and what stands in their braces. Files that are included stand where they are
//! named. Knows nothing of what statements mean.

use super::{At, Left};
use alveary_diag::{Diagnostic, Place};
use std::sync::Arc;

/// A statement: its words, and what stands in its braces.
#[derive(Debug, Default)]
pub(super) struct Statement {
    pub(super) at: At,
    pub(super) words: Vec<String>,
    pub(super) block: Option<Vec<Statement>>,
}

impl Statement {
    pub(super) fn name(&self) -> &str {
        self.word(0)
    }

    pub(super) fn word(&self, index: usize) -> &str {
        self.words.get(index).map_or("", String::as_str)
    }

    pub(super) fn inside(&self) -> &[Statement] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// Blocks in blocks that are followed; keepalived's own are four deep.
const DEPTH: usize = 16;
/// Files that include each other, one in the other.
const INCLUDES: usize = 8;
/// Files in all, and their bytes.
const FILES: usize = 1000;
const BYTES: usize = 64 << 20;

/// Where files are that others include.
pub trait Files {
    /// The names of the files of a pattern that stands in a file.
    ///
    /// # Errors
    /// Why there are none.
    fn matching(&self, from: &str, pattern: &str) -> Result<Vec<String>, String>;

    /// What stands in one of them.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn text(&self, name: &str) -> Result<String, String>;
}

/// Reads a file and those that it includes. What is left out of them goes to `left`.
///
/// # Errors
/// Braces that do not match: the file is cut.
pub(super) fn read(
    file: &str,
    text: &str,
    files: &dyn Files,
    left: &mut Vec<Left>,
) -> Result<Vec<Statement>, Vec<Diagnostic>> {
    let mut reader = Reader { files, left, read: 0, bytes: 0, faults: Vec::new() };
    let statements = reader.file(None, file, text, 0);
    if reader.faults.is_empty() { Ok(statements) } else { Err(reader.faults) }
}

struct Reader<'a> {
    files: &'a dyn Files,
    left: &'a mut Vec<Left>,
    read: usize,
    bytes: usize,
    faults: Vec<Diagnostic>,
}

/// What is open while a file is read.
struct Open {
    /// The blocks, the file itself first.
    blocks: Vec<Vec<Statement>>,
    /// What stands before each but the first, and where its line begins and ends.
    heads: Vec<(Statement, std::ops::Range<usize>)>,
}

impl Reader<'_> {
    /// The statements of one file; `name` is none for the one that others are included by.
    fn file(&mut self, name: Option<&Arc<str>>, file: &str, text: &str, depth: usize) -> Vec<Statement> {
        (self.read, self.bytes) = (self.read + 1, self.bytes + text.len());
        let mut open = Open { blocks: vec![Vec::new()], heads: Vec::new() };
        let mut begin = 0;
        for (line, raw) in (1..).zip(text.split_inclusive('\n')) {
            let place = begin..begin + raw.trim_end().len();
            begin += raw.len();
            let at = At { file: name.cloned(), line };
            let mut statement = Statement { at: at.clone(), ..Statement::default() };
            for word in words(raw.trim_end_matches(['\n', '\r'])) {
                match word.as_str() {
                    "{" => {
                        let mut head = std::mem::take(&mut statement);
                        if head.words.is_empty() {
                            // It may stand on the line behind.
                            match open.blocks.last_mut().and_then(Vec::pop) {
                                Some(before) if before.block.is_none() => head = before,
                                _ => return self.wrong("a block of nothing", file, text, place),
                            }
                        }
                        if open.heads.len() >= DEPTH {
                            return self.wrong("there are too many blocks in each other", file, text, place);
                        }
                        open.heads.push((head, place.clone()));
                        open.blocks.push(Vec::new());
                        statement.at = at.clone();
                    }
                    "}" => {
                        self.finish(&mut open, &mut statement, &at, file, depth);
                        let (Some((mut head, _)), Some(block)) = (open.heads.pop(), open.blocks.pop()) else {
                            return self.wrong("`}` closes nothing", file, text, place);
                        };
                        head.block = Some(block);
                        if let Some(outer) = open.blocks.last_mut() {
                            outer.push(head);
                        }
                    }
                    _ => statement.words.push(word),
                }
            }
            self.finish(&mut open, &mut statement, &at, file, depth);
        }
        if let Some((_, place)) = open.heads.pop() {
            self.wrong("a block is not closed: the file is cut", file, text, place);
        }
        open.blocks.pop().unwrap_or_default()
    }

    /// A statement ends.
    fn finish(&mut self, open: &mut Open, statement: &mut Statement, at: &At, file: &str, depth: usize) {
        let done = std::mem::replace(statement, Statement { at: at.clone(), ..Statement::default() });
        let Some(block) = open.blocks.last_mut() else { return };
        match done.name() {
            "" => {}
            "include" | "includer" | "includem" | "includew" | "includeb" | "includea" => {
                block.extend(self.include(&done, file, depth));
            }
            _ => block.push(done),
        }
    }

    fn include(&mut self, statement: &Statement, file: &str, depth: usize) -> Vec<Statement> {
        let (at, pattern) = (&statement.at, statement.word(1));
        let mut leave = |what: String| self.left.push(Left { at: at.clone(), what });
        if depth >= INCLUDES {
            leave(format!("files include each other more than {INCLUDES} deep: `{pattern}` is not read"));
            return Vec::new();
        }
        let found = match self.files.matching(file, pattern) {
            Ok(found) => found,
            Err(why) => {
                leave(format!("`{pattern}` is not included: {why}"));
                return Vec::new();
            }
        };
        let mut all = Vec::new();
        for name in found {
            let mut leave = |what: String| self.left.push(Left { at: at.clone(), what });
            let most = || format!("`{name}` is not included: at most {FILES} files and {} MiB are", BYTES >> 20);
            if self.read >= FILES {
                leave(most());
                break;
            }
            // One at a time: all of them together may be more than there is memory.
            let text = match self.files.text(&name) {
                Ok(text) => text,
                Err(why) => {
                    leave(format!("`{name}` is not included: {why}"));
                    continue;
                }
            };
            if self.bytes + text.len() > BYTES {
                leave(most());
                break;
            }
            all.extend(self.file(Some(&name.as_str().into()), &name, &text, depth + 1));
        }
        all
    }

    fn wrong(&mut self, message: &str, file: &str, text: &str, place: std::ops::Range<usize>) -> Vec<Statement> {
        let place = place.start as u32..place.end as u32;
        let at = Place::Text { file: file.into(), text: text.into(), bytes: place };
        self.faults.push(Diagnostic::new("lb-import", message.to_owned(), at));
        Vec::new()
    }
}

/// The words of a line: those in quotation marks stay together, comments are none.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '"' => (quoted, any) = (!quoted, true),
            _ if quoted => word.push(c),
            '#' | '!' if !any => break,
            '{' | '}' | ' ' | '\t' => {
                if any {
                    words.push(std::mem::take(&mut word));
                    any = false;
                }
                if matches!(c, '{' | '}') {
                    words.push(c.into());
                }
            }
            _ => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    words
}
