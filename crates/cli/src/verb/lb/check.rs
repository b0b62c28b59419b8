//! `alveary lb check`.

use crate::{
    failure::Failure,
    files, output,
    table::{Align, Table, count, grouped},
};
use alveary_lb::config::{self, Config, Real, Vip};
use clap::{Args, ValueHint};
use serde_json::json;
use std::path::PathBuf;

/// Say everything that is wrong with a configuration; nothing is changed
///
/// Every fault is shown with its place. Of what is right it says how long packets may be: on the way to the reals they get
/// further headers. Devices, files and addresses that it names have to be here, as they have to be for `serve` (of a
/// `source` it only remarks that it is not: it may be routed here); it may be another machine's (`--elsewhere`).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary lb check lb.toml
  alveary lb check --elsewhere lb.toml

lb.toml:
  [balancer]
  devices = [\"eth0\"]
  source = \"192.0.2.2\"       # where tunnels come from

  [[vip]]
  address = \"192.0.2.1\"
  port = 443
  mss = true                 # as much as tunnels leave
    [vip.check]
    type = \"tcp\"
    [[vip.real]]
    address = \"10.0.0.11\"
    [[vip.real]]
    address = \"10.0.0.12\"
    weight = 2")]
pub(super) struct Check {
    /// The configuration; `-` is stdin
    #[arg(value_name = "CONFIG.toml", value_hint = ValueHint::FilePath, value_parser = files::input)]
    config: PathBuf,

    /// What etcd is to have, if the VIPs are there (the file has a table [etcd])
    #[arg(long, value_name = "FILE.toml", value_hint = ValueHint::FilePath, value_parser = files::input)]
    shared: Option<PathBuf>,

    /// It is another machine's: devices, files and addresses are not looked for here
    #[arg(long)]
    elsewhere: bool,
}

/// What is left of an MTU for a segment of TCP.
fn mss(vip: &Vip, mtu: u16) -> u16 {
    mtu.saturating_sub(if vip.address.is_ipv6() { 60 } else { 40 })
}

/// The longest packet that reaches every real.
fn least(config: &Config, vip: &Vip) -> Option<u16> {
    vip.reals.iter().map(|real| config.inner_mtu(real)).min()
}

impl Check {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let text = config::text(&self.config)?;
        let shared =
            self.shared.as_ref().map(|path| Ok::<_, Failure>((path.display().to_string(), config::text(path)?)));
        let shared = shared.transpose()?;
        let shared = shared.as_ref().map(|(name, text)| (name.as_str(), text.as_str()));
        let (config, places) = Config::read_placed(&self.config.display().to_string(), &text, shared)?;
        let mut lacks = if self.elsewhere { Vec::new() } else { config.lacks(&places) };
        if let Some(last) = lacks.last_mut() {
            last.help.push("is it another machine's? --elsewhere".into());
            return Err(lacks.into());
        }
        let mut remarks = match (&config.etcd, &shared) {
            (Some(etcd), None) => {
                vec![format!("its VIPs are in etcd (`{}`) and were not looked at: --shared FILE does", etcd.key)]
            }
            _ => config.remarks(config::local_ports()),
        };
        if !self.elsewhere {
            remarks.extend(config.foreign());
            remarks.extend(config.unchecked());
        }
        if json {
            let real = |real: &Real| json!({ "name": &*real.name, "forward": real.forward.name(), "mtu": config.inner_mtu(real) });
            let vip = |vip: &Vip| {
                let least = least(&config, vip);
                json!({
                    "name": vip.name, "address": vip.address, "ports": vip.ports,
                    "protocols": vip.protocols.iter().map(|protocol| protocol.name()).collect::<Vec<_>>(),
                    "slots": vip.slots.slots(), "mtu": least, "mss": least.map(|mtu| mss(vip, mtu)),
                    "reals": vip.reals.iter().map(real).collect::<Vec<_>>(),
                })
            };
            let vips: Vec<_> = config.vips.iter().map(vip).collect();
            return output::object(
                &json!({ "name": config.name, "devices": config.devices, "vips": vips, "remarks": remarks }),
            );
        }
        let mut table = Table::new(vec![
            ("VIP", Align::Left),
            ("reals", Align::Right),
            ("slots", Align::Right),
            ("MTU left", Align::Right),
            ("MSS", Align::Right),
        ]);
        for vip in &config.vips {
            let mtu = least(&config, vip);
            table.row([
                vip.name.clone(),
                grouped(vip.reals.len() as u64),
                grouped(vip.slots.slots().into()),
                mtu.map_or_else(String::new, |mtu| grouped(mtu.into())),
                mtu.map_or_else(String::new, |mtu| grouped(mss(vip, mtu).into())),
            ]);
        }
        output::write(|out| {
            let (vips, reals) = (config.vips.len() as u64, config.vips.iter().map(|vip| vip.reals.len() as u64).sum());
            let (vips, reals) = (count(vips, "VIP", "VIPs"), count(reals, "real", "reals"));
            writeln!(out, "{}: {vips}, {reals}: nothing is wrong", config.name)?;
            if !config.vips.is_empty() {
                writeln!(out)?;
                table.write("  ", out)?;
            }
            let short = |vip: &&Vip| vip.mss.is_none() && least(&config, vip).is_some_and(|mtu| mtu < config.mtu);
            let shorter: Vec<_> = config.vips.iter().filter(short).map(|vip| vip.name.as_str()).collect();
            if !shorter.is_empty() {
                let names = shorter.join(", ");
                writeln!(out, "\nTunnels take from the MTU, and nothing tells clients' TCP so: {names}")?;
                writeln!(out, "(`mss = true` does; larger packets are answered by ICMP)")?;
            }
            remarks.iter().try_for_each(|remark| writeln!(out, "\n{remark}"))
        })
    }
}
