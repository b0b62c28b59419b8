//! `alveary srv6 route`: routes with segments, headends and programs in the running kernel.

mod add;
mod del;
mod encap;
mod show;

use super::{
    prefix::{Prefix, table},
    refused::refused,
};
use crate::failure::Failure;
use alveary::kernel::netlink::srv6::{SteeredRoute, steered_routes};
use clap::{Args, Subcommand};

/// Add, remove and show routes with segments, headends and programs
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 route add fc00:e::/64 End.X --nh6 fe80::1 --dev eth0 --counters
  alveary srv6 route add fc00:f::1 End.BPF tag.bpf.o:tag --dev eth0
  alveary srv6 route add 10.0.0.0/8 lwt_xmit tunnel.bpf.o --dev eth0
  alveary srv6 route show --json
  alveary srv6 route del fc00:e::/64")]
pub(super) struct Route {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Add(Box<add::Add>),
    Del(del::Del),
    Show(show::Show),
}

impl Route {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Add(add) => add.run(json),
            Action::Del(del) => del.run(json),
            Action::Show(show) => show.run(json),
        }
    }
}

/// Which routes are meant
#[derive(Debug, Args)]
struct Which {
    /// Of this device alone
    #[arg(long, value_name = "IF")]
    dev: Option<String>,

    /// Of this table alone: a number, or `main`, `local`, `default`
    #[arg(long, value_name = "TABLE", value_parser = table)]
    table: Option<u32>,
}

impl Which {
    /// The routes that are meant, all of them or those to one destination.
    fn routes(&self, to: Option<Prefix>) -> Result<Vec<SteeredRoute>, Failure> {
        let device = self.dev.as_deref().map(crate::bpftool::device::named).transpose()?;
        let mut all = steered_routes().map_err(|why| refused("the kernel does not tell its routes", &why))?;
        all.retain(|SteeredRoute { key, next }| {
            to.is_none_or(|to| (key.destination, key.prefix) == (to.address, to.bits))
                && self.table.is_none_or(|table| table == key.table)
                && device.is_none_or(|device| next.iter().any(|next| next.device == device))
        });
        Ok(all)
    }
}
