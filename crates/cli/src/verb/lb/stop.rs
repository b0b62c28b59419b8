//! `alveary lb stop`.

use super::{
    client::{Which, said},
    serve::{ROOT, all},
};
use crate::failure::Failure;
use alveary_diag::{Diagnostic, Place};
use alveary_lb::{
    announce::withdraw_by_note,
    api::socket,
    instance,
    owner::{Owned, Owner},
};
use clap::{Args, ValueHint};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Seconds that a process may take to end after it has said that it does.
const FAREWELL: i64 = 10;

/// End a balancer: no packet is balanced any more
///
/// Routes to its VIPs are taken back before. Its program is detached and its maps are gone, with all connections that they
/// know; the process that serves it, if there is one, does so, and ends.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary lb stop
  alveary lb stop edge")]
pub(super) struct Stop {
    /// The balancer's name
    #[arg(value_name = "NAME", default_value = "main")]
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
        let plain = self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let none = || Diagnostic::new("lb-stop", format!("there is no balancer `{}`", self.name), Place::Nowhere);
        if !plain || self.name.is_empty() {
            return Err(none().into());
        }
        let owned = Owner::of(&self.bpffs, &self.name).map_err(|why| {
            let message = format!("whether `{}` is there cannot be told", self.name);
            Diagnostic::new("lb-stop", message, Place::Nowhere).found(why.to_string())
        })?;
        match owned {
            Owned::Nothing => Err(none().into()),
            Owned::Process { pid, pins } => self.ask(pid, &pins, json),
            Owned::Nobody => {
                // Nobody begins to serve it meanwhile.
                let _owner = Owner::take(&self.bpffs, &self.name).map_err(|why| all(vec![why]))?;
                withdraw_first(&self.name)?;
                instance::stop(&self.bpffs, &self.name).map_err(|why| all(vec![why]))?;
                said(&json!({ "pid": null }), json)
            }
        }
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

/// Takes back what a balancer announces that nobody serves, so that packets go elsewhere before it ends.
fn withdraw_first(name: &str) -> Result<(), Failure> {
    let folder = socket(name).parent().map(Path::to_owned).unwrap_or_default();
    withdraw_by_note(&folder, name).map_err(|why| {
        let message = format!("the routes of `{name}` cannot be taken back: packets go on being balanced");
        let note = folder.join(format!("lb-{name}.announce"));
        let help = format!("start BIRD; or see to the routes yourself, and remove {}", note.display());
        Diagnostic::new("lb-stop", message, Place::Nowhere).found(why.to_string()).help(help).into()
    })
}
