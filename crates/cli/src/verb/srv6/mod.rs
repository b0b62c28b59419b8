//! `alveary srv6`: segment routing. Routes with segments, headends and programs of this machine; the source address of
//! tunnels, keys of HMACs. A router in user space.

mod behaviour;
mod delay;
mod discover;
mod hmac;
mod hybrid;
mod installed;
mod lab;
mod oamp;
mod prefix;
mod refused;
mod route;
mod run;
mod topology;
mod tunsrc;

use crate::{bpftool::device, failure::Failure};
use alveary_diag::{Diagnostic, Place};
use clap::{Args, Subcommand};

/// Segment routing over IPv6: routes, tunnels' source address, keys; a router in user space
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 route add fc00:e::1 End --dev eth0 --counters
  alveary srv6 route add fc00:e::2 End.BPF tag.bpf.o:tag --dev eth0
  alveary srv6 route add 2001:db8::/32 H.Encaps --segments fc00:1::1,fc00:2::1 --dev eth0
  alveary srv6 route show
  alveary srv6 tunsrc set fc00::1
  alveary srv6 run router.toml --pcap in.pcap --write out
  alveary srv6 discover 2001:db8:b::1 --graph svg > ways.svg")]
pub(crate) struct Srv6 {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Route(Box<route::Route>),
    Tunsrc(tunsrc::Tunsrc),
    Hmac(hmac::Hmac),
    Run(Box<run::Run>),
    Delay(Box<delay::Delay>),
    Hybrid(hybrid::Hybrid),
    Lab(lab::Lab),
    Discover(Box<discover::Discover>),
    Oamp(oamp::Oamp),
}

impl Srv6 {
    pub(crate) fn run(&self, json: bool) -> Result<(), Failure> {
        match &self.action {
            Action::Route(route) => route.run(json),
            Action::Tunsrc(tunsrc) => tunsrc.run(json),
            Action::Hmac(hmac) => hmac.run(json),
            Action::Run(run) => run.run(json),
            Action::Delay(delay) => delay.run(json),
            Action::Hybrid(hybrid) => hybrid.run(json),
            Action::Lab(lab) => lab.run(json),
            Action::Discover(discover) => discover.run(json),
            Action::Oamp(oamp) => oamp.run(json),
        }
    }
}

/// The number of the device of an IPv6 route that does something.
fn routed_device(name: &str) -> Result<u32, Failure> {
    if name == "lo" {
        let why = "Linux drops what comes to a route of IPv6 whose device is `lo`, whatever that does";
        let help = "which device it is does not matter to segments: name one that is up";
        return Err(Diagnostic::new("srv6", why, Place::Nowhere)
            .expected("another device than `lo`")
            .help(help)
            .into());
    }
    device::named(name)
}
