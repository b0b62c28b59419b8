//! Packets of other link types as Ethernet frames, for programs that expect Ethernet.
//!
//! A raw IP or cooked packet has no Ethernet header, so one is made up in front of its network layer:
//!
//! | link type | EtherType | source address | destination address |
//! |---|---|---|---|
//! | raw IP | by the IP version; 0 if it is neither 4 nor 6 | zeros | zeros |
//! | cooked v1, v2 | the header's protocol; the length, if the payload is 802.2 or 802.3 | the header's, if it has six bytes; else zeros | ones for a broadcast; else zeros |
//! | loopback | by the address family; 0 if it is not IP | zeros | zeros |
//!
//! Such a packet leaves as an Ethernet frame too: a writer's link type is Ethernet, as soon as a program has seen one.

use alveary_diag::{Diagnostic, Place};

use crate::{capture::Packet, link::LinkType};

/// Bytes of an Ethernet header.
pub const ETHERNET_HEADER: usize = 14;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Neither IP nor anything else that is known.
const UNKNOWN: u16 = 0;

/// Least EtherType; what is less counts the bytes of an 802.3 frame.
const LEAST_ETHERTYPE: u16 = 0x0600;
/// Linux's own protocol numbers for 802.3 and 802.2 frames (`ETH_P_802_3`, `ETH_P_802_2`).
const ETH_P_802_3: u16 = 1;
const ETH_P_802_2: u16 = 4;

/// Packet type of the cooked headers (`PACKET_BROADCAST`).
const PACKET_BROADCAST: u16 = 1;

/// A packet as an Ethernet frame: a header that was made up, if its link type has none, and the bytes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthernetView<'a> {
    header: Option<[u8; ETHERNET_HEADER]>,
    rest: &'a [u8],
}

impl<'a> EthernetView<'a> {
    /// Length of the frame.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a length on its own: whether a frame is empty is no question here"
    )]
    pub fn len(&self) -> usize {
        self.header.map_or(0, |header| header.len()) + self.rest.len()
    }

    /// The frame in two parts, to be copied one behind the other; the first is empty where the packet is Ethernet.
    #[must_use]
    pub fn parts(&self) -> (&[u8], &'a [u8]) {
        (self.header.as_ref().map_or(&[], |header| header), self.rest)
    }

    /// The frame in one piece.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let (header, rest) = self.parts();
        [header, rest].concat()
    }
}

impl<'a> Packet<'a> {
    /// The packet as an Ethernet frame; see [`LinkType::ethernet_view`].
    ///
    /// # Errors
    /// As there.
    pub fn ethernet_view(&self) -> Result<EthernetView<'a>, Diagnostic> {
        self.link.ethernet_view(self.data)
    }
}

impl LinkType {
    /// Shows a packet of this link type as an Ethernet frame. No bytes are copied.
    ///
    /// # Errors
    /// The packet is too short for the header that its link type begins with.
    #[inline]
    pub fn ethernet_view(self, packet: &[u8]) -> Result<EthernetView<'_>, Diagnostic> {
        match self {
            LinkType::Ethernet => Ok(EthernetView { header: None, rest: packet }),
            LinkType::Raw => Ok(frame(ip_version(packet), &[], packet)),
            LinkType::Ipv4 => Ok(frame(IPV4, &[], packet)),
            LinkType::Ipv6 => Ok(frame(IPV6, &[], packet)),
            LinkType::Null | LinkType::Loop => {
                let (family, rest) = self.split::<4>(packet)?;
                Ok(frame(address_family(self, family), &[], rest))
            }
            LinkType::LinuxSll => {
                let (head, rest) = self.split::<16>(packet)?;
                let field = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
                Ok(cooked(field(0), field(4), &head[6..14], field(14), rest))
            }
            LinkType::LinuxSll2 => {
                let (head, rest) = self.split::<20>(packet)?;
                let protocol = u16::from_be_bytes([head[0], head[1]]);
                Ok(cooked(head[10].into(), head[11].into(), &head[12..20], protocol, rest))
            }
        }
    }

    fn split<const N: usize>(self, packet: &[u8]) -> Result<(&[u8; N], &[u8]), Diagnostic> {
        packet.split_first_chunk().ok_or_else(|| {
            Diagnostic::new("capture-link-header", "a packet is too short for its link header", Place::Nowhere)
                .expected(format!("{N} bytes of link type {}", self.name()))
                .found(format!("{}", packet.len()))
        })
    }
}

/// A frame from a cooked header's fields: packet type, address length, address, protocol.
fn cooked<'a>(kind: u16, address_len: u16, address: &[u8], protocol: u16, rest: &'a [u8]) -> EthernetView<'a> {
    let ethertype = match protocol {
        ETH_P_802_3 | ETH_P_802_2 => u16::try_from(rest.len()).unwrap_or(u16::MAX).min(LEAST_ETHERTYPE - 1),
        other => other,
    };
    let source = if address_len == 6 { &address[..6] } else { &[] };
    let mut view = frame(ethertype, source, rest);
    if let (PACKET_BROADCAST, Some(header)) = (kind, &mut view.header) {
        header[..6].fill(0xff);
    }
    view
}

fn frame<'a>(ethertype: u16, source: &[u8], rest: &'a [u8]) -> EthernetView<'a> {
    let mut header = [0; ETHERNET_HEADER];
    header[6..6 + source.len()].copy_from_slice(source);
    header[12..].copy_from_slice(&ethertype.to_be_bytes());
    EthernetView { header: Some(header), rest }
}

fn ip_version(packet: &[u8]) -> u16 {
    match packet.first().map(|byte| byte >> 4) {
        Some(4) => IPV4,
        Some(6) => IPV6,
        _ => UNKNOWN,
    }
}

/// A BSD loopback header's family. In a `NULL` capture its byte order is the capturing machine's: families are small.
fn address_family(link: LinkType, family: &[u8; 4]) -> u16 {
    let family = match (link, u32::from_be_bytes(*family)) {
        (LinkType::Null, value) if value > 0xffff => value.swap_bytes(),
        (_, value) => value,
    };
    match family {
        2 => IPV4,
        // NetBSD and OpenBSD, FreeBSD, macOS, Linux.
        24 | 28 | 30 | 10 => IPV6,
        _ => UNKNOWN,
    }
}
