//! What the data plane has counted.

use super::{Plane, Store};
use crate::{Result, wire};

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What is counted of a VIP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VipCounts {
    /// To it.
    pub to: Traffic,
    /// From its reals behind NAT.
    pub back: Traffic,
    /// New connections.
    pub opened: u64,
    /// Flows that another CPU, or a peer, knew.
    pub global: u64,
}

impl<B: Plane> Store<B> {
    /// An entry of counters, all CPUs together.
    fn counts<const N: usize>(&self, map: &str, index: u32) -> Result<[u64; N]> {
        let bytes = self.value(map, index)?;
        let mut sums = [0u64; N];
        for cpu in bytes.chunks_exact(8 * N) {
            for (sum, word) in sums.iter_mut().zip(cpu.chunks_exact(8)) {
                *sum = sum.wrapping_add(u64::from_ne_bytes(wire::some(word, 0)));
            }
        }
        Ok(sums)
    }

    /// What is counted of a VIP, by its number.
    ///
    /// # Errors
    /// The target's.
    pub fn vip(&self, number: u32) -> Result<VipCounts> {
        let [packets, bytes, back_packets, back_bytes, opened, global] = self.counts("vip_counters", number)?;
        let back = Traffic { packets: back_packets, bytes: back_bytes };
        Ok(VipCounts { to: Traffic { packets, bytes }, back, opened, global })
    }

    /// What is counted of a real, by its number.
    ///
    /// # Errors
    /// The target's.
    pub fn real(&self, number: u32) -> Result<Traffic> {
        let [packets, bytes] = self.counts("real_counters", number)?;
        Ok(Traffic { packets, bytes })
    }

    /// What became of packets, in the order of [`wire::VERDICTS`].
    ///
    /// # Errors
    /// The target's.
    pub fn verdicts(&self) -> Result<Vec<Traffic>> {
        (0..wire::VERDICTS.len() as u32)
            .map(|index| self.counts("verdicts", index).map(|[packets, bytes]| Traffic { packets, bytes }))
            .collect()
    }

    /// What else was counted, in the order of [`wire::EVENTS`].
    ///
    /// # Errors
    /// The target's.
    pub fn events(&self) -> Result<Vec<u64>> {
        (0..wire::EVENTS.len() as u32).map(|index| self.counts("events", index).map(|[count]| count)).collect()
    }
}
