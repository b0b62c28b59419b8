//! Changes to a packet: on to the next segment, a header around it or into it (Linux: `net/ipv6/seg6_iptunnel.c`).

use super::{
    FIXED, FLAG_HMAC, IPV6_LEN, Keys, MOST_SEGMENTS, Octets, ROUTING_TYPE, Room, SEGMENT, Srh, header, hmac::sign, tlv,
};
use std::{fmt, net::Ipv6Addr};

/// Hop limit of a packet around one that has none: Linux's default.
const HOP_LIMIT: u8 = 64;
/// Bytes of an HMAC's TLV.
const HMAC_BYTES: usize = 40;
/// Place of the payload's length, the next header, the hop limit and the addresses in an IPv6 header.
const PAYLOAD_LEN: usize = 4;
const NEXT_HEADER: usize = 6;
const HOPS: usize = 7;
const SOURCE: usize = 8;
const TO: usize = 24;

/// Why a header could not be put on a packet. The packet may have been changed all the same, and is to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unable {
    /// The flag says that there is an HMAC; the last TLV is none.
    NoHmac,
    /// Nobody knows the HMAC's key.
    NoKey,
    /// There are more segments than are signed ([`MOST_SIGNED`](super::MOST_SIGNED)).
    TooLong,
    /// The packet's headers, or the one to be put on it, are not whole.
    Short,
}

/// A header of segments, the first to be visited first. `inside` puts one more at its end, which is room for the
/// destination of the packet that it goes into ([`insert`]). With the number of a key it has room for an HMAC, and the
/// flag of one.
///
/// # Panics
/// With more than [`MOST_SEGMENTS`].
#[must_use]
pub fn header_of(segments: &[Ipv6Addr], inside: bool, key: Option<u32>) -> Vec<u8> {
    let room = usize::from(inside);
    let count = segments.len() + room;
    assert!(segments.len() <= MOST_SEGMENTS, "at most {MOST_SEGMENTS} segments");
    let signature = if key.is_some() { HMAC_BYTES } else { 0 };
    let last = count.saturating_sub(1) as u8;
    let ext_len = ((count * SEGMENT + signature) / 8) as u8;
    let flags = if key.is_some() { FLAG_HMAC } else { 0 };
    let mut header = vec![0, ext_len, ROUTING_TYPE, last, last, flags, 0, 0];
    header.resize(FIXED + room * SEGMENT, 0);
    segments.iter().rev().for_each(|segment| header.extend(segment.octets()));
    if let Some(key) = key {
        header.extend([tlv::HMAC, HMAC_BYTES as u8 - 2, 0, 0]);
        header.extend(key.to_be_bytes());
        header.resize(header.len() + 32, 0);
    }
    header
}

/// Makes the next segment the active one: one less is left, and the packet goes there.
///
/// None must be left out of `srh`, which is the packet's own: at least one segment is left, and the list holds it.
#[inline]
pub fn advance(packet: &mut impl Room, srh: &Srh) {
    let left = srh.segments_left.saturating_sub(1);
    packet.write(srh.at + 3, &[left]);
    if let Some(segment) = srh.segment(packet, left) {
        packet.write(TO, &segment.octets());
    }
}

/// Says in the IPv6 header how long the packet is.
pub fn set_payload_len(packet: &mut impl Room) {
    let len = packet.length().wrapping_sub(IPV6_LEN) as u16;
    packet.write(PAYLOAD_LEN, &len.to_be_bytes());
}

/// What stands inside an outer header, and what that takes over of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inner {
    /// Its number.
    pub header: u8,
    /// The first word of the outer header: version, traffic class, flow label.
    pub flow: [u8; 4],
    /// Hop limit of the outer header.
    pub hops: u8,
}

impl Inner {
    /// An IPv6 packet: what it says is taken over.
    #[must_use]
    pub fn six(packet: &(impl Octets + ?Sized)) -> Inner {
        let [first, rest @ ..]: [u8; 4] = packet.array(0).unwrap_or_default();
        let [a, b, c] = rest;
        let hops = packet.octet(HOPS).unwrap_or(0);
        Inner { header: header::IPV6, flow: [0x60 | first & 0xf, a, b, c], hops }
    }

    /// Anything else: nothing is taken over.
    #[must_use]
    pub fn other(header: u8) -> Inner {
        Inner { header, flow: [0x60, 0, 0, 0], hops: HOP_LIMIT }
    }
}

/// Puts a header and an IPv6 header around the packet, which goes to the first segment.
///
/// The source is asked for when the destination is known. `srh` was checked with [`List::Full`](super::List::Full); what
/// it says to be next is replaced, and it is signed if its flag says so.
///
/// # Errors
/// An HMAC that cannot be computed.
pub fn encapsulate(
    packet: &mut impl Room,
    srh: &[u8],
    inner: Inner,
    keys: &Keys,
    source: impl FnOnce(Ipv6Addr) -> Ipv6Addr,
) -> Result<(), Unable> {
    around(packet, srh, last_segment(srh), inner, keys, source)
}

/// The same without the first segment, which is the packet's destination; without a header at all if that was its only
/// segment and it bears no HMAC.
///
/// # Errors
/// An HMAC that cannot be computed.
pub fn encapsulate_reduced(
    packet: &mut impl Room,
    srh: &[u8],
    inner: Inner,
    keys: &Keys,
    source: impl FnOnce(Ipv6Addr) -> Ipv6Addr,
) -> Result<(), Unable> {
    let to = last_segment(srh);
    let fixed = Srh::read(srh, 0).filter(|fixed| srh.len() >= fixed.segments_end()).ok_or(Unable::Short)?;
    if fixed.last_entry == 0 {
        let kept = if fixed.hmac(srh).is_some() { srh } else { &[] };
        return around(packet, kept, to, inner, keys, source);
    }
    let end = fixed.segments_end();
    let mut reduced = srh[..end - SEGMENT].to_vec();
    reduced.extend_from_slice(&srh[end..]);
    reduced[1] = fixed.ext_len.wrapping_sub(2);
    reduced[4] = fixed.last_entry - 1;
    around(packet, &reduced, to, inner, keys, source)
}

fn around(
    packet: &mut impl Room,
    srh: &[u8],
    to: Ipv6Addr,
    inner: Inner,
    keys: &Keys,
    source: impl FnOnce(Ipv6Addr) -> Ipv6Addr,
) -> Result<(), Unable> {
    packet.open(0, IPV6_LEN + srh.len());
    packet.write(0, &inner.flow);
    packet.write(NEXT_HEADER, &[if srh.is_empty() { inner.header } else { header::ROUTING }, inner.hops]);
    packet.write(IPV6_LEN, srh);
    if !srh.is_empty() {
        packet.write(IPV6_LEN, &[inner.header]);
    }
    packet.write(TO, &to.octets());
    packet.write(SOURCE, &source(to).octets());
    if !srh.is_empty() {
        sign(packet, keys)?;
    }
    set_payload_len(packet);
    Ok(())
}

/// Puts a header into an IPv6 packet, behind its IPv6 header. The packet goes to the first segment; its destination
/// becomes the last, which `srh` has to have room for.
///
/// # Errors
/// A packet without a whole IPv6 header, an HMAC that cannot be computed.
pub fn insert(packet: &mut impl Room, srh: &[u8], keys: &Keys) -> Result<(), Unable> {
    let destination: [u8; SEGMENT] = packet.array(TO).ok_or(Unable::Short)?;
    let next = packet.octet(NEXT_HEADER).ok_or(Unable::Short)?;
    packet.open(IPV6_LEN, srh.len());
    packet.write(IPV6_LEN, srh);
    packet.write(IPV6_LEN, &[next]);
    packet.write(NEXT_HEADER, &[header::ROUTING]);
    packet.write(IPV6_LEN + FIXED, &destination);
    // A list of one is that room.
    let fixed = Srh::read(packet, IPV6_LEN);
    let to = fixed.and_then(|fixed| fixed.segment(packet, fixed.last_entry)).unwrap_or(Ipv6Addr::UNSPECIFIED);
    packet.write(TO, &to.octets());
    sign(packet, keys)?;
    set_payload_len(packet);
    Ok(())
}

/// Takes the packet's SRH out; what comes before it tells what comes behind it.
///
/// # Errors
/// Another header than one of options stands further before it.
pub fn pop(packet: &mut impl Room, srh: &Srh) -> Result<(), Unable> {
    let (mut at, mut place, mut before) = (IPV6_LEN, NEXT_HEADER, packet.octet(NEXT_HEADER).ok_or(Unable::Short)?);
    while before != header::ROUTING {
        let [next, length] = packet.array(at).ok_or(Unable::Short)?;
        place = at;
        if next != header::ROUTING && !matches!(before, header::HOP_BY_HOP | header::DESTINATION) {
            return Err(Unable::Short);
        }
        (before, at) = (next, at + (usize::from(length) + 1) * 8);
    }
    packet.write(place, &[srh.next]);
    packet.close(srh.at, srh.length());
    set_payload_len(packet);
    Ok(())
}

/// The last of a header's list: the first segment to be visited.
fn last_segment(srh: &[u8]) -> Ipv6Addr {
    let fixed = Srh::read(srh, 0);
    fixed.and_then(|fixed| fixed.segment(srh, fixed.last_entry)).unwrap_or(Ipv6Addr::UNSPECIFIED)
}

impl fmt::Display for Unable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unable::NoHmac => "the header's flag says that there is an HMAC, and there is none",
            Unable::NoKey => "the HMAC's key is not known",
            Unable::TooLong => "there are more segments than are signed",
            Unable::Short => "the headers are not whole",
        })
    }
}

impl std::error::Error for Unable {}
