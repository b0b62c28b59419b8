//! The verbs: one file each, with its options, its help and its work.

pub(crate) mod completions;
pub(crate) mod man;
