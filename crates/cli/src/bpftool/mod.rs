//! What bpftool's users know, shared by the verbs that they type unchanged: its words, its JSON, its ways to name an
//! object of the kernel. What each verb does stands in the verb's own file.
//!
//! | file | holds |
//! |---|---|
//! | `command_line` | command lines of bpftool, turned into ours |
//! | `options` | the options before the verb (`-j`, `-p`, `-f` …) and the shape that they give the output |
//! | `words` | words behind the verb: `id 7`, `pinned FILE`, abbreviated as bpftool allows |
//! | `select` | programs, maps and links by id, name, tag or path |
//! | `symbols` | the kernel's symbols by address |
//! | `owners` | who keeps an object: paths in BPF file systems, processes |
//! | `over` | what an iterator goes over |
//! | `prototype` | functions by their BTF |
//! | `typed` | values by their BTF |
//! | `bytes` | values without |
//! | `mounts` | BPF file systems, and their tokens |
//! | `device` | network devices by name |
//! | `json` | JSON, laid out as bpftool does |

pub(crate) mod bytes;
pub(crate) mod command_line;
pub(crate) mod device;
pub(crate) mod json;
pub(crate) mod mounts;
pub(crate) mod options;
pub(crate) mod over;
pub(crate) mod owners;
pub(crate) mod pins;
pub(crate) mod prototype;
pub(crate) mod select;
pub(crate) mod symbols;
pub(crate) mod typed;
pub(crate) mod words;

use crate::failure::Failure;
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys;

/// A refusal of the kernel, explained.
impl From<sys::Error> for Failure {
    fn from(why: sys::Error) -> Failure {
        why.diagnostic().into()
    }
}

/// Words that make no sense.
pub(crate) fn usage(message: impl Into<String>) -> Diagnostic {
    Diagnostic::new("usage", message.into(), Place::Nowhere)
}
