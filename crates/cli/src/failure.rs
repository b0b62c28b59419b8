//! Why a verb failed.

use crate::error::{Nothing, Scene};
use alveary::Kind;
use alveary_diag::{Diagnostic, Place};
use std::{fmt, io, path::Path};

/// Why a verb failed.
pub(crate) enum Failure {
    /// Something is wrong with what the user gave.
    Wrong {
        /// What, most important first. Never empty.
        diagnostics: Vec<Diagnostic>,
        /// What their places look like.
        scene: Box<dyn Scene>,
        /// What the library calls it, if it comes from there.
        kind: Option<Kind>,
    },
    /// Nobody reads our output any more (`alveary … | head`): nothing to complain about.
    ReaderGone,
    /// All is said on stdout: the exit code alone tells.
    Silent,
}

impl Failure {
    /// A failure whose places can be shown.
    pub(crate) fn with_scene(diagnostics: Vec<Diagnostic>, scene: impl Scene + 'static) -> Self {
        Failure::Wrong { diagnostics, scene: Box::new(scene), kind: None }
    }

    /// The same of the kind that the library gave it.
    pub(crate) fn of_kind(mut self, known: Kind) -> Self {
        if let Failure::Wrong { kind, .. } = &mut self {
            *kind = Some(known);
        }
        self
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(doing: &'static str, path: &Path, why: &io::Error) -> Self {
        Diagnostic::new("file", format!("cannot {doing} the file: {}", reason(why)), Place::Nowhere)
            .in_file(path.display().to_string())
            .into()
    }

    /// A directory that cannot be made.
    pub(crate) fn directory(path: &Path, why: &io::Error) -> Self {
        Diagnostic::new("file", format!("cannot make the directory: {}", reason(why)), Place::Nowhere)
            .in_file(path.display().to_string())
            .into()
    }
}

impl From<Diagnostic> for Failure {
    fn from(why: Diagnostic) -> Self {
        Failure::with_scene(vec![why], Nothing)
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(why: Vec<Diagnostic>) -> Self {
        Failure::with_scene(why, Nothing)
    }
}

impl From<alveary::Error> for Failure {
    fn from(why: alveary::Error) -> Self {
        Failure::from(why.diagnostics().cloned().collect::<Vec<_>>()).of_kind(why.kind())
    }
}

/// Writing to stdout failed.
impl From<io::Error> for Failure {
    fn from(why: io::Error) -> Self {
        match why.kind() {
            io::ErrorKind::BrokenPipe => Failure::ReaderGone,
            _ => Diagnostic::new("output", format!("cannot write the output: {}", reason(&why)), Place::Nowhere).into(),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Wrong { diagnostics, .. } => diagnostics.fmt(f),
            Failure::ReaderGone => f.write_str("ReaderGone"),
            Failure::Silent => f.write_str("Silent"),
        }
    }
}

/// The error as the C library words it, without Rust's number behind it.
fn reason(why: &io::Error) -> String {
    let text = why.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
