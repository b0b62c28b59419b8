//! `alveary lb import`.

use crate::{failure::Failure, files, output};
use alveary_lb::{
    config::{self, Mac},
    keepalived::{self, Disk, Left, Told},
};
use alveary_sort::Gather;
use clap::{Args, ValueHint};
use serde_json::json;
use std::{net::IpAddr, path::PathBuf};

/// Make a configuration of keepalived's
///
/// Virtual servers, their real servers and checks are carried over, with those of files that are included. What cannot be is
/// said in comments at the end, with its line; so is what keepalived's file does not say, unless it is said here. A file that
/// is cut, or has nothing that can be carried over, is an error.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  alveary lb import /etc/keepalived/keepalived.conf --device eth0 --source 192.0.2.2 > lb.toml
  alveary lb check lb.toml")]
pub(super) struct Import {
    /// keepalived's file; `-` is stdin
    #[arg(value_name = "keepalived.conf", value_hint = ValueHint::FilePath, value_parser = files::input)]
    file: PathBuf,

    /// A device that packets come in by; else those of its vrrp_instances. Several times for several
    #[arg(long = "device", value_name = "NAME")]
    devices: Vec<String>,

    /// An address of this machine that tunnels and NAT come from, one of each family
    #[arg(long = "source", value_name = "ADDRESS", value_parser = source)]
    sources: Vec<IpAddr>,

    /// The Ethernet address of a real server that is reached by DR; several times for several
    #[arg(long = "mac", value_name = "ADDRESS=MAC", value_parser = mac)]
    macs: Vec<(IpAddr, Mac)>,
}

fn source(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| "an IP address: 192.0.2.2, 2001:db8::2")?;
    match config::odd(address) {
        Some(odd) => Err(format!("an address of this machine is expected, and this is {odd}")),
        None => Ok(address),
    }
}

fn mac(text: &str) -> Result<(IpAddr, Mac), String> {
    let read = text.split_once('=').and_then(|(address, mac)| Some((address.parse().ok()?, mac.parse().ok()?)));
    read.ok_or_else(|| "a server and its Ethernet address: 10.0.0.1=02:00:00:00:00:01".into())
}

impl Import {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let text = config::text(&self.file)?;
        let told = Told {
            devices: self.devices.clone(),
            sources: self.sources.clone(),
            macs: self.macs.iter().copied().gather(),
        };
        // What comes by stdin includes files of where this runs.
        let name = self.file.display().to_string();
        let beside = if name == "/dev/stdin" { "stdin".to_owned() } else { name };
        let imported = keepalived::import(&beside, &text, &told, &Disk)?;
        if json {
            let left = |Left { at, what }: &Left| json!({ "file": at.file, "line": at.line, "what": what });
            let left: Vec<_> = imported.left.iter().map(left).collect();
            return output::object(
                &json!({ "config": imported.toml, "left": left, "fill": imported.fill, "idle": imported.idle }),
            );
        }
        for address in &imported.idle {
            anstream::eprintln!("--mac {address}: no server of this address is reached by its Ethernet address");
        }
        // What is said may quote the file.
        let plain = |what: &str| what.replace(|c: char| c.is_control(), " ");
        output::write(|out| {
            out.write_all(imported.toml.as_bytes())?;
            if !imported.left.is_empty() {
                writeln!(out, "\n# Not carried over:")?;
            }
            imported
                .left
                .iter()
                .try_for_each(|left| writeln!(out, "# {}: {}", plain(&left.at.to_string()), plain(&left.what)))?;
            if !imported.fill.is_empty() {
                writeln!(out, "\n# To be filled in:")?;
            }
            imported.fill.iter().try_for_each(|what| writeln!(out, "# {}", plain(what)))
        })
    }
}
