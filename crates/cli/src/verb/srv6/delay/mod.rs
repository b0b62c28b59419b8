//! `alveary srv6 delay`: how long packets take on a path. A probe puts headers with the time around some of a route's packets,
//! a collector reports those that come to its segment.
//!
//! | file | holds |
//! |---|---|
//! | `packet` | what is put around packets, what is told of them |
//! | `monitor` | the programs in the running kernel |
//! | `statistics`, `histogram` | what is known of paths |
//! | `clock` | the time that packets carry |
//! | `collector` | reports read and passed on: into statistics, a file, an endpoint for Prometheus |
//! | `prometheus` | that endpoint |
//! | `shown` | what is known, as users see it |
//! | `probe`, `collect` | the verbs |

mod clock;
mod collect;
mod collector;
mod histogram;
mod monitor;
mod packet;
mod probe;
mod prometheus;
pub(super) mod shown;
mod statistics;

pub(super) use collector::Collector;
pub(super) use monitor::{Counts, Measured, OBJECT, Receiver, Transmitter};
pub(super) use packet::{Kind, Report};
pub(super) use statistics::{Path, Statistics};

use crate::failure::Failure;
use clap::{Args, Subcommand};

/// Measure how long packets take on a path
///
/// A share of a route's packets gets headers with the time at which they leave (`probe`); a segment on their way reports
/// when they come (`collect`), takes the time off and lets them go on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 delay collect --sid fc00:2::d --dev eth1 --prometheus 9100
  alveary srv6 delay probe --to 2001:db8:b::/48 --segments fc00:2::d,fc00:2::6 --dev eth0 --share 1/100")]
pub(super) struct Delay {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Probe(Box<probe::Probe>),
    Collect(Box<collect::Collect>),
}

impl Delay {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Probe(probe) => probe.run(json),
            Action::Collect(collect) => collect.run(json),
        }
    }
}

/// A time as users write it: `500ms`, `10s`, `2m`.
pub(super) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("`{text}` is no time: 500ms, 10s, 2m");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        _ => return Err(wrong()),
    };
    std::time::Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}
