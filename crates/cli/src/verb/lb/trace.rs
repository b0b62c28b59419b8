//! `alveary lb trace`.

use super::{
    client::name,
    serve::{OBJECT, ROOT, all},
};
use crate::{failure::Failure, output};
use alveary_lb::trace;
use clap::{Args, ValueHint};
use serde_json::json;
use std::path::PathBuf;

/// Tell what would become of a packet, and why: from the running balancer's maps, step by step
///
/// The maps are copied into the user-space kernel, and the same program runs there over the packet. Nothing of what runs is
/// changed. Tables of single CPUs are not asked: the packet may come to any.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary lb trace 'tcp 198.51.100.7:40000 > 192.0.2.1:443'
  alveary lb trace 'tcp 198.51.100.7:40000 > 192.0.2.1:443 ack'
  alveary lb trace 'udp [2001:db8::7]:4000 > [2001:db8::1]:53'
  alveary lb trace 'icmp 198.51.100.7 > 192.0.2.1'")]
pub(super) struct Trace {
    /// `tcp|udp FROM:PORT > TO:PORT [FLAGS]`, `icmp FROM > TO`, or bytes as hexadecimal digits from the Ethernet header on
    packet: String,

    /// The balancer's name, if it has one
    #[arg(long, value_name = "NAME", default_value = "main", value_parser = name)]
    name: String,

    /// The BPF file system in which it is pinned
    #[arg(long, value_name = "DIR", default_value = ROOT, value_hint = ValueHint::DirPath)]
    bpffs: PathBuf,
}

impl Trace {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let packet = trace::packet(&self.packet)?;
        let traced = trace::trace(&OBJECT, &self.bpffs, &self.name, &packet).map_err(|why| all(vec![why]))?;
        let action = trace::action(traced.action);
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        if json {
            return output::object(&json!({
                "steps": traced.steps, "action": action, "packet": hex(&traced.packet),
                "came": trace::describe(&packet), "left": trace::describe(&traced.packet),
            }));
        }
        output::write(|out| {
            writeln!(out, "{}, {} bytes", trace::describe(&packet), packet.len())?;
            traced.steps.iter().try_for_each(|step| writeln!(out, "- {step}"))?;
            match traced.action {
                1 => writeln!(out, "{action}: nothing leaves"),
                _ => writeln!(out, "{action}: {}, {} bytes", trace::describe(&traced.packet), traced.packet.len()),
            }
        })
    }
}
