//! `alveary lb stop`.

use super::{
    client::{Which, name, said},
    serve::{ROOT, all},
};
use crate::failure::Failure;
use alveary_diag::{Diagnostic, Place};
use alveary_lb::{
    announce::{LeftSocket, noted, noted_bpffs, withdraw_by_note},
    api::socket,
    instance,
    owner::{Owned, Owner},
};
use alveary_sort::Sort;
use clap::{Args, ValueHint};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use serde_json::json;
use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

/// Seconds that a process may take to end after it has said that it does.
const FAREWELL: i64 = 10;

/// Balancers that are told to who has named none of them.
const MOST: usize = 10;

/// End a balancer: no packet is balanced any more
///
/// Routes to its VIPs are taken back before. Its program is detached and its maps are gone, with all connections that they
/// know; the process that serves it, if there is one, does so, and ends.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary lb stop
  alveary lb stop edge
  alveary lb stop lb1 --bpffs /run/alveary-lab/bpf")]
pub(super) struct Stop {
    /// The balancer's name
    #[arg(value_name = "NAME", default_value = "main", value_parser = name)]
    name: String,

    /// Its socket, if its configuration says another one
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// The BPF file system in which it is pinned
    #[arg(long, value_name = "DIR", default_value = ROOT, value_hint = ValueHint::DirPath)]
    bpffs: PathBuf,
}

impl Stop {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let owned = Owner::of(&self.bpffs, &self.name).map_err(|why| {
            let message = format!("whether `{}` is there cannot be told", self.name);
            Diagnostic::new("lb-stop", message, Place::Nowhere).found(why.to_string())
        })?;
        match owned {
            Owned::Nothing => Err(self.none().into()),
            Owned::Process { pid, pins } => self.ask(pid, &pins, json),
            Owned::Nobody => {
                // Nobody begins to serve it meanwhile.
                let _owner = Owner::take(&self.bpffs, &self.name).map_err(|why| all(vec![why]))?;
                // Its note, which says where that is, goes before it.
                let left = LeftSocket::of(&notes(&self.name), &self.name, self.socket.clone());
                withdraw_first(&self.name)?;
                // With its folder goes what keeps others from beginning to serve it, at the same socket.
                if let Err(why) = left.remove() {
                    anstream::eprintln!("{why}");
                }
                instance::stop(&self.bpffs, &self.name).map_err(|why| all(vec![why]))?;
                said(&json!({ "pid": null }), json)
            }
        }
    }

    /// That there is none, where it was looked for, and which there are.
    fn none(&self) -> Diagnostic {
        let socket = Which::new(&self.name, self.socket.clone()).path();
        let answers = if UnixStream::connect(&socket).is_ok() { "somebody answers" } else { "nobody answers" };
        let mut why = Diagnostic::new("lb-stop", format!("there is no balancer `{}`", self.name), Place::Nowhere)
            .found(format!(
                "no {}; {answers} at {}",
                instance::folder(&self.bpffs, &self.name).display(),
                socket.display()
            ));
        let here = instance::names(&self.bpffs).into_iter().map(|name| (name, self.bpffs.clone()));
        let elsewhere = noted().into_iter().filter_map(|name| noted_bpffs(&name).map(|root| (name, root)));
        let mut all: Vec<_> = here.chain(elsewhere).collect();
        all.order();
        all.dedup();
        let there = |(name, root): &(String, PathBuf)| instance::folder(root, name).exists();
        for (name, root) in all.iter().filter(|one| there(one)).take(MOST) {
            let more = if root == Path::new(ROOT) { String::new() } else { format!(" --bpffs {}", root.display()) };
            why.help.push(format!("`{name}` is there: `alveary lb stop {name}{more}`"));
        }
        if why.help.is_empty() {
            why.help.push("another name, or `--bpffs DIR`: the BPF file system that `serve` was told of".into());
        }
        why
    }

    /// Has its process end it, and waits until that has ended, too.
    fn ask(&self, process: Option<u32>, pins: &str, json: bool) -> Result<(), Failure> {
        let pid = process.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let watched = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let which = Which::new(&self.name, self.socket.clone());
        let answer = which.ask("POST", "/v1/stop", &json!({ "pins": pins })).map_err(|why| match why {
            Failure::Wrong { mut diagnostics, .. } => {
                diagnostics[0].help.push(self.who(process));
                diagnostics.into()
            }
            why => why,
        })?;
        if let Some(watched) = watched {
            let most = Timespec { tv_sec: FAREWELL, tv_nsec: 0 };
            // Nothing is balanced any more, whenever it ends.
            let _ = poll(&mut [PollFd::new(&watched, PollFlags::IN)], Some(&most));
        }
        said(&answer, json)
    }

    /// Who serves it, and how that is asked or ended.
    fn who(&self, process: Option<u32>) -> String {
        let Some(pid) = process else {
            return "a process that cannot be seen from here serves it: stop it where that runs, or from the machine's own \
                    namespace of processes"
                .into();
        };
        let end = format!("kill {pid}, then `alveary lb stop {}`", self.name);
        let mounts = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        if self.socket.is_some() || mounts("self") == mounts(&pid.to_string()) {
            return format!("process {pid} serves it; if it does not answer: {end}");
        }
        let socket = format!("/proc/{pid}/root{}", socket(&self.name).display());
        format!(
            "process {pid} serves it, in a container: `--socket {socket}`, if its configuration says no other one; or {end}"
        )
    }
}

/// The folder of the note that a balancer's process leaves.
fn notes(name: &str) -> PathBuf {
    socket(name).parent().map(Path::to_owned).unwrap_or_default()
}

/// Takes back what a balancer announces that nobody serves, so that packets go elsewhere before it ends.
fn withdraw_first(name: &str) -> Result<(), Failure> {
    let folder = notes(name);
    withdraw_by_note(&folder, name).map_err(|why| {
        let message = format!("the routes of `{name}` cannot be taken back: packets go on being balanced");
        let note = folder.join(format!("lb-{name}.announce"));
        let help = format!("start BIRD; or see to the routes yourself, and remove {}", note.display());
        Diagnostic::new("lb-stop", message, Place::Nowhere).found(why.to_string()).help(help).into()
    })
}
