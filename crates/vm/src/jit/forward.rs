//! Pass `forward`: what was just written to a stack frame in memory is not read from there again. Keys of lookups are written
//! field by field and then read as words, and so are arguments of helpers that are made in place: processors wait for all of
//! the stores where more than one has what a load reads.
//!
//! Sound because nobody but the program writes to its frames while it runs: what a store has written there stays until the
//! next one to the same bytes. What is known is forgotten where a node ends, after calls, and after stores that may be to a
//! frame by another way than its end.

use super::lift::{Lifter, PLAIN};
use super::pass::Pass;
use crate::Memory;
use alveary_isa::{Inst, Reg, Wide, Width};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Endianness, InstBuilder, Value};

/// Stores that are remembered.
const MOST: usize = 24;

/// What was stored where, by offsets from the frame's end, in order.
#[derive(Default)]
pub(super) struct Written(Vec<Store>);

#[derive(Clone, Copy)]
struct Store {
    off: i64,
    width: Width,
    value: Value,
}

impl Store {
    /// The byte of it that stands at an offset.
    fn byte(&self, off: i64) -> Option<i64> {
        let byte = off - self.off;
        (0..self.width.bytes() as i64).contains(&byte).then_some(byte)
    }
}

impl Written {
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// The last store to a byte.
    fn last(&self, off: i64) -> Option<usize> {
        self.0.iter().rposition(|store| store.byte(off).is_some())
    }
}

impl Lifter<'_> {
    /// Whether the function has its frame in memory, where its address is known to others.
    fn forwards(&self) -> bool {
        let plain = self.arena.is_none() && self.plan.rules.key.is_none() && self.frame().is_shared();
        plain && self.plan.rules.passes.has(Pass::Forward) && self.isa.endianness() == Endianness::Little
    }

    /// Remembers what an instruction has written, or forgets what it may have written over.
    pub(super) fn wrote(&mut self, slot: u32, inst: Inst) {
        if !self.forwards() {
            return;
        }
        match inst {
            Inst::Store { width, dst, src, off } => match self.offset_in_frame(dst) {
                Some(first) => {
                    let value = self.operand(Wide::W64, src);
                    if self.written.0.len() == MOST {
                        self.written.0.remove(0);
                    }
                    self.written.0.push(Store { off: first + i64::from(off), width, value });
                }
                None => {
                    if !matches!(self.plan.known(slot).memory, Memory::Packet | Memory::Value(_) | Memory::Context) {
                        self.written.forget();
                    }
                }
            },
            Inst::Atomic { .. } | Inst::StoreRelease { .. } => self.written.forget(),
            Inst::CallHelper { .. } | Inst::CallLocal { .. } | Inst::CallX { .. } | Inst::CallKfunc { .. } => {
                self.written.forget();
            }
            _ => {}
        }
    }

    /// How far behind the frame's end a register points, if it is made of that.
    fn offset_in_frame(&mut self, reg: Reg) -> Option<i64> {
        let (value, end) = (self.get(reg), self.get(Reg::FP));
        let ((root, off), (end, first)) = (self.parts(value), self.parts(end));
        (root == end).then(|| off.wrapping_sub(first))
    }

    /// What a load gives of the frame, if all that it reads was just written.
    pub(super) fn forwarded(&mut self, base: Reg, off: i16, width: Width, signed: bool) -> Option<Value> {
        if self.written.0.is_empty() || signed {
            return None;
        }
        let off = self.offset_in_frame(base)? + i64::from(off);
        let bytes = width.bytes() as i64;
        let all = (off..off + bytes).all(|byte| self.written.last(byte).is_some());
        if all { Some(self.put_together(off, bytes, None)) } else { None }
    }

    /// So many bytes at an address, 8 at most, as a word; those that were just written without a load.
    pub(super) fn recalled(&mut self, root: Value, off: i32, bytes: u32) -> Option<Value> {
        if self.written.0.is_empty() {
            return None;
        }
        let end = self.get(Reg::FP);
        let (end, first) = self.parts(end);
        let from = i64::from(off).wrapping_sub(first);
        let any = root == end && (from..from + i64::from(bytes)).any(|byte| self.written.last(byte).is_some());
        any.then(|| self.put_together(from, bytes.into(), Some((root, i64::from(off)))))
    }

    /// Bytes of the frame by the stores that have written them, and by loads from an address where none has.
    fn put_together(&mut self, off: i64, bytes: i64, elsewhere: Option<(Value, i64)>) -> Value {
        let mut whole = None;
        let mut at = 0;
        while at < bytes {
            let store = self.written.last(off + at);
            let mut end = at + 1;
            while end < bytes && self.written.last(off + end) == store {
                end += 1;
            }
            let piece = match (store.map(|store| self.written.0[store]), elsewhere) {
                (Some(store), _) => {
                    let shifted = match store.byte(off + at) {
                        Some(byte) if byte > 0 => self.to.ins().ushr_imm_u(store.value, 8 * byte),
                        _ => store.value,
                    };
                    self.lowest(shifted, end - at)
                }
                (None, Some((root, first))) => self.loaded_bytes(root, first + at, end - at),
                (None, None) => self.number(0),
            };
            let piece = if at == 0 { piece } else { self.to.ins().ishl_imm_s(piece, 8 * at) };
            whole = Some(match whole {
                None => piece,
                Some(before) => self.to.ins().bor(before, piece),
            });
            at = end;
        }
        whole.unwrap_or_else(|| self.number(0))
    }

    /// The lowest bytes of a value.
    fn lowest(&mut self, value: Value, bytes: i64) -> Value {
        match bytes {
            8.. => value,
            1 | 2 | 4 => {
                let narrow = self.to.ins().ireduce(super::arith::integer(8 * bytes as u8), value);
                self.extend(narrow)
            }
            _ => {
                let mask = self.number((1 << (8 * bytes)) - 1);
                self.to.ins().band(value, mask)
            }
        }
    }

    /// At most 8 bytes at an address, as a word.
    pub(super) fn loaded_bytes(&mut self, address: Value, off: i64, bytes: i64) -> Value {
        let at = off as i32;
        match bytes {
            1 => self.to.ins().uload8(I64, PLAIN, address, at),
            2 => self.to.ins().uload16(I64, PLAIN, address, at),
            4 => self.to.ins().uload32(PLAIN, address, at),
            3 | 5..=7 => {
                let part = if bytes < 4 { 2 } else { 4 };
                let lower = self.loaded_bytes(address, off, part);
                let upper = self.loaded_bytes(address, off + part, bytes - part);
                let upper = self.to.ins().ishl_imm_s(upper, part * 8);
                self.to.ins().bor(lower, upper)
            }
            _ => self.to.ins().load(I64, PLAIN, address, at),
        }
    }
}
