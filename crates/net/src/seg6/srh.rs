//! The segment routing header and its TLVs: reading, and checking as Linux checks (`net/ipv6/seg6.c`,
//! `seg6_validate_srh`).

use super::{FIXED, FLAG_HMAC, Found, Lost, Octets, ROUTING_TYPE, SEGMENT, Spent, find, header, tlv};
use std::{fmt, net::Ipv6Addr};

/// A segment routing header: its fixed part, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Srh {
    /// Where it begins.
    pub at: usize,
    /// What follows it.
    pub next: u8,
    /// Its length in units of 8 bytes, without the first.
    pub ext_len: u8,
    /// The routing type: 4.
    pub ty: u8,
    /// How many segments are still to be visited: the index of the active one in the list.
    pub segments_left: u8,
    /// Index of the list's last element, the first segment to be visited.
    pub last_entry: u8,
    /// Flags.
    pub flags: u8,
    /// A mark of packets of one kind.
    pub tag: u16,
}

/// Whether a list has to hold all segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// All of them: what a headend is given to put on packets.
    Full,
    /// The first may be missing, which stands in the destination address: what is received.
    Reduced,
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It ends before its fixed part does, or is longer or shorter than it says.
    Length,
    /// Its routing type is another.
    Type,
    /// More segments are left than there are.
    SegmentsLeft,
    /// The list is longer than the header.
    LastEntry,
    /// A TLV goes over the end.
    Tlv {
        /// Where it begins, from the start of the header.
        at: usize,
    },
}

impl Srh {
    /// The fixed part of a header; `None` if it is not all there.
    #[inline]
    #[must_use]
    pub fn read(packet: &(impl Octets + ?Sized), at: usize) -> Option<Srh> {
        let [next, ext_len, ty, segments_left, last_entry, flags, high, low] = packet.array(at)?;
        let tag = u16::from_be_bytes([high, low]);
        Some(Srh { at, next, ext_len, ty, segments_left, last_entry, flags, tag })
    }

    /// A header of `len` bytes, if it holds together. HMACs are not computed, addresses not looked at, and padding of one
    /// byte is no TLV (as in Linux, which so refuses what RFC 8754 allows).
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline]
    pub fn check(packet: &(impl Octets + ?Sized), at: usize, len: usize, list: List) -> Result<Srh, Flaw> {
        let srh = Srh::read(packet, at).filter(|_| len >= FIXED).ok_or(Flaw::Length)?;
        if srh.ty != ROUTING_TYPE {
            return Err(Flaw::Type);
        }
        if srh.length() != len || packet.length() < at + len {
            return Err(Flaw::Length);
        }
        if list == List::Full && srh.segments_left > srh.last_entry {
            return Err(Flaw::SegmentsLeft);
        }
        if i32::from(srh.last_entry) > i32::from(srh.ext_len / 2) - 1 {
            return Err(Flaw::LastEntry);
        }
        if u16::from(srh.segments_left) > u16::from(srh.last_entry) + 1 {
            return Err(Flaw::SegmentsLeft);
        }
        // The list fits, as was just seen.
        let mut next = srh.segments_end();
        while next < len {
            let behind = packet.octet(at + next + 1).map(|length| next + 2 + usize::from(length));
            next = behind.filter(|behind| *behind <= len).ok_or(Flaw::Tlv { at: next })?;
        }
        Ok(srh)
    }

    /// The packet's segment routing header, if the first routing header is one that holds together.
    #[inline]
    #[must_use]
    pub fn of(packet: &(impl Octets + ?Sized), spent: Spent) -> Option<Srh> {
        let Ok::<_, Lost>(Found { at, .. }) = find(packet, Some(header::ROUTING), spent) else { return None };
        let ext_len = packet.octet(at + 1)?;
        Srh::check(packet, at, (usize::from(ext_len) + 1) * 8, List::Reduced).ok()
    }

    /// Its bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        (usize::from(self.ext_len) + 1) * 8
    }

    /// Where the list ends, from the start of the header.
    #[must_use]
    pub fn segments_end(&self) -> usize {
        FIXED + (usize::from(self.last_entry) + 1) * SEGMENT
    }

    /// A segment of the list; `None` if it is not there.
    #[must_use]
    pub fn segment(&self, packet: &(impl Octets + ?Sized), index: u8) -> Option<Ipv6Addr> {
        let place = self.at + FIXED + usize::from(index) * SEGMENT;
        packet.array::<SEGMENT>(place).map(Ipv6Addr::from)
    }

    /// Its TLVs, as far as they hold together.
    #[must_use]
    pub fn tlvs<'a, P: Octets + ?Sized>(&self, packet: &'a P) -> Tlvs<'a, P> {
        Tlvs { packet, next: self.at + self.segments_end(), end: self.at + self.length() }
    }

    /// Where Linux finds an HMAC: the flag is set, and the last 40 bytes are that TLV.
    #[must_use]
    pub fn hmac(&self, packet: &(impl Octets + ?Sized)) -> Option<usize> {
        const BYTES: usize = 40;
        let room = usize::from(self.ext_len) >= (usize::from(self.last_entry) + 1) * 2 + BYTES / 8;
        let at = (self.at + self.length()).checked_sub(BYTES).filter(|_| room && self.flags & FLAG_HMAC != 0)?;
        (packet.array(at)? == [tlv::HMAC, BYTES as u8 - 2]).then_some(at)
    }
}

/// A TLV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv {
    /// Its type.
    pub ty: u8,
    /// Where it begins, its type and length included.
    pub at: usize,
    /// Bytes of its value.
    pub len: u8,
}

/// The TLVs of a header, one after the other; ends at the first that goes over the end.
#[derive(Debug)]
pub struct Tlvs<'a, P: ?Sized> {
    packet: &'a P,
    next: usize,
    end: usize,
}

impl<P: Octets + ?Sized> Iterator for Tlvs<'_, P> {
    type Item = Tlv;

    fn next(&mut self) -> Option<Tlv> {
        let at = self.next;
        let [ty, len] = self.packet.array(at)?;
        self.next = at + 2 + usize::from(len);
        (self.next <= self.end).then_some(Tlv { ty, at, len })
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Length => f.write_str("the header is not as long as it says"),
            Flaw::Type => f.write_str("the routing type is not 4"),
            Flaw::SegmentsLeft => f.write_str("more segments are left than there are"),
            Flaw::LastEntry => f.write_str("the list of segments is longer than the header"),
            Flaw::Tlv { at } => write!(f, "the TLV at byte {at} goes over the end"),
        }
    }
}

impl std::error::Error for Flaw {}
