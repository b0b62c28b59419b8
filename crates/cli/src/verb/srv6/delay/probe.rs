//! `alveary srv6 delay probe`.

use super::{
    Collector, Measured, Transmitter, collect, duration,
    packet::{Kind, MOST_SEGMENTS},
};
use crate::{
    bpftool::device,
    failure::Failure,
    output,
    verb::srv6::{
        prefix::{MAIN, Prefix, table},
        refused::refused,
    },
};
use alveary::kernel::{netlink::srv6::tunnel_source, signal::Ending};
use alveary_diag::{Diagnostic, Place};
use clap::Args;
use serde_json::json;
use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// Longest that the end waits to be noticed.
const TURN: Duration = Duration::from_millis(100);
/// The port of who discards what comes (RFC 863).
const DISCARD: u16 = 9;

/// Measure a share of the packets of a route, until Ctrl-C
///
/// The route stands before the one that is there already, as long as the probe runs. Measured packets get an IPv6 header,
/// the segments and a delay TLV around them, and go to the first segment; others go on by `--dev` and `--via`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 delay probe --to 2001:db8:b::/48 --segments fc00:2::d,fc00:2::6 --dev eth0 --share 1/100
  alveary srv6 delay probe --to 2001:db8:b::/48 --segments fc00:2::d,fc00:1::d,fc00:1::6 --back fc00:1::d --dev eth0
  alveary srv6 delay probe --to 2001:db8:b::/48 --segments fc00:9::1,fc00:2::d,fc00:2::6 --dev eth0 --path 2 \\
      --towards 2001:db8:b::1 --rate 10")]
pub(super) struct Probe {
    /// Destination of the packets
    #[arg(long, value_name = "PREFIX")]
    to: Prefix,

    /// The path, in the order in which it is visited: at last the collector's segment, and behind it one that takes
    /// headers off (End.DT6)
    ///
    /// Two-way: the collector's, ours (`--back`), one of ours that takes headers off.
    #[arg(long, value_name = "ADDR,…", value_delimiter = ',', required = true)]
    segments: Vec<Ipv6Addr>,

    /// Measure there and back: this segment of `--segments` is ours, and what comes back to it is reported here
    #[arg(long, value_name = "ADDR")]
    back: Option<Ipv6Addr>,

    /// The device that packets leave by which are not measured
    #[arg(long, value_name = "IF")]
    dev: String,

    /// Their next hop
    #[arg(long, value_name = "ADDR")]
    via: Option<IpAddr>,

    /// The table of the route: a number, or `main`, `local`, `default`
    #[arg(long, value_name = "TABLE", value_parser = table, default_value_t = MAIN)]
    table: u32,

    /// Which part of the packets is measured: one of so many
    #[arg(long, value_name = "1/N", value_parser = share, default_value = "1/100")]
    share: u32,

    /// The path's number in reports
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    path: u32,

    /// Source of the headers; else that of tunnels (`alveary srv6 tunsrc`)
    #[arg(long, value_name = "ADDR")]
    source: Option<Ipv6Addr>,

    /// Send datagrams of our own there (UDP, port 9), which count among the route's packets
    #[arg(long, value_name = "ADDR", requires = "rate")]
    towards: Option<Ipv6Addr>,

    /// How many of them a second
    #[arg(long, value_name = "NUMBER", requires = "towards", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,

    /// End after that time
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
}

impl Probe {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let ending = Ending::expect()?;
        let measured = self.measured()?;
        let mut collector = self.back.map(|back| Collector::new((back.into(), 128), measured.device)).transpose()?;
        let transmitter = Transmitter::new(&measured)?;
        let own = self.towards.zip(self.rate).map(|(to, rate)| Own::new(to, rate)).transpose()?;
        let (start, mut compared) = (Instant::now(), Instant::now());
        let mut sent = 0;
        while !ending.came() && self.time.is_none_or(|time| start.elapsed() < time) {
            let wait = own.as_ref().map_or(TURN, |own| own.wait(start, sent).min(TURN));
            match &mut collector {
                Some(collector) => collector.turn(wait)?,
                None => std::thread::sleep(wait),
            }
            while let Some(own) = own.as_ref().filter(|own| own.wait(start, sent).is_zero()) {
                own.send();
                sent += 1;
            }
            if compared.elapsed() >= Duration::from_secs(1) {
                transmitter.set_clock()?;
                compared = Instant::now();
            }
        }
        let counts = transmitter.counts()?;
        if json {
            let back =
                collector.as_ref().map(|c| c.counts().map(|counts| super::shown::object(&c.statistics, &counts)));
            return output::object(&json!({ "transmitted": counts, "back": back.transpose()? }));
        }
        let text = format!(
            "{} of {} measured, {} left out (not IPv6, or segments joined for the device), {} without room for headers\n",
            counts.sent, counts.seen, counts.left_out, counts.failed
        );
        output::plain(&text)?;
        collector.map_or(Ok(()), |collector| collect::print(&collector, false))
    }

    fn measured(&self) -> Result<Measured, Failure> {
        let wrong = |message: &str| Diagnostic::new("srv6", message.to_owned(), Place::Nowhere);
        if self.to.address.is_ipv4() {
            return Err(wrong("packets of IPv4 are not measured").found(format!("--to {}", self.to)).into());
        }
        let least = if self.back.is_some() { 3 } else { 2 };
        if !(least..=MOST_SEGMENTS).contains(&self.segments.len()) {
            return Err(wrong("so many segments are no path that can be measured")
                .expected(format!(
                    "from {least} to {MOST_SEGMENTS}: the collector's, and at last one that takes headers off"
                ))
                .found(self.segments.len().to_string())
                .into());
        }
        let inside = &self.segments[1..self.segments.len() - 1];
        if let Some(back) = self.back.filter(|back| !inside.contains(back)) {
            return Err(wrong("packets do not come back to that segment")
                .expected("one of --segments between the collector's and the last one")
                .found(format!("--back {back}"))
                .into());
        }
        let source = match self.source {
            Some(source) => source,
            None => tunnel_source().map_err(|why| refused("the kernel does not tell the source of tunnels", &why))?,
        };
        if source.is_unspecified() {
            return Err(wrong("the headers have no source")
                .help("say one: `--source ADDR`, or for all tunnels `alveary srv6 tunsrc set ADDR`")
                .into());
        }
        Ok(Measured {
            path: self.path,
            to: (self.to.address, self.to.bits),
            table: self.table,
            device: device::named(&self.dev)?,
            gateway: self.via,
            source,
            segments: self.segments.clone(),
            kind: Kind { two_way: self.back.is_some(), probe: false },
            every: self.share,
        })
    }
}

/// Datagrams of our own.
struct Own {
    socket: UdpSocket,
    rate: u32,
}

impl Own {
    fn new(to: Ipv6Addr, rate: u32) -> Result<Own, Failure> {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
            .and_then(|socket| socket.connect(SocketAddr::from((to, DISCARD))).map(|()| socket));
        let socket = socket.map_err(|why| {
            Diagnostic::new("srv6", format!("nothing can be sent to {to}"), Place::Nowhere).found(why.to_string())
        })?;
        Ok(Own { socket, rate })
    }

    /// How long until the next one is due.
    fn wait(&self, start: Instant, sent: u64) -> Duration {
        Duration::from_nanos(sent * 1_000_000_000 / u64::from(self.rate)).saturating_sub(start.elapsed())
    }

    fn send(&self) {
        // That nobody listens there (an ICMPv6 message says it) does not matter.
        let _ = self.socket.send(b"alveary");
    }
}

fn share(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix("1/").and_then(|number| number.parse().ok());
    number.filter(|number| *number > 0).ok_or_else(|| format!("`{text}` is no part of packets: 1/100, 1/1"))
}
