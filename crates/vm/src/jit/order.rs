//! Pass `order`: of two numbers whose order does not matter, the one that nothing reads later comes first. On machines whose
//! instructions put their result where the first number was, another one would have to be copied before.
//!
//! Sound because what two numbers have in common, what they have together, where they differ and their product are the same
//! in either order.

use cranelift_codegen::ir::{Block, Function, Inst, InstructionData, Opcode, Value, ValueDef};
use std::collections::HashMap;

/// Where a number is read.
struct Reads {
    /// The block in which that is everywhere.
    block: Option<Block>,
    last: Inst,
}

/// Puts those in front that are read for the last time.
pub(super) fn order(function: &mut Function) {
    let reads = reads(function);
    let blocks: Vec<Block> = function.layout.blocks().collect();
    for block in blocks {
        let insts: Vec<Inst> = function.layout.block_insts(block).collect();
        for inst in insts {
            let InstructionData::Binary { opcode, args: [first, second] } = function.dfg.insts[inst] else { continue };
            let commutes = matches!(opcode, Opcode::Band | Opcode::Bor | Opcode::Bxor | Opcode::Imul);
            if !commutes || !function.dfg.value_type(first).is_int() {
                continue;
            }
            let ends = |value| {
                let number = number(function, value);
                let here = block_of(function, number) == Some(block);
                here && reads.get(&number).is_some_and(|reads| reads.block == Some(block) && reads.last == inst)
            };
            if ends(second) && !ends(first) && !stays_second(function, second) {
                function.dfg.inst_args_mut(inst).swap(0, 1);
            }
        }
    }
}

/// Where each number is read last. Extensions and their opposites are the number itself: they rarely become code.
fn reads(function: &Function) -> HashMap<Value, Reads> {
    let mut reads: HashMap<Value, Reads> = HashMap::new();
    for block in function.layout.blocks() {
        for inst in function.layout.block_insts(block) {
            if of_another_width(function, inst).is_some() {
                continue;
            }
            for value in function.dfg.inst_values(inst) {
                let now = Reads { block: Some(block), last: inst };
                let reads = reads.entry(number(function, value)).or_insert(now);
                reads.block = reads.block.filter(|before| *before == block);
                reads.last = inst;
            }
        }
    }
    reads
}

/// A number, whatever its width is.
fn number(function: &Function, value: Value) -> Value {
    let mut value = function.dfg.resolve_aliases(value);
    while let ValueDef::Result(inst, 0) = function.dfg.value_def(value)
        && let Some(of) = of_another_width(function, inst)
    {
        value = function.dfg.resolve_aliases(of);
    }
    value
}

/// What an instruction gives in another width.
fn of_another_width(function: &Function, inst: Inst) -> Option<Value> {
    match function.dfg.insts[inst] {
        InstructionData::Unary { opcode: Opcode::Uextend | Opcode::Ireduce, arg } => Some(arg),
        _ => None,
    }
}

fn block_of(function: &Function, value: Value) -> Option<Block> {
    match function.dfg.value_def(value) {
        ValueDef::Result(inst, _) => function.layout.inst_block(inst),
        ValueDef::Param(block, _) => Some(block),
        ValueDef::Union(..) => None,
    }
}

/// Whether a number becomes a part of the instruction where it is the second one: constants, and what is loaded.
fn stays_second(function: &Function, value: Value) -> bool {
    match function.dfg.value_def(number(function, value)) {
        ValueDef::Result(inst, _) => {
            let opcode = function.dfg.insts[inst].opcode();
            opcode == Opcode::Iconst || opcode.can_load()
        }
        _ => false,
    }
}
