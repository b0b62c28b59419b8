//! Kernels on the engine alone, without a verifier and what it would know: those that are too much for any verifier.

use crate::rounds::Runs;
use alveary_isa::{Endian, Insn, Inst, Width, decode};
use alveary_vm::{Checks, Code, Env, Exit, Func, HelperFn, Image, Jit, Link, Passes, TrapKind};
use std::collections::BTreeSet;

/// Bytes of a frame.
const STACK: u16 = 512;
/// Bytes of native code that there may be.
pub(crate) const LIMIT: usize = 1 << 24;

/// Packets in a batch.
const MANY: usize = 256;

/// A program that calls no helper, with its packet.
pub(crate) struct Alone {
    image: Image,
    env: Env,
    packet: Vec<u8>,
}

impl Alone {
    /// Links a program over plain memory, to be interpreted or, with these passes, as native code.
    pub(crate) fn link(bytes: &[u8], native: Option<Passes>, packet: Vec<u8>) -> Result<Alone, String> {
        let insns: Vec<_> = bytes.as_chunks().0.iter().map(|slot| Insn::from_bytes(*slot, Endian::Little)).collect();
        let funcs = starts(&insns).into_iter().map(|start| Func { start, stack: STACK }).collect();
        let code = Code { insns, funcs, ..Code::default() };
        let image = if let Some(passes) = native {
            let jit = Jit::with_passes(LIMIT, passes).map_err(|error| error.to_string())?;
            // SAFETY: the kernels of this package stay inside the packet that they are given and inside their frames.
            unsafe { Image::native(&code, &Nobody, &jit) }
        } else {
            // SAFETY: as above.
            unsafe { Image::trusted(&code, &Nobody) }
        };
        Ok(Alone { image: image.map_err(|error| error.to_string())?, env: Env::new(), packet })
    }
}

/// The same, entered once for all runs.
pub(crate) struct Batched(pub(crate) Alone);

impl Runs for Batched {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        let Alone { image, env, packet } = &self.0;
        let args = [[packet.as_ptr() as u64, packet.len() as u64, 0, 0, 0]; MANY];
        let (mut results, mut left) = ([0; MANY], times as usize);
        image.batch(env, None, |batch| {
            while left > 0 {
                let count = left.min(MANY);
                let ended = batch.run_each(std::hint::black_box(&args[..count]), &mut results);
                ended.map_err(|(_, end)| format!("{end:?}"))?;
                std::hint::black_box(&mut results);
                left -= count;
            }
            Ok(results[0] as u32)
        })
    }
}

impl Runs for Alone {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        let args = [self.packet.as_ptr() as u64, self.packet.len() as u64, 0, 0, 0];
        let mut result = 0;
        for _ in 0..times {
            result = match self.image.run(&self.env, 0, args, Some(&Nobody)) {
                Ok(Exit::Return(value)) => std::hint::black_box(value),
                other => return Err(format!("{other:?}")),
            };
        }
        Ok(result as u32)
    }
}

/// Where functions begin: at the start, and where calls go.
fn starts(insns: &[Insn]) -> BTreeSet<u32> {
    let mut starts = BTreeSet::from([0]);
    let mut slot = 0;
    while let Ok(inst) = decode(insns, slot) {
        if let Inst::CallLocal { rel } = inst {
            starts.extend(u32::try_from(slot as i64 + 1 + i64::from(rel)));
        }
        slot += inst.slots();
    }
    starts
}

/// Who has no maps and no helpers.
struct Nobody;

// SAFETY: a program that calls nobody and names no map asks for nothing.
unsafe impl Link for Nobody {
    fn map(&self, _: u16) -> u64 {
        0
    }

    fn map_value(&self, _: u16, _: u32) -> u64 {
        0
    }

    fn memory(&self, _: u16, _: u64) -> u64 {
        0
    }

    fn helper(&self, _: u16) -> HelperFn {
        unreachable!("the program calls nobody")
    }
}

impl Checks for Nobody {
    fn load(&self, _: &Env, addr: u64, width: Width) -> Result<u64, TrapKind> {
        Err(TrapKind::Load { addr, width })
    }

    fn store(&self, _: &Env, addr: u64, width: Width, _: u64) -> Result<(), TrapKind> {
        Err(TrapKind::Store { addr, width })
    }

    fn call(&self, _: &Env, tag: u32, _: HelperFn, _: [u64; 5]) -> Result<u64, TrapKind> {
        Err(TrapKind::Helper(tag))
    }
}
