//! The data plane's hash of a flow, written down a second time from its description.

use crate::packet::{ICMP, ICMP6, Packet, TCP, UDP, octets};

/// The seed that objects come with.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(hash: u64, word: u64) -> u64 {
    let hash = (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ hash >> 32
}

/// What is hashed: addresses and ports as they stand in packets, read as the machine reads them.
pub(crate) fn of(source: &[u8], destination: &[u8], ports: (u16, u16), protocol: u8) -> u64 {
    let word = |bytes: &[u8], at: usize| u64::from(u32::from_ne_bytes(bytes[at * 4..at * 4 + 4].try_into().unwrap()));
    let mut hash = SEED;
    if source.len() == 4 {
        hash = mix(hash, word(source, 0) << 32 | word(destination, 0));
    } else {
        for side in [source, destination] {
            hash = mix(hash, word(side, 0) << 32 | word(side, 1));
            hash = mix(hash, word(side, 2) << 32 | word(side, 3));
        }
    }
    let ports = u64::from(ports.0.to_be()) << 32 | u64::from(ports.1.to_be()) << 16 | u64::from(protocol);
    let hash = mix(hash, ports).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (hash ^ hash >> 32) | 1 << 63
}

/// The hash of a packet's flow.
pub(crate) fn flow(packet: &Packet) -> u64 {
    let ports = match packet.protocol {
        _ if packet.fragment.is_some() => (0, 0),
        TCP | UDP => packet.ports,
        ICMP | ICMP6 if matches!(packet.icmp.0, 8 | 128) => {
            (u16::from_be_bytes([packet.icmp.2[0], packet.icmp.2[1]]), 0)
        }
        _ => (0, 0),
    };
    let protocol = if packet.protocol == ICMP6 { ICMP } else { packet.protocol };
    of(&octets(packet.source), &octets(packet.destination), ports, protocol)
}

/// The place in a ring.
pub(crate) fn place(hash: u64, size: usize) -> usize {
    (((hash << 1 >> 32) * size as u64) >> 32) as usize
}
