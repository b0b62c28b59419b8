//! `alveary srv6 discover`: the ways that flows to a destination may take, drawn.
//!
//! | file | holds |
//! |---|---|
//! | `socket` | questions to the network that this machine is in |
//! | `simulated` | questions to a network from a file |
//! | `shown` | what was found, as text and JSON |
//! | `drawing` | the same as SVG |

mod drawing;
mod shown;
mod simulated;
mod socket;

pub(super) use drawing::svg;
pub(super) use shown::{object, text};
pub(super) use socket::{Socket, probing};

use crate::{failure::Failure, files, kernel::KernelOptions, output};
use alveary::{
    kernel::Probing,
    net::discovery::{Graph, Search},
};
use alveary_diag::{Diagnostic, Place};
use clap::{Args, ValueEnum, ValueHint};
use std::{net::Ipv6Addr, path::PathBuf, time::Duration};

/// The lower half of hops' segments, unless told otherwise.
pub(super) const FUNCTION: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0xa);

/// Ask each hop on the way to a destination for its next hops, and draw the graph
///
/// Hops that run `alveary srv6 oamp` tell all their next hops. Others are found as traceroute finds them: by packets of
/// several flows that run out of hops. Needs root, unless the network is one of a file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 discover 2001:db8:b::1
  alveary srv6 discover 2001:db8:b::1 --graph svg > ways.svg
  alveary srv6 discover 2001:db8:b::1 --flows 64 --tries 3 --json
  alveary srv6 discover 2001:db8:b::1 --topology network.toml --from host")]
pub(super) struct Discover {
    /// The destination
    #[arg(value_name = "DST")]
    target: Ipv6Addr,

    /// Draw the graph instead of telling it
    #[arg(long, value_name = "FORMAT")]
    graph: Option<Drawn>,

    /// The lower half of the segments that hops answer at; the upper half is that of their address
    #[arg(long, value_name = "ADDR", default_value_t = FUNCTION)]
    function: Ipv6Addr,

    /// Flows that are tried where hops do not tell
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    flows: u16,

    /// Hops at most
    #[arg(long, value_name = "NUMBER", default_value_t = 30, value_parser = clap::value_parser!(u8).range(1..=254))]
    hops: u8,

    /// How often what is not answered is asked
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=20))]
    tries: u8,

    /// How long an answer is waited for, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    patience: u64,

    /// Ask in the network that a file describes, as `srv6 run` takes it, in virtual time
    #[arg(long, value_name = "TOPOLOGY.toml", value_hint = ValueHint::FilePath, value_parser = files::input, requires = "from")]
    topology: Option<PathBuf>,

    /// The host of that network that asks: it has an `address`
    #[arg(long, value_name = "HOST", requires = "topology")]
    from: Option<String>,

    #[command(flatten)]
    kernel: KernelOptions,
}

/// How a graph is drawn.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Drawn {
    Svg,
}

impl Discover {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let graph = self.find()?;
        match self.graph {
            Some(Drawn::Svg) if !json => output::plain(&svg(&graph)),
            _ if json => output::object(&object(&graph)),
            _ => output::plain(&text(&graph)),
        }
    }

    fn find(&self) -> Result<Graph, Failure> {
        let patience = Duration::from_millis(self.patience);
        if let (Some(topology), Some(from)) = (&self.topology, &self.from) {
            let mut wire = simulated::Wire::new(topology, from, &self.kernel, patience)?;
            return self.search(wire.address()).run(&mut wire);
        }
        let from = Probing::source(self.target).map_err(|why| {
            Diagnostic::new("discover", format!("there is no way to {}", self.target), Place::Nowhere)
                .found(why.to_string())
        })?;
        self.search(from).run(&mut Socket::open(patience)?)
    }

    fn search(&self, from: Ipv6Addr) -> Search {
        Search {
            from,
            target: self.target,
            function: u128::from(self.function) as u64,
            flows: self.flows,
            hops: self.hops,
            tries: self.tries,
            id: std::process::id() as u16,
        }
    }
}
