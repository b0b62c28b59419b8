//! What becomes of a packet's headers: on to the next segment, out of outer headers.

use super::Lost;
use crate::{
    routed::{IPV4_LEN, accepted, onward},
    seg6::{IPV6_LEN, List, Policy, Room, Spent, Srh, find, header},
};

/// Bytes of an Ethernet header.
pub(super) const ETHERNET: usize = 14;

/// On to the next segment.
pub(super) fn next(packet: &mut Vec<u8>, policy: &Policy<'_>) -> Result<(), Lost> {
    onward(packet, packet.len(), policy)?;
    Ok(())
}

/// Takes the headers before an inner packet of this kind away, if no segment is left.
pub(super) fn decapsulate(packet: &mut Vec<u8>, policy: &Policy<'_>, inner: u8) -> Result<(), Lost> {
    let srh = Srh::of(packet, Spent::Counts);
    if srh.is_some_and(|srh| srh.segments_left > 0) {
        return Err(Lost::SegmentsLeft);
    }
    if srh.is_some() && !accepted(packet, policy) {
        return Err(Lost::BadHmac);
    }
    let found = find(packet, Some(inner), Spent::Counts).map_err(|_| Lost::NoInner)?;
    let least = match inner {
        header::IPV6 => IPV6_LEN,
        header::IPV4 => IPV4_LEN,
        _ => ETHERNET,
    };
    // Linux goes by the outer header alone; then no route takes what is none.
    let is_one = inner != header::IPV4 || packet.get(found.at).is_some_and(|version| version >> 4 == 4);
    if packet.len() < found.at + least || !is_one {
        return Err(Lost::NoInner);
    }
    packet.close(0, found.at);
    Ok(())
}

/// The same, of whichever protocol the inner packet is.
pub(super) fn decapsulate_any(packet: &mut Vec<u8>, policy: &Policy<'_>) -> Result<(), Lost> {
    match find(packet, None, Spent::Counts).map(|found| found.header) {
        Ok(inner @ (header::IPV4 | header::IPV6)) => decapsulate(packet, policy, inner),
        _ => Err(Lost::NoInner),
    }
}

/// A header that holds together, whoever wrote it.
pub(super) fn checked(srh: &[u8]) -> Result<&[u8], Lost> {
    Srh::check(srh, 0, srh.len(), List::Full).map(|_| srh).map_err(|_| Lost::BadHeader)
}
