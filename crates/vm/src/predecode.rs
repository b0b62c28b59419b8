//! From [`Code`] to pre-decoded [`Op`]s: one for each slot, jumps resolved, symbols linked. What it lets through, the
//! engine runs without looking again: every register is one of thirteen, every jump and every call lands on an
//! instruction, and no function falls off its end.

use crate::bad_code::{BadCode, BadCodeKind};
use crate::engine::Handler;
use crate::frame::{FrameUse, frame_use, in_frame};
use crate::memory::ATOMIC_OPS;
use crate::op::{Op, Opcode, alu_code, cmp_code, halves};
use crate::stack::FRAME;
use crate::{Code, Func, HelperFn, Link, Sym};
use alveary_isa::{Inst, Operand, Reg, Swap, Wide, Width, decode_lowered};

/// The most slots that an [`Op`]'s offsets reach.
const MAX_SLOTS: usize = 1 << 24;

/// Code that is ready to be run.
#[derive(Debug)]
pub(crate) struct Ops {
    pub(crate) ops: Box<[Op]>,
    pub(crate) funcs: Box<[Entry]>,
    pub(crate) helpers: Box<[Helper]>,
    /// The second slots of `ld_imm64`, in order: they are no instructions, so fuel does not count them.
    pub(crate) constants: Box<[u32]>,
    /// Where the memory of each lookup's map begins.
    pub(crate) tables: Box<[u64]>,
}

/// Where a function begins, and how many words of its frame are zeroed when it is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) start: u32,
    pub(crate) words: u8,
}

/// A linked helper.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Helper {
    pub(crate) tag: u32,
    pub(crate) body: HelperFn,
}

/// The word of function `index`: an address that nothing can be at.
pub(crate) const fn function_word(index: u16) -> u64 {
    1 << 63 | index as u64
}

/// The function that `word` names.
#[inline(always)]
pub(crate) fn function_index(word: u64) -> Option<usize> {
    (word >> 16 == 1 << 47).then_some(usize::from(word as u16))
}

impl Ops {
    /// How many instructions there are.
    pub(crate) fn count(&self) -> usize {
        self.ops.len() - self.constants.len()
    }
}

/// The function of an operation code and the number of instructions before it.
pub(crate) type Handlers = fn(Opcode, i32) -> Handler;

/// Makes ops of `code`, which run by `handlers`.
pub(crate) fn predecode(code: &Code, link: &dyn Link, handlers: Handlers) -> Result<Ops, BadCode> {
    let insts = decode_all(code)?;
    let funcs = entries(code, &insts)?;
    let constants: Box<[u32]> =
        (0..insts.len()).filter(|&slot| insts[slot].is_none()).map(|slot| slot as u32).collect();
    let mut writer =
        Writer { code, link, handlers, insts: &insts, funcs: &funcs, constants: &constants, before: 0, function: 0 };
    let ops = (0..insts.len()).map(|slot| writer.op(slot)).collect::<Result<Box<[Op]>, BadCode>>()?;
    let helpers = code.calls.iter().enumerate();
    let helpers = helpers.map(|(call, &how)| Helper { tag: how.tag, body: link.helper(call as u16) }).collect();
    let misplaced = code.syms.iter().zip(code.syms.iter().skip(1)).find(|(a, b)| a.0 >= b.0).map(|(_, b)| b);
    let astray = || code.syms.iter().find(|sym| constants.binary_search(&sym.0.saturating_add(1)).is_err());
    match misplaced.or_else(astray) {
        Some(sym) => Err(bad(code, sym.0 as usize, BadCodeKind::MisplacedSymbol)),
        None => {
            let tables = code.lookups.iter().map(|lookup| link.memory(lookup.map, 0)).collect();
            Ok(Ops { ops, funcs, helpers, constants, tables })
        }
    }
}

pub(crate) fn bad(code: &Code, slot: usize, why: BadCodeKind) -> BadCode {
    BadCode { insn: code.origin.get(slot).copied().unwrap_or(slot as u32), why }
}

/// Each slot's instruction; `None` for the second slot of an `ld_imm64`.
pub(crate) fn decode_all(code: &Code) -> Result<Vec<Option<Inst>>, BadCode> {
    if code.insns.is_empty() {
        return Err(bad(code, 0, BadCodeKind::Empty));
    }
    if code.insns.len() > MAX_SLOTS || code.calls.len() > 1 << 16 || code.funcs.len() > 1 << 16 {
        return Err(bad(code, 0, BadCodeKind::TooLong));
    }
    let mut insts = Vec::with_capacity(code.insns.len());
    while insts.len() < code.insns.len() {
        let slot = insts.len();
        let inst = decode_lowered(&code.insns, slot).map_err(|error| bad(code, slot, BadCodeKind::Undefined(error)))?;
        insts.push(Some(inst));
        insts.extend(std::iter::repeat_n(None, inst.slots() - 1));
    }
    Ok(insts)
}

/// The functions, with what their frames need zeroed.
fn entries(code: &Code, insts: &[Option<Inst>]) -> Result<Box<[Entry]>, BadCode> {
    let starts: Vec<usize> = code.funcs.iter().map(|func| func.start as usize).collect();
    let ordered = |at: usize| at == 0 && starts[0] == 0 || at > 0 && starts[at - 1] < starts[at];
    let misplaced = |&at: &usize| !ordered(at) || !matches!(insts.get(starts[at]), Some(Some(_)));
    match (0..starts.len()).find(misplaced) {
        Some(at) => return Err(bad(code, starts[at], BadCodeKind::MisplacedFunction)),
        None if starts.is_empty() => return Err(bad(code, 0, BadCodeKind::MisplacedFunction)),
        None => {}
    }
    let escapes = insts.iter().flatten().any(|inst| frame_use(inst) == FrameUse::Any);
    let ends = starts.iter().skip(1).copied().chain([insts.len()]);
    let entry = |((&start, end), func): ((&usize, usize), &Func)| {
        let body = &insts[start..end];
        let last = body.iter().rposition(Option::is_some).unwrap_or_default();
        if !matches!(body[last], Some(Inst::Exit | Inst::Ja { .. })) {
            return Err(bad(code, start + last, BadCodeKind::FallsOffTheEnd));
        }
        let read = body.iter().flatten().map(|inst| match frame_use(inst) {
            FrameUse::Reads(bytes) => bytes,
            _ => 0,
        });
        let bytes = if escapes { FRAME } else { read.max().unwrap_or(0) }.min(func.stack.into());
        Ok(Entry { start: start as u32, words: bytes.div_ceil(8) as u8 })
    };
    starts.iter().zip(ends).zip(&code.funcs).map(entry).collect()
}

/// Makes the op of one slot after the other.
struct Writer<'a> {
    code: &'a Code,
    link: &'a dyn Link,
    handlers: Handlers,
    insts: &'a [Option<Inst>],
    funcs: &'a [Entry],
    constants: &'a [u32],
    /// Instructions before the slot.
    before: i32,
    /// The function that the slot is in.
    function: usize,
}

impl Writer<'_> {
    fn op(&mut self, slot: usize) -> Result<Op, BadCode> {
        let Some(inst) = self.insts[slot] else {
            return Ok(self.filler());
        };
        if self.funcs.get(self.function + 1).is_some_and(|next| next.start as usize == slot) {
            self.function += 1;
        }
        let op = self.inst(slot, inst).map_err(|why| bad(self.code, slot, why))?;
        self.before += 1;
        Ok(op)
    }

    /// For slots that hold no instruction.
    fn filler(&self) -> Op {
        self.write(Opcode::Bad, Reg::R0, Reg::R0, 0, 0)
    }

    fn write(&self, code: Opcode, dst: Reg, src: Reg, off: i32, imm: u64) -> Op {
        Op { handler: (self.handlers)(code, self.before), code, dst: dst.0, src: src.0, off, imm }
    }

    fn inst(&self, slot: usize, inst: Inst) -> Result<Op, BadCodeKind> {
        let op = |code, dst, src, off, imm| self.write(code, dst, src, off, imm);
        let wide_imm = |wide: Wide, imm: i32| match wide {
            Wide::W64 => i64::from(imm) as u64,
            Wide::W32 => u64::from(imm as u32),
        };
        Ok(match inst {
            Inst::Alu { wide, op: alu, dst, src: Operand::Reg(src) } => {
                op(alu_code(alu, wide, true), writable(dst)?, src, 0, 0)
            }
            Inst::Alu { wide, op: alu, dst, src: Operand::Imm(imm) } => {
                op(alu_code(alu, wide, false), writable(dst)?, Reg::R0, 0, wide_imm(wide, imm))
            }
            Inst::Neg { wide: Wide::W64, dst } => op(Opcode::Neg64, writable(dst)?, Reg::R0, 0, 0),
            Inst::Neg { wide: Wide::W32, dst } => op(Opcode::Neg32, writable(dst)?, Reg::R0, 0, 0),
            Inst::MovSx { wide, bits, dst, src } => op(sign_extension(wide, bits), writable(dst)?, src, 0, 0),
            Inst::Swap { kind, bits, dst } => op(swap(kind, bits), writable(dst)?, dst, 0, 0),
            Inst::AddrSpaceCast { .. } => return Err(BadCodeKind::Unsupported("addr_space_cast")),
            Inst::LoadImm64 { dst, .. }
            | Inst::MapFd { dst, .. }
            | Inst::MapValueFd { dst, .. }
            | Inst::VarAddr { dst, .. }
            | Inst::FuncAddr { dst, .. }
            | Inst::MapIdx { dst, .. }
            | Inst::MapValueIdx { dst, .. } => {
                op(Opcode::Constant, writable(dst)?, Reg::R0, 0, self.constant(slot, inst)?)
            }
            Inst::Load { width, signed, dst, src, off } => {
                let code = load_code(width, signed, src == Reg::FP && in_frame(off, width));
                op(code, writable(dst)?, src, off.into(), 0)
            }
            Inst::Store { width, dst, off, src } => {
                let in_frame = dst == Reg::FP && in_frame(off, width);
                match src {
                    Operand::Reg(src) => op(store_code(width, true, in_frame), dst, src, off.into(), 0),
                    Operand::Imm(imm) => {
                        op(store_code(width, false, in_frame), dst, Reg::R0, off.into(), i64::from(imm) as u64)
                    }
                }
            }
            Inst::Atomic { width, op: what, dst, src, off } => {
                let number = ATOMIC_OPS.iter().position(|&row| row == what).unwrap_or_default();
                let fetches = number >= 4 && what != alveary_isa::AtomicOp::Cmpxchg;
                let src = if fetches { writable(src)? } else { src };
                op(
                    if width == Width::B4 { Opcode::Atomic32 } else { Opcode::Atomic64 },
                    dst,
                    src,
                    off.into(),
                    number as u64,
                )
            }
            Inst::LoadAcquire { width, dst, src, off } => {
                op(Opcode::LoadAcquire, writable(dst)?, src, off.into(), width.bytes() as u64)
            }
            Inst::StoreRelease { width, dst, src, off } => {
                op(Opcode::StoreRelease, dst, src, off.into(), width.bytes() as u64)
            }
            Inst::LoadAbs { .. } | Inst::LoadInd { .. } => {
                return Err(BadCodeKind::Unsupported("a packet load that was not lowered to a call"));
            }
            Inst::Ja { off, .. } => self.jump(slot, Opcode::Ja, off.into(), Reg::R0, Operand::Imm(0))?,
            Inst::MayGoto { off } => self.jump(slot, Opcode::MayGoto, off.into(), Reg::R0, Operand::Imm(0))?,
            Inst::GotoX { .. } => return Err(BadCodeKind::Unsupported("gotox without a jump table")),
            Inst::Jmp { wide, op: cmp, dst, src, off } => {
                let code = cmp_code(cmp, wide, matches!(src, Operand::Reg(_)));
                self.jump(slot, code, off.into(), dst, src)?
            }
            Inst::CallHelper { id } => match usize::try_from(id).ok().filter(|&call| call < self.code.calls.len()) {
                Some(_) => op(Opcode::CallHelper, Reg::R0, Reg::R0, id, halves(0, self.before + 1)),
                None => return Err(BadCodeKind::NoHelper { call: id.into() }),
            },
            Inst::CallLocal { rel } => self.call(slot, rel)?,
            Inst::CallKfunc { .. } => return Err(BadCodeKind::Unsupported("a call of a kernel function")),
            Inst::CallX { dst, .. } => op(Opcode::CallX, dst, Reg::R0, 0, halves(self.before + 1, self.before + 1)),
            Inst::Exit => op(Opcode::Exit, Reg::R0, Reg::R0, 0, halves(0, self.before + 1)),
        })
    }

    /// The value of an `ld_imm64`.
    fn constant(&self, slot: usize, inst: Inst) -> Result<u64, BadCodeKind> {
        if let Ok(at) = self.code.syms.binary_search_by_key(&slot, |sym| sym.0 as usize) {
            return Ok(match self.code.syms[at].1 {
                Sym::Map(map) => self.link.map(map),
                Sym::MapValue(map, off) => self.link.map_value(map, off),
                Sym::Memory(map, off) => self.link.memory(map, off),
                Sym::Func(func) if usize::from(func) < self.funcs.len() => function_word(func),
                Sym::Func(func) => return Err(BadCodeKind::NoFunction { target: func.into() }),
            });
        }
        match inst {
            Inst::LoadImm64 { value, .. } => Ok(value),
            Inst::FuncAddr { rel, .. } => Ok(function_word(self.function_at(slot, rel)? as u16)),
            _ => Err(BadCodeKind::NoSymbol),
        }
    }

    fn jump(&self, slot: usize, code: Opcode, off: i64, dst: Reg, src: Operand) -> Result<Op, BadCodeKind> {
        let target = slot as i64 + 1 + off;
        let start = i64::from(self.funcs[self.function].start);
        let end = self.funcs.get(self.function + 1).map_or(self.insts.len() as i64, |next| i64::from(next.start));
        if !(start..end).contains(&target) {
            return Err(BadCodeKind::JumpOutside { target });
        }
        if self.insts[target as usize].is_none() {
            return Err(BadCodeKind::JumpIntoConstant { target });
        }
        let (src, imm) = match src {
            Operand::Reg(src) => (src, 0),
            Operand::Imm(imm) => (Reg::R0, imm),
        };
        let account = self.account(slot, target as usize);
        Ok(self.write(code, dst, src, bytes_between(slot, target as usize), halves(imm, account)))
    }

    fn call(&self, slot: usize, rel: i32) -> Result<Op, BadCodeKind> {
        let function = self.funcs[self.function_at(slot, rel)?];
        let target = function.start as usize;
        let imm = halves(self.before + 1, self.account(slot, target));
        Ok(self.write(Opcode::CallLocal, Reg(function.words), Reg::R0, bytes_between(slot, target), imm))
    }

    /// The function that begins `rel` slots from the slot after `slot`.
    fn function_at(&self, slot: usize, rel: i32) -> Result<usize, BadCodeKind> {
        let target = slot as i64 + 1 + i64::from(rel);
        let found = u32::try_from(target).ok();
        let found = found.and_then(|target| self.funcs.binary_search_by_key(&target, |func| func.start).ok());
        found.ok_or(BadCodeKind::NoFunction { target })
    }

    /// How the fuel account changes on a jump from `slot` to `target`: see [`crate::fuel`].
    fn account(&self, slot: usize, target: usize) -> i32 {
        instructions_before(self.constants, target) - instructions_before(self.constants, slot) - 1
    }
}

/// How many instructions stand before `slot`; `constants` are the second slots of `ld_imm64`.
pub(crate) fn instructions_before(constants: &[u32], slot: usize) -> i32 {
    (slot - constants.partition_point(|&constant| (constant as usize) < slot)) as i32
}

fn bytes_between(slot: usize, target: usize) -> i32 {
    (target as i32 - slot as i32) * size_of::<Op>() as i32
}

fn writable(register: Reg) -> Result<Reg, BadCodeKind> {
    match register {
        Reg::FP | Reg::ENV => Err(BadCodeKind::WritesReadOnly { register: register.0 }),
        _ => Ok(register),
    }
}

fn sign_extension(wide: Wide, bits: u8) -> Opcode {
    match (wide, bits) {
        (Wide::W64, 8) => Opcode::Sx8To64,
        (Wide::W64, 16) => Opcode::Sx16To64,
        (Wide::W64, _) => Opcode::Sx32To64,
        (Wide::W32, 8) => Opcode::Sx8To32,
        (Wide::W32, _) => Opcode::Sx16To32,
    }
}

/// A swap, or where the host has that order already, what is left of it: a truncation.
fn swap(kind: Swap, bits: u8) -> Opcode {
    let reverses = match kind {
        Swap::ToLe => cfg!(target_endian = "big"),
        Swap::ToBe => cfg!(target_endian = "little"),
        Swap::Bswap => true,
    };
    match (reverses, bits) {
        (true, 16) => Opcode::Swap16,
        (true, 32) => Opcode::Swap32,
        (true, _) => Opcode::Swap64,
        (false, 16) => Opcode::Low16,
        (false, 32) => Opcode::Mov32R,
        (false, _) => Opcode::Nop,
    }
}

fn load_code(width: Width, signed: bool, in_frame: bool) -> Opcode {
    match (width, signed, in_frame) {
        (Width::B1, false, false) => Opcode::LoadU8,
        (Width::B2, false, false) => Opcode::LoadU16,
        (Width::B4, false, false) => Opcode::LoadU32,
        (Width::B8, _, false) => Opcode::LoadU64,
        (Width::B1, true, false) => Opcode::LoadS8,
        (Width::B2, true, false) => Opcode::LoadS16,
        (Width::B4, true, false) => Opcode::LoadS32,
        (Width::B1, false, true) => Opcode::FrameLoadU8,
        (Width::B2, false, true) => Opcode::FrameLoadU16,
        (Width::B4, false, true) => Opcode::FrameLoadU32,
        (Width::B8, _, true) => Opcode::FrameLoadU64,
        (Width::B1, true, true) => Opcode::FrameLoadS8,
        (Width::B2, true, true) => Opcode::FrameLoadS16,
        (Width::B4, true, true) => Opcode::FrameLoadS32,
    }
}

fn store_code(width: Width, register: bool, in_frame: bool) -> Opcode {
    match (width, register, in_frame) {
        (Width::B1, true, false) => Opcode::Store8,
        (Width::B2, true, false) => Opcode::Store16,
        (Width::B4, true, false) => Opcode::Store32,
        (Width::B8, true, false) => Opcode::Store64,
        (Width::B1, false, false) => Opcode::StoreImm8,
        (Width::B2, false, false) => Opcode::StoreImm16,
        (Width::B4, false, false) => Opcode::StoreImm32,
        (Width::B8, false, false) => Opcode::StoreImm64,
        (Width::B1, true, true) => Opcode::FrameStore8,
        (Width::B2, true, true) => Opcode::FrameStore16,
        (Width::B4, true, true) => Opcode::FrameStore32,
        (Width::B8, true, true) => Opcode::FrameStore64,
        (Width::B1, false, true) => Opcode::FrameStoreImm8,
        (Width::B2, false, true) => Opcode::FrameStoreImm16,
        (Width::B4, false, true) => Opcode::FrameStoreImm32,
        (Width::B8, false, true) => Opcode::FrameStoreImm64,
    }
}
