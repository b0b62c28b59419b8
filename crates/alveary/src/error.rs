//! The one error type of the library.

use alveary_diag::{Diagnostic, Place};
use alveary_spec::Program;
use std::{fmt, sync::Arc};

/// What went wrong: a [`Kind`] for programs, a [`Diagnostic`] for people.
///
/// `{}` is one line, the most important. `{:?}` is all that was found, with what helps, a line each: this is what a `main`
/// that returns [`Result`] prints. `{:#?}` shows the fields.
#[derive(Clone)]
pub struct Error {
    kind: Kind,
    why: Diagnostic,
    /// Further messages of the same attempt.
    more: Vec<Diagnostic>,
    log: String,
    programs: Vec<Arc<Program>>,
}

/// What a caller may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A file could not be read.
    Read,
    /// The object is not what an object should be.
    Object,
    /// The object does not fit the kernel that it was resolved for.
    Resolve,
    /// The target does not have what the program needs.
    Unsupported,
    /// A program cannot be attached where it shall go.
    Attach,
    /// There is no program, map or entry of that name.
    NotFound,
    /// A map refused an operation.
    Map,
    /// The verifier refuses the program: the kernel's, or ours. Ours explains it: the diagnostic is then of the
    /// explanation's family (`packet-access`), so that only the kind tells a rejection from other errors.
    Verifier,
    /// A privilege lacks.
    Privilege,
    /// The program did what it may not; it was stopped.
    Trap,
    /// The virtual CPU is in use.
    Busy,
}

impl Kind {
    /// Its name, as the C library and JSON have it (`verifier`).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Read => "read",
            Kind::Object => "object",
            Kind::Resolve => "resolve",
            Kind::Unsupported => "unsupported",
            Kind::Attach => "attach",
            Kind::NotFound => "not-found",
            Kind::Map => "map",
            Kind::Verifier => "verifier",
            Kind::Privilege => "privilege",
            Kind::Trap => "trap",
            Kind::Busy => "busy",
        }
    }
}

/// [`std::result::Result`] with this library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: Kind, why: Diagnostic) -> Error {
        Error { kind, why, more: Vec::new(), log: String::new(), programs: Vec::new() }
    }

    /// All that was found at once.
    pub(crate) fn many(kind: Kind, all: Vec<Diagnostic>) -> Error {
        let mut all = all.into_iter();
        let why = all.next().unwrap_or_else(|| Diagnostic::new("failed", "it failed without a reason", Place::Nowhere));
        Error { kind, why, more: all.collect(), log: String::new(), programs: Vec::new() }
    }

    /// Names the file that it is about, unless one is named.
    pub(crate) fn in_file(mut self, file: &str) -> Error {
        self.why = self.why.in_file(file);
        self.more = self.more.into_iter().map(|d| d.in_file(file)).collect();
        self
    }

    /// Keeps what the kernel's verifier said.
    pub(crate) fn with_log(mut self, log: String) -> Error {
        self.log = log;
        self
    }

    /// Keeps the programs that places may lie in.
    pub(crate) fn of_programs(mut self, programs: &[Arc<Program>]) -> Error {
        self.programs = programs.to_vec();
        self
    }

    /// The programs that were to be loaded, if it came to that: what places of messages lie in.
    #[must_use]
    pub fn programs(&self) -> &[Arc<Program>] {
        &self.programs
    }

    /// The whole log of the kernel's verifier; empty if it was not that which refused.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.log
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where, why, and what to do.
    #[must_use]
    pub fn diagnostic(&self) -> &Diagnostic {
        &self.why
    }

    /// Everything that was found: the first message, and others of the same attempt.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        std::iter::once(&self.why).chain(&self.more)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            let Error { kind, why, more, programs, log } = self;
            let mut fields = f.debug_struct("Error");
            fields.field("kind", kind).field("why", why).field("more", more).field("programs", programs);
            return fields.field("log", log).finish();
        }
        for (at, one) in self.diagnostics().enumerate() {
            f.write_str(if at == 0 { "" } else { "\n" })?;
            write!(f, "{one}")?;
        }
        // What helps with several is said once.
        let mut said: Vec<&str> = Vec::new();
        for (word, line) in self.diagnostics().flat_map(beside) {
            if !said.contains(&line) {
                write!(f, "\n  {word}: {line}")?;
                said.push(line);
            }
        }
        Ok(())
    }
}

/// What a message says beside its line.
fn beside(why: &Diagnostic) -> impl Iterator<Item = (&'static str, &str)> {
    let notes = why.notes.iter().map(|note| ("note", &**note));
    let kernel = why.kernel.iter().map(|line| ("kernel", &**line));
    notes.chain(kernel).chain(why.help.iter().map(|help| ("help", &**help)))
}

impl std::error::Error for Error {}

/// Gives a [`Diagnostic`] its [`Kind`].
pub(crate) trait OrKind<T> {
    fn or_kind(self, kind: Kind) -> Result<T>;
}

impl<T> OrKind<T> for std::result::Result<T, Diagnostic> {
    fn or_kind(self, kind: Kind) -> Result<T> {
        self.map_err(|why| Error::new(kind, why))
    }
}
