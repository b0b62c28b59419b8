//! Segment routing over IPv6 (RFC 8754, RFC 8986), as Linux understands it: what is in a packet, whether it holds
//! together, how it is changed.
//!
//! Pure functions over bytes: a packet begins at its IPv6 header, offsets count from there. Programs' packets ([`SkBuff`]
//! by its helpers) and routers' packets (`Vec<u8>`) are changed by the same code. Knows no programs, no routes, no
//! devices.
//!
//! ```text
//!  0               1               2               3
//! +---------------+---------------+---------------+---------------+
//! | Next Header   | Hdr Ext Len   | Routing Type 4| Segments Left |
//! +---------------+---------------+---------------+---------------+
//! | Last Entry    | Flags         | Tag                           |
//! +---------------+---------------+---------------+---------------+
//! | Segment List[0], the last one to be visited … [Last Entry]    |
//! +---------------+---------------+---------------+---------------+
//! | TLVs: type, length, value …                                   |
//! +---------------+---------------+---------------+---------------+
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `octets` | what a packet is: bytes to read, room to change |
//! | `find` | the way through a packet's extension headers |
//! | `srh` | the segment routing header and its TLVs: reading, checking |
//! | `change` | moving to the next segment, encapsulation, insertion |
//! | `hmac` | signatures: keys, what is signed, what is asked of headers |
//!
//! [`SkBuff`]: crate::SkBuff

mod change;
mod find;
mod hmac;
mod octets;
mod srh;

pub use change::{Inner, Unable, advance, encapsulate, encapsulate_reduced, header_of, insert, pop, set_payload_len};
pub use find::{Found, Lost, Spent, find};
pub use hmac::{Algorithm, Key, Keys, MOST_SECRET, MOST_SIGNED, Policy, Require};
pub use octets::{Octets, Room};
pub use srh::{Flaw, List, Srh, Tlv, Tlvs};

#[cfg(test)]
mod tests;

/// Bytes of an IPv6 header.
pub const IPV6_LEN: usize = 40;
/// Bytes of an SRH before its segments.
pub const FIXED: usize = 8;
/// Bytes of a segment.
pub const SEGMENT: usize = 16;
/// Most segments that [`header_of`] takes: with room for one more and an HMAC, a header is as long as one can be.
pub const MOST_SEGMENTS: usize = 124;

/// Numbers of headers (`Next Header`).
pub mod header {
    #![allow(missing_docs, reason = "the names are IANA's")]
    pub const HOP_BY_HOP: u8 = 0;
    pub const IPV4: u8 = 4;
    pub const IPV6: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const NONE: u8 = 59;
    pub const DESTINATION: u8 = 60;
    pub const ETHERNET: u8 = 143;
}

/// Routing type of an SRH.
pub const ROUTING_TYPE: u8 = 4;
/// Flag: the last TLV is an HMAC (Linux's, from a draft of RFC 8754).
pub const FLAG_HMAC: u8 = 1 << 3;
/// Types of TLVs.
pub mod tlv {
    /// One byte of padding; Linux reads a length behind it, as behind any other type.
    pub const PAD1: u8 = 0;
    /// Padding.
    pub const PADN: u8 = 4;
    /// A keyed hash of source address and segments.
    pub const HMAC: u8 = 5;
}
