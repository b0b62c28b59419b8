//! What an iterator goes over, as words: `map name services`, `cgroup DIR descendants`, `task TID`, `pid PID`.

use super::{select, usage, words::Words};
use crate::failure::Failure;
use alveary_linux::sys::IterTarget;
use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
};

/// What an iterator goes over; the words are [`Over::WORDS`].
pub(crate) enum Over {
    All,
    Map(OwnedFd),
    Cgroup { directory: OwnedFd, order: u32 },
    Thread(u32),
    Process(u32),
}

/// Ways through control groups, with their numbers (`enum bpf_cgroup_iter_order`).
const ORDERS: [(&str, u32); 4] = [("self", 1), ("descendants", 2), ("descendants_post", 3), ("ancestors", 4)];

impl Over {
    /// What may be said.
    pub(crate) const WORDS: &str = "`map MAP`, `cgroup DIR [ORDER]`, `task TID` or `pid PID`";

    /// Reads the words that are left; none is everything that there is.
    pub(crate) fn read(words: &mut Words<'_>) -> Result<Over, Failure> {
        if words.is_empty() {
            return Ok(Over::All);
        }
        let over = if words.is("map") {
            Over::Map(select::map(words)?)
        } else if words.is("cgroup") {
            let path = words.must("the directory of a control group")?;
            let directory = File::open(path).map_err(|why| Failure::file("open", path.as_ref(), &why))?;
            Over::Cgroup { directory: directory.into(), order: order(words)? }
        } else if words.is("task") {
            Over::Thread(words.number("the number of a thread")?)
        } else if words.is("pid") {
            Over::Process(words.number("the number of a process")?)
        } else {
            return Err(words.unexpected(Over::WORDS));
        };
        words.end()?;
        Ok(over)
    }

    /// As the kernel is told it.
    pub(crate) fn target(&self) -> IterTarget<'_> {
        match self {
            Over::All => IterTarget::All,
            Over::Map(map) => IterTarget::Map(map.as_fd()),
            Over::Cgroup { directory, order } => {
                IterTarget::Cgroup { order: *order, fd: Some(directory.as_fd()), id: 0 }
            }
            Over::Thread(tid) => IterTarget::Task { tid: *tid, pid: 0, pid_fd: None },
            Over::Process(pid) => IterTarget::Task { tid: 0, pid: *pid, pid_fd: None },
        }
    }
}

/// The way through control groups; from the top to the bottom unless it is said.
fn order(words: &mut Words<'_>) -> Result<u32, Failure> {
    let Some(word) = words.take() else { return Ok(ORDERS[1].1) };
    ORDERS.iter().find(|(name, _)| *name == word).map(|(_, order)| *order).ok_or_else(|| {
        let names: Vec<&str> = ORDERS.iter().map(|(name, _)| *name).collect();
        usage(format!("`{word}` is no way through control groups")).expected(names.join(", ")).into()
    })
}
