//! What runs the programs of a router's routes.

use super::{Arrival, Lost};
use crate::{Redirect, SkBuff, Skb, seg6::Policy, skb::Lookup};
use alveary_abi::ProgType;
use alveary_runtime::{Direct, Fault, Prog, Vcpu};
use std::{fmt, sync::Arc};

/// A virtual CPU and the programs that routes name by number, with memory for packets that is used again.
///
/// Its runtime's [`Net`](crate::Net) has the [`Router`](super::Router) as host, so that programs' helpers find the
/// router's routes.
#[derive(Default)]
pub struct Programs {
    cpu: Option<Vcpu>,
    progs: Vec<Entry>,
    buff: SkBuff,
    fault: Option<Box<Fault>>,
}

/// A program, and what is asked of it for each packet.
struct Entry {
    prog: Arc<Prog>,
    ty: ProgType,
    /// It only looks at packets' contexts ([`Prog::leaves_context`]).
    looks: bool,
    /// It is run by a mere call.
    direct: Option<Direct<Skb>>,
}

impl Programs {
    /// The programs of routes: what they call number 0 is the first. They are attached: native code where there is some.
    #[must_use]
    pub fn new(cpu: Vcpu, progs: Vec<Arc<Prog>>) -> Programs {
        let entry = |prog: Arc<Prog>| {
            prog.attached();
            let (ty, looks, direct) = (prog.program().ty, prog.leaves_context(), Direct::of(&prog));
            Entry { prog, ty, looks, direct }
        };
        Programs { cpu: Some(cpu), progs: progs.into_iter().map(entry).collect(), ..Programs::default() }
    }

    /// None: a packet that comes to a program is lost ([`Lost::NoProgram`]).
    #[must_use]
    pub fn none() -> Programs {
        Programs::default()
    }

    /// What stopped the program to which the last packet was lost with [`Lost::Stopped`].
    #[must_use]
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_deref()
    }

    /// Where the last run's last action or encapsulation said that the packet goes.
    pub(super) fn way(&self) -> Option<Lookup> {
        self.buff.way()
    }

    /// Where the last run said that the packet is to be redirected to.
    pub(super) fn redirect(&self) -> Option<Redirect> {
        self.buff.redirected()
    }

    /// Runs a program of type `ty` on the packet, as the stack does at that place; gives what it returned.
    #[inline]
    pub(super) fn run(
        &mut self,
        number: usize,
        ty: ProgType,
        arrival: &Arrival<'_>,
        policy: &Policy<'_>,
        packet: &mut Vec<u8>,
    ) -> Result<i32, Lost> {
        let entry = self.progs.get(number).filter(|entry| entry.ty == ty).ok_or(Lost::NoProgram)?;
        let cpu = self.cpu.as_mut().ok_or(Lost::NoProgram)?;
        if let Entry { looks: true, direct: Some(direct), .. } = entry {
            let value = self.buff.show_ip(packet, ty, policy, |buff| {
                buff.set_ingress(arrival.device, arrival.time);
                direct.run(cpu, buff)
            })?;
            return Ok(value as u32 as i32);
        }
        self.run_prepared(number, ty, arrival, policy, packet)
    }

    /// The same of a program that takes preparations.
    fn run_prepared(
        &mut self,
        number: usize,
        ty: ProgType,
        arrival: &Arrival<'_>,
        policy: &Policy<'_>,
        packet: &mut Vec<u8>,
    ) -> Result<i32, Lost> {
        let (Some(Entry { prog, looks, .. }), Some(cpu)) = (self.progs.get(number), self.cpu.as_mut()) else {
            return Err(Lost::NoProgram);
        };
        cpu.set_time(arrival.time);
        let mut run = |buff: &mut SkBuff| {
            buff.set_ingress(arrival.device, arrival.time);
            cpu.run_ready::<Skb>(prog, buff)
        };
        let (ran, left) = if *looks {
            (self.buff.show_ip(packet, ty, policy, run)?, Ok(()))
        } else {
            self.buff.set_ip(packet, ty, policy)?;
            let ran = run(&mut self.buff);
            let left = match &ran {
                Ok(Ok(ran)) => self.buff.leave(ty, ran.value),
                _ => Ok(()),
            };
            self.buff.get_ip(packet);
            (ran, left)
        };
        match ran.map_err(|_| Lost::NoProgram)? {
            Ok(ran) => {
                left?;
                Ok(ran.value as u32 as i32)
            }
            Err(fault) => {
                self.fault = Some(fault);
                Err(Lost::Stopped)
            }
        }
    }
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.progs.iter().map(|entry| &entry.prog.program().name);
        f.debug_list().entries(names).finish()
    }
}
