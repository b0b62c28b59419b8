//! `alveary perf`: programs on perf events, tracepoints and probes that processes hold open.

use crate::{
    bpftool::{json::Json, options::Options},
    failure::Failure,
};
use alveary_abi::Errno;
use alveary_linux::sys::{self, Capability, FdType, TaskFd};
use clap::{Args, Subcommand};
use std::{
    fs,
    io::{self, Write},
};

/// Show the programs on tracepoints and probes, by the processes that hold them
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary perf list
  alveary perf show --json")]
pub(crate) struct Perf {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the programs on tracepoints and probes, by the processes that hold them
    #[command(visible_alias = "list")]
    Show,
}

impl Perf {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        match self.action {
            Action::Show => self.options.shape(json).each(held()?.into_iter().map(Ok), false, Held::text, Held::json),
        }
    }
}

/// A program on something that a process holds open.
struct Held {
    pid: u32,
    fd: u32,
    task: TaskFd,
}

/// Of every process that we may look at.
fn held() -> Result<Vec<Held>, Failure> {
    let pids = numbers("/proc");
    let mut found = Vec::new();
    for (pid, fd) in pids.flat_map(|pid| numbers(&format!("/proc/{pid}/fd")).map(move |fd| (pid, fd))) {
        match sys::task_fd_query(pid, fd) {
            Ok(task) => found.push(Held { pid, fd, task }),
            // Who may not ask for one may not ask for any.
            Err(why) if why.errno() == Errno::EPERM && sys::held(Capability::SysAdmin) == Some(false) => {
                return Err(why.into());
            }
            // It runs no program, or is gone.
            Err(_) => {}
        }
    }
    Ok(found)
}

/// The entries of a folder that are called by a number.
fn numbers(folder: &str) -> impl Iterator<Item = u32> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// What a program is on: its name, and what is told of it.
enum On {
    /// A name alone.
    Tracepoint,
    Function,
    File,
}

fn kind(ty: FdType) -> Option<(&'static str, On)> {
    Some(match ty {
        FdType::RawTracepoint => ("raw_tracepoint", On::Tracepoint),
        FdType::Tracepoint => ("tracepoint", On::Tracepoint),
        FdType::Kprobe => ("kprobe", On::Function),
        FdType::Kretprobe => ("kretprobe", On::Function),
        FdType::Uprobe => ("uprobe", On::File),
        FdType::Uretprobe => ("uretprobe", On::File),
        FdType::Unknown(_) => return None,
    })
}

impl Held {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let TaskFd { prog, ty, name, offset, address } = &self.task;
        write!(out, "pid {}  fd {}: prog_id {prog}  ", self.pid, self.fd)?;
        match kind(*ty) {
            Some((kind, On::Tracepoint)) => writeln!(out, "{kind}  {name}"),
            Some((kind, On::Function)) if name.is_empty() => writeln!(out, "{kind}  addr {address}"),
            Some((kind, On::Function)) => writeln!(out, "{kind}  func {name}  offset {offset}"),
            Some((kind, On::File)) => writeln!(out, "{kind}  filename {name}  offset {offset}"),
            None => writeln!(out),
        }
    }

    fn json(&self, json: &mut Json<'_>) -> io::Result<()> {
        let TaskFd { prog, ty, name, offset, address } = &self.task;
        json.object(|json| {
            json.field("pid", self.pid)?;
            json.field("fd", self.fd)?;
            json.field("prog_id", *prog)?;
            let Some((kind, on)) = kind(*ty) else { return Ok(()) };
            json.field("fd_type", kind)?;
            match on {
                On::Tracepoint => json.field("tracepoint", name),
                On::Function if name.is_empty() => json.field("addr", *address),
                On::Function => {
                    json.field("func", name)?;
                    json.field("offset", *offset)
                }
                On::File => {
                    json.field("filename", name)?;
                    json.field("offset", *offset)
                }
            }
        })
    }
}
