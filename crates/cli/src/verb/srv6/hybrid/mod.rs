//! `alveary srv6 hybrid`: the packets of one route over several links, so that one connection gets the sum of them.
//!
//! | file | holds |
//! |---|---|
//! | `config` | an end as a file describes it |
//! | `spread` | the program that spreads packets |
//! | `departure` | the program that tells packets when to leave |
//! | `meter` | what is known of links, and what follows |
//! | `daemon` | an end that runs |

mod config;
mod daemon;
mod departure;
mod meter;
mod spread;

pub(super) use config::{Config, Link};
pub(super) use daemon::{Daemon, Known, measured, target};
pub(super) use meter::{Decision, Meter, SCALE, decide};
pub(super) use spread::{OBJECT, Sent, value};

use super::delay::duration;
use crate::{
    failure::Failure,
    output,
    table::{Align, Table, grouped},
};
use alveary::kernel::signal::Ending;
use clap::{Args, Subcommand, ValueHint};
use serde_json::json;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// Spread the packets of one route over several links
///
/// Each link gets the share of the bytes that its weight is, by segments that lead over it. Links are measured all the
/// time: one that loses gets less, one that is silent nothing, packets of faster ones can be held.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 hybrid run home.toml
  alveary srv6 hybrid run home.toml --every 1s --json")]
pub(super) struct Hybrid {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Run(Run),
}

/// Be one end of several links, until Ctrl-C
///
/// The file says where packets go to, and for each link its device, its weight, the segments that lead over it to the far
/// end, the far end's segment that sends back what measures it; and this end's two segments, which are there as long as
/// the daemon runs: one that takes headers off, one that sends back.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  alveary srv6 hybrid run home.toml --every 1s

home.toml:
  to = \"2001:db8:b::/48\"
  source = \"fc00:1::1\"
  compensation = \"edt\"    # faster links' packets wait in their devices' fq

  [[link]]
  name = \"dsl\"
  dev = \"dsl0\"
  weight = 20
  segments = [\"fc00:2:1::6\"]
  far-monitor = \"fc00:2:1::d\"
  monitor = \"fc00:1:1::d\"
  decapsulate = \"fc00:1:1::6\"")]
struct Run {
    /// The end
    #[arg(value_name = "CONFIG.toml", value_hint = ValueHint::FilePath)]
    config: PathBuf,

    /// Print what is known of the links that often
    #[arg(long, value_name = "TIME", value_parser = duration)]
    every: Option<Duration>,

    /// End after that time
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
}

impl Hybrid {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Run(run) => run.run(json),
        }
    }
}

impl Run {
    fn run(&self, json: bool) -> Result<(), Failure> {
        let ending = Ending::expect()?;
        let mut daemon = Daemon::new(&Config::open(&self.config)?, None)?;
        let (start, mut printed) = (Instant::now(), Instant::now());
        while !ending.came() && self.time.is_none_or(|time| start.elapsed() < time) {
            daemon.turn()?;
            if self.every.is_some_and(|every| printed.elapsed() >= every) {
                printed = Instant::now();
                print(&daemon, json)?;
            }
        }
        print(&daemon, json)
    }
}

fn print(daemon: &Daemon<'_>, json: bool) -> Result<(), Failure> {
    let (known, nowhere) = (daemon.known()?, daemon.nowhere()?);
    if json {
        return output::object(&json!({ "links": known, "nowhere": nowhere }));
    }
    output::write(|out| {
        table(&known).write("", out)?;
        match nowhere.packets {
            0 => Ok(()),
            packets => writeln!(out, "{} went nowhere", crate::table::count(packets, "packet", "packets")),
        }
    })
}

/// What is known of links, as a table.
pub(super) fn table(known: &[Known]) -> Table {
    let right = ["round trip", "loss", "weight", "held", "packets", "bytes"].map(|name| (name, Align::Right));
    let mut columns = vec![("link", Align::Left), ("", Align::Left)];
    columns.extend(right);
    let mut table = Table::new(columns);
    for link in known {
        let milliseconds = |time: u64| format!("{:.1} ms", time as f64 / 1e6);
        table.row([
            link.name.clone(),
            if link.alive { "" } else { "silent" }.to_owned(),
            link.round_trip.map_or_else(String::new, milliseconds),
            format!("{:.0} %", link.loss * 100.0),
            format!("{:.1}", link.weight),
            milliseconds(link.hold),
            grouped(link.sent.packets),
            grouped(link.sent.bytes),
        ]);
    }
    table
}
