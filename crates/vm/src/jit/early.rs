//! Where a program loads more than registers hold, what it computes of that is computed where the program does.
//!
//! The code generator puts what has no effect where its result is asked for, at last: of a sum of many products, all factors
//! would be loaded first and be spilled to the stack, though the program itself never has more than ten at once. An effect
//! in between asks earlier: the result is stored where nobody reads.
//!
//! Sound because nothing else is done than to store to memory that the function has for this alone.

use super::lift::{Lifter, PLAIN};
use super::pass::Pass;
use alveary_isa::{AluOp, Inst, Operand};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, StackSlot, StackSlotData, StackSlotKind, Value};
use std::collections::HashMap;

/// So many loads may wait for what is computed of them.
const MOST: usize = 9;

/// What was loaded in a node and waits for what is computed of it.
#[derive(Default)]
pub(super) struct Waiting {
    /// How many loads each value is computed of.
    of: HashMap<Value, usize>,
    loads: usize,
    /// Where results are stored, once one was.
    slot: Option<StackSlot>,
}

impl Waiting {
    /// A new node begins.
    pub(super) fn forget(&mut self) {
        self.of.clear();
        self.loads = 0;
    }

    /// Something was loaded.
    pub(super) fn load(&mut self, value: Value) {
        self.of.insert(value, 1);
        self.loads += 1;
    }

    /// A value is asked for.
    pub(super) fn ask(&mut self, value: Value) {
        if let Some(loads) = self.of.remove(&value) {
            self.loads = self.loads.saturating_sub(loads);
        }
    }
}

impl Lifter<'_> {
    /// How many loads wait for what an instruction computes.
    pub(super) fn waiting_for(&mut self, inst: Inst) -> usize {
        let read = match inst {
            _ if self.waiting.of.is_empty() => [None; 2],
            Inst::Alu { op: AluOp::Mov, src: Operand::Reg(src), .. } | Inst::MovSx { src, .. } => [Some(src), None],
            Inst::Alu { op: AluOp::Mov, .. } => [None; 2],
            Inst::Alu { dst, src: Operand::Reg(src), .. } => [Some(dst), Some(src)],
            Inst::Alu { dst, .. } | Inst::Swap { dst, .. } | Inst::Neg { dst, .. } => [Some(dst), None],
            _ => [None; 2],
        };
        let values = read.into_iter().flatten().map(|reg| self.get(reg));
        let values: Vec<Value> = values.collect();
        values.iter().filter_map(|value| self.waiting.of.get(value)).sum()
    }

    /// It was computed.
    pub(super) fn computed(&mut self, value: Value, loads: usize) {
        let mut left = loads;
        if let Some(&now) = self.waiting.of.get(&value) {
            // It is one of those that it was to be computed of, or was loaded after all.
            left = now;
        } else if loads > 1 && self.waiting.loads > MOST && self.plan.rules.passes.has(Pass::Early) {
            self.store_nowhere(value);
            left = 1;
        }
        self.waiting.loads = self.waiting.loads.saturating_sub(loads - left.min(loads));
        if left > 0 {
            self.waiting.of.insert(value, left);
        }
    }

    fn store_nowhere(&mut self, value: Value) {
        let slot = *self.waiting.slot.get_or_insert_with(|| {
            self.to.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 8, 3))
        });
        let place = self.to.ins().stack_addr(I64, slot, 0);
        self.to.ins().store(PLAIN, value, place, 0);
    }
}
