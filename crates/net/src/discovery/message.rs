//! What is asked and answered: probes to End.OAMP segments, their answers, echo requests that find hops by running out of
//! hops.
//!
//! A probe has two segments: the hop's, which hands it to a daemon, and the target, which is how the daemon knows what is
//! asked for. Hops that have the segment as an ordinary End send it on to the target, which does not know the message
//! and says nothing.
//!
//! ```text
//! question, in a probe                       answer
//! +-------+------+----------+                +-------+------+----------+
//! | 200   | 0    | checksum |                | 201   | kind | checksum |    kind 0: next hops, 1: the target is here,
//! +-------+------+----------+                +-------+------+----------+         2: no way
//! | id           | number   |                | id           | number   |
//! +--------------+----------+                +-------+------+----------+
//!                                            | address of a next hop   |    once for each
//!                                            | its share of the flows  |
//!                                            +-------------------------+
//! ```
//! 200 and 201 are ICMPv6's types for private experimentation.

use crate::{
    icmpv6::{self, ECHO_REPLY, ECHO_REQUEST, ICMPV6},
    router::Ways,
    seg6::{IPV6_LEN, Octets, Spent, find, header, header_of},
};
use std::net::{IpAddr, Ipv6Addr};

/// Types of ICMPv6.
const UNREACHABLE: u8 = 1;
const TIME_EXCEEDED: u8 = 3;
const QUESTION: u8 = 200;
const ANSWER: u8 = 201;
/// Bytes of a message before what it bears.
const HEADER: usize = 8;
/// Kinds of answers.
const NEXT_HOPS: u8 = 0;
const HERE: u8 = 1;
const NO_WAY: u8 = 2;
/// Bytes of a next hop in an answer.
const NEXT_HOP: usize = 20;
/// More next hops are not told: an answer is no longer than every link takes.
const MOST: usize = 60;
const HOPS: u8 = 64;

/// Tells questions from each other: of whom, which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Of whom.
    pub of: u16,
    /// Which one.
    pub number: u16,
}

/// A probe: asks the hop that has the segment for its ways to the target.
#[must_use]
pub fn probe(from: Ipv6Addr, segment: Ipv6Addr, target: Ipv6Addr, id: Id) -> Vec<u8> {
    let mut srh = header_of(&[segment, target], false, None);
    srh[0] = ICMPV6;
    let question = question(QUESTION, id);
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(((srh.len() + question.len()) as u16).to_be_bytes());
    packet.extend([header::ROUTING, HOPS]);
    packet.extend(from.octets());
    packet.extend(segment.octets());
    packet.extend(&srh);
    packet.extend(question);
    icmpv6::sign(&mut packet, IPV6_LEN + srh.len(), target);
    packet
}

/// An echo request with that many hops to go. Packets of one flow take one way.
#[must_use]
pub fn echo(from: Ipv6Addr, target: Ipv6Addr, flow: u32, hops: u8, id: Id) -> Vec<u8> {
    icmpv6::packet(from, target, flow, hops, &question(ECHO_REQUEST, id))
}

fn question(ty: u8, id: Id) -> Vec<u8> {
    let mut message = vec![ty, 0, 0, 0];
    message.extend(id.of.to_be_bytes());
    message.extend(id.number.to_be_bytes());
    message
}

/// A probe as the program behind an End.OAMP segment hands it to its daemon (`struct probe` of bpf/srv6/oamp.bpf.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handed {
    /// Who asks.
    pub from: Ipv6Addr,
    /// The ways to where are asked for.
    pub target: Ipv6Addr,
    /// Which question.
    pub id: Id,
}

impl Handed {
    /// Reads what a ring buffer bears; `None` if that is none.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Handed> {
        let number = |at| bytes.array::<2>(at).map(u16::from_be_bytes);
        Some(Handed {
            from: bytes.array::<16>(0)?.into(),
            target: bytes.array::<16>(16)?.into(),
            id: Id { of: number(32)?, number: number(34)? },
        })
    }

    /// The packet that answers it.
    #[must_use]
    pub fn answered(&self, by: Ipv6Addr, ways: &Ways) -> Vec<u8> {
        icmpv6::packet(by, self.from, 0, HOPS, &self.answer(ways))
    }

    /// The answer's message, without a checksum.
    #[must_use]
    pub fn answer(&self, ways: &Ways) -> Vec<u8> {
        let mut message = question(ANSWER, self.id);
        message[1] = match ways {
            Ways::None => NO_WAY,
            Ways::Here => HERE,
            Ways::On(_) => NEXT_HOPS,
        };
        if let Ways::On(next) = ways {
            for (address, share) in next.iter().take(MOST) {
                let address = match address {
                    IpAddr::V6(address) => *address,
                    IpAddr::V4(address) => address.to_ipv6_mapped(),
                };
                message.extend(address.octets());
                message.extend(share.to_be_bytes());
            }
        }
        message
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// To which question.
    pub id: Id,
    /// From whom.
    pub from: Ipv6Addr,
    /// What.
    pub what: Said,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// These are the ways.
    Ways(Ways),
    /// The hops ran out there.
    TimeExceeded,
    /// It goes no further.
    Unreachable,
    /// It is the target.
    Echo,
}

impl Reply {
    /// Reads an ICMPv6 message; `None` if it is no reply to anything that is asked here.
    #[must_use]
    pub fn read(from: Ipv6Addr, message: &[u8]) -> Option<Reply> {
        let what = match message.octet(0)? {
            ANSWER => Said::Ways(ways(message)?),
            ECHO_REPLY => Said::Echo,
            TIME_EXCEEDED => Said::TimeExceeded,
            UNREACHABLE => Said::Unreachable,
            _ => return None,
        };
        let id = match what {
            Said::Ways(_) | Said::Echo => id(message, 0)?,
            _ => quoted(message.get(HEADER..)?)?,
        };
        Some(Reply { id, from, what })
    }
}

fn ways(message: &[u8]) -> Option<Ways> {
    match message.octet(1)? {
        NEXT_HOPS => {
            let next = message.get(HEADER..)?.chunks_exact(NEXT_HOP).map(|one| {
                let address = Ipv6Addr::from(one.array::<16>(0).unwrap_or_default());
                (address.into(), one.array::<4>(16).map_or(0, u32::from_be_bytes))
            });
            Some(Ways::On(next.collect()))
        }
        HERE => Some(Ways::Here),
        NO_WAY => Some(Ways::None),
        _ => None,
    }
}

/// The question in a packet that an error message quotes.
fn quoted(packet: &[u8]) -> Option<Id> {
    let found = find(packet, None, Spent::Counts).ok().filter(|found| found.header == ICMPV6)?;
    let ty = packet.octet(found.at)?;
    if matches!(ty, ECHO_REQUEST | QUESTION) { id(packet, found.at) } else { None }
}

fn id(bytes: &[u8], at: usize) -> Option<Id> {
    let number = |at| bytes.array::<2>(at).map(u16::from_be_bytes);
    Some(Id { of: number(at + 4)?, number: number(at + 6)? })
}
