//! What can be said about the calls from inside: their layouts, and small parts.

pub(crate) mod layout;
mod parts;
