//! `alveary lb`: a layer-4 balancer.

mod check;
mod client;
mod flows;
mod import;
mod lab;
mod moment;
mod others;
mod record;
mod routes;
mod serve;
mod stop;
mod trace;
mod watch;

use crate::failure::Failure;
use clap::{Args, Subcommand};

/// A layer-4 balancer on XDP: served from one file, checked, drained, looked at
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary lb check lb.toml
  alveary lb serve lb.toml
  alveary lb status
  alveary lb drain 10.0.0.11 --within 30s
  alveary lb trace 'tcp 198.51.100.7:40000 > 192.0.2.1:443'
  alveary lb flows --follow
  alveary lb record 'verdict dropped' -w drops.pcapng
  alveary lb import /etc/keepalived/keepalived.conf > lb.toml
  alveary lb lab")]
pub(crate) struct Lb {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Check(check::Check),
    Serve(serve::Serve),
    Status(client::Status),
    Vips(client::Vips),
    Reals(client::Reals),
    Flows(client::Flows),
    Drain(client::Drain),
    Undrain(client::Undrain),
    Reload(client::Reload),
    Withdraw(routes::Withdraw),
    Announce(routes::Announce),
    Stop(stop::Stop),
    Trace(trace::Trace),
    Record(record::Record),
    Import(import::Import),
    Lab(lab::Lab),
}

impl Lb {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Check(check) => check.run(json),
            Action::Serve(serve) => serve.run(json),
            Action::Status(status) => status.run(json),
            Action::Vips(vips) => vips.run(json),
            Action::Reals(reals) => reals.run(json),
            Action::Flows(flows) => flows.run(json),
            Action::Drain(drain) => drain.run(json),
            Action::Undrain(undrain) => undrain.run(json),
            Action::Reload(reload) => reload.run(json),
            Action::Withdraw(withdraw) => withdraw.run(json),
            Action::Announce(announce) => announce.run(json),
            Action::Stop(stop) => stop.run(json),
            Action::Trace(trace) => trace.run(json),
            Action::Record(record) => record.run(json),
            Action::Import(import) => import.run(json),
            Action::Lab(lab) => lab.run(json),
        }
    }
}
