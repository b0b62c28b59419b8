//! What runs the programs of a router's routes.

use super::{Arrival, Lost};
use crate::{Redirect, SkBuff, Skb, seg6::Policy, skb::Lookup};
use alveary_abi::ProgType;
use alveary_runtime::{Fault, Prog, Vcpu};
use std::{fmt, sync::Arc};

const ETH_HLEN: usize = 14;
const ETH_P_IP: [u8; 2] = [8, 0];
const ETH_P_IPV6: [u8; 2] = [0x86, 0xdd];

/// A virtual CPU and the programs that routes name by number, with memory for packets that is used again.
///
/// Its runtime's [`Net`](crate::Net) has the [`Router`](super::Router) as host, so that programs' helpers find the
/// router's routes.
#[derive(Default)]
pub struct Programs {
    cpu: Option<Vcpu>,
    progs: Vec<Arc<Prog>>,
    buff: SkBuff,
    frame: Vec<u8>,
    fault: Option<Box<Fault>>,
}

/// What a program did.
pub(super) struct Ran {
    pub(super) code: i32,
    /// Where its last action or encapsulation said that the packet goes.
    pub(super) way: Option<Lookup>,
    pub(super) redirect: Option<Redirect>,
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

    /// Runs a program of type `ty` on the packet, as the stack does at that place.
    pub(super) fn run(
        &mut self,
        number: usize,
        ty: ProgType,
        arrival: &Arrival<'_>,
        policy: &Policy<'_>,
        packet: &mut Vec<u8>,
    ) -> Result<Ran, Lost> {
        let prog = self.progs.get(number).filter(|prog| prog.program().ty == ty).ok_or(Lost::NoProgram)?;
        let cpu = self.cpu.as_mut().ok_or(Lost::NoProgram)?;
        let ethertype = if packet.first().is_some_and(|version| version >> 4 == 4) { ETH_P_IP } else { ETH_P_IPV6 };
        self.frame.clear();
        self.frame.resize(ETH_HLEN - ethertype.len(), 0);
        self.frame.extend(ethertype);
        self.frame.extend_from_slice(packet);
        self.buff.set_routed(&self.frame, ty, policy)?;
        self.buff.set_ingress(arrival.device, arrival.time);
        cpu.set_time(arrival.time);
        let mut batch = cpu.batch::<Skb>(prog).map_err(|_| Lost::NoProgram)?;
        let value = match batch.run(&self.buff) {
            Ok(ran) => ran.value,
            Err(fault) => {
                self.fault = Some(fault);
                return Err(Lost::Stopped);
            }
        };
        self.buff.leave(ty, value)?;
        packet.clear();
        self.buff.append_to(packet);
        Ok(Ran { code: value as u32 as i32, way: self.buff.way(), redirect: self.buff.redirected() })
    }
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.progs.iter().map(|prog| &prog.program().name);
        f.debug_list().entries(names).finish()
    }
}
