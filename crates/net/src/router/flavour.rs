//! What endpoints do beside their behaviour: RFC 8986's PSP, USP and USD, RFC 9800's NEXT-C-SID.

use super::{
    Lost,
    transform::{decapsulate_any, next},
};
use crate::{
    routed::accepted,
    seg6::{Octets, Policy, Room, Spent, Srh, advance, pop},
};

const DESTINATION: usize = 24;
const ADDRESS: usize = 16;

/// What an endpoint does beside its behaviour. Linux knows PSP and NEXT-C-SID, the latter before the former.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flavours {
    /// The last but one segment takes the header out.
    pub psp: bool,
    /// The last segment takes the header out.
    pub usp: bool,
    /// The last segment takes the outer headers away.
    pub usd: bool,
    /// Segments are shifted inside the destination address.
    pub next_csid: Option<NextCsid>,
}

/// How an address is divided: a block that all segments share, segments of equal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextCsid {
    block: u8,
    node: u8,
}

impl Default for NextCsid {
    /// 32 and 16 bits, as in Linux.
    fn default() -> NextCsid {
        NextCsid { block: 4, node: 2 }
    }
}

impl NextCsid {
    /// So many bits of block and of segment.
    ///
    /// # Errors
    /// What is expected: whole bytes, at least one of each, no more than an address has.
    pub fn new(block_bits: u8, node_bits: u8) -> Result<NextCsid, &'static str> {
        let whole = |bits: u8| bits > 0 && bits.is_multiple_of(8);
        if !whole(block_bits) || !whole(node_bits) || u16::from(block_bits) + u16::from(node_bits) > 128 {
            return Err("whole bytes of either, together at most 128 bits");
        }
        Ok(NextCsid { block: block_bits / 8, node: node_bits / 8 })
    }

    /// Shifts the next segment of the destination into place; says whether there was one.
    fn shift(self, packet: &mut Vec<u8>) -> bool {
        let Some(mut address) = packet.array::<ADDRESS>(DESTINATION) else { return false };
        let (block, node) = (usize::from(self.block), usize::from(self.node));
        if address[block + node..].iter().all(|byte| *byte == 0) {
            return false;
        }
        address.copy_within(block + node.., block);
        address[ADDRESS - node..].fill(0);
        packet.write(DESTINATION, &address);
        true
    }
}

/// How a packet is, where an endpoint has let it go.
pub(super) enum End {
    /// On its way to the next segment.
    Next,
    /// Without its outer headers.
    Inner,
    /// At its end: it is the router's own.
    Here,
}

/// End, with its flavours.
pub(super) fn end(packet: &mut Vec<u8>, policy: &Policy<'_>, flavours: Flavours) -> Result<End, Lost> {
    if let Some(csid) = flavours.next_csid {
        if !csid.shift(packet) {
            next(packet, policy)?;
        }
        return Ok(End::Next);
    }
    if flavours == Flavours::default() {
        return next(packet, policy).map(|()| End::Next);
    }
    let srh = Srh::of(packet, Spent::Counts);
    if srh.is_some() && !accepted(packet, policy) {
        return Err(Lost::BadHmac);
    }
    match srh {
        Some(srh) if srh.segments_left > 0 => {
            advance(packet, &srh);
            if flavours.psp && srh.segments_left == 1 {
                pop(packet, &srh).map_err(|_| Lost::BadHeader)?;
            }
            Ok(End::Next)
        }
        _ if flavours.usd && decapsulate_any(packet, policy).is_ok() => Ok(End::Inner),
        Some(srh) if flavours.usp => pop(packet, &srh).map(|()| End::Here).map_err(|_| Lost::BadHeader),
        _ => Err(Lost::NoSegments),
    }
}
