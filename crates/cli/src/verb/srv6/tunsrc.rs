//! `alveary srv6 tunsrc`: the source address of tunnels that routes make.

use super::refused::refused;
use crate::{failure::Failure, output};
use alveary::kernel::netlink::srv6::{set_tunnel_source, tunnel_source};
use clap::{Args, Subcommand};
use serde_json::json;
use std::net::Ipv6Addr;

/// Show or set the source address of what headends encapsulate
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 tunsrc show
  alveary srv6 tunsrc set fc00::1
  alveary srv6 tunsrc set ::")]
pub(super) struct Tunsrc {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show it; `::`: each packet gets an address of the device that it leaves by
    Show,
    /// Set it
    Set {
        /// The address; `::` for none
        #[arg(value_name = "ADDR")]
        source: Ipv6Addr,
    },
}

impl Tunsrc {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        if let Action::Set { source } = self.action {
            set_tunnel_source(source).map_err(|why| refused("the source address of tunnels cannot be set", &why))?;
        }
        let source =
            tunnel_source().map_err(|why| refused("the kernel does not tell the source address of tunnels", &why))?;
        if json { output::object(&json!({ "source": source })) } else { output::plain(&format!("{source}\n")) }
    }
}
