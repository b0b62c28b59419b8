//! Programs of routes: lightweight tunnels, SRv6 endpoints.

use super::show::unreadable;
use crate::{bpftool::json::Json, failure::Failure};
use alveary_linux::netlink::{
    Hook, NetDevice,
    srv6::{Encap, RouteProgram, steered_routes},
};
use std::io::{self, Write};

/// A program of a route.
pub(super) struct Routed {
    destination: String,
    table: u32,
    device: u32,
    kind: &'static str,
    program: RouteProgram,
}

impl Routed {
    /// Those whose routes lead to one of these devices.
    pub(super) fn all(devices: &[NetDevice]) -> Result<Vec<Routed>, Failure> {
        let mut all = Vec::new();
        for route in steered_routes().map_err(unreadable)? {
            let destination = format!("{}/{}", route.key.destination, route.key.prefix);
            for next in route.next.iter().filter(|next| devices.iter().any(|one| one.index == next.device)) {
                all.extend(programs(next.encap.as_ref()).into_iter().map(|(kind, program)| Routed {
                    destination: destination.clone(),
                    table: route.key.table,
                    device: next.device,
                    kind,
                    program,
                }));
            }
        }
        Ok(all)
    }

    pub(super) fn text(&self, devices: &[NetDevice], out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{} {}", self.destination, self.kind)?;
        if !self.program.name.is_empty() {
            write!(out, " {}", self.program.name)?;
        }
        if let Some(id) = self.program.id {
            write!(out, " prog_id {id}")?;
        }
        writeln!(out, " dev {}({}) table {}", self.name(devices), self.device, self.table)
    }

    pub(super) fn json(&self, devices: &[NetDevice], json: &mut Json<'_>) -> io::Result<()> {
        json.object(|json| {
            json.field("destination", &self.destination)?;
            json.field("kind", self.kind)?;
            if !self.program.name.is_empty() {
                json.field("name", &self.program.name)?;
            }
            if let Some(id) = self.program.id {
                json.field("prog_id", id)?;
            }
            json.field("devname", self.name(devices))?;
            json.field("ifindex", self.device)?;
            json.field("table", self.table)
        })
    }

    fn name<'a>(&self, devices: &'a [NetDevice]) -> &'a str {
        devices.iter().find(|device| device.index == self.device).map_or("", |device| &device.name)
    }
}

fn programs(encap: Option<&Encap>) -> Vec<(&'static str, RouteProgram)> {
    match encap {
        Some(Encap::Endpoint(endpoint)) => endpoint.program.iter().map(|one| ("seg6local", one.clone())).collect(),
        Some(Encap::Programs { programs, .. }) => {
            let kind = |hook: &Hook| match hook {
                Hook::In => "lwt/in",
                Hook::Out => "lwt/out",
                Hook::Xmit => "lwt/xmit",
            };
            programs.iter().map(|(hook, one)| (kind(hook), one.clone())).collect()
        }
        _ => Vec::new(),
    }
}
