//! What the engine's tests share: code from instructions, and an owner whose helpers are plain functions.
#![allow(dead_code, unreachable_pub, reason = "every test program compiles this file and uses its own part of it")]

pub mod cases;
pub mod confined;
pub mod shelf;

use alveary_isa::{AluOp, CmpOp};
use alveary_isa::{Insn, Inst, Operand, Reg, Wide, Width, encode};
use alveary_vm::{Call, Checks, Code, Env, Exit, Func, HelperFn, Image, Jit, Link, Settings, Trap, TrapKind};
use std::sync::{Arc, OnceLock};

/// Addresses that are nowhere, and that the owner answers for.
pub const OWNED: std::ops::Range<u64> = 32..4096;

/// An owner: helpers by number.
pub struct Owner(pub Vec<(u32, HelperFn)>);

// SAFETY: the tests' helpers are sound to call with any arguments.
unsafe impl Link for Owner {
    fn map(&self, map: u16) -> u64 {
        0x1000 + u64::from(map)
    }

    fn map_value(&self, map: u16, off: u32) -> u64 {
        0x2000 + u64::from(map) * 0x100 + u64::from(off)
    }

    fn memory(&self, map: u16, off: u64) -> u64 {
        0x2000 + u64::from(map) * 0x100 + off
    }

    fn helper(&self, call: u16) -> HelperFn {
        self.0[usize::from(call)].1
    }
}

impl Checks for Owner {
    fn load(&self, _: &Env, addr: u64, width: Width) -> Result<u64, TrapKind> {
        if OWNED.contains(&addr) { Ok(addr) } else { Err(TrapKind::Load { addr, width }) }
    }

    fn store(&self, _: &Env, addr: u64, width: Width, _: u64) -> Result<(), TrapKind> {
        if OWNED.contains(&addr) { Ok(()) } else { Err(TrapKind::Store { addr, width }) }
    }

    fn call(&self, env: &Env, _: u32, body: HelperFn, [r1, r2, r3, r4, r5]: [u64; 5]) -> Result<u64, TrapKind> {
        // SAFETY: the tests' helpers are sound to call with any arguments.
        Ok(unsafe { body(env, r1, r2, r3, r4, r5) })
    }
}

/// The test program's compiler; none on machines for which there is no native code.
pub fn jit() -> Option<&'static Arc<Jit>> {
    static JIT: OnceLock<Option<Arc<Jit>>> = OnceLock::new();
    JIT.get_or_init(|| Jit::new(1 << 30).ok()).as_ref()
}

/// The same, with constants hidden and fuel taken.
pub fn strict_jit() -> Option<&'static Arc<Jit>> {
    static JIT: OnceLock<Option<Arc<Jit>>> = OnceLock::new();
    let strict = Settings { harden: true, fuel: true, ..Settings::default() };
    JIT.get_or_init(|| Jit::with(strict).ok()).as_ref()
}

/// What every engine makes of code: checked and trusted by the interpreter, and native.
///
/// # Safety
/// As [`Image::trusted`].
pub unsafe fn images(code: &Code, owner: &Owner) -> Vec<Image> {
    let mut images = vec![Image::checked(code, owner)];
    // SAFETY: the caller's promise.
    images.push(unsafe { Image::trusted(code, owner) });
    // SAFETY: as above.
    images.extend(jit().map(|jit| unsafe { Image::native(code, owner, jit) }));
    // SAFETY: as above.
    images.extend(strict_jit().map(|jit| unsafe { Image::native(code, owner, jit) }));
    images.into_iter().map(|image| image.expect("the test's code is well-formed")).collect()
}

impl Owner {
    /// `insns` with functions at `starts`, and calls by the index of a helper here.
    pub fn code(&self, insts: &[Inst], starts: &[u32]) -> Code {
        Code {
            insns: slots(insts),
            funcs: starts.iter().map(|&start| Func { start, stack: 512 }).collect(),
            calls: self.0.iter().map(|&(tag, _)| Call { args: 5, returns: true, tag }).collect(),
            ..Code::default()
        }
    }

    /// Runs on every engine: they end in the same way.
    ///
    /// # Safety
    /// As [`Image::trusted`].
    pub unsafe fn run_everywhere(&self, insts: &[Inst], starts: &[u32]) -> Result<Exit, Trap> {
        // SAFETY: the caller's promise.
        let images = unsafe { images(&self.code(insts, starts), self) };
        let results: Vec<_> = images.iter().map(|image| image.run(&Env::new(), 0, [0; 5], Some(self))).collect();
        assert!(results.iter().all(|result| *result == results[0]), "the engines differ: {results:?}");
        results[0]
    }

    /// Runs in checked mode.
    pub fn run(&self, env: &Env, insts: &[Inst], starts: &[u32]) -> Result<Exit, Trap> {
        let image = Image::checked(&self.code(insts, starts), self).expect("the test's code is well-formed");
        image.run(env, 0, [0; 5], Some(self))
    }
}

/// Encoded instructions.
pub fn slots(insts: &[Inst]) -> Vec<Insn> {
    insts.iter().flat_map(|inst| encode(inst).to_vec()).collect()
}

pub fn r(number: u8) -> Reg {
    Reg(number)
}

pub fn mov(dst: u8, imm: i32) -> Inst {
    Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: Reg(dst), src: Operand::Imm(imm) }
}

pub fn movr(dst: u8, src: u8) -> Inst {
    Inst::Alu { wide: Wide::W64, op: AluOp::Mov, dst: Reg(dst), src: Operand::Reg(Reg(src)) }
}

pub fn alu(op: AluOp, dst: u8, src: u8) -> Inst {
    Inst::Alu { wide: Wide::W64, op, dst: Reg(dst), src: Operand::Reg(Reg(src)) }
}

pub fn add(dst: u8, imm: i32) -> Inst {
    Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst: Reg(dst), src: Operand::Imm(imm) }
}

pub fn jeq(dst: u8, imm: i32, off: i16) -> Inst {
    Inst::Jmp { wide: Wide::W64, op: CmpOp::Eq, dst: Reg(dst), src: Operand::Imm(imm), off }
}

pub fn jne(dst: u8, imm: i32, off: i16) -> Inst {
    Inst::Jmp { wide: Wide::W64, op: CmpOp::Ne, dst: Reg(dst), src: Operand::Imm(imm), off }
}

pub fn ja(off: i32) -> Inst {
    Inst::Ja { off, long: false }
}

pub fn load(width: Width, dst: u8, src: u8, off: i16) -> Inst {
    Inst::Load { width, signed: false, dst: Reg(dst), src: Reg(src), off }
}

pub fn store(width: Width, dst: u8, off: i16, src: u8) -> Inst {
    Inst::Store { width, dst: Reg(dst), off, src: Operand::Reg(Reg(src)) }
}

pub fn call(index: i32) -> Inst {
    Inst::CallHelper { id: index }
}

pub fn call_local(rel: i32) -> Inst {
    Inst::CallLocal { rel }
}

pub const EXIT: Inst = Inst::Exit;
