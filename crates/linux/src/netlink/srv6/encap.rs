//! What a route with a lightweight tunnel of segments or programs does, and how it is written into a request.

use super::super::{Hook, message::Request};
use std::{
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::RawFd,
};

pub(super) const ENCAP_SEG6: u16 = 5;
pub(super) const ENCAP_BPF: u16 = 6;
pub(super) const ENCAP_SEG6_LOCAL: u16 = 7;

pub(super) const SEG6_IPTUNNEL_SRH: u16 = 1;

pub(super) const LWT_BPF_IN: u16 = 1;
pub(super) const LWT_BPF_OUT: u16 = 2;
pub(super) const LWT_BPF_XMIT: u16 = 3;
pub(super) const LWT_BPF_XMIT_HEADROOM: u16 = 4;
/// In a program of either kind of tunnel: a descriptor, or its id in what the kernel tells; a name.
pub(super) const PROG: u16 = 1;
pub(super) const PROG_NAME: u16 = 2;

/// Attributes of an endpoint.
pub(super) mod local {
    pub(crate) const ACTION: u16 = 1;
    pub(crate) const SRH: u16 = 2;
    pub(crate) const TABLE: u16 = 3;
    pub(crate) const NH4: u16 = 4;
    pub(crate) const NH6: u16 = 5;
    pub(crate) const IIF: u16 = 6;
    pub(crate) const OIF: u16 = 7;
    pub(crate) const BPF: u16 = 8;
    pub(crate) const VRFTABLE: u16 = 9;
    pub(crate) const COUNTERS: u16 = 10;
    pub(crate) const FLAVORS: u16 = 11;
    pub(crate) const COUNTED_PACKETS: u16 = 2;
    pub(crate) const COUNTED_BYTES: u16 = 3;
    pub(crate) const COUNTED_ERRORS: u16 = 4;
    pub(crate) const FLAVOR_OPERATION: u16 = 1;
    pub(crate) const FLAVOR_BLOCK_BITS: u16 = 2;
    pub(crate) const FLAVOR_NODE_BITS: u16 = 3;
}

/// What a route does with its packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encap {
    /// They get a segment routing header.
    Headend {
        /// Where.
        mode: Mode,
        /// The header. Of modes that reduce it, it is whole.
        srh: Vec<u8>,
    },
    /// Their destination is a segment of this machine.
    Endpoint(Endpoint),
    /// Programs see them.
    Programs {
        /// Which, and where on their way.
        programs: Vec<(Hook, RouteProgram)>,
        /// Room that those at transmission may need in front, in bytes.
        headroom: u32,
    },
}

/// Where packets get a segment routing header (`SEG6_IPTUN_MODE_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Behind their IPv6 header.
    Inline,
    /// With an IPv6 header around them.
    Encap,
    /// With an IPv6 header around the Ethernet frame.
    L2Encap,
    /// Around them, without the first segment, which is the destination.
    EncapReduced,
    /// Around the frame, without the first segment.
    L2EncapReduced,
}

impl Mode {
    /// In the kernel's order.
    pub(super) const ALL: [Mode; 5] =
        [Mode::Inline, Mode::Encap, Mode::L2Encap, Mode::EncapReduced, Mode::L2EncapReduced];

    pub(super) fn number(self) -> u32 {
        Mode::ALL.iter().position(|mode| *mode == self).map_or(0, |at| at as u32)
    }
}

/// A segment: its action and what belongs to it. What an action does not take, the kernel refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// `SEG6_LOCAL_ACTION_…`.
    pub action: u32,
    /// The header that packets get (End.B6, End.B6.Encaps).
    pub srh: Option<Vec<u8>>,
    /// The table that packets are looked up in.
    pub table: Option<u32>,
    /// The table of a VRF that they are looked up in.
    pub vrf_table: Option<u32>,
    /// The next hop of IPv4 packets.
    pub nh4: Option<Ipv4Addr>,
    /// The next hop of IPv6 packets.
    pub nh6: Option<Ipv6Addr>,
    /// The device that they have to come from.
    pub iif: Option<u32>,
    /// The device that they leave by.
    pub oif: Option<u32>,
    /// The program (End.BPF).
    pub program: Option<RouteProgram>,
    /// Packets are counted; what the kernel tells are the counts.
    pub counters: Option<Counters>,
    /// What else it does.
    pub flavours: Flavours,
}

/// A program of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteProgram {
    /// Its descriptor, for the kernel.
    pub fd: Option<RawFd>,
    /// Its id, from the kernel, which tells it of endpoints alone.
    pub id: Option<u32>,
    /// What whoever made the route calls it.
    pub name: String,
}

/// How often an endpoint was visited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets that were processed.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that were not.
    pub errors: u64,
}

/// What an endpoint does beside its action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flavours {
    /// The last but one segment takes the header out.
    pub psp: bool,
    /// The last segment takes the header out.
    pub usp: bool,
    /// The last segment takes the outer headers away.
    pub usd: bool,
    /// Segments are shifted inside the destination address (RFC 9800).
    pub next_csid: Option<NextCsid>,
}

/// How an address is divided. 0 bits are what the kernel takes by itself: 32 and 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextCsid {
    /// Bits of the block that all segments share.
    pub block_bits: u8,
    /// Bits of a segment.
    pub node_bits: u8,
}

impl Flavours {
    const PSP: u32 = 1;
    const USP: u32 = 2;
    const USD: u32 = 3;
    const NEXT_CSID: u32 = 4;

    fn operations(self) -> u32 {
        let bit = |given: bool, bit: u32| u32::from(given) << bit;
        bit(self.psp, Self::PSP)
            | bit(self.usp, Self::USP)
            | bit(self.usd, Self::USD)
            | bit(self.next_csid.is_some(), Self::NEXT_CSID)
    }

    pub(super) fn of(operations: u32, bits: NextCsid) -> Flavours {
        let given = |bit: u32| operations >> bit & 1 != 0;
        Flavours {
            psp: given(Self::PSP),
            usp: given(Self::USP),
            usd: given(Self::USD),
            next_csid: given(Self::NEXT_CSID).then_some(bits),
        }
    }
}

impl Encap {
    /// `LWTUNNEL_ENCAP_…`.
    pub(super) fn number(&self) -> u16 {
        match self {
            Encap::Headend { .. } => ENCAP_SEG6,
            Encap::Programs { .. } => ENCAP_BPF,
            Encap::Endpoint(_) => ENCAP_SEG6_LOCAL,
        }
    }

    /// Writes what it is into a nest.
    pub(super) fn write(&self, request: &mut Request) {
        match self {
            Encap::Headend { mode, srh } => {
                request.put(SEG6_IPTUNNEL_SRH, &[&mode.number().to_ne_bytes()[..], srh].concat());
            }
            Encap::Endpoint(endpoint) => endpoint.write(request),
            Encap::Programs { programs, headroom } => {
                for (hook, program) in programs {
                    let place = match hook {
                        Hook::In => LWT_BPF_IN,
                        Hook::Out => LWT_BPF_OUT,
                        Hook::Xmit => LWT_BPF_XMIT,
                    };
                    request.nest(place, |nest| program.write(nest));
                }
                if *headroom > 0 {
                    request.number(LWT_BPF_XMIT_HEADROOM, *headroom);
                }
            }
        }
    }
}

impl RouteProgram {
    fn write(&self, nest: &mut Request) {
        nest.number(PROG, self.fd.unwrap_or(-1) as u32).text(PROG_NAME, &self.name);
    }
}

impl Endpoint {
    fn write(&self, request: &mut Request) {
        request.number(local::ACTION, self.action);
        let numbers = [
            (local::TABLE, self.table),
            (local::VRFTABLE, self.vrf_table),
            (local::IIF, self.iif),
            (local::OIF, self.oif),
        ];
        for (ty, number) in numbers {
            if let Some(number) = number {
                request.number(ty, number);
            }
        }
        if let Some(srh) = &self.srh {
            request.put(local::SRH, srh);
        }
        if let Some(address) = self.nh4 {
            request.put(local::NH4, &address.octets());
        }
        if let Some(address) = self.nh6 {
            request.put(local::NH6, &address.octets());
        }
        if let Some(program) = &self.program {
            request.nest(local::BPF, |nest| program.write(nest));
        }
        if self.counters.is_some() {
            // The kernel wants to see every counter that it is to keep.
            request.nest(local::COUNTERS, |nest| {
                for counter in [local::COUNTED_PACKETS, local::COUNTED_BYTES, local::COUNTED_ERRORS] {
                    nest.put(counter, &0u64.to_ne_bytes());
                }
            });
        }
        if self.flavours != Flavours::default() {
            let flavours = self.flavours;
            request.nest(local::FLAVORS, |nest| {
                nest.number(local::FLAVOR_OPERATION, flavours.operations());
                let bits = flavours.next_csid.unwrap_or_default();
                for (ty, bits) in
                    [(local::FLAVOR_BLOCK_BITS, bits.block_bits), (local::FLAVOR_NODE_BITS, bits.node_bits)]
                {
                    if bits != 0 {
                        nest.put(ty, &[bits]);
                    }
                }
            });
        }
    }
}
