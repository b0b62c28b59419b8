//! bpf(2): every command of Linux 6.18 as a typed call. Thin: a function is one command (or the few calls that it takes
//! to learn how long an answer is), its errors say what the kernel's number means for that command.
//!
//! What decides soundness is checked here: keys and values are as long as the kernel believes, every pointer that is
//! passed is to a buffer of the length that goes with it. What the kernel checks itself is left to it.
//!
//! | file | holds |
//! |---|---|
//! | `command` | the commands' numbers and names |
//! | `attr` | what each command is given, as the kernel lays it out |
//! | `call` | the system call |
//! | `error`, `explain` | what an error number means, and what helps |
//! | `map`, `batch` | maps and their elements |
//! | `prog`, `log` | loading programs; the verifier's log |
//! | `run` | `BPF_PROG_TEST_RUN` |
//! | `btf` | `BPF_BTF_LOAD` |
//! | `object` | ids, pins |
//! | `info` | what the kernel tells about an object |
//! | `attach` | `BPF_PROG_ATTACH`, `_DETACH`, `_QUERY` |
//! | `link` | links |
//! | `other` | iterators, tokens, statistics, tasks, streams |

mod attach;
mod attr;
mod batch;
mod btf;
mod call;
mod command;
mod cpus;
mod error;
mod explain;
mod info;
mod link;
mod log;
mod map;
mod object;
mod other;
mod prog;
mod run;
#[cfg(test)]
mod tests;

pub use attach::{ProgAttach, ProgQuery, Queried, Target};
pub use batch::Cursor;
pub use btf::BtfLoad;
pub use command::Command;
pub use cpus::{page_size, possible_cpus, stay_on_cpu};
pub use error::{About, Error, Result};
pub(crate) use explain::running;
pub use explain::{Capability, PRIVILEGE, held};
pub use info::{
    BtfInfo, LinkDetail, LinkInfo, LinkType, MapInfo, PerfDetail, ProgInfo, ProgParts, TokenInfo, btf_info, link_info,
    map_info, map_info_bytes, prog_info, token_info,
};
pub use link::{IterTarget, LinkCreate, LinkOptions, LinkUpdate, Order, link_detach};
pub use log::{LOG_BRANCHES, LOG_FIXED, LOG_INSNS, LOG_STATS, LogLevel};
pub use map::{Map, MapCreate};
pub use object::{Object, PathFlags, ids, next_id, obj_get, obj_pin, open_id};
pub use other::{
    FdType, Stream, TaskFd, enable_stats, iter_create, prog_bind_map, raw_tracepoint_open, stream_read, task_fd_query,
    token_create,
};
pub use prog::{Loaded, ProgLoad};
pub use run::{TestRun, TestRunOutcome};
