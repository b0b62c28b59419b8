//! What leaves a router: a capture for each interface.

use super::topology::{Mac, Topology};
use crate::{failure::Failure, files};
use alveary::net::router::Fate;
use alveary_ports::{LinkType, Writer};
use std::{collections::BTreeMap, fs, net::IpAddr, path::Path};

/// The files.
pub(super) struct Outputs {
    /// By the interfaces' numbers, the first is 1.
    interfaces: Vec<Interface>,
    neighbours: BTreeMap<IpAddr, Mac>,
}

struct Interface {
    name: String,
    mac: Mac,
    file: Writer,
}

impl Outputs {
    /// Creates them, and their directory.
    pub(super) fn create(directory: &Path, topology: &Topology, input: &Path) -> Result<Outputs, Failure> {
        fs::create_dir_all(directory).map_err(|why| Failure::directory(directory, &why))?;
        let mut interfaces = Vec::new();
        for (number, interface) in (1u32..).zip(&topology.interface) {
            let interface = interface.get_ref();
            let path = directory.join(format!("{}.pcap", interface.name));
            files::distinct(&[("--pcap", input)], &[("--write", &path)])?;
            let [a, b, c, d] = number.to_be_bytes();
            let mac = interface.mac.unwrap_or(Mac([2, 0, a, b, c, d]));
            interfaces.push(Interface {
                name: interface.name.clone(),
                mac,
                file: Writer::create(&path, LinkType::Ethernet)?,
            });
        }
        Ok(Outputs { interfaces, neighbours: topology.neighbour.clone() })
    }

    /// Writes what leaves.
    pub(super) fn take(&mut self, time: u64, fate: Fate) -> Result<(), Failure> {
        let (device, to, bytes) = match fate {
            Fate::Sent { device, next_hop, packet } => (device, Some(next_hop), packet),
            Fate::Frame { device, frame } => (device, None, frame),
            Fate::Delivered(_) | Fate::Lost { .. } => return Ok(()),
        };
        let Some(interface) = (device as usize).checked_sub(1).and_then(|at| self.interfaces.get_mut(at)) else {
            // A program redirected to a device that is none of the router's.
            return Ok(());
        };
        let frame = match to {
            None => bytes,
            Some(to) => {
                let neighbour = self.neighbours.get(&to).copied().unwrap_or_default();
                let four = bytes.first().is_some_and(|first| first >> 4 == 4);
                let ethertype: [u8; 2] = if four { [8, 0] } else { [0x86, 0xdd] };
                [&neighbour.0[..], &interface.mac.0, &ethertype, &bytes].concat()
            }
        };
        Ok(interface.file.write(time, frame.len() as u32, &frame)?)
    }

    /// Writes what is still buffered; says how many packets left by each interface.
    pub(super) fn finish(self) -> Result<Vec<(String, u64)>, Failure> {
        let done = |interface: Interface| {
            let packets = interface.file.packets();
            interface.file.finish()?;
            Ok((interface.name, packets))
        };
        self.interfaces.into_iter().map(done).collect()
    }
}
