//! What the stack asks of an IP packet before it routes it, and of one that comes to a segment: the same for programs'
//! packets and for a router's own.

use crate::{
    Dropped,
    seg6::{IPV6_LEN, Octets, Policy, Spent, Srh, advance, header},
};
use alveary_runtime::csum::{fold, partial};

/// Bytes of an IPv4 header without options.
pub(crate) const IPV4_LEN: usize = 20;

/// Length of an IPv6 packet, and where the headers end before what may be an SRH, if they fit (`ip6_rcv_core`).
#[inline]
pub(crate) fn received(packet: &[u8]) -> Option<(usize, usize)> {
    let [version, _, _, _, high, low, next] = packet.array(0)?;
    let payload = usize::from(u16::from_be_bytes([high, low]));
    // Without a length, hop-by-hop options may tell a larger one.
    let jumbo = payload == 0 && next == header::HOP_BY_HOP;
    let len = if jumbo { packet.len() } else { IPV6_LEN + payload };
    if version >> 4 != 6 || packet.len() < len.max(IPV6_LEN) {
        return None;
    }
    let transport = transport(&packet[..len])?;
    (transport <= len).then_some((len, transport))
}

/// Length of an IPv4 packet and of its header, if they fit, and the checksum is right (`ip_rcv_core`).
pub(crate) fn received4(packet: &[u8]) -> Option<(usize, usize)> {
    let [version, _, high, low] = packet.array(0)?;
    let (header, len) = (usize::from(version & 15) * 4, usize::from(u16::from_be_bytes([high, low])));
    if version >> 4 != 4 || header < IPV4_LEN || len < header || packet.len() < len {
        return None;
    }
    (fold(partial(&packet[..header], 0)) == 0).then_some((len, header))
}

/// The packet's SRH, if it has segments left and holds together, and its HMAC is as it has to be.
#[inline]
pub(crate) fn alive(packet: &[u8], policy: &Policy<'_>) -> Result<Srh, Dropped> {
    let srh = Srh::of(packet, Spent::Skipped).ok_or(Dropped::NoSegments)?;
    if accepted(packet, policy) { Ok(srh) } else { Err(Dropped::BadHmac) }
}

/// Sends a packet on to its next segment, if it has an SRH that is [`alive`]; gives where that begins and its bytes behind
/// the first 8. The header as a whole is not handed about: in parts it stays in registers.
#[inline]
pub(crate) fn onward(packet: &mut Vec<u8>, len: usize, policy: &Policy<'_>) -> Result<(usize, u16), Dropped> {
    let srh = alive(packet.get(..len).unwrap_or_default(), policy)?;
    advance(packet, &srh);
    Ok((srh.at, u16::from(srh.ext_len) * 8))
}

/// Whether the packet's HMAC is as it has to be. Linux looks for it behind the IPv6 and hop-by-hop headers, wherever the
/// SRH is.
pub(crate) fn accepted(packet: &[u8], policy: &Policy<'_>) -> bool {
    policy.accepts(packet, transport(packet).and_then(|at| Srh::read(packet, at)))
}

/// Behind the IPv6 header and hop-by-hop options.
#[inline]
fn transport(packet: &[u8]) -> Option<usize> {
    let options = match packet.octet(6)? {
        header::HOP_BY_HOP => (usize::from(packet.octet(IPV6_LEN + 1)?) + 1) * 8,
        _ => 0,
    };
    Some(IPV6_LEN + options)
}
