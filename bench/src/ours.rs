//! Kernels on the user-space kernel: verified, lowered, and run by one of its engines.

use crate::rounds::Runs;
use alveary::{Loader, Object, User};
use alveary_net::{Xdp, XdpBuff};
use alveary_runtime::{Engine, Prog, Vcpu};
use std::{path::Path, sync::Arc};

/// A program on a virtual CPU, with its packet.
pub(crate) struct Ours {
    cpu: Vcpu,
    prog: Arc<Prog>,
    packet: XdpBuff,
}

impl Ours {
    /// Loads an object's only program.
    pub(crate) fn load(object: &Path, engine: Engine, packet: &[u8]) -> Result<Ours, String> {
        let said = |error: alveary::Error| error.to_string();
        let target = User::builder().engine(engine).build();
        let loaded = Loader::new(target).load(&Object::open(object).map_err(said)?).map_err(said)?;
        let prog = loaded.programs().next().ok_or("the object has no program")?.handle().prog().clone();
        let cpu = loaded.target().vcpu(0).map_err(said)?;
        let mut buffer = XdpBuff::new();
        buffer.set(packet);
        Ok(Ours { cpu, prog, packet: buffer })
    }

    /// How many instructions the program has.
    pub(crate) fn insns(&self) -> usize {
        self.prog.program().insns.len()
    }
}

impl Runs for Ours {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        let mut batch = self.cpu.batch::<Xdp>(&self.prog).map_err(|why| why.to_string())?;
        let mut result = 0;
        for _ in 0..times {
            result = batch.run(&self.packet).map_err(|fault| fault.diagnostic().to_string())?.value;
        }
        Ok(result as u32)
    }
}
