//! `alveary srv6 lab hybrid`: one connection over two links, whose ends are `alveary srv6 hybrid run`.
//!
//! ```text
//!                  ,-- dsl (30 Mbit/s, 5 ms) ---.
//! client -- home <                               > office -- server
//!                  `-- lte (20 Mbit/s, 25 ms) --'
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `built` | the network, and what its ends are told |
//! | `ends` | both ends, while something is tried |
//! | `simulated` | the same in virtual time |

mod built;
mod ends;
mod simulated;

use super::{
    Options, Outcome, plot,
    traffic::{Datagrams, Transfer, datagrams, transfer},
};
use crate::{
    failure::Failure,
    table::{Align, Table},
    verb::srv6::hybrid::{self, Known},
};
use alveary_diag::{Diagnostic, Place};
use alveary_sort::Sort;
use built::{Built, CLIENT, LINKS, SERVER};
use clap::Args;
use ends::{Watch, between};
use serde_json::{Value, json};
use std::{net::Ipv6Addr, time::Duration};

/// One connection over two links, alone and together
///
/// A client sends over TCP, by a link of 30 Mbit/s and 5 ms, by one of 20 Mbit/s and 25 ms, and by both: with the delays
/// that they have, and with packets of the faster one held until they are alike. Then one link is cut.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 lab hybrid
  alveary srv6 lab hybrid --rounds 9 --plot goodput.svg
  alveary srv6 lab hybrid --simulated")]
pub(super) struct Hybrid {
    /// Bytes of a transfer, in KiB
    #[arg(long, value_name = "KIB", default_value_t = 16384)]
    transfer: u64,

    /// Transfers of each kind, of which the median is told
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,

    /// In virtual time, in user space: without a privilege, the same at each run; no link is cut
    ///
    /// The same programs in Alveary's own kernel; the connection is a calculation (New Reno).
    #[arg(long, conflicts_with_all = ["rounds", "keep"])]
    simulated: bool,

    #[command(flatten)]
    options: Options,
}

/// A way to use the links.
struct Case {
    name: &'static str,
    links: &'static [usize],
    compensated: bool,
}

const CASES: [Case; 4] = [
    Case { name: "dsl alone", links: &[0], compensated: false },
    Case { name: "lte alone", links: &[1], compensated: false },
    Case { name: "both", links: &[0, 1], compensated: false },
    Case { name: "both, delays alike", links: &[0, 1], compensated: true },
];

/// Packets that are kept of each link.
const RECORDED: usize = 256;
const DATAGRAMS: u64 = 100;
/// Between two datagrams.
const PAUSE: Duration = Duration::from_millis(2);
/// The link that is cut.
const CUT: usize = 1;
/// The next header of what was encapsulated.
const ROUTING: u8 = 43;
const UDP: u8 = 17;

/// What came of a case.
struct Done {
    /// By their rates, the slowest first.
    transfers: Vec<Transfer>,
    /// What each end knows of its links afterwards.
    known: [Vec<Known>; 2],
    apart: Option<Apart>,
}

/// What is tried besides transfers.
struct Apart {
    datagrams: Datagrams,
    /// By links: packets towards the office, with the headers around them.
    packets: Vec<Vec<Vec<u8>>>,
    cut: Cut,
}

/// What came of a link that is cut.
struct Cut {
    /// Whether both ends noticed.
    noticed: bool,
    /// Datagrams by the other one, while it was cut.
    datagrams: Datagrams,
    /// Whether both ends noticed that it is whole again.
    back: bool,
}

impl Hybrid {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        if self.simulated {
            let done = CASES.iter().map(|case| simulated::run(case, self.transfer << 10));
            return self.options.tell(&self.outcome(&done.collect::<Result<Vec<_>, _>>()?), None, json);
        }
        let lab = Built::new()?;
        let done = CASES.iter().map(|case| self.try_case(&lab, case)).collect::<Result<Vec<_>, _>>()?;
        self.options.tell(&self.outcome(&done), Some(&lab.network), json)
    }

    fn try_case(&self, lab: &Built, case: &Case) -> Result<Done, Failure> {
        between(lab, case.links, case.compensated, |watch| {
            watch.until(|ends| ends.iter().flatten().all(|link| link.there.is_some()));
            if case.compensated {
                watch.until(|ends| ends.iter().all(|links| links.iter().any(|link| link.hold > 0)));
            }
            let apart = if case.compensated { Some(self.apart(lab, watch)?) } else { None };
            let hosts = hosts(lab)?;
            let mut transfers = (0..self.rounds)
                .map(|_| transfer(&lab.network, hosts, self.transfer << 10))
                .collect::<Result<Vec<_>, _>>()?;
            transfers.order_by(|one, other| one.rate().total_cmp(&other.rate()));
            Ok(Done { transfers, known: watch.known(), apart })
        })
    }

    /// Datagrams over both links, over the one that is left when one is cut, and whole again.
    fn apart(&self, lab: &Built, watch: &Watch) -> Result<Apart, Failure> {
        let (network, hosts) = (&lab.network, hosts(lab)?);
        let carriers = lab.links.map(|link| network.carrier(link));
        // Shares are what weights say when no probe is late.
        watch.until(whole);
        carriers.iter().for_each(|carrier| carrier.record(RECORDED));
        let over_both = datagrams(network, hosts, DATAGRAMS, PAUSE)?;
        let packets = carriers.map(|carrier| {
            carrier.record(0);
            let towards_office = carrier.recorded().into_iter().filter(|(end, _)| *end == 0).map(|(_, packet)| packet);
            towards_office.filter(|packet| of_client(packet)).collect()
        });
        carriers[CUT].lose(1.0);
        let noticed =
            watch.until(|ends| ends.iter().all(|links| links.get(CUT).is_some_and(|link| link.weight == 0.0)));
        let datagrams = datagrams(network, hosts, DATAGRAMS, PAUSE)?;
        carriers[CUT].lose(0.0);
        let back = watch.until(whole);
        Ok(Apart { datagrams: over_both, packets: packets.into(), cut: Cut { noticed, datagrams, back } })
    }

    fn outcome(&self, done: &[Done]) -> Outcome {
        let right = ["goodput", "least", "most", "of the links"].map(|name| (name, Align::Right));
        let mut table = Table::new([("", Align::Left)].into_iter().chain(right).collect::<Vec<_>>());
        let (mut cases, mut drawn) = (Vec::new(), Vec::new());
        let mut text = Vec::new();
        for (case, done) in CASES.iter().zip(done) {
            let rates: Vec<f64> = done.transfers.iter().map(Transfer::rate).collect();
            let median = median(&done.transfers);
            let sum = case.links.iter().map(|link| f64::from(LINKS[*link].megabits) * 1e6).sum::<f64>();
            let shown = |rate: Option<&f64>| rate.map_or_else(String::new, |rate| format!("{:.1} Mbit/s", rate / 1e6));
            let rate = median.map(Transfer::rate);
            table.row([
                case.name.to_owned(),
                shown(rate.as_ref()),
                shown(rates.first()),
                shown(rates.last()),
                format!("{:.0} %", rate.unwrap_or_default() / sum * 100.0),
            ]);
            cases.push(json!({
                "name": case.name,
                "links": case.links.iter().map(|link| LINKS[*link].name).collect::<Vec<_>>(),
                "compensated": case.compensated,
                "bits_per_second": rate.map(|rate| rate as u64),
                "all": rates.iter().map(|rate| *rate as u64).collect::<Vec<_>>(),
                "right": done.transfers.iter().all(|one| one.right && one.bytes == self.transfer << 10),
                "ends": done.known,
            }));
            drawn.push((case.name.to_owned(), median.map(course).unwrap_or_default()));
        }
        // There is always room in a text.
        let _ = table.write("", &mut text);
        let last = done.last();
        if let Some(done) = last {
            text.extend(b"\nWhat home knows of its links:\n");
            let _ = hybrid::table(&done.known[0]).write("", &mut text);
        }
        let apart = last.and_then(|done| done.apart.as_ref());
        if let Some(Apart { datagrams, cut, .. }) = apart {
            let name = LINKS[CUT].name;
            text.extend(
                format!("\n{} of {} datagrams came over both links", datagrams.received, datagrams.sent).bytes(),
            );
            let (came, sent) = (cut.datagrams.received, cut.datagrams.sent);
            text.extend(format!("; {came} of {sent} when {name} was cut\n").bytes());
        }
        Outcome {
            text: String::from_utf8_lossy(&text).into_owned(),
            json: json!({
                "lab": "hybrid",
                "simulated": self.simulated,
                "links": LINKS.iter().map(|link| json!({
                    "name": link.name, "bits_per_second": u64::from(link.megabits) * 1_000_000,
                    "delay": link.milliseconds * 1_000_000,
                })).collect::<Vec<_>>(),
                "cases": cases,
                "datagrams": apart.map(|apart| apart.datagrams),
                "towards_office": apart.map(|apart| apart.packets.iter().map(|packets| hexadecimal(packets)).collect::<Vec<_>>()),
                "cut": apart.map(|Apart { cut, .. }| json!({
                    "link": LINKS[CUT].name, "noticed": cut.noticed, "datagrams": cut.datagrams, "back": cut.back,
                })),
            }),
            svg: plot::lines("One connection over two links", ["seconds", "megabits that have come"], &drawn),
        }
    }
}

/// Whether all links have all of their weight.
fn whole(ends: &[Vec<Known>; 2]) -> bool {
    ends.iter().flatten().all(|link| link.weight > 0.0 && link.loss == 0.0)
}

fn hosts(lab: &Built) -> Result<[(alveary_lab::Node, Ipv6Addr); 2], Failure> {
    Ok([(lab.client, address(CLIENT)?), (lab.server, address(SERVER)?)])
}

fn address(text: &str) -> Result<Ipv6Addr, Failure> {
    text.parse().map_err(|_| Diagnostic::new("lab", format!("`{text}` is no address"), Place::Nowhere).into())
}

/// Of transfers by their rates.
fn median(transfers: &[Transfer]) -> Option<&Transfer> {
    transfers.get(transfers.len() / 2)
}

/// Seconds, megabits.
fn course(transfer: &Transfer) -> Vec<(f64, f64)> {
    transfer.course.iter().map(|(time, bytes)| (time.as_secs_f64(), *bytes as f64 * 8.0 / 1e6)).collect()
}

/// Whether headers are around a datagram that the client sent.
fn of_client(packet: &[u8]) -> bool {
    let inner = packet.get(41).and_then(|length| packet.get(40 + 8 * (usize::from(*length) + 1)..));
    let said = inner.and_then(|inner| Some((inner.get(6)?, inner.get(8..24)?)));
    let client = address(CLIENT).map(|address| address.octets());
    packet.get(6) == Some(&ROUTING)
        && said.is_some_and(|(next, source)| *next == UDP && client.is_ok_and(|client| client == source))
}

fn hexadecimal(packets: &[Vec<u8>]) -> Vec<Value> {
    let hex = |packet: &Vec<u8>| packet.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    packets.iter().map(|packet| Value::String(hex(packet))).collect()
}
