//! rbpf, its JIT.

use crate::rounds::Runs;
use rbpf::EbpfVmRaw;

/// Bytes of code beyond which it may end the process: its compiler has one page to write to, and asserts that it suffices.
const MOST: usize = 4_000;

/// A program, with its packet.
pub(crate) struct Rbpf {
    machine: EbpfVmRaw<'static>,
    packet: *mut [u8],
}

impl Rbpf {
    /// Compiles a program. Its code and its packet stay for the life of the process: the machine borrows both.
    pub(crate) fn compile(code: Vec<u8>, packet: Vec<u8>) -> Result<Rbpf, String> {
        if code.len() > MOST {
            return Err("its JIT has a page for native code, and no more".into());
        }
        // It hands the packet over in r1, and its length to nobody: r2 = length.
        let length = (packet.len() as u32).to_le_bytes();
        let code = [&[0xb7, 2, 0, 0], &length[..], &code].concat();
        let mut machine = EbpfVmRaw::new(Some(code.leak())).map_err(|error| error.to_string())?;
        for (number, helper) in [(1, look_up as rbpf::Helper), (2, update)] {
            machine.register_helper(number, helper).map_err(|error| error.to_string())?;
        }
        machine.jit_compile().map_err(|error| error.to_string())?;
        Ok(Rbpf { machine, packet: std::ptr::from_mut(packet.leak()) })
    }
}

fn look_up(map: u64, key: u64, _: u64, _: u64, _: u64) -> u64 {
    super::look_up(map, key)
}

fn update(map: u64, key: u64, value: u64, flags: u64, _: u64) -> u64 {
    super::update(map, key, value, flags)
}

impl Runs for Rbpf {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        let mut result = 0;
        for _ in 0..times {
            // SAFETY: nobody else has the packet, and the borrow ends with the call; kernels stay inside it.
            let run = unsafe { self.machine.execute_program_jit(&mut *self.packet) };
            result = std::hint::black_box(run.map_err(|error| error.to_string())?);
        }
        Ok(result as u32)
    }
}
