//! `alveary lb serve`.

use super::moment::{is_journal, moment};
use crate::{failure::Failure, files, output, packed::Packed};
use alveary::kernel::signal::Orders;
use alveary_diag::Diagnostic;
use alveary_lb::{Fault, serve::Server};
use clap::{Args, ValueHint};
use serde_json::json;
use std::{path::PathBuf, time::SystemTime};

pub(super) static OBJECT: Packed = packed!("lb.bpf.o");
/// Where balancers are pinned.
pub(super) const ROOT: &str = "/sys/fs/bpf";

/// Balance, until Ctrl-C; packets go on being balanced behind that
///
/// The program is attached to the devices, reals are checked, the API and Prometheus answered. The configuration is read
/// again on SIGHUP, when the file changes, and when the API is told to; one that is wrong changes nothing. What runs is
/// pinned: when this process ends, or is killed, packets go on being balanced, and the next `serve` takes over, with another
/// version of the program too. `alveary lb stop` ends it. One process serves a balancer at a time. What it says it says with
/// the time, unless systemd's journal notes that.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary lb serve lb.toml
  alveary lb status")]
pub(super) struct Serve {
    /// The configuration
    #[arg(value_name = "CONFIG.toml", value_hint = ValueHint::FilePath, value_parser = files::written)]
    config: PathBuf,

    /// The BPF file system in which it is pinned
    #[arg(long, value_name = "DIR", default_value = ROOT, value_hint = ValueHint::DirPath)]
    bpffs: PathBuf,
}

impl Serve {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let orders = Orders::expect()?;
        // Who does not read what is said is no reason to end.
        let timed = !is_journal();
        let mut log = |line: &str| {
            let now = moment(SystemTime::now());
            let _ = match (json, timed) {
                (true, _) => output::object(&json!({ "time": now, "log": line })),
                (false, true) => output::plain(&format!("{now} {line}\n")),
                (false, false) => output::plain(&format!("{line}\n")),
            };
        };
        let server = Server::begin(&self.config, &OBJECT, &self.bpffs, &mut log).map_err(all)?;
        server.run(orders).map_err(|why| all(vec![why]))
    }
}

/// Several reasons as one failure.
pub(super) fn all(faults: Vec<Fault>) -> Failure {
    let mut own: Vec<Diagnostic> = Vec::new();
    for fault in faults {
        match fault {
            Fault::Target(why) => return why.into(),
            Fault::Own(why) => own.push(why),
        }
    }
    own.into()
}
