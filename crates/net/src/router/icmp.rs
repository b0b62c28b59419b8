//! What a router tells the source of an IPv6 packet that it could not forward (RFC 4443; Linux: `net/ipv6/icmp.c`).

use super::Lost;
use crate::seg6::{IPV6_LEN, Octets, Spent, find};
use alveary_runtime::csum::{fold, partial};
use std::net::Ipv6Addr;

const ICMPV6: u8 = 58;
/// Types from here on are no errors.
const INFORMATION: u8 = 128;
const UNREACHABLE: u8 = 1;
const TOO_BIG: u8 = 2;
const TIME_EXCEEDED: u8 = 3;
/// Codes of [`UNREACHABLE`].
const NO_ROUTE: u8 = 0;
const PROHIBITED: u8 = 1;
/// Such a message is no longer than every link takes.
const LONGEST: usize = 1280;
const HEADER: usize = 8;
const HOP_LIMIT: u8 = 64;
const SOURCE: usize = 8;
const DESTINATION: usize = 24;

/// The message about a packet, if its loss is told to anyone.
pub(super) fn about(why: Lost, packet: &[u8], from: Ipv6Addr) -> Option<Vec<u8>> {
    let (ty, code, value) = match why {
        Lost::HopLimit => (TIME_EXCEEDED, 0, 0),
        Lost::TooBig(mtu) => (TOO_BIG, 0, mtu),
        Lost::NoRoute | Lost::Unreachable => (UNREACHABLE, NO_ROUTE, 0),
        Lost::Prohibited => (UNREACHABLE, PROHIBITED, 0),
        _ => return None,
    };
    let to = Ipv6Addr::from(packet.array::<16>(SOURCE)?);
    let destination = Ipv6Addr::from(packet.array::<16>(DESTINATION)?);
    let nobody = to.is_unspecified() || to.is_multicast() || from.is_unspecified();
    let group = destination.is_multicast() && ty != TOO_BIG;
    if packet[0] >> 4 != 6 || nobody || group || is_error(packet) {
        return None;
    }
    let quoted = &packet[..packet.len().min(LONGEST - IPV6_LEN - HEADER)];
    let len = (HEADER + quoted.len()) as u16;
    let mut message = vec![0x60, 0, 0, 0];
    message.extend(len.to_be_bytes());
    message.extend([ICMPV6, HOP_LIMIT]);
    message.extend(from.octets());
    message.extend(to.octets());
    message.extend([ty, code, 0, 0]);
    message.extend(value.to_be_bytes());
    message.extend(quoted);
    let pseudo = [&message[SOURCE..IPV6_LEN], &u32::from(len).to_be_bytes(), &[0, 0, 0, ICMPV6]].concat();
    let sum = fold(partial(&message[IPV6_LEN..], partial(&pseudo, 0)));
    message[IPV6_LEN + 2..IPV6_LEN + 4].copy_from_slice(&sum.to_ne_bytes());
    Some(message)
}

/// Whether the packet is such a message itself.
fn is_error(packet: &[u8]) -> bool {
    let upper = find(packet, None, Spent::Counts).ok().filter(|found| found.header == ICMPV6);
    upper.is_some_and(|found| packet.octet(found.at).is_none_or(|ty| ty < INFORMATION))
}
