//! `alveary srv6 lab`: the uses of segment routing, tried in networks of network namespaces. All that is made ends with the
//! process, however that ends.
//!
//! | file | holds |
//! |---|---|
//! | `delay`, `discover`, `hybrid` | the labs |
//! | `traffic` | what hosts of a lab send each other |
//! | `plot` | results drawn |

mod delay;
mod discover;
mod hybrid;
mod plot;
mod traffic;

use crate::{failure::Failure, output};
use alveary_lab::Network;
use clap::{Args, Subcommand, ValueHint};
use serde_json::Value;
use std::{io::Write, path::PathBuf, thread};

/// Try a use of segment routing in a network of network namespaces
///
/// Builds the network, sends real traffic through it, prints and draws what came of it, and takes everything down. Needs
/// root, but neither iproute2 nor netem.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 lab delay
  alveary srv6 lab delay --plot delays.svg --json
  alveary srv6 lab hybrid
  alveary srv6 lab discover --keep")]
pub(super) struct Lab {
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    Delay(delay::Delay),
    Discover(discover::Discover),
    Hybrid(hybrid::Hybrid),
}

/// What all labs take.
#[derive(Debug, Args)]
struct Options {
    /// Let the network stand when all is told, until Ctrl-C; says how to enter it
    #[arg(long)]
    keep: bool,

    /// Draw the result into a file
    #[arg(long, value_name = "FILE.svg", value_hint = ValueHint::FilePath)]
    plot: Option<PathBuf>,
}

/// What came of a lab.
#[derive(Default)]
struct Outcome {
    text: String,
    json: Value,
    svg: String,
}

impl Lab {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.which {
            Which::Delay(lab) => lab.run(json),
            Which::Discover(lab) => lab.run(json),
            Which::Hybrid(lab) => lab.run(json),
        }
    }
}

impl Options {
    /// Says what came of a lab, and lets its network stand if that is asked for.
    fn tell(&self, outcome: &Outcome, network: Option<&Network>, json: bool) -> Result<(), Failure> {
        if let Some(path) = &self.plot {
            std::fs::write(path, &outcome.svg).map_err(|why| Failure::file("write", path, &why))?;
        }
        if json {
            output::object(&outcome.json)?;
        } else {
            output::plain(&outcome.text)?;
        }
        if let (true, Some(network)) = (self.keep, network) {
            let text = network.entrances().into_iter().map(|(name, command)| format!("{name:10}  {command}\n"));
            let text = text.collect::<String>();
            // With `--json` the result stays what it is.
            if json {
                write!(std::io::stderr(), "{text}")?;
            } else {
                output::plain(&format!("\nThe network stands until Ctrl-C:\n{text}"))?;
            }
            loop {
                thread::park();
            }
        }
        Ok(())
    }
}
