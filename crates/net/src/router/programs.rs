//! What runs the programs of a router's routes.

use super::{Arrival, Lost};
use crate::{Redirect, SkBuff, Skb, seg6::Policy, skb::Lookup};
use alveary_abi::ProgType;
use alveary_runtime::{Fault, Prog, Vcpu};
use std::{fmt, sync::Arc};

/// A virtual CPU and the programs that routes name by number, with memory for packets that is used again.
///
/// Its runtime's [`Net`](crate::Net) has the [`Router`](super::Router) as host, so that programs' helpers find the
/// router's routes.
#[derive(Default)]
pub struct Programs {
    cpu: Option<Vcpu>,
    progs: Vec<Arc<Prog>>,
    buff: SkBuff,
    fault: Option<Box<Fault>>,
}

impl Programs {
    /// The programs of routes: what they call number 0 is the first.
    #[must_use]
    pub fn new(cpu: Vcpu, progs: Vec<Arc<Prog>>) -> Programs {
        Programs { cpu: Some(cpu), progs, ..Programs::default() }
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
        let prog = self.progs.get(number).filter(|prog| prog.program().ty == ty).ok_or(Lost::NoProgram)?;
        let cpu = self.cpu.as_mut().ok_or(Lost::NoProgram)?;
        self.buff.set_ip(packet, ty, policy)?;
        self.buff.set_ingress(arrival.device, arrival.time);
        cpu.set_time(arrival.time);
        let ran = cpu.run_ready::<Skb>(prog, &self.buff);
        let left = match &ran {
            Ok(Ok(ran)) => self.buff.leave(ty, ran.value),
            _ => Ok(()),
        };
        self.buff.get_ip(packet);
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
        let names = self.progs.iter().map(|prog| &prog.program().name);
        f.debug_list().entries(names).finish()
    }
}
