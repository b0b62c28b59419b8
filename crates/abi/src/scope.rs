//! Who may use a row, and since when.

use crate::{AttachType, ProgSet, ProgType};
use std::fmt;

/// A kernel version: `Version(6, 18)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16, pub u16);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Who may use a row, and on which kernels.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Program types.
    pub progs: ProgSet,
    /// If given, the expected attach type must be one of these.
    pub attach: Option<&'static [AttachType]>,
    /// First kernel that has it.
    pub since: Version,
    /// First kernel that has it no more.
    pub until: Option<Version>,
}

impl Scope {
    /// A scope without attach types and without an end.
    #[must_use]
    pub const fn of(progs: ProgSet, since: Version) -> Scope {
        Scope { progs, attach: None, since, until: None }
    }

    /// Whether a program of type `ty`, with expected attach type `at`, on kernel `v` is inside.
    #[must_use]
    pub fn admits(&self, ty: ProgType, at: Option<AttachType>, v: Version) -> bool {
        self.progs.has(ty)
            && v >= self.since
            && self.until.is_none_or(|u| v < u)
            && self.attach.is_none_or(|l| at.is_some_and(|a| l.contains(&a)))
    }
}
