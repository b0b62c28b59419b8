//! What it costs to confine a program that nobody verified: kernels of the first set that call no helper, as they are and
//! in an arena.

use crate::{
    alone::{Alone, LIMIT},
    compile, packet,
    rounds::{Rounds, Runs},
    set::{EMPTY, FIRST, Kernel},
};
use alveary_isa::{Endian, Insn};
use alveary_vm::{
    Jit, Passes,
    arena::{Arena, Program},
};

/// Bytes of the arena: the addresses of a packet do not come near its end.
const SIZE: u64 = 1 << 20;
/// Where the packet is in it.
const PACKET: u64 = 0x1000;

/// A program in an arena, with its packet.
struct Confined {
    program: Program,
    arena: Arena,
    len: u64,
}

impl Confined {
    fn compile(bytes: &[u8], packet: &[u8]) -> Result<Confined, String> {
        let insns: Vec<Insn> = bytes.as_chunks().0.iter().map(|slot| Insn::from_bytes(*slot, Endian::Little)).collect();
        let jit = Jit::new(LIMIT).map_err(|error| error.to_string())?;
        let program =
            Program::new(&insns, SIZE, &jit).most_slots(1 << 16).compile().map_err(|error| error.to_string())?;
        let mut arena = Arena::new(SIZE).map_err(|error| error.to_string())?;
        arena.memory().write(PACKET, packet).ok_or("the packet does not fit")?;
        Ok(Confined { program, arena, len: packet.len() as u64 })
    }
}

impl Runs for Confined {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        let mut result = 0;
        for _ in 0..times {
            let end = self.program.run(&mut self.arena, [PACKET, self.len, 0, 0, 0], u64::MAX);
            result = end.map_err(|trap| format!("{trap:?}"))?;
        }
        Ok(result as u32)
    }
}

/// Prints a table.
pub(crate) fn measure(rounds: Rounds) -> Result<(), String> {
    println!("| bench | as it is ns | in an arena ns | × |\n|---|---:|---:|---:|");
    let times = |kernel: &Kernel| {
        let (bytes, packet) = (compile::plain(FIRST.name, kernel, "v3")?, packet::plain());
        let trusted: Box<dyn Runs> = Box::new(Alone::link(&bytes, Some(Passes::default()), packet.clone())?);
        let mut runs = [Some(trusted), Some(Box::new(Confined::compile(&bytes, &packet)?) as Box<dyn Runs>)];
        let times = rounds.measure(&mut runs)?;
        Ok::<_, String>([0, 1].map(|at: usize| times[at].map_or(f64::NAN, |time| time.least)))
    };
    let empty = times(&EMPTY)?;
    println!("| {} | {:.1} | {:.1} | |", EMPTY.name, empty[0], empty[1]);
    let mut logs = vec![];
    for kernel in FIRST.kernels.iter().filter(|kernel| kernel.beside.is_empty()) {
        let [trusted, confined] = times(kernel)?;
        let ratio = (confined - empty[1]) / (trusted - empty[0]);
        logs.push(ratio.ln());
        println!("| {} | {trusted:.1} | {confined:.1} | {ratio:.2} |", kernel.name);
    }
    println!("| **geometric mean** | | | **{:.2}** |\n", (logs.iter().sum::<f64>() / logs.len() as f64).exp());
    Ok(())
}
