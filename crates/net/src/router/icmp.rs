//! What a router tells the source of an IPv6 packet that it could not forward (RFC 4443; Linux: `net/ipv6/icmp.c`).

use super::Lost;
use crate::{
    icmpv6::{self, ICMPV6, INFORMATION},
    seg6::{IPV6_LEN, Octets, Spent, find},
};
use std::net::Ipv6Addr;

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
pub(super) fn about(
    why: Lost,
    packet: &[u8],
    from: Ipv6Addr,
    is_anycast: impl Fn(Ipv6Addr) -> bool,
) -> Option<Vec<u8>> {
    let (ty, code, value) = match why {
        Lost::HopLimit => (TIME_EXCEEDED, 0, 0),
        Lost::TooBig(mtu) => (TOO_BIG, 0, mtu),
        Lost::NoRoute | Lost::Unreachable => (UNREACHABLE, NO_ROUTE, 0),
        Lost::Prohibited => (UNREACHABLE, PROHIBITED, 0),
        _ => return None,
    };
    let to = Ipv6Addr::from(packet.array::<16>(SOURCE)?);
    let destination = Ipv6Addr::from(packet.array::<16>(DESTINATION)?);
    let nobody = to.is_unspecified() || to.is_multicast() || is_anycast(to) || from.is_unspecified();
    let group = destination.is_multicast() && ty != TOO_BIG;
    if packet[0] >> 4 != 6 || nobody || group || is_error(packet) {
        return None;
    }
    let quoted = &packet[..packet.len().min(LONGEST - IPV6_LEN - HEADER)];
    let mut message = vec![ty, code, 0, 0];
    message.extend(value.to_be_bytes());
    message.extend(quoted);
    Some(icmpv6::packet(from, to, 0, HOP_LIMIT, &message))
}

/// Whether the packet is such a message itself.
fn is_error(packet: &[u8]) -> bool {
    let upper = find(packet, None, Spent::Counts).ok().filter(|found| found.header == ICMPV6);
    upper.is_some_and(|found| packet.octet(found.at).is_none_or(|ty| ty < INFORMATION))
}
