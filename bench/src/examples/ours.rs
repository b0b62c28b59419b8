//! Programs on the user-space kernel: every packet is copied in, as [`alveary::Packets::run_batch`] does.

use super::{
    Packets, Replay,
    list::{Entry, Example},
};
use crate::rounds::Runs;
use alveary::{Backend, Loaded, Loader, MapHandle, Object, Packet, User};
use alveary_runtime::{Engine, Passes, Vcpu};
use std::ops::ControlFlow;

pub(super) struct Ours {
    loaded: Loaded<User>,
    program: &'static str,
    cpu: Vcpu,
    packets: Packets,
}

impl Ours {
    pub(super) fn load(engine: Engine, passes: Passes, example: &Example, packets: Packets) -> Result<Ours, String> {
        let object = Object::open(example.object()?).map_err(said)?;
        let loaded = Loader::new(User::builder().engine(engine).passes(passes).build()).program(example.program);
        let loaded = loaded.load(&object).map_err(said)?;
        fill(&loaded, &(example.entries)())?;
        let cpu = loaded.target().vcpu(0).map_err(said)?;
        Ok(Ours { loaded, program: example.program, cpu, packets })
    }
}

/// Writes the entries into a program's maps.
pub(super) fn fill<B: Backend<Map: MapHandle>>(loaded: &Loaded<B>, entries: &[Entry]) -> Result<(), String> {
    for Entry { map, key, value } in entries {
        loaded.map(map).and_then(|map| map.update(key, value, 0)).map_err(said)?;
    }
    Ok(())
}

pub(super) fn said(error: alveary::Error) -> String {
    error.to_string()
}

impl Runs for Ours {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        let program = self.loaded.program(self.program).map_err(said)?;
        let mut through = program.packets(&mut self.cpu).map_err(said)?;
        let mut sum = Ok(0u32);
        for _ in 0..times {
            let packets = self.packets.iter().map(|data| Packet { data, ..Packet::default() });
            through.run_batch(packets, |_, verdict| match (verdict, &mut sum) {
                (Ok(verdict), Ok(sum)) => {
                    *sum = sum.wrapping_add(verdict.code() as u32);
                    ControlFlow::Continue(())
                }
                (end, _) => {
                    sum = Err(end.err().map_or_else(String::new, |fault| fault.diagnostic().to_string()));
                    ControlFlow::Break(())
                }
            });
        }
        sum
    }
}

impl Replay for Ours {
    fn one(&mut self, data: &[u8]) -> Result<(u32, Vec<u8>), String> {
        let program = self.loaded.program(self.program).map_err(said)?;
        let mut through = program.packets(&mut self.cpu).map_err(said)?;
        let verdict = through.run(&Packet { data, ..Packet::default() });
        let verdict = verdict.map_err(|fault| fault.diagnostic().to_string())?;
        Ok((verdict.code() as u32, verdict.bytes()))
    }
}
