//! `alveary lb lab`: a whole site in network namespaces, with connections that are held through all that may happen to it.
//! What is made ends with the process, however that ends.
//!
//! | file | holds |
//! |---|---|
//! | `site` | the network, its processes, what can be done to them |
//! | `bgp` | what the BIRDs of a site are told |
//! | `desk` | etcd and Prometheus beside it |
//! | `children` | processes that end with this one |
//! | `server` | what reals answer with |
//! | `held` | connections that ask again and again |
//! | `steps` | what happens, and how many connections that may break |

mod bgp;
mod children;
mod desk;
mod held;
mod server;
mod site;
mod steps;

use crate::{
    failure::Failure,
    output,
    table::{Align, Table, grouped},
};
use alveary::kernel::child::own_mounts;
use alveary_diag::{Diagnostic, Place};
use clap::Args;
use desk::Asked;
use serde_json::json;
use site::{Forward, Plan, Site};
use std::{io::Write, net::IpAddr, thread};

/// Try a whole site in network namespaces: balancers, reals, clients, a router before them
///
/// Clients open connections to reals through balancers on XDP, behind a router with as many ways as there are balancers.
/// Then all that may happen to a balancer happens: it is told anew what to do, killed, replaced by another version, halted as
/// a machine. Meanwhile each connection asks again and again; those that break are counted, beside the number that has to
/// break. Needs root; nothing of it can be seen from outside, and nothing remains.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary lb lab
  alveary lb lab --connections 10000 --bgp
  alveary lb lab --bgp --etcd --prometheus
  alveary lb lab --forward nat --balancers 1 --keep")]
pub(super) struct Lab {
    /// Reals
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=32))]
    reals: u8,

    /// Clients
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=32))]
    clients: u8,

    /// Balancers
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=8))]
    balancers: u8,

    /// Connections that are held through everything
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    connections: u32,

    /// How packets get to the reals
    #[arg(long, value_name = "WAY", value_enum, default_value_t = Forward::Ip)]
    forward: Forward,

    /// The router learns its ways by BGP, from the BIRD of each balancer, and by BFD that one is gone
    #[arg(long)]
    bgp: bool,

    /// VIPs are in an etcd, which has what is wrong, dies, and comes back with what is new
    #[arg(long)]
    etcd: bool,

    /// A Prometheus reads the balancers' metrics, and is asked for them
    #[arg(long)]
    prometheus: bool,

    /// Let the site stand when all is told, until Ctrl-C; says how to enter it
    #[arg(long)]
    keep: bool,

    /// Be the server of a real: what the lab starts itself as
    #[arg(long, value_name = "NAME", hide = true, requires = "at")]
    answer_as: Option<String>,

    /// Where its datagrams come to
    #[arg(long, value_name = "ADDRESS", hide = true)]
    at: Vec<IpAddr>,
}

impl Lab {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        if let Some(name) = &self.answer_as {
            return server::serve(name, &self.at).map_err(|why| {
                Diagnostic::new("lab", "the server cannot go on", Place::Nowhere).found(why.to_string()).into()
            });
        }
        if self.bgp && self.forward == Forward::Nat {
            let wrong = Diagnostic::new("lab", "NAT has one balancer at a time, and BGP here several", Place::Nowhere);
            return Err(wrong.help("--forward nat without --bgp").into());
        }
        let bird = (self.bgp, "bird", "bird2");
        let others = [(self.etcd, "etcd", "etcd-server"), (self.prometheus, "prometheus", "prometheus")];
        for (_, program, package) in [bird].into_iter().chain(others).filter(|(wanted, ..)| *wanted) {
            installed(program, package)?;
        }
        held::room(self.connections)?;
        own_mounts().map_err(|why| {
            Diagnostic::new("lab", "the lab cannot have mounts of its own", Place::Nowhere)
                .expected("CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_BPF")
                .found(why.to_string())
                .help("run it as root: sudo")
        })?;
        site::folders()?;
        let plan = Plan {
            clients: self.clients,
            balancers: self.balancers,
            reals: self.reals,
            forward: self.forward,
            bgp: self.bgp,
            etcd: self.etcd,
            prometheus: self.prometheus,
            connections: self.connections,
        };
        let mut site = Site::new(plan)?;
        let (told, refused) = steps::all(&mut site, self.connections as usize)?;
        let read = site.read()?;
        if json {
            let mut all = json!({
                "lab": "lb", "connections": self.connections, "reals": self.reals, "clients": self.clients,
                "balancers": self.balancers, "steps": told.iter().map(steps::Told::json).collect::<Vec<_>>(),
            });
            if let Some(refused) = refused {
                all["refused"] = refused.into();
            }
            if self.prometheus {
                let answers = |asked: &Asked| json!({ "query": asked.query, "answer": asked.answer });
                all["prometheus"] = read.iter().map(answers).collect();
            }
            output::object(&all)?;
        } else {
            output::write(|out| steps::table(&told).write("", out))?;
            if let Some(refused) = refused {
                output::plain(&format!("\nWhat is wrong in etcd, as lb1 tells it:\n{refused}\n"))?;
            }
            if self.prometheus {
                output::plain("\n")?;
                output::write(|out| table(&read).write("", out))?;
            }
        }
        if self.keep {
            stand(&site, json)?;
        }
        let worse = told.iter().filter(|told| told.is_worse()).count();
        if worse > 0 {
            let message = "more connections broke than had to";
            return Err(Diagnostic::new("lab", message, Place::Nowhere)
                .found(format!("in {worse} of the steps"))
                .into());
        }
        Ok(())
    }
}

/// What Prometheus has read, a line for each balancer.
fn table(read: &[Asked]) -> Table {
    let right = |name| (name, Align::Right);
    let mut table = Table::new([("asked of Prometheus", Align::Left), ("of", Align::Left), right("answer")]);
    for asked in read {
        for (of, number) in &asked.answer {
            // Gauges that are 0 or 1, and counters: whole numbers.
            table.row([asked.query.to_owned(), of.clone(), grouped(*number as u64)]);
        }
    }
    table
}

/// Whether a program is there that the lab needs.
fn installed(program: &str, package: &str) -> Result<(), Failure> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&folders).any(|folder| folder.join(program).exists()) {
        return Ok(());
    }
    let wrong = Diagnostic::new("lab", format!("`{program}` is not installed"), Place::Nowhere);
    Err(wrong.help(format!("apt install {package}")).into())
}

/// Lets the site stand, and says how to enter it.
fn stand(site: &Site, json: bool) -> Result<(), Failure> {
    let mut text = format!(
        "\nThe site stands until Ctrl-C. http://{} is balanced; its files are in {}:\n",
        site::VIP,
        site::FOLDER
    );
    for (name, command) in site.network.entrances() {
        text += &format!("{name:10}  {command} --mount=/proc/{}/ns/mnt\n", std::process::id());
    }
    let (folder, bpffs) = (site::FOLDER, site::bpffs());
    text += &format!(
        "\nthere, for one:\n  alveary lb status --name lb1 --socket {folder}/lb1.sock\n  \
         alveary lb flows --name lb1 --follow --bpffs {0}\n  \
         alveary lb stop lb1 --socket {folder}/lb1.sock --bpffs {0}\n",
        bpffs.display()
    );
    // With `--json` the result stays what it is.
    if json {
        write!(std::io::stderr(), "{text}")?;
    } else {
        output::plain(&text)?;
    }
    loop {
        thread::park();
    }
}
