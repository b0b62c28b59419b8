//! Why something was not done.

use alveary_diag::Diagnostic;
use std::fmt;

/// Why something was not done.
#[derive(Debug)]
pub enum Fault {
    /// The target's reason.
    Target(alveary::Error),
    /// A reason of our own.
    Own(Diagnostic),
}

/// What comes of something that may not be done.
pub type Result<T, E = Fault> = std::result::Result<T, E>;

impl From<alveary::Error> for Fault {
    fn from(why: alveary::Error) -> Fault {
        Fault::Target(why)
    }
}

impl From<Diagnostic> for Fault {
    fn from(why: Diagnostic) -> Fault {
        Fault::Own(why)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Target(why) => why.fmt(f),
            Fault::Own(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}
