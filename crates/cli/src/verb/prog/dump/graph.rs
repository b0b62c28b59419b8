//! The control flow of a program: functions, the blocks of each, and where each block goes. Numbers are as bpftool gives
//! them.

use super::code::{CALL, Code, LD_IMM64, PSEUDO_CALL, PSEUDO_FUNC};
use alveary_isa::Insn;
use alveary_sort::Sort;
use std::{collections::BTreeSet, ops::Range};

/// Operations of the classes `BPF_JMP` and `BPF_JMP32`, without the bit that says what the operand is.
const JA: u8 = 0x00;
const CALLS: u8 = 0x80;
const EXIT: u8 = 0x90;
/// `BPF_JMP32 | BPF_JA`, whose distance is `imm`; `BPF_JMP | BPF_JA | BPF_X`, whose target is in a register.
const GOTOL: u8 = 0x06;
const GOTOX: u8 = 0x0d;

/// The functions of a program, by their first slot.
pub(super) struct Graph {
    pub(super) functions: Vec<Function>,
}

/// A function.
pub(super) struct Function {
    /// Its number, in the order in which functions are called.
    pub(super) number: usize,
    /// Its blocks, by their first slot.
    pub(super) blocks: Vec<Block>,
}

/// Instructions that run one after the other.
pub(super) struct Block {
    pub(super) slots: Range<usize>,
    pub(super) next: Vec<Next>,
}

/// Where control goes behind a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// To a block of the same function, by its index.
    Block(usize),
    /// Out of the function.
    Exit,
}

impl Graph {
    pub(super) fn of(code: &Code) -> Graph {
        let end = code.insns().len();
        // The order in which they are found is their number.
        let mut starts = vec![0];
        for slot in code.slots(0, end) {
            if let Some(target) = function_named(code.insns()[slot], slot).filter(|target| *target < end)
                && !starts.contains(&target)
            {
                starts.push(target);
            }
        }
        let mut sorted: Vec<(usize, usize)> = starts.iter().copied().zip(0..).collect();
        sorted.order();
        let ends = sorted.iter().skip(1).map(|(start, _)| *start).chain([end]);
        let functions = sorted.iter().zip(ends).map(|(&(start, number), end)| Function::of(code, number, start..end));
        Graph { functions: functions.collect() }
    }
}

impl Function {
    fn of(code: &Code, number: usize, slots: Range<usize>) -> Function {
        let inside = |target: &usize| slots.contains(target);
        let mut heads = BTreeSet::from([slots.start]);
        for slot in code.slots(slots.start, slots.end) {
            let flow = Flow::of(code.insns()[slot], slot);
            heads.extend(flow.jumps.filter(inside));
            if flow.ends_block {
                heads.extend(Some(code.after(slot)).filter(inside));
            }
        }
        let heads: Vec<usize> = heads.into_iter().collect();
        let block_at = |slot: usize| heads.binary_search(&slot).map_or(Next::Exit, Next::Block);
        let ends = heads.iter().skip(1).copied().chain([slots.end]);
        let blocks = heads.iter().zip(ends).map(|(&start, end)| {
            let last = code.slots(start, end).last().unwrap_or(start);
            let flow = Flow::of(code.insns()[last], last);
            let follows = flow.falls_through.then(|| block_at(code.after(last)));
            let mut next: Vec<Next> = follows.into_iter().chain(flow.jumps.map(block_at)).collect();
            if next.is_empty() {
                next.push(Next::Exit);
            }
            Block { slots: start..end, next }
        });
        let blocks = blocks.collect();
        Function { number, blocks }
    }
}

/// What an instruction does to the flow of control.
struct Flow {
    jumps: Option<usize>,
    falls_through: bool,
    ends_block: bool,
}

impl Flow {
    fn of(insn: Insn, slot: usize) -> Flow {
        let straight = Flow { jumps: None, falls_through: true, ends_block: false };
        let jumps = matches!(insn.op & 7, 5 | 6);
        let distance = if insn.op == GOTOL { insn.imm as isize } else { insn.off.into() };
        let target = (slot + 1).checked_add_signed(distance);
        match insn.op & 0xf0 {
            _ if !jumps => straight,
            CALLS => straight,
            EXIT => Flow { jumps: None, falls_through: false, ends_block: true },
            JA if insn.op == GOTOX => Flow { jumps: None, falls_through: false, ends_block: true },
            JA => Flow { jumps: target, falls_through: false, ends_block: true },
            _ => Flow { jumps: target, falls_through: true, ends_block: true },
        }
    }
}

/// The first slot of the function that an instruction calls or takes the address of.
fn function_named(insn: Insn, slot: usize) -> Option<usize> {
    let distance = match (insn.op, insn.src.0) {
        (CALL, PSEUDO_CALL) => insn.off.into(),
        (LD_IMM64, PSEUDO_FUNC) => insn.imm as isize,
        _ => return None,
    };
    (slot + 1).checked_add_signed(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str) -> Vec<(Range<usize>, Vec<Next>)> {
        let insns = alveary_testing::code(text, |_, _| unreachable!("there is no symbol"));
        let bytes: Vec<u8> = insns.iter().flat_map(|insn| insn.to_bytes(alveary_isa::Endian::HOST)).collect();
        let graph = Graph::of(&Code::new(&bytes, Vec::new()));
        graph.functions.into_iter().flat_map(|f| f.blocks).map(|b| (b.slots, b.next)).collect()
    }

    #[test]
    fn a_block_that_returns_goes_nowhere_else() {
        let text = "r0 = 0\nif r1 == 0 goto end\nr0 = 1\nexit\nend: exit";
        let expected =
            vec![(0..2, vec![Next::Block(1), Next::Block(2)]), (2..4, vec![Next::Exit]), (4..5, vec![Next::Exit])];
        assert_eq!(blocks(text), expected);
    }

    #[test]
    fn wide_constants_and_calls_end_no_block() {
        let text = "r1 = 0x1122334455667788 ll\ncall 5\nagain: r0 += 1\nif r0 < 9 goto again\nexit";
        let expected =
            vec![(0..3, vec![Next::Block(1)]), (3..5, vec![Next::Block(2), Next::Block(1)]), (5..6, vec![Next::Exit])];
        assert_eq!(blocks(text), expected);
    }
}
