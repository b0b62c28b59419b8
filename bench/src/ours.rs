//! Kernels on the user-space kernel: verified, lowered, and run by one of its engines.

use crate::rounds::Runs;
use alveary::{Loader, Object, User};
use alveary_net::{Xdp, XdpBuff};
use alveary_runtime::{Engine, Fault, Feed, Passes, Prog, Ran, Vcpu};
use std::{ops::ControlFlow, path::Path, sync::Arc};

/// A program on a virtual CPU, with its packet.
pub(crate) struct Ours {
    cpu: Vcpu,
    prog: Arc<Prog>,
    packet: XdpBuff,
}

impl Ours {
    /// Loads an object's only program.
    pub(crate) fn load(object: &Path, engine: Engine, packet: &[u8]) -> Result<Ours, String> {
        Ours::on(User::builder().engine(engine).build(), object, packet)
    }

    /// As native code, with some of the passes.
    pub(crate) fn native(object: &Path, passes: Passes, packet: &[u8]) -> Result<Ours, String> {
        Ours::on(User::builder().engine(Engine::Jit).passes(passes).build(), object, packet)
    }

    fn on(target: User, object: &Path, packet: &[u8]) -> Result<Ours, String> {
        let said = |error: alveary::Error| error.to_string();
        let loaded = Loader::new(target).load(&Object::open(object).map_err(said)?).map_err(said)?;
        let prog = loaded.programs().next().ok_or("the object has no program")?.handle().prog().clone();
        Ours::new(loaded.target().vcpu(0).map_err(said)?, prog, packet)
    }

    /// A program that is loaded.
    pub(crate) fn new(cpu: Vcpu, prog: Arc<Prog>, packet: &[u8]) -> Result<Ours, String> {
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
        let mut again = Again { packet: &self.packet, left: times, end: Ok(0) };
        batch.run_all(&mut again);
        again.end
    }
}

/// The same packet, so many times.
struct Again<'a> {
    packet: &'a XdpBuff,
    left: u32,
    end: Result<u32, String>,
}

impl Feed<Xdp> for Again<'_> {
    fn next(&mut self) -> Option<(&XdpBuff, u64)> {
        self.left = self.left.checked_sub(1)?;
        Some((self.packet, 0))
    }

    fn ran(&mut self, end: Result<Ran, Box<Fault>>) -> ControlFlow<()> {
        match end {
            Ok(ran) => self.end = Ok(ran.value as u32),
            Err(fault) => {
                self.end = Err(fault.diagnostic().to_string());
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}
