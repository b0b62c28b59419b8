//! The lab in virtual time: the same programs in the user-space kernel, the same decisions, one connection of a calculated
//! TCP. Nothing waits, nobody needs a privilege, and every run is the same.
//!
//! | file | holds |
//! |---|---|
//! | `tcp` | the connection |
//! | `end` | a router that is an end of the links |

mod end;
mod tcp;
#[cfg(test)]
mod tests;

use super::{
    super::traffic::{Transfer, byte},
    Case, Done,
    built::{Built, CLIENT, LINKS, SERVER},
};
use crate::{failure::Failure, verb::srv6::hybrid::Known};
use alveary::net::network::{Link, Network, Node, What};
use end::{End, HOST, device};
use std::{net::Ipv6Addr, time::Duration};
use tcp::{Receiver, Segment, Sender};

const MS: u64 = 1_000_000;
/// How often links are measured, and how often is decided.
const PROBED: u64 = 20 * MS;
const DECIDED: u64 = 100 * MS;
/// When the transfer begins: links have been measured by then.
const BEGIN: u64 = 1000 * MS;
/// Bytes that the receiver has room for: as much as is on its way when both links are full, and again.
const ROOM: u64 = 512 << 10;
/// By then it has failed.
const LATEST: u64 = 3_600_000 * MS;
/// Numbers of alarms.
const PROBE: u64 = 1;
const DECIDE: u64 = 2;
const RETRANSMIT: u64 = 3;
/// Bytes of an IPv6 header and one of TCP, and of an Ethernet header before them.
const HEADERS: usize = 40 + 20;
const ETHERNET: usize = 14;
const TCP: u8 = 6;

/// A case: `bytes` over the links that it uses.
pub(super) fn run(case: &Case, bytes: u64) -> Result<Done, Failure> {
    let links: Vec<Link> = LINKS.iter().map(|link| link.in_virtual_time()).collect();
    let mut lab = Lab::new(case.links, &links, case.compensated)?;
    let transfer = lab.transfer(bytes)?;
    Ok(Done { transfers: vec![transfer], known: lab.known()?, apart: None })
}

/// The network, at work.
struct Lab {
    network: Network,
    hosts: [Node; 2],
    ends: [End; 2],
    /// Whether an alarm is set for retransmission.
    armed: bool,
    /// What the connection has done.
    overtaking: u64,
    again: u64,
}

impl Lab {
    /// `shapes`: of all links, of which these are used.
    fn new(used: &[usize], shapes: &[Link], compensated: bool) -> Result<Lab, Failure> {
        let mut network = Network::new(1);
        let hosts = [network.host(), network.host()];
        let interval = Duration::from_nanos(PROBED);
        let mut end = |end: usize, host: &str| {
            let config = Built::config(end, used)?;
            End::new(&mut network, &config, (super::address(host)?, 128), compensated, interval)
        };
        let ends = [end(0, CLIENT)?, end(1, SERVER)?];
        for (host, end) in hosts.iter().zip(&ends) {
            network.link(host.port(1), end.node.port(HOST), Link::default());
        }
        for (at, link) in used.iter().enumerate() {
            network.link(ends[0].node.port(device(at)), ends[1].node.port(device(at)), shapes[*link]);
        }
        network.alarm(0, PROBE);
        network.alarm(DECIDED, DECIDE);
        Ok(Lab { network, hosts, ends, armed: false, overtaking: 0, again: 0 })
    }

    fn known(&self) -> Result<[Vec<Known>; 2], Failure> {
        let now = self.network.now();
        Ok([self.ends[0].known(now)?, self.ends[1].known(now)?])
    }

    /// What is to be done at an alarm of the ends, whatever else happens.
    fn tick(&mut self, number: u64) -> Result<(), Failure> {
        let (network, ends) = (&mut self.network, &mut self.ends);
        match number {
            PROBE => ends.iter_mut().for_each(|end| end.probe(network)),
            DECIDE => ends.iter_mut().try_for_each(|end| end.decide(network))?,
            _ => return Ok(()),
        }
        let next = network.now() + if number == PROBE { PROBED } else { DECIDED };
        network.alarm(next, number);
        Ok(())
    }

    /// Nothing but measuring, until then.
    fn measure(&mut self, until: u64) -> Result<(), Failure> {
        while let Some(event) = self.network.next(until) {
            if let What::Alarm(number) = event.what {
                self.tick(number)?;
            }
        }
        Ok(())
    }

    /// From the client to the server.
    fn transfer(&mut self, bytes: u64) -> Result<Transfer, Failure> {
        self.measure(BEGIN)?;
        let (mut sender, mut receiver) = (Sender::new(bytes, ROOM), Receiver::default());
        let mut done = Transfer { right: true, ..Transfer::default() };
        self.send(&mut sender, None)?;
        while !sender.is_done() {
            let Some(event) = self.network.next(LATEST) else { break };
            match event.what {
                What::Received { host, frame } if host == self.hosts[1] => {
                    let Some((at, _, payload)) = read(&frame) else { continue };
                    done.right &= payload.iter().zip(at..).all(|(one, at)| *one == byte(at));
                    let upto = receiver.take(Segment { at, len: payload.len() as u64 });
                    if upto > done.bytes {
                        done.bytes = upto;
                        done.time = Duration::from_nanos(event.time - BEGIN);
                        done.course.push((done.time, upto));
                    }
                    let answer = packet([SERVER, CLIENT], 0, upto, 0)?;
                    self.network.send(host, event.time, answer);
                }
                What::Received { frame, .. } => {
                    let Some((_, upto, _)) = read(&frame) else { continue };
                    let again = sender.acknowledge(event.time, upto);
                    self.send(&mut sender, again)?;
                }
                What::Alarm(RETRANSMIT) => {
                    self.armed = false;
                    if sender.due().is_some_and(|due| due <= event.time) {
                        sender.expired(event.time);
                    }
                    self.send(&mut sender, None)?;
                }
                What::Alarm(number) => self.tick(number)?,
                // What measures links goes no further than to where it is reported.
                _ => {}
            }
        }
        (self.overtaking, self.again) = (receiver.overtaking, sender.again);
        Ok(done)
    }

    /// What is sent once more, and what can be sent besides.
    fn send(&mut self, sender: &mut Sender, again: Option<Segment>) -> Result<(), Failure> {
        let now = self.network.now();
        for Segment { at, len } in again.into_iter().chain(sender.send(now)) {
            let packet = packet([CLIENT, SERVER], at, 0, len)?;
            self.network.send(self.hosts[0], now, packet);
        }
        if let (Some(due), false) = (sender.due(), self.armed) {
            self.network.alarm(due, RETRANSMIT);
            self.armed = true;
        }
        Ok(())
    }
}

/// Nobody on the way looks at checksums.
fn packet([from, to]: [&str; 2], at: u64, upto: u64, len: u64) -> Result<Vec<u8>, Failure> {
    const ACK: u8 = 0x10;
    let (from, to): (Ipv6Addr, Ipv6Addr) = (super::address(from)?, super::address(to)?);
    let length = (HEADERS - 40 + len as usize) as u16;
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([TCP, 64]);
    packet.extend([from.octets(), to.octets()].concat());
    packet.extend([0x14, 0x51, 0x14, 0x51]);
    packet.extend((at as u32).to_be_bytes());
    packet.extend((upto as u32).to_be_bytes());
    packet.extend([5 << 4, ACK, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend((at..at + len).map(byte));
    Ok(packet)
}

/// A frame's sequence number, acknowledgement, and payload; `None`: it is not of the connection.
fn read(frame: &[u8]) -> Option<(u64, u64, &[u8])> {
    let packet = frame.get(ETHERNET..)?;
    let number = |at: usize| Some(u64::from(u32::from_be_bytes(*packet.get(at..)?.first_chunk()?)));
    (*packet.get(6)? == TCP).then_some(())?;
    Some((number(44)?, number(48)?, packet.get(HEADERS..)?))
}
