//! Pass `hoist`: what loops need in each round is in a register. The code generator makes constants where they are asked for,
//! which takes ten bytes of code for each address of a map; and where a loop asks whether its counter is equal to some number
//! it compares what the counter was before, which then needs a register of its own, a move in each round and often a jump
//! around that.
//!
//! The generator knows nothing of a constant that was shifted by the environment's address, and leaves it where it is. That
//! shift changes nothing: of the amount it takes six bits, which are zero, since an [`Env`] stands at a multiple of 64.

use super::select;
use crate::Env;
use alveary_sort::Sort;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, Function, Inst, InstBuilder, InstructionData, Opcode, Type, Value, ValueDef};
use std::collections::BTreeMap;

const _: () = assert!(align_of::<Env>() >= 64);

/// Large constants that are in registers, and ends of loops.
const MOST: usize = 2;

/// Makes the constants of loops in front of them. `env` is the environment, which every part of the function has.
pub(super) fn hoist(function: &mut Function, env: Value) {
    let flow = ControlFlowGraph::with_function(function);
    let blocks = select::in_loops(function, &flow);
    if blocks.is_empty() {
        return;
    }
    let all: Vec<Block> = blocks.iter().map(|(block, _)| *block).collect();
    for (base, uses) in large(function, &all) {
        let there = opaque(function, env, base);
        for (inst, argument, constant) in uses {
            let mut at = FuncCursor::new(function).at_inst(inst);
            at.use_srcloc(inst);
            let value = if constant == base { there } else { at.ins().iadd_imm_s(there, constant.wrapping_sub(base)) };
            function.dfg.inst_args_mut(inst)[argument] = value;
        }
    }
    // Where a function has one loop, and that one ends soon, what is saved does not pay for the registers.
    let inner: Vec<Block> = blocks.iter().filter(|(_, loops)| *loops > 1).map(|(block, _)| *block).collect();
    for (inst, end, ty) in ends(function, &flow, &inner) {
        let there = opaque(function, env, end);
        let mut at = FuncCursor::new(function).at_inst(inst);
        at.use_srcloc(inst);
        let value = if ty == I64 { there } else { at.ins().ireduce(ty, there) };
        function.dfg.inst_args_mut(inst)[1] = value;
    }
}

/// A constant that the code generator does not know.
fn opaque(function: &mut Function, env: Value, constant: i64) -> Value {
    let entry = function.layout.entry_block();
    let Some(last) = entry.and_then(|entry| function.layout.last_inst(entry)) else { return env };
    let mut at = FuncCursor::new(function).at_inst(last);
    let number = at.ins().iconst(I64, constant);
    at.ins().ishl(number, env)
}

/// A use of a constant: the instruction, which of its arguments, and what it is.
type Use = (Inst, usize, i64);

/// Constants that no instruction has room for, with what loops use them and what stands near them.
fn large(function: &Function, blocks: &[Block]) -> Vec<(i64, Vec<Use>)> {
    let mut of: BTreeMap<i64, Vec<Use>> = BTreeMap::new();
    for inst in blocks.iter().flat_map(|&block| function.layout.block_insts(block)) {
        if matches!(function.dfg.insts[inst].opcode(), Opcode::Jump | Opcode::Brif | Opcode::BrTable) {
            continue;
        }
        for (argument, &value) in function.dfg.inst_args(inst).iter().enumerate() {
            let Some(constant) = constant(function, value).filter(|_| function.dfg.value_type(value) == I64) else {
                continue;
            };
            if i32::try_from(constant).is_err() && u32::try_from(constant).is_err() {
                // Constants are looked at in their order below: a base has the lowest.
                of.entry(constant).or_default().push((inst, argument, constant));
            }
        }
    }
    let mut groups: Vec<(i64, Vec<Use>)> = Vec::new();
    for (constant, uses) in of {
        match groups.last_mut() {
            Some((base, group)) if i32::try_from(constant.wrapping_sub(*base)).is_ok() => group.extend(uses),
            _ => groups.push((constant, uses)),
        }
    }
    groups.order_by_key(|(_, uses)| std::cmp::Reverse(uses.len()));
    groups.truncate(MOST);
    groups
}

/// Comparisons that end rounds, with numbers that a counter becomes equal to.
fn ends(function: &Function, flow: &ControlFlowGraph, blocks: &[Block]) -> Vec<(Inst, i64, Type)> {
    let comparison = |&block: &Block| {
        let InstructionData::Brif { arg, .. } = function.dfg.insts[function.layout.last_inst(block)?] else {
            return None;
        };
        let ValueDef::Result(inst, _) = function.dfg.value_def(arg) else { return None };
        let InstructionData::IntCompare { cond: IntCC::Equal | IntCC::NotEqual, args, .. } = function.dfg.insts[inst]
        else {
            return None;
        };
        let end = constant(function, args[1])?;
        let ValueDef::Result(add, _) = function.dfg.value_def(select::bare(function, args[0])) else { return None };
        let sum = function.dfg.insts[add].opcode() == Opcode::Iadd;
        let [from, step] = *function.dfg.inst_args(add) else { return None };
        constant(function, step)?;
        // What it was before comes from where the loop begins, and from here the next round begins.
        let ValueDef::Param(head, _) = function.dfg.value_def(select::bare(function, from)) else { return None };
        let goes_on = |to: Block| {
            let only = function.layout.first_inst(to).filter(|first| function.layout.last_inst(to) == Some(*first));
            let jumps = only.is_some_and(|only| function.dfg.insts[only].opcode() == Opcode::Jump);
            to == head || jumps && flow.succ_iter(to).eq([head])
        };
        (sum && flow.succ_iter(block).any(goes_on) && end != 0).then(|| (inst, end, function.dfg.value_type(args[1])))
    };
    let mut ends: Vec<_> = blocks.iter().filter_map(comparison).collect();
    ends.truncate(MOST);
    ends
}

fn constant(function: &Function, value: Value) -> Option<i64> {
    let ValueDef::Result(inst, _) = function.dfg.value_def(value) else { return None };
    match function.dfg.insts[inst] {
        InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => Some(imm.bits()),
        _ => None,
    }
}
