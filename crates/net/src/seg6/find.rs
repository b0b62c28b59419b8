//! The way through a packet's extension headers (Linux: `net/ipv6/exthdrs_core.c`, `ipv6_find_hdr`).

use super::{IPV6_LEN, Octets, header};

/// A header that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it begins.
    pub at: usize,
    /// Its number.
    pub header: u8,
}

/// Why a header was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The packet has none.
    None,
    /// The packet ends in the midst of a header.
    Short,
}

/// What is done with routing headers that have no segments left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// They count as others do.
    Counts,
    /// They are passed over.
    Skipped,
}

/// The first header with this number; without a number, the first that is no extension header.
///
/// Of a later fragment nothing behind the fragment header is there: without a number it gives that header's successor.
///
/// # Errors
/// There is none, or the packet ends before.
#[inline]
pub fn find(packet: &(impl Octets + ?Sized), wanted: Option<u8>, spent: Spent) -> Result<Found, Lost> {
    let mut at = IPV6_LEN;
    let mut header = packet.octet(6).ok_or(Lost::Short)?;
    loop {
        let mut found = wanted == Some(header);
        if !is_extension(header) || header == header::NONE {
            return if found || wanted.is_none() { Ok(Found { at, header }) } else { Err(Lost::None) };
        }
        let [next, length] = packet.array(at).ok_or(Lost::Short)?;
        let mut bytes = (usize::from(length) + 1) * 8;
        match header {
            header::ROUTING => {
                let [_, _, _, left] = packet.array(at).ok_or(Lost::Short)?;
                found &= left != 0 || spent == Spent::Counts;
            }
            header::FRAGMENT => {
                let offset = u16::from_be_bytes(packet.array(at + 2).ok_or(Lost::Short)?) & !7;
                match wanted {
                    _ if offset == 0 => {}
                    None if !is_extension(next) || next == header::NONE => return Ok(Found { at, header: next }),
                    _ if found => {}
                    _ => return Err(Lost::None),
                }
                bytes = 8;
            }
            header::AUTHENTICATION => bytes = (usize::from(length) + 2) * 4,
            _ => {}
        }
        if found {
            return Ok(Found { at, header });
        }
        if packet.length().saturating_sub(at) < bytes {
            return Err(Lost::Short);
        }
        (at, header) = (at + bytes, next);
    }
}

fn is_extension(header: u8) -> bool {
    matches!(
        header,
        header::HOP_BY_HOP
            | header::ROUTING
            | header::FRAGMENT
            | header::AUTHENTICATION
            | header::NONE
            | header::DESTINATION
    )
}
