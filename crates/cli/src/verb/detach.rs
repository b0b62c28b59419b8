//! `alveary detach`: takes off what was attached.

use super::attach::one_of;
use crate::{failure::Failure, output};
use alveary::kernel::attach::{Device, Direction, detach_pinned, detach_tc, detach_xdp};
use clap::{Args, ValueHint};
use serde_json::json;
use std::path::PathBuf;

/// Detach programs from the running kernel
///
/// By the name that `attach --pin` gave, which is removed, or by the device that holds a program.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary detach /sys/fs/bpf/classify
  alveary detach --xdp eth0
  alveary detach --tc eth0 ingress --priority 7")]
pub(crate) struct Detach {
    /// A pinned link, or a folder of them
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath, required_unless_present_any = ["xdp", "tc"])]
    pinned: Option<PathBuf>,

    /// The XDP programs of a device, whoever attached them
    #[arg(long, value_name = "IF", conflicts_with_all = ["pinned", "tc"])]
    xdp: Option<String>,

    /// A filter of a device (clsact), `ingress` or `egress`
    #[arg(long, num_args = 2, value_names = ["IF", "WAY"], conflicts_with = "pinned")]
    tc: Option<Vec<String>>,

    /// The filter of this priority; needed if there are several
    #[arg(long, value_name = "NUMBER", requires = "tc")]
    priority: Option<u16>,
}

impl Detach {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        let detached = if let Some(device) = &self.xdp {
            detach_xdp(&Device::named(device)?)?
        } else if let Some([device, way]) = self.tc.as_deref() {
            let ways = [("ingress", Direction::Ingress), ("egress", Direction::Egress)];
            vec![detach_tc(&Device::named(device)?, one_of("--tc IF", way, &ways)?, self.priority)?]
        } else {
            let path = self.pinned.clone().unwrap_or_default();
            detach_pinned(&path)?;
            vec![path.display().to_string()]
        };
        if json {
            return output::object(&json!({ "detached": detached }));
        }
        output::write(|out| detached.iter().try_for_each(|what| writeln!(out, "detached {what}")))
    }
}
