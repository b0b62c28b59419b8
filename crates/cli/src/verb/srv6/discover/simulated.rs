//! Questions to a network from a file, in virtual time: its hosts answer echo requests, what its routers' programs hand
//! to a daemon is answered as one would.

use super::super::topology::{self, Described, Text, network::Built};
use crate::{failure::Failure, kernel::KernelOptions};
use alveary::net::{
    discovery::{self, Handed},
    icmpv6::echo_reply,
    network::{Event, Node, What},
};
use alveary_diag::Place;
use std::{net::Ipv6Addr, path::Path, time::Duration};

/// Bytes of an Ethernet header, and of an IPv6 header behind it.
const ETHERNET: usize = 14;
const IPV6: usize = 40;
const ICMPV6: u8 = 58;
/// The ring buffer of End.OAMP's program.
const PROBES: &str = "probes";

/// A network, and who asks in it.
pub(super) struct Wire {
    built: Built,
    host: Node,
    address: Ipv6Addr,
    patience: u64,
}

impl Wire {
    pub(super) fn new(file: &Path, host: &str, kernel: &KernelOptions, patience: Duration) -> Result<Wire, Failure> {
        let (text, described) = Text::read(file)?;
        let wrong = |message: String| topology::wrong(message, Place::Nowhere).in_file(file.display().to_string());
        let Described::Network(described) = described else {
            return Err(wrong("the file describes a router that is alone".into()).expected("`[[router]]`").into());
        };
        let built = described.build(&text, file, kernel)?;
        let named = built.nodes.iter().find(|named| named.name == host && named.interfaces.is_empty());
        let node = named.ok_or_else(|| wrong(format!("there is no host `{host}`")))?.node;
        let address = built.named(node).and_then(|named| named.address);
        let address = address.ok_or_else(|| wrong(format!("host `{host}` has no address")).expected("`address`"))?;
        Ok(Wire { built, host: node, address, patience: patience.as_nanos() as u64 })
    }

    pub(super) fn address(&self) -> Ipv6Addr {
        self.address
    }

    /// What everyone but the host that asks does about something that happened; gives what that one got.
    fn take(&mut self, event: Event) -> Result<Option<Vec<u8>>, Failure> {
        let (node, packet) = match event.what {
            What::Received { host, frame } if host == self.host => {
                return Ok(frame.get(ETHERNET..).map(<[u8]>::to_vec));
            }
            What::Received { host, frame } => {
                let Some(packet) = frame.get(ETHERNET..) else { return Ok(None) };
                let to = packet.get(24..IPV6).and_then(|to| <[u8; 16]>::try_from(to).ok()).map(Ipv6Addr::from);
                let own = self.built.named(host).and_then(|named| named.address);
                if to != own {
                    return Ok(None);
                }
                (host, packet.to_vec())
            }
            What::Delivered { router, packet } => (router, packet),
            // The program takes what it hands on.
            What::Lost { router, .. } => return self.answer(router, event.time).map(|()| None),
            What::Left { .. } | What::Alarm(_) => return Ok(None),
        };
        if let Some(reply) = echo_reply(&packet) {
            self.built.network.send(node, event.time, reply);
        }
        Ok(None)
    }

    /// A router's daemon.
    fn answer(&mut self, router: Node, time: u64) -> Result<(), Failure> {
        let mut probes = Vec::new();
        let Some(named) = self.built.named(router) else { return Ok(()) };
        for map in named.maps(PROBES) {
            map.events(|_, record| probes.extend(Handed::read(record)))?;
        }
        let Some(known) = named.router.clone() else { return Ok(()) };
        for probe in probes {
            let answer = probe.answered(known.source, &known.ways(probe.target.into()));
            self.built.network.send(router, time, answer);
        }
        Ok(())
    }
}

impl discovery::Wire for Wire {
    type Error = Failure;

    fn exchange(&mut self, packets: &[Vec<u8>], reply: &mut dyn FnMut(Ipv6Addr, &[u8]) -> bool) -> Result<(), Failure> {
        let now = self.built.network.now();
        packets.iter().for_each(|packet| self.built.network.send(self.host, now, packet.clone()));
        let mut open = packets.len();
        while open > 0 {
            let Some(event) = self.built.network.next(now.saturating_add(self.patience)) else { break };
            let Some(packet) = self.take(event)? else { continue };
            let from = packet.get(8..24).and_then(|from| <[u8; 16]>::try_from(from).ok());
            if let (Some(from), Some(message)) = (from, packet.get(IPV6..))
                && packet[6] == ICMPV6
            {
                open -= usize::from(reply(from.into(), message));
            }
        }
        Ok(())
    }
}
