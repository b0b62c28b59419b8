//! What a failed command was, and about what.

use super::{Command, explain};
use alveary_abi::{AttachType, Errno, MapType, ProgType};
use alveary_diag::Diagnostic;
use std::fmt;

/// [`std::result::Result`] with this module's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// A command that the kernel refused.
#[derive(Clone, Debug)]
pub struct Error(Box<Refused>);

#[derive(Clone, Debug)]
struct Refused {
    command: Command,
    errno: Errno,
    about: About,
    name: String,
    log: String,
}

/// What a command was about: which privilege it takes, and what helps, depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Nothing in particular.
    Nothing,
    /// A map of this type.
    Map(MapType),
    /// A program of this type, with its expected attach type.
    Prog(ProgType, Option<AttachType>),
    /// An attachment of this type.
    Attach(AttachType),
}

impl Error {
    pub(super) fn new(command: Command, errno: Errno) -> Error {
        let (name, log) = (String::new(), String::new());
        Error(Box::new(Refused { command, errno, about: About::Nothing, name, log }))
    }

    pub(super) fn about(mut self, about: About) -> Error {
        self.0.about = about;
        self
    }

    /// Names the object, as the user knows it.
    #[must_use]
    pub fn named(mut self, name: &str) -> Error {
        name.clone_into(&mut self.0.name);
        self
    }

    pub(super) fn with_log(mut self, log: String) -> Error {
        self.0.log = log;
        self
    }

    /// The command.
    #[must_use]
    pub fn command(&self) -> Command {
        self.0.command
    }

    /// The kernel's error number.
    #[must_use]
    pub fn errno(&self) -> Errno {
        self.0.errno
    }

    /// What it was about.
    #[must_use]
    pub fn subject(&self) -> About {
        self.0.about
    }

    /// The log of the verifier, or of the check of BTF; empty if there is none.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.0.log
    }

    /// The object's name; empty if nobody said it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What it means, and what helps. Looks at this process's privileges and the kernel's settings, to say what lacks.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        explain::diagnostic(self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic().fmt(f)
    }
}

impl std::error::Error for Error {}

impl From<Error> for Diagnostic {
    fn from(e: Error) -> Diagnostic {
        e.diagnostic()
    }
}

/// Says which command an error number comes from.
pub(super) trait OfCommand<T> {
    fn of(self, command: Command) -> Result<T>;
}

impl<T> OfCommand<T> for std::result::Result<T, Errno> {
    fn of(self, command: Command) -> Result<T> {
        self.map_err(|errno| Error::new(command, errno))
    }
}
