//! Speaks the plug-in protocol of the bpf_conformance suite: the memory comes as hex bytes in the first argument (absent
//! if there is none), the program as hex bytes on standard input; r1 is the memory, r2 its length, helper 5 returns its
//! first argument; r0 is printed in hex. Runs checked (`--checked`, the default), trusted (`--trusted`) or as native code
//! (`--jit`).

use alveary_isa::{Endian, Insn, Inst, Width, decode};
use alveary_vm::{Call, Checks, Code, Env, Exit, Func, HelperFn, Image, Jit, Link, Region, TrapKind};
use std::error::Error;
use std::io::Read;
use std::process::ExitCode;

/// The number of the only helper, which returns its first argument.
const IDENTITY: u32 = 5;

fn main() -> ExitCode {
    match run() {
        Ok(value) => {
            println!("{value:x}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<u64, Box<dyn Error>> {
    let (switches, hex): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let mut memory = bytes(&hex.join(" "))?;
    let mut program = String::new();
    std::io::stdin().read_to_string(&mut program)?;
    let code = code(&bytes(&program)?)?;
    let image = match switches.last().map(String::as_str) {
        None | Some("--checked") => Image::checked(&code, &Owner)?,
        // SAFETY: the suite's programs are read before they are run in this mode: they stay inside their memory.
        Some("--trusted") => unsafe { Image::trusted(&code, &Owner)? },
        // SAFETY: as above.
        Some("--jit") => unsafe { Image::native(&code, &Owner, &Jit::new(1 << 24)?)? },
        Some(other) => return Err(format!("{other}: expected --checked, --trusted or --jit").into()),
    };
    let (addr, len) = (memory.as_mut_ptr() as u64, memory.len() as u64);
    let env = Env::new();
    // SAFETY: `memory` outlives the run and is not used otherwise until then.
    unsafe { env.set_region(0, Region { addr, len, write: true, slots: None }) };
    match image.run(&env, 0, [addr, len, 0, 0, 0], Some(&Owner)) {
        Ok(Exit::Return(value)) => Ok(value),
        Ok(Exit::Tail) => Err("the program ended in a tail call".into()),
        Err(trap) => Err(format!("instruction {}: {:?}", trap.insn, trap.kind).into()),
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    hex.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).map_err(|_| format!("{byte}: no hex byte").into()))
        .collect()
}

fn code(program: &[u8]) -> Result<Code, Box<dyn Error>> {
    let (slots, rest) = program.as_chunks();
    if !rest.is_empty() {
        return Err(format!("{} bytes are no whole number of instructions", program.len()).into());
    }
    let mut insns: Vec<Insn> = slots.iter().map(|slot| Insn::from_bytes(*slot, Endian::HOST)).collect();
    let mut starts = vec![0];
    let mut slot = 0;
    while slot < insns.len() {
        let inst = decode(&insns, slot)?;
        match inst {
            Inst::CallHelper { id } if id == IDENTITY as i32 => insns[slot].imm = 0,
            Inst::CallHelper { id } => return Err(format!("instruction {slot}: there is no helper {id}").into()),
            Inst::CallLocal { rel } => starts.extend(u32::try_from(slot as i64 + 1 + i64::from(rel))),
            _ => {}
        }
        slot += inst.slots();
    }
    starts.sort_unstable();
    starts.dedup();
    let funcs = starts.into_iter().map(|start| Func { start, stack: 512 }).collect();
    Ok(Code { insns, funcs, calls: vec![Call { args: 1, returns: true, tag: IDENTITY }], ..Code::default() })
}

struct Owner;

unsafe extern "C" fn identity(_: *const Env, r1: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
    r1
}

// SAFETY: the only helper is sound to call with any arguments, and there are no maps.
unsafe impl Link for Owner {
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
        identity
    }
}

impl Checks for Owner {
    fn load(&self, _: &Env, addr: u64, width: Width) -> Result<u64, TrapKind> {
        Err(TrapKind::Load { addr, width })
    }

    fn store(&self, _: &Env, addr: u64, width: Width, _: u64) -> Result<(), TrapKind> {
        Err(TrapKind::Store { addr, width })
    }

    fn call(&self, env: &Env, _: u32, body: HelperFn, [r1, r2, r3, r4, r5]: [u64; 5]) -> Result<u64, TrapKind> {
        // SAFETY: the only helper is sound to call with any arguments.
        Ok(unsafe { body(env, r1, r2, r3, r4, r5) })
    }
}
