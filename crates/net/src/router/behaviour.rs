//! What segments of a router and headends do with a packet.

use super::{Arrival, Ask, Lost, MAIN, Programs, Stage, Step};
use crate::{
    routed::{alive, unsigned},
    seg6::{self, IPV6_LEN, List, Room, Spent, Srh, advance, find, header},
};
use alveary_abi::ProgType;
use std::net::Ipv6Addr;

/// What endpoints' programs return.
const OK: i32 = 0;
const DROP: i32 = 2;
const REDIRECT: i32 = 7;

/// What a segment of this router does. Headers that it puts on packets are whole ([`List::Full`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// End: on to the next segment.
    End,
    /// End.X: the same, by a next hop.
    EndX(Ipv6Addr),
    /// End.T: the same, by a table.
    EndT(u32),
    /// End.DX6: out of the outer headers, by a next hop; if that is `::`, to where the inner packet goes.
    EndDx6(Ipv6Addr),
    /// End.DT6: out of the outer headers, by a table.
    EndDt6(u32),
    /// End.B6, which is Linux's own: a header more in front of the one that there is.
    EndB6(Vec<u8>),
    /// End.B6.Encaps: on to the next segment, inside another header.
    EndB6Encaps(Vec<u8>),
    /// End.BPF: on to the next segment, then a program says more, by its number in [`Programs`].
    EndBpf(usize),
}

/// How packets are sent on a way of segments: the header that they get ([`List::Full`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Headend {
    /// H.Encaps: around them.
    Encaps(Vec<u8>),
    /// Into them, which is Linux's own: its segment 0 is room for their destination.
    Inline(Vec<u8>),
}

impl Behaviour {
    /// Changes the packet; says where it is looked up. `here` is what leads to this segment again.
    pub(super) fn apply(
        &self,
        packet: &mut Vec<u8>,
        source: Ipv6Addr,
        here: Ask,
        arrival: &Arrival<'_>,
        programs: &mut Programs,
    ) -> Result<Step, Lost> {
        let on = |table| Ask { table, ..Ask::PLAIN };
        let by = |next_hop: Option<Ipv6Addr>| Ask { next_hop: next_hop.map(Into::into), ..Ask::PLAIN };
        let ask = match self {
            Behaviour::End => next(packet).map(|()| Ask::PLAIN),
            Behaviour::EndX(hop) => next(packet).map(|()| by(Some(*hop))),
            Behaviour::EndT(table) => next(packet).map(|()| on(*table)),
            Behaviour::EndDx6(hop) => {
                decapsulate(packet)?;
                Ok(by((!hop.is_unspecified()).then_some(*hop)))
            }
            Behaviour::EndDt6(table) => {
                decapsulate(packet)?;
                Ok(Ask { local: true, ..on(*table) })
            }
            Behaviour::EndB6(srh) => {
                alive(packet).ok_or(Lost::NoSegments)?;
                into(packet, srh).map(|()| Ask::PLAIN)
            }
            Behaviour::EndB6Encaps(srh) => {
                next(packet)?;
                around(packet, srh, source).map(|()| Ask::PLAIN)
            }
            Behaviour::EndBpf(program) => programmed(*program, packet, here, arrival, programs),
        };
        ask.map(Step::Again)
    }
}

impl Headend {
    /// Changes the packet; says where it is looked up.
    pub(super) fn apply(&self, packet: &mut Vec<u8>, source: Ipv6Addr, stage: Stage) -> Result<Step, Lost> {
        match self {
            Headend::Encaps(srh) => around(packet, srh, source)?,
            Headend::Inline(srh) => into(packet, srh)?,
        }
        Ok(Step::Again(Ask { local: true, stage, ..Ask::PLAIN }))
    }
}

/// What a program makes of the packet on its next segment.
fn programmed(
    program: usize,
    packet: &mut Vec<u8>,
    here: Ask,
    arrival: &Arrival<'_>,
    programs: &mut Programs,
) -> Result<Ask, Lost> {
    let ran = programs.run(program, ProgType::LWT_SEG6LOCAL, arrival, packet)?;
    match (ran.code, ran.way) {
        (OK, _) => Ok(Ask::PLAIN),
        (REDIRECT, Some(way)) => {
            let table = if way.table == 0 { MAIN } else { way.table };
            Ok(Ask { table, next_hop: way.next_hop.map(Into::into), ..Ask::PLAIN })
        }
        // The way that it came is the only one that it has.
        (REDIRECT, None) => Ok(here),
        (DROP, _) => Err(Lost::Dropped),
        _ => Err(Lost::Illegal),
    }
}

fn next(packet: &mut Vec<u8>) -> Result<(), Lost> {
    let srh = alive(packet).ok_or(Lost::NoSegments)?;
    advance(packet, &srh);
    Ok(())
}

/// Takes the headers before an inner IPv6 packet away, if no segment is left.
fn decapsulate(packet: &mut Vec<u8>) -> Result<(), Lost> {
    let srh = Srh::of(packet, Spent::Counts);
    if srh.is_some_and(|srh| srh.segments_left > 0 || !unsigned(packet)) {
        return Err(Lost::SegmentsLeft);
    }
    let inner = find(packet, Some(header::IPV6), Spent::Counts).map_err(|_| Lost::NoInner)?;
    if packet.len() < inner.at + IPV6_LEN {
        return Err(Lost::NoInner);
    }
    packet.close(0, inner.at);
    Ok(())
}

fn around(packet: &mut Vec<u8>, srh: &[u8], source: Ipv6Addr) -> Result<(), Lost> {
    seg6::encapsulate(packet, checked(srh)?, header::IPV6, true, |_| source).map_err(|_| Lost::BadHeader)
}

fn into(packet: &mut Vec<u8>, srh: &[u8]) -> Result<(), Lost> {
    seg6::insert(packet, checked(srh)?).map_err(|_| Lost::BadHeader)
}

/// A header that holds together, whoever wrote it.
fn checked(srh: &[u8]) -> Result<&[u8], Lost> {
    Srh::check(srh, 0, srh.len(), List::Full).map(|_| srh).map_err(|_| Lost::BadHeader)
}
