//! `alveary srv6 delay collect`.

use super::{Collector, duration, shown};
use crate::{
    failure::Failure,
    output,
    verb::srv6::{prefix::Prefix, routed_device},
};
use alveary::kernel::signal::Ending;
use clap::{Args, ValueHint};
use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Longest that the end waits to be noticed.
const TURN: Duration = Duration::from_millis(100);

/// Report the measured packets that come to a segment of this machine, until Ctrl-C
///
/// The segment is there as long as the collector runs. Packets that it reports lose their delay TLV and go on to their
/// next segment; such as are to be sent back only get the time. Without a delay TLV they just go on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 delay collect --sid fc00:2::d --dev eth1
  alveary srv6 delay collect --sid fc00:2::d --dev eth1 --every 10s --prometheus 9100 --export delays.csv
  alveary srv6 delay collect --sid fc00:2::d --dev eth1 --for 60s --json")]
pub(super) struct Collect {
    /// The segment
    #[arg(long, value_name = "ADDR")]
    sid: Prefix,

    /// A device for the segment's route; which one does not matter
    #[arg(long, value_name = "IF")]
    dev: String,

    /// Answer Prometheus at this port, or address and port: GET /metrics
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = endpoint)]
    prometheus: Option<SocketAddr>,

    /// Write a line for each packet: path, sequence number, times in nanoseconds since 1970, delay
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    export: Option<PathBuf>,

    /// Print what is known that often
    #[arg(long, value_name = "TIME", value_parser = duration)]
    every: Option<Duration>,

    /// End after that time
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
}

impl Collect {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let ending = Ending::expect()?;
        let mut collector = Collector::new((self.sid.address, self.sid.bits), routed_device(&self.dev)?)?;
        if let Some(path) = &self.export {
            collector.export(path)?;
        }
        if let Some(address) = self.prometheus {
            let at = collector.listen(address)?;
            if !json {
                output::plain(&format!("http://{at}/metrics\n"))?;
            }
        }
        let (start, mut printed) = (Instant::now(), Instant::now());
        while !ending.came() && self.time.is_none_or(|time| start.elapsed() < time) {
            collector.turn(TURN)?;
            if self.every.is_some_and(|every| printed.elapsed() >= every) {
                printed = Instant::now();
                print(&collector, json)?;
            }
        }
        collector.finish()?;
        print(&collector, json)
    }
}

pub(super) fn print(collector: &Collector, json: bool) -> Result<(), Failure> {
    let counts = collector.counts()?;
    if json {
        return output::object(&shown::object(&collector.statistics, &counts));
    }
    output::write(|out| shown::text(&collector.statistics, &counts, out))
}

/// An address and port; a port alone is one of all addresses.
fn endpoint(text: &str) -> Result<SocketAddr, String> {
    let all = || text.parse().ok().map(|port| SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), port));
    all()
        .or_else(|| text.parse().ok())
        .ok_or_else(|| format!("`{text}` is no port, or address and port: 9100, 127.0.0.1:9100"))
}
