//! What is wrong, where, why, and what to do.
//!
//! A [`Diagnostic`] is data: it knows neither BTF nor ELF and renders nothing. A [`Place`] names a spot,
//! [`Sources`] turns it into a source line, and the binary draws the picture.

#![forbid(unsafe_code)]

use std::{
    borrow::Cow,
    fmt,
    ops::{Deref, DerefMut, Range},
    sync::Arc,
};

/// A spot that a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An instruction slot of a program.
    Insn {
        /// The program's name.
        prog: Arc<str>,
        /// Index of the slot in the program as it was given to the loader.
        index: u32,
    },
    /// A byte in a section of an object file.
    Section {
        /// The section's name.
        section: Arc<str>,
        /// Offset in bytes from the section's start.
        at: u64,
    },
    /// A byte of a file that has no sections (a capture, an ELF header).
    Byte {
        /// Offset in bytes from the file's start.
        at: u64,
    },
    /// A BTF type.
    BtfType {
        /// The type's id.
        id: u32,
    },
    /// A range of a text (assembler source, configuration, an argument).
    Text {
        /// Name of the text, as a person knows it.
        file: Arc<str>,
        /// The whole text.
        text: Arc<str>,
        /// The bytes of it that are meant.
        bytes: Range<u32>,
    },
    /// No spot: the message is about the whole.
    Nowhere,
}

/// A line of source. Compilers record a point, not a range: whoever renders finds the token's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// Path as the compiler wrote it.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1; 0 if it is not known.
    pub column: u32,
    /// Text of the line.
    pub text: Arc<str>,
}

/// Something that knows the source lines behind places.
pub trait Sources {
    /// The line behind a place, if it is known.
    fn source(&self, at: &Place) -> Option<SourceLine>;
}

/// A remark on a place.
#[derive(Clone, Debug)]
pub struct Label {
    /// The place.
    pub at: Place,
    /// The remark.
    pub text: Cow<'static, str>,
    /// Whether this is the place that the message is about, rather than one that explains it.
    pub primary: bool,
    /// The source line, where the message has it with it: that of a program which never came to be.
    pub source: Option<SourceLine>,
}

/// Stable name of a family of messages (`elf-truncated`): the key of documentation and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub &'static str);

/// One message. Built in one expression:
///
/// ```
/// # use alveary_diag::{Diagnostic, Place};
/// let d = Diagnostic::new("elf-truncated", "the object ends inside a section", Place::Byte { at: 64 })
///     .expected("1,024 bytes of `.text`")
///     .found("12 bytes")
///     .help("copy the file again");
/// assert_eq!(d.code.0, "elf-truncated");
/// ```
#[derive(Clone)]
pub struct Diagnostic(Box<Message>);

/// What a [`Diagnostic`] says (boxed, so that a `Result` stays small).
#[derive(Clone, Debug)]
pub struct Message {
    /// The family.
    pub code: Code,
    /// One sentence in plain words.
    pub message: Cow<'static, str>,
    /// The file that it is about, as the user named it.
    pub file: Option<Arc<str>>,
    /// The places; the first is primary.
    pub labels: Vec<Label>,
    /// What was expected.
    pub expected: Option<String>,
    /// What was found.
    pub found: Option<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Vec<String>,
    /// What the kernel says in this case, to be searched for.
    pub kernel: Option<String>,
    /// Facts with names: `known` (what was known there), `path` (the way there).
    pub facts: Vec<(&'static str, String)>,
}

impl Diagnostic {
    /// A message of family `code` about `at`.
    pub fn new(code: &'static str, message: impl Into<Cow<'static, str>>, at: Place) -> Self {
        Diagnostic(Box::new(Message {
            code: Code(code),
            message: message.into(),
            file: None,
            labels: vec![Label { at, text: Cow::Borrowed(""), primary: true, source: None }],
            expected: None,
            found: None,
            notes: Vec::new(),
            help: Vec::new(),
            kernel: None,
            facts: Vec::new(),
        }))
    }

    /// Says what was expected.
    #[must_use]
    pub fn expected(mut self, what: impl Into<String>) -> Self {
        self.expected = Some(what.into());
        self
    }

    /// Says what was found instead.
    #[must_use]
    pub fn found(mut self, what: impl Into<String>) -> Self {
        self.found = Some(what.into());
        self
    }

    /// Adds something worth knowing.
    #[must_use]
    pub fn note(mut self, what: impl Into<String>) -> Self {
        self.notes.push(what.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(mut self, what: impl Into<String>) -> Self {
        self.help.push(what.into());
        self
    }

    /// Adds a remark on another place.
    #[must_use]
    pub fn label(mut self, at: Place, text: impl Into<Cow<'static, str>>) -> Self {
        self.labels.push(Label { at, text: text.into(), primary: false, source: None });
        self
    }

    /// Says what the kernel prints in this case.
    #[must_use]
    pub fn kernel(mut self, text: impl Into<String>) -> Self {
        self.kernel = Some(text.into());
        self
    }

    /// Adds a fact with a name.
    #[must_use]
    pub fn fact(mut self, name: &'static str, what: impl Into<String>) -> Self {
        self.facts.push((name, what.into()));
        self
    }

    /// Gives the message the source lines behind its places, for whoever shows it when `sources` is gone.
    #[must_use]
    pub fn with_lines(mut self, sources: &dyn Sources) -> Self {
        for label in &mut self.labels {
            if label.source.is_none() {
                label.source = sources.source(&label.at);
            }
        }
        self
    }

    /// Names the file that this is about, unless one is named already.
    #[must_use]
    pub fn in_file(mut self, file: impl Into<Arc<str>>) -> Self {
        self.file.get_or_insert_with(|| file.into());
        self
    }

    /// The place that the message is about.
    #[must_use]
    pub fn place(&self) -> &Place {
        self.labels.first().map_or(&Place::Nowhere, |l| &l.at)
    }
}

impl Deref for Diagnostic {
    type Target = Message;
    fn deref(&self) -> &Message {
        &self.0
    }
}

impl DerefMut for Diagnostic {
    fn deref_mut(&mut self) -> &mut Message {
        &mut self.0
    }
}

impl fmt::Debug for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One line: message, place, expected and found. What a library user sees who prints the error.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        match self.place() {
            Place::Insn { prog, index } => write!(f, "{prog}: instruction {index}: ")?,
            Place::Section { section, at } => write!(f, "section {section}, offset {at:#x}: ")?,
            Place::Byte { at } => write!(f, "offset {at:#x}: ")?,
            Place::BtfType { id } => write!(f, "BTF type {id}: ")?,
            Place::Text { file, text, bytes } => {
                let (line, column) = line_column(text, bytes.start);
                write!(f, "{file}:{line}:{column}: ")?;
            }
            Place::Nowhere => {}
        }
        f.write_str(&self.message)?;
        match (&self.expected, &self.found) {
            (Some(e), Some(x)) => write!(f, " (expected {e}, found {x})"),
            (Some(e), None) => write!(f, " (expected {e})"),
            (None, Some(x)) => write!(f, " (found {x})"),
            (None, None) => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

/// Line and column, both from 1, of a byte offset; the column counts characters.
#[must_use]
pub fn line_column(text: &str, at: u32) -> (u32, u32) {
    let mut at = (at as usize).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line = before.matches('\n').count() as u32 + 1;
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) as u32 + 1;
    (line, column)
}

/// The candidate nearest to `wanted` by edit distance, if one is near enough to be a typing error.
///
/// ```
/// assert_eq!(alveary_diag::did_you_mean("xpd_filter", ["xdp_filter", "tc_main"]), Some("xdp_filter"));
/// assert_eq!(alveary_diag::did_you_mean("zzz", ["xdp_filter"]), None);
/// ```
pub fn did_you_mean<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (wanted.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|c| (distance(wanted, c), c))
        .filter(|(d, _)| *d <= limit)
        .min_by_key(|(d, _)| *d)
        .map(|(_, c)| c)
}

/// Edits (insert, delete, replace, swap of neighbours) between two names.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let cost = usize::from(a[i - 1] != b[j - 1]);
            let mut d = (rows[i - 1][j - 1] + cost).min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                d = d.min(rows[i - 2][j - 2] + 1);
            }
            row.push(d);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
