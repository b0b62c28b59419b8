//! Lightweight tunnels: routes whose packets programs see where they come in, where they are forwarded, where they are
//! transmitted (Linux: `net/core/lwt_bpf.c`).

use super::{Arrival, Ask, Lost, Programs, Router, Stage, Step, destination, is_ipv4, one_hop_less};
use crate::{Redirect, Way};
use alveary_abi::ProgType;
use std::net::IpAddr;

/// What programs return.
const OK: i32 = 0;
const DROP: i32 = 2;
const REDIRECT: i32 = 7;
const REROUTE: i32 = 128;

/// A route with programs, by their numbers in [`Programs`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Number of the device that its packets leave by.
    pub device: u32,
    /// The next hop; without one, the destination itself.
    pub gateway: Option<IpAddr>,
    /// What sees packets that come in, before they are forwarded (`lwt_in`).
    pub input: Option<usize>,
    /// What sees them when they are forwarded (`lwt_out`).
    pub output: Option<usize>,
    /// What sees them before they are transmitted (`lwt_xmit`).
    pub xmit: Option<usize>,
}

impl Tunnel {
    /// Lets the programs see a packet; says what becomes of it.
    pub(super) fn apply(
        &self,
        router: &Router,
        packet: &mut Vec<u8>,
        to: IpAddr,
        ask: &mut Ask,
        arrival: &Arrival<'_>,
        programs: &mut Programs,
    ) -> Result<Step, Lost> {
        let (four, stage) = (is_ipv4(packet), ask.stage);
        let policy = &router.policy(arrival.device);
        let run = |program: Option<usize>, ty, packet: &mut Vec<u8>, programs: &mut Programs| match program {
            Some(number) => on(programs.run(number, ty, arrival, policy, packet)?).map(Some),
            None => Ok(None),
        };
        if stage == Stage::Received
            && let Some(code) = run(self.input, ProgType::LWT_IN, packet, programs)?
        {
            if code == REROUTE {
                *ask = Ask { local: true, ..Ask::PLAIN };
                return Ok(Step::Again);
            }
            // An encapsulation has found the packet's way, on which it is forwarded; as what it was.
            if programs.way().is_some() {
                one_hop_less(packet, four)?;
                *ask = Ask { stage: Stage::Leaving, ..Ask::PLAIN };
                return Ok(Step::Again);
            }
        }
        if stage == Stage::Received {
            one_hop_less(packet, four)?;
        }
        run(self.output, ProgType::LWT_OUT, packet, programs)?;
        let next_hop = self.gateway.unwrap_or(to);
        match run(self.xmit, ProgType::LWT_XMIT, packet, programs)? {
            Some(REROUTE) => {
                *ask = Ask { local: true, stage: Stage::Leaving, ..Ask::PLAIN };
                Ok(Step::Again)
            }
            Some(REDIRECT) => redirected(router, packet, ask, programs.redirect()),
            Some(_) if is_ipv4(packet) != four => Err(Lost::NotRerouted),
            _ => router.leave(packet, Stage::Leaving, self.device, next_hop),
        }
    }
}

/// A program that lets the packet go on.
fn on(code: i32) -> Result<i32, Lost> {
    match code {
        OK | REDIRECT | REROUTE => Ok(code),
        DROP => Err(Lost::Dropped),
        _ => Err(Lost::Illegal),
    }
}

fn redirected(router: &Router, packet: &mut Vec<u8>, ask: &mut Ask, redirect: Option<Redirect>) -> Result<Step, Lost> {
    match redirect {
        Some(Redirect::Device { ifindex, way: Way::Ingress }) if ifindex != 0 => {
            *ask = Ask { local: true, ..Ask::PLAIN };
            Ok(Step::Again)
        }
        Some(Redirect::Device { ifindex, .. }) if ifindex != 0 => {
            let to = destination(packet);
            router.leave(packet, Stage::Leaving, ifindex, to)
        }
        _ => Err(Lost::Dropped),
    }
}
