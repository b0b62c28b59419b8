//! The ways that flows to a target may take, hop by hop: each hop is asked for its next hops by a probe to its End.OAMP
//! segment; where that is not spoken, echo requests of several flows that run out of hops tell those that are used.
//!
//! Sends nothing itself: a [`Wire`] does, be it a socket or a network in virtual time.

mod message;

pub use message::{Handed, Id, Reply, Said, echo, probe};

use crate::router::Ways;
use alveary_sort::Gather;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

/// So many hops in a row that say nothing end a way.
const SILENT: usize = 3;

/// What packets go out by, and replies come in.
pub trait Wire {
    /// Why it cannot.
    type Error;

    /// Sends packets, from their IPv6 header on, and gives what comes to `reply`: the sender, and the ICMPv6 message. It
    /// says whether that was a reply to one of them. Returns when each has one, or patience is at an end.
    ///
    /// # Errors
    /// Packets cannot be sent.
    fn exchange(
        &mut self,
        packets: &[Vec<u8>],
        reply: &mut dyn FnMut(Ipv6Addr, &[u8]) -> bool,
    ) -> Result<(), Self::Error>;
}

/// What is looked for, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Who looks.
    pub from: Ipv6Addr,
    /// Where the flows go.
    pub target: Ipv6Addr,
    /// The lower half of hops' segments; the upper half is that of the hop's address.
    pub function: u64,
    /// How many flows are tried where hops do not tell.
    pub flows: u16,
    /// Hops that are gone at most.
    pub hops: u8,
    /// How often what is not answered is asked.
    pub tries: u8,
    /// Tells its questions from others'.
    pub id: u16,
}

/// A place on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vertex {
    /// One that has said its address, or was named by another.
    Known(Ipv6Addr),
    /// One that says nothing, so many hops away.
    Silent(u8),
}

/// How it is known what follows a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// It said so: all its next hops.
    Itself,
    /// Flows went there: some next hops.
    Flows,
    /// Nothing follows.
    End,
}

/// A place, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Where.
    pub at: Vertex,
    /// How many hops away.
    pub distance: u8,
    /// How it is known.
    pub by: By,
    /// What follows, each with its share of the flows, if that was told.
    pub next: Vec<(Vertex, Option<u32>)>,
}

/// What was found: hops in the order of their distance, the first is who looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// Where the flows go.
    pub target: Ipv6Addr,
    /// The hops.
    pub hops: Vec<Hop>,
    /// Whether the target answers.
    pub reached: bool,
}

impl Search {
    /// Looks.
    ///
    /// # Errors
    /// The wire's.
    pub fn run<W: Wire>(&self, wire: &mut W) -> Result<Graph, W::Error> {
        let mut run = Run { search: self, wire, number: 0, paths: BTreeMap::new() };
        let start = Vertex::Known(self.from);
        let mut graph = Graph { target: self.target, hops: Vec::new(), reached: false };
        let (mut seen, mut level, mut distance) = (BTreeSet::from([start]), vec![start], 0u8);
        let mut silent = 0;
        while !level.is_empty() {
            let told = if distance == 0 { BTreeMap::new() } else { run.ask(&level)? };
            let mut following = Vec::new();
            for at in std::mem::take(&mut level) {
                let hop = run.hop(at, distance, told.get(&at))?;
                for (next, _) in &hop.next {
                    if seen.insert(*next) {
                        following.push(*next);
                    }
                }
                graph.hops.push(hop);
            }
            silent = if following.iter().all(|next| matches!(next, Vertex::Silent(_))) { silent + 1 } else { 0 };
            distance += 1;
            if distance <= self.hops && silent < SILENT {
                level = following;
            } else {
                let end = |at| Hop { at, distance, by: By::End, next: Vec::new() };
                graph.hops.extend(following.into_iter().map(end));
            }
        }
        graph.reached = run.reaches()?;
        Ok(graph)
    }

    /// The segment that a hop is asked at.
    #[must_use]
    pub fn segment(&self, hop: Ipv6Addr) -> Ipv6Addr {
        Ipv6Addr::from(u128::from(hop) >> 64 << 64 | u128::from(self.function))
    }
}

/// A search that is on.
struct Run<'a, W> {
    search: &'a Search,
    wire: &'a mut W,
    /// Of the last question.
    number: u16,
    /// Where each flow is after so many hops, as far as it was asked for.
    paths: BTreeMap<u8, Vec<Option<Reply>>>,
}

impl<W: Wire> Run<'_, W> {
    /// Asks hops for their next hops; gives what was told.
    fn ask(&mut self, level: &[Vertex]) -> Result<BTreeMap<Vertex, Ways>, W::Error> {
        let known: Vec<_> = level
            .iter()
            .filter_map(|at| match at {
                Vertex::Known(address) if *address != self.search.target => Some(*address),
                _ => None,
            })
            .collect();
        let Search { from, target, .. } = *self.search;
        let segment = |hop: usize| known.get(hop).map(|hop| self.search.segment(*hop));
        let segments: Vec<_> = (0..known.len()).filter_map(segment).collect();
        let replies = self.questions(known.len(), |hop, id| probe(from, segments[hop], target, id))?;
        let told = known.iter().zip(replies).filter_map(|(hop, reply)| match reply?.what {
            Said::Ways(ways) => Some((Vertex::Known(*hop), ways)),
            _ => None,
        });
        Ok(told.gather())
    }

    fn hop(&mut self, at: Vertex, distance: u8, told: Option<&Ways>) -> Result<Hop, W::Error> {
        let end = Hop { at, distance, by: By::End, next: Vec::new() };
        if at == Vertex::Known(self.search.target) {
            return Ok(end);
        }
        match told {
            Some(Ways::On(next)) => {
                let six = |address: &IpAddr| match address {
                    IpAddr::V6(address) => *address,
                    IpAddr::V4(address) => address.to_ipv6_mapped(),
                };
                let next = next.iter().map(|(address, share)| (Vertex::Known(six(address)), Some(*share))).collect();
                Ok(Hop { by: By::Itself, next, ..end })
            }
            // The target is another address of it.
            Some(Ways::Here) => {
                let next = vec![(Vertex::Known(self.search.target), Some(1))];
                Ok(Hop { by: By::Itself, next, ..end })
            }
            Some(Ways::None) => Ok(Hop { by: By::Itself, ..end }),
            None => {
                let next = self.followed(at, distance)?;
                let by = if next.is_empty() { By::End } else { By::Flows };
                Ok(Hop { by, next: next.into_iter().map(|next| (next, None)).collect(), ..end })
            }
        }
    }

    /// Where flows that come by a place go on.
    fn followed(&mut self, at: Vertex, distance: u8) -> Result<BTreeSet<Vertex>, W::Error> {
        let here = match distance {
            0 => None,
            _ => Some(self.path(distance)?.to_vec()),
        };
        if distance == self.search.hops {
            return Ok(BTreeSet::new());
        }
        let there = self.path(distance + 1)?;
        let place = |reply: &Option<Reply>, distance| match reply {
            Some(reply) => Vertex::Known(reply.from),
            None => Vertex::Silent(distance),
        };
        let comes_by = |flow: usize| {
            let Some(here) = here.as_ref().and_then(|here| here.get(flow)) else { return here.is_none() };
            // Who says that it goes no further is an end.
            let ends = here.as_ref().is_some_and(|reply| reply.what != Said::TimeExceeded);
            !ends && place(here, distance) == at
        };
        let flows = there.iter().enumerate().filter(|(flow, _)| comes_by(*flow));
        Ok(flows.map(|(_, reply)| place(reply, distance + 1)).gather())
    }

    /// Where each flow is after so many hops.
    fn path(&mut self, distance: u8) -> Result<&[Option<Reply>], W::Error> {
        if !self.paths.contains_key(&distance) {
            let Search { from, target, .. } = *self.search;
            let flows = usize::from(self.search.flows);
            // A flow's label is not 0, which says that there is none.
            let replies = self.questions(flows, |flow, id| echo(from, target, flow as u32 + 1, distance, id))?;
            self.paths.insert(distance, replies);
        }
        Ok(&self.paths[&distance])
    }

    /// Whether the target answers.
    fn reaches(&mut self) -> Result<bool, W::Error> {
        const HOPS: u8 = 255;
        let Search { from, target, .. } = *self.search;
        let replies = self.questions(1, |_, id| echo(from, target, 1, HOPS, id))?;
        Ok(replies.iter().flatten().any(|reply| reply.what == Said::Echo))
    }

    /// Asks so many questions, again those that are not answered; gives the answers.
    fn questions(
        &mut self,
        count: usize,
        packet: impl Fn(usize, Id) -> Vec<u8>,
    ) -> Result<Vec<Option<Reply>>, W::Error> {
        let mut replies: Vec<Option<Reply>> = vec![None; count];
        for _ in 0..self.search.tries {
            let open: Vec<usize> = (0..count).filter(|question| replies[*question].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let first = self.number;
            let of = self.search.id;
            let packets: Vec<_> = (open.iter().enumerate())
                .map(|(at, question)| packet(*question, Id { of, number: first.wrapping_add(at as u16) }))
                .collect();
            self.number = first.wrapping_add(open.len() as u16);
            self.wire.exchange(&packets, &mut |from, message| {
                let Some(reply) = Reply::read(from, message).filter(|reply| reply.id.of == of) else { return false };
                let question = open.get(usize::from(reply.id.number.wrapping_sub(first)));
                match question.map(|question| &mut replies[*question]) {
                    Some(open @ None) => {
                        *open = Some(reply);
                        true
                    }
                    _ => false,
                }
            })?;
        }
        Ok(replies)
    }
}
