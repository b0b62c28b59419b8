//! A loaded program that stays by a name: its own, or that of the link by which it is attached.

use crate::failure::Failure;
use alveary::{Linux, Loaded, kernel::attach::Pinned};
use std::path::Path;

/// How a program stays.
pub(super) struct Kept {
    /// Where it is attached, as a sentence names it; `None`: it is loaded.
    pub(super) place: Option<String>,
    /// What a person should know of it.
    pub(super) notes: Vec<String>,
}

/// Pins a program; if it is to be `attached` and its section says where, its link.
pub(super) fn keep(loaded: &Loaded<Linux>, program: &str, path: &Path, attached: bool) -> Result<Kept, Failure> {
    let handle = loaded.program(program)?.handle().clone();
    let link = if attached { loaded.attach_as_said(program)? } else { None };
    let Some(link) = link else {
        handle.pin(path)?;
        let why = || format!("nothing says where `{program}` is attached: the program is pinned instead");
        return Ok(Kept { place: None, notes: attached.then(why).into_iter().collect() });
    };
    let kept = Kept { place: Some(link.place().to_owned()), notes: link.notes().to_vec() };
    if link.pin(path)? == Pinned::Without {
        handle.pin(path)?;
    }
    Ok(kept)
}
