//! What helpers of programs ask of a router: whether there is a way, which devices there are.

use super::{MAIN, Router, Target};
use crate::{Host, Lookup, seg6::Keys};
use alveary_abi::negative::{EACCES, EHOSTUNREACH, EINVAL, ENETUNREACH};
use std::net::{IpAddr, Ipv6Addr};

impl Host for Router {
    fn has_device(&self, ifindex: u32) -> bool {
        self.tables.values().any(|table| table.targets().any(|target| leaves_by(target, ifindex)))
    }

    fn route(&self, lookup: &Lookup) -> i64 {
        let number = if lookup.table == 0 { MAIN } else { lookup.table };
        let Some(table) = self.tables.get(&number) else { return EINVAL };
        match table.find(IpAddr::V6(lookup.next_hop.unwrap_or(lookup.destination))) {
            None => ENETUNREACH,
            Some(Target::Local | Target::Blackhole) => EINVAL,
            Some(Target::Unreachable) => EHOSTUNREACH,
            Some(Target::Prohibited) => EACCES,
            Some(_) => 0,
        }
    }

    fn tunnel_source(&self, _: Ipv6Addr) -> Ipv6Addr {
        self.source
    }

    fn keys(&self) -> &Keys {
        &self.keys
    }
}

fn leaves_by(target: &Target, ifindex: u32) -> bool {
    match target {
        Target::Device { device, .. } => *device == ifindex,
        Target::Tunnel(tunnel) => tunnel.device == ifindex,
        Target::Ways(ways) => ways.iter().any(|(_, way)| leaves_by(way, ifindex)),
        _ => false,
    }
}
