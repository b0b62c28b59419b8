//! What nobody reads goes before code is generated: loads, which the code generator would make all the same, since it does not
//! ask what they are for, and what computes their addresses alone.
//!
//! Sound because loads of verified programs do not trap, and that nobody reads is seen by nobody.

use cranelift_codegen::entity::EntitySet;
use cranelift_codegen::ir::{Function, Inst, InstructionData, ValueDef};

/// Removes what nobody reads.
pub(super) fn remove(function: &mut Function) {
    let (mut read, mut asks) = (EntitySet::new(), Vec::new());
    let all: Vec<Inst> = function.layout.blocks().flat_map(|block| function.layout.block_insts(block)).collect();
    for &inst in &all {
        if has_effect(function, inst) {
            read.insert(inst);
            asks.push(inst);
        }
    }
    while let Some(inst) = asks.pop() {
        for value in function.dfg.inst_values(inst) {
            if let ValueDef::Result(from, _) = function.dfg.value_def(value)
                && read.insert(from)
            {
                asks.push(from);
            }
        }
    }
    for inst in all.into_iter().filter(|inst| !read.contains(*inst)) {
        function.layout.remove_inst(inst);
    }
}

/// Whether an instruction does more than to give values.
fn has_effect(function: &Function, inst: Inst) -> bool {
    let data = &function.dfg.insts[inst];
    let opcode = data.opcode();
    match data {
        InstructionData::Load { flags, .. } => !function.dfg.mem_flags[*flags].notrap(),
        _ => {
            opcode.is_terminator()
                || opcode.is_call()
                || opcode.can_load()
                || opcode.can_store()
                || opcode.can_trap()
                || opcode.other_side_effects()
        }
    }
}
