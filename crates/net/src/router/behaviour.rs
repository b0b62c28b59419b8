//! What segments of a router do with a packet (Linux: `net/ipv6/seg6_local.c`).

use super::{
    Arrival, Ask, Fate, Lost, MAIN, Programs, Router, Step,
    flavour::{End, Flavours, end},
    headend::{around, into},
    transform::{decapsulate, decapsulate_any, next},
};
use crate::{
    routed::alive,
    seg6::{Policy, header},
};
use alveary_abi::ProgType;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What endpoints' programs return.
const OK: i32 = 0;
const DROP: i32 = 2;
const REDIRECT: i32 = 7;

/// What a segment of this router does. Headers that it puts on packets are whole
/// ([`List::Full`](crate::seg6::List::Full)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// End: on to the next segment.
    End(Flavours),
    /// End.X: the same, by a next hop.
    EndX(Ipv6Addr, Flavours),
    /// End.T: the same, by a table.
    EndT(u32, Flavours),
    /// End.DX2: the frame inside leaves by a device.
    EndDx2(u32),
    /// End.DX4: out of the outer headers, by a next hop; if that is `0.0.0.0`, to where the inner packet goes.
    EndDx4(Ipv4Addr),
    /// End.DX6: the same; `::`.
    EndDx6(Ipv6Addr),
    /// End.DT4: out of the outer headers, by a table.
    EndDt4(u32),
    /// End.DT6: the same.
    EndDt6(u32),
    /// End.DT46: the same, of either protocol.
    EndDt46(u32),
    /// End.B6, which is Linux's own: a header more in front of the one that there is.
    EndB6(Vec<u8>),
    /// End.B6.Encaps: on to the next segment, inside another header.
    EndB6Encaps(Vec<u8>),
    /// End.BPF: on to the next segment, then a program says more, by its number in [`Programs`].
    EndBpf(usize),
}

impl Behaviour {
    /// Changes the packet, whose next hop `to` led here, and says where it is looked up.
    pub(super) fn apply(
        &self,
        router: &Router,
        packet: &mut Vec<u8>,
        to: &IpAddr,
        ask: &mut Ask,
        arrival: &Arrival<'_>,
        programs: &mut Programs,
    ) -> Result<Step, Lost> {
        let policy = &router.policy(arrival.device);
        let on = |table| Ask { table, ..Ask::PLAIN };
        let by = |next_hop: IpAddr| Ask { next_hop: Some(next_hop).filter(|ip| !ip.is_unspecified()), ..Ask::PLAIN };
        let inside = |table| Ask { local: true, ..on(table) };
        match self {
            Behaviour::End(flavours) => return after(packet, policy, *flavours, ask, || Ask::PLAIN),
            Behaviour::EndX(hop, flavours) => {
                let by = || Ask { next_hop: Some((*hop).into()), ..Ask::PLAIN };
                return after(packet, policy, *flavours, ask, by);
            }
            Behaviour::EndT(table, flavours) => return after(packet, policy, *flavours, ask, || on(*table)),
            Behaviour::EndDx2(device) => {
                decapsulate(packet, policy, header::ETHERNET)?;
                return frame(packet, *device);
            }
            Behaviour::EndDx4(hop) => {
                decapsulate(packet, policy, header::IPV4)?;
                *ask = Ask { local: true, ..by((*hop).into()) };
            }
            Behaviour::EndDx6(hop) => {
                decapsulate(packet, policy, header::IPV6)?;
                *ask = by((*hop).into());
            }
            Behaviour::EndDt4(table) => {
                decapsulate(packet, policy, header::IPV4)?;
                *ask = inside(*table);
            }
            Behaviour::EndDt6(table) => {
                decapsulate(packet, policy, header::IPV6)?;
                *ask = inside(*table);
            }
            Behaviour::EndDt46(table) => {
                decapsulate_any(packet, policy)?;
                *ask = inside(*table);
            }
            Behaviour::EndB6(srh) => {
                alive(packet, policy)?;
                into(router, packet, srh)?;
                *ask = Ask::PLAIN;
            }
            Behaviour::EndB6Encaps(srh) => {
                next(packet, policy)?;
                around(router, packet, srh)?;
                *ask = Ask::PLAIN;
            }
            Behaviour::EndBpf(program) => {
                match programs.run(*program, ProgType::LWT_SEG6LOCAL, arrival, policy, packet)? {
                    OK => *ask = Ask::PLAIN,
                    REDIRECT => redirected(programs, to, ask),
                    DROP => return Err(Lost::Dropped),
                    _ => return Err(Lost::Illegal),
                }
            }
        }
        Ok(Step::Again)
    }
}

/// What follows an End, whose packets for the next segment are looked up by `next`.
fn after(
    packet: &mut Vec<u8>,
    policy: &Policy<'_>,
    flavours: Flavours,
    ask: &mut Ask,
    next: impl FnOnce() -> Ask,
) -> Result<Step, Lost> {
    match end(packet, policy, flavours)? {
        End::Next => *ask = next(),
        End::Inner => *ask = Ask { local: true, ..Ask::PLAIN },
        End::Here => return Ok(Step::End(Fate::Delivered(std::mem::take(packet)))),
    }
    Ok(Step::Again)
}

/// The frame leaves, if it is one: what says its length instead of its type is not sent on.
fn frame(packet: &mut Vec<u8>, device: u32) -> Result<Step, Lost> {
    const LEAST_TYPE: u8 = 6;
    if packet.get(12).is_none_or(|high| *high < LEAST_TYPE) {
        return Err(Lost::NoInner);
    }
    Ok(Step::End(Fate::Frame { device, frame: std::mem::take(packet) }))
}

/// The way that a program has found for a packet.
fn redirected(programs: &Programs, to: &IpAddr, ask: &mut Ask) {
    match programs.way() {
        Some(way) => {
            let table = if way.table == 0 { MAIN } else { way.table };
            *ask = Ask { table, next_hop: way.next_hop.map(Into::into), ..Ask::PLAIN };
        }
        // The way that it came is the only one that it has.
        None => ask.next_hop = Some(*to),
    }
}
