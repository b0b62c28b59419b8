//! ICMPv6 messages (RFC 4443): the packet around one, its checksum.

use crate::seg6::{IPV6_LEN, Octets};
use alveary_runtime::csum::{fold, partial};
use std::net::Ipv6Addr;

/// The protocol's number.
pub(crate) const ICMPV6: u8 = 58;
/// Types from here on are no errors.
pub(crate) const INFORMATION: u8 = 128;
/// Asks for an answer, and is one.
pub const ECHO_REQUEST: u8 = 128;
/// The answer.
pub const ECHO_REPLY: u8 = 129;

/// A packet with a message; the checksum, bytes 2 and 3 of it, is filled in.
pub(crate) fn packet(from: Ipv6Addr, to: Ipv6Addr, flow: u32, hops: u8, message: &[u8]) -> Vec<u8> {
    let mut packet = (0x6000_0000 | flow & 0xf_ffff).to_be_bytes().to_vec();
    packet.extend((message.len() as u16).to_be_bytes());
    packet.extend([ICMPV6, hops]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(message);
    sign(&mut packet, IPV6_LEN, to);
    packet
}

/// Fills in the checksum of a message at the packet's end, which `to` gets at last.
pub(crate) fn sign(packet: &mut [u8], at: usize, to: Ipv6Addr) {
    const SOURCE: usize = 8;
    let from = packet.array::<16>(SOURCE).unwrap_or_default();
    let len = (packet.len() - at) as u32;
    let pseudo = [&from[..], &to.octets(), &len.to_be_bytes(), &[0, 0, 0, ICMPV6]].concat();
    if let Some(sum) = packet.get_mut(at + 2..at + 4) {
        sum.fill(0);
        let sum = fold(partial(&packet[at..], partial(&pseudo, 0)));
        packet[at + 2..at + 4].copy_from_slice(&sum.to_ne_bytes());
    }
}

/// The answer to an echo request, a packet from its IPv6 header on; `None` to anything else.
#[must_use]
pub fn echo_reply(packet_in: &[u8]) -> Option<Vec<u8>> {
    const HOPS: u8 = 64;
    let message = packet_in.get(IPV6_LEN..).filter(|message| message.first() == Some(&ECHO_REQUEST))?;
    if packet_in.octet(6)? != ICMPV6 {
        return None;
    }
    let (from, to) = (packet_in.array::<16>(8)?, packet_in.array::<16>(24)?);
    let mut message = message.to_vec();
    message[0] = ECHO_REPLY;
    Some(packet(to.into(), from.into(), 0, HOPS, &message))
}
