//! `alveary lb`: a layer-4 balancer.

mod check;
mod import;

use crate::{failure::Failure, files};
use alveary_lb::config::Config;
use clap::{Args, Subcommand};
use std::path::Path;

/// A layer-4 balancer: its configuration
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary lb check lb.toml
  alveary lb import /etc/keepalived/keepalived.conf > lb.toml")]
pub(crate) struct Lb {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Check(check::Check),
    Import(import::Import),
}

impl Lb {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Check(check) => check.run(json),
            Action::Import(import) => import.run(json),
        }
    }
}

/// The configuration in a file.
fn open(path: &Path) -> Result<Config, Failure> {
    let text = files::text(path)?;
    Ok(Config::read(&path.display().to_string(), &text)?)
}
