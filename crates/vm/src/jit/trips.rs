//! Loops that count: where a register goes up by a constant from a constant until it is equal to a third one, it is below
//! that one until then. Asking for "below" lets the code generator forget what the register was before it went up, which
//! it otherwise compares in its place, and so keeps it in one machine register.

use super::plan::Plan;
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg};

/// Whether the jump at the end of `block`, of function `function`, is taken as long as `dst` is below what it is compared
/// with by `op`, and not only as long as it is another number.
pub(super) fn counts_up(plan: &Plan<'_>, function: usize, block: u32, op: CmpOp, dst: Reg, src: Operand) -> bool {
    let (CmpOp::Ne, Operand::Imm(bound @ 1..)) = (op, src) else { return false };
    let Some(inside) = plan.cfg.blocks[block as usize].in_loop else { return false };
    let around = plan.cfg.loops[inside as usize];
    // The second successor is the one that is jumped to. A function may begin with anything in its registers.
    let begins = plan.functions[function].blocks[0] == around.head;
    if around.irreducible || begins || plan.successors(block).nth(1) != Some(around.head) {
        return false;
    }
    let writes =
        |block: u32| plan.insts_of_block(block).filter(|(slot, inst)| plan.registers(*slot, inst).1 & 1 << dst.0 != 0);
    let members = plan.functions[function].blocks.iter().filter(|&&member| plan.cfg.is_in_loop(member, inside));
    let mut steps = members.flat_map(|&member| writes(member).map(move |(_, inst)| (member, inst)));
    let step = match (steps.next(), steps.next()) {
        (Some((at, Inst::Alu { op: AluOp::Add, src: Operand::Imm(step @ 1..), .. })), None) if at == block => step,
        _ => return false,
    };
    let mut entries = plan.cfg.incoming(around.head).filter(|edge| !plan.cfg.is_in_loop(edge.from, inside));
    entries.all(|edge| match writes(edge.from).next_back() {
        Some((_, Inst::Alu { op: AluOp::Mov, src: Operand::Imm(first @ 0..), .. })) => {
            first < bound && (bound - first) % step == 0
        }
        _ => false,
    })
}
