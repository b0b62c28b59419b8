//! What leaves: a capture for each interface.

use super::super::topology::{Mac, Topology};
use crate::{failure::Failure, files};
use alveary::net::router::Fate;
use alveary_ports::{LinkType, Writer};
use std::{collections::BTreeMap, fs, net::IpAddr, path::Path};

/// The files, by their numbers; the first is 0.
pub(super) struct Files(Vec<(String, Writer)>);

impl Files {
    /// Creates them, and their directory.
    pub(super) fn create(
        directory: &Path,
        names: impl IntoIterator<Item = String>,
        inputs: &[&Path],
    ) -> Result<Files, Failure> {
        fs::create_dir_all(directory).map_err(|why| Failure::directory(directory, &why))?;
        let mut all = Vec::new();
        for name in names {
            let path = directory.join(format!("{name}.pcap"));
            for input in inputs {
                files::distinct(&[("--pcap", input)], &[("--write", &path)])?;
            }
            all.push((name, Writer::create(&path, LinkType::Ethernet)?));
        }
        Ok(Files(all))
    }

    /// Writes a frame to one of them, if it is there.
    pub(super) fn write(&mut self, number: usize, time: u64, frame: &[u8]) -> Result<(), Failure> {
        match self.0.get_mut(number) {
            Some((_, file)) => Ok(file.write(time, frame.len() as u32, frame)?),
            None => Ok(()),
        }
    }

    /// Writes what is still buffered; says how many packets each has.
    pub(super) fn finish(self) -> Result<Vec<(String, u64)>, Failure> {
        let done = |(name, file): (String, Writer)| {
            let packets = file.packets();
            file.finish()?;
            Ok((name, packets))
        };
        self.0.into_iter().map(done).collect()
    }
}

/// What leaves a router that is alone.
pub(super) struct Outputs {
    files: Files,
    /// By the interfaces' numbers, the first is 1.
    macs: Vec<Mac>,
    neighbours: BTreeMap<IpAddr, Mac>,
}

impl Outputs {
    /// Creates its files, and their directory.
    pub(super) fn create(directory: &Path, topology: &Topology, inputs: &[&Path]) -> Result<Outputs, Failure> {
        let interfaces = || topology.interface.iter().map(|interface| interface.get_ref());
        let own = |number: u32| {
            let [a, b, c, d] = number.to_be_bytes();
            Mac([2, 0, a, b, c, d])
        };
        Ok(Outputs {
            files: Files::create(directory, interfaces().map(|interface| interface.name.clone()), inputs)?,
            macs: (1..).zip(interfaces()).map(|(number, one)| one.mac.unwrap_or_else(|| own(number))).collect(),
            neighbours: topology.neighbour.clone(),
        })
    }

    /// Writes what leaves.
    pub(super) fn take(&mut self, time: u64, fate: Fate) -> Result<(), Failure> {
        let (device, to, bytes) = match fate {
            Fate::Sent { device, next_hop, packet } => (device, Some(next_hop), packet),
            Fate::Frame { device, frame } => (device, None, frame),
            Fate::Delivered(_) | Fate::Lost { .. } => return Ok(()),
        };
        let number = (device as usize).checked_sub(1);
        let Some((number, mac)) = number.and_then(|number| Some((number, self.macs.get(number)?))) else {
            // A program redirected to a device that is none of the router's.
            return Ok(());
        };
        let frame = match to {
            None => bytes,
            Some(to) => {
                let neighbour = self.neighbours.get(&to).copied().unwrap_or_default();
                let four = bytes.first().is_some_and(|first| first >> 4 == 4);
                let ethertype: [u8; 2] = if four { [8, 0] } else { [0x86, 0xdd] };
                [&neighbour.0[..], &mac.0, &ethertype, &bytes].concat()
            }
        };
        self.files.write(number, time, &frame)
    }

    /// Writes what is still buffered; says how many packets left by each interface.
    pub(super) fn finish(self) -> Result<Vec<(String, u64)>, Failure> {
        self.files.finish()
    }
}
