//! Headends: what sends packets on a way of segments (Linux: `net/ipv6/seg6_iptunnel.c`).

use super::{Arrival, Ask, Lost, Router, Step, is_ipv4, transform::checked};
use crate::seg6::{self, Inner, header};

/// How packets are sent on a way of segments: the header that they get ([`List::Full`](crate::seg6::List::Full)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Headend {
    /// H.Encaps: around them.
    Encaps(Vec<u8>),
    /// H.Encaps.Red: the same, without the first segment, which is the destination.
    EncapsReduced(Vec<u8>),
    /// H.L2Encaps: around the frame that they came in.
    L2Encaps(Vec<u8>),
    /// H.L2Encaps.Red: the same, without the first segment.
    L2EncapsReduced(Vec<u8>),
    /// Into them, which is Linux's own: its segment 0 is room for their destination.
    Inline(Vec<u8>),
}

impl Headend {
    /// Changes the packet; says where it is looked up.
    pub(super) fn apply(
        &self,
        router: &Router,
        packet: &mut Vec<u8>,
        ask: &mut Ask,
        arrival: &Arrival<'_>,
    ) -> Result<Step, Lost> {
        match self {
            Headend::Encaps(srh) => around(router, packet, srh)?,
            Headend::EncapsReduced(srh) => reduced(router, packet, srh, packet_inside(packet))?,
            Headend::L2Encaps(srh) => {
                let inner = frame(packet, arrival);
                encapsulated(router, packet, srh, inner)?;
            }
            Headend::L2EncapsReduced(srh) => {
                let inner = frame(packet, arrival);
                reduced(router, packet, srh, inner)?;
            }
            Headend::Inline(_) if is_ipv4(packet) => return Err(Lost::NotIpv6),
            Headend::Inline(srh) => into(router, packet, srh)?,
        }
        *ask = Ask { local: true, stage: ask.stage, ..Ask::PLAIN };
        Ok(Step::Again)
    }
}

/// Puts a header around a packet.
pub(super) fn around(router: &Router, packet: &mut Vec<u8>, srh: &[u8]) -> Result<(), Lost> {
    encapsulated(router, packet, srh, packet_inside(packet))
}

fn encapsulated(router: &Router, packet: &mut Vec<u8>, srh: &[u8], inner: Inner) -> Result<(), Lost> {
    Ok(seg6::encapsulate(packet, checked(srh)?, inner, &router.keys, |_| router.source)?)
}

fn reduced(router: &Router, packet: &mut Vec<u8>, srh: &[u8], inner: Inner) -> Result<(), Lost> {
    Ok(seg6::encapsulate_reduced(packet, checked(srh)?, inner, &router.keys, |_| router.source)?)
}

/// Puts a header into a packet.
pub(super) fn into(router: &Router, packet: &mut Vec<u8>, srh: &[u8]) -> Result<(), Lost> {
    Ok(seg6::insert(packet, checked(srh)?, &router.keys)?)
}

fn packet_inside(packet: &[u8]) -> Inner {
    if is_ipv4(packet) { Inner::other(header::IPV4) } else { Inner::six(packet) }
}

/// Makes a frame of a packet again. Of the packet, not of the frame, the outer header takes over what it takes over.
fn frame(packet: &mut Vec<u8>, arrival: &Arrival<'_>) -> Inner {
    let inner = packet_inside(packet);
    packet.splice(0..0, arrival.link.iter().copied());
    Inner { header: header::ETHERNET, ..inner }
}
