//! The control-flow graph of a program: subprograms, blocks, edges, loops.
//!
//! Everything is an index into a `Vec` of [`Cfg`]; nothing is allocated for each instruction. Calls are no edges:
//! control comes back. Knows nothing of values, so a branch that is never taken has its edge.

mod loops;

use crate::{DecodeError, Insn, Inst, decode, decode_lowered};
use std::fmt;
use std::ops::Range;

/// The graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cfg {
    /// Subprograms by their first slot; the first is the entry.
    pub subprogs: Vec<Subprog>,
    /// Blocks by their first slot.
    pub blocks: Vec<Block>,
    /// Edges by the block that they leave.
    pub edges: Vec<Edge>,
    /// Loops; a loop comes after those around it.
    pub loops: Vec<Loop>,
    /// Indices of `edges`, by the block that they enter.
    incoming: Vec<u32>,
}

/// A function of the program: the slots from one start to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subprog {
    /// Its slots.
    pub slots: Range<u32>,
    /// Its blocks; the first is the entry.
    pub blocks: Range<u32>,
}

/// Instructions that run one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its slots.
    pub slots: Range<u32>,
    /// The slot of its last instruction.
    pub last: u32,
    /// The subprogram that it belongs to.
    pub subprog: u32,
    /// How it ends.
    pub end: End,
    /// Whether there is a way to it from its subprogram's entry. Targets of [`End::Indirect`] are not known here.
    pub reachable: bool,
    /// The innermost loop that it is in.
    pub in_loop: Option<u32>,
    outgoing: Range<u32>,
    incoming: Range<u32>,
}

/// How a block ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The next block begins.
    FallThrough,
    /// An unconditional jump.
    Jump,
    /// A conditional jump, also `may_goto`.
    Branch,
    /// `gotox`: to a slot that only its register knows. It has no edges.
    Indirect,
    /// Return.
    Exit,
}

/// A way from one block to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The block that it leaves.
    pub from: u32,
    /// The block that it enters.
    pub to: u32,
    /// Whether the jump is taken, or the next instruction follows.
    pub taken: bool,
    /// Whether it goes back to the head of a loop that it leaves from.
    pub back: bool,
}

/// A loop: the blocks on the ways from its head back to its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Loop {
    /// The block where it is entered.
    pub head: u32,
    /// The loop around it.
    pub parent: Option<u32>,
    /// How many loops it is in, itself included.
    pub depth: u32,
    /// Whether it can be entered elsewhere than at its head: no natural loop, and `head` is one of several.
    pub irreducible: bool,
}

/// Why instructions have no graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CfgError {
    /// There are no instructions.
    Empty,
    /// A slot is no instruction.
    Undefined(DecodeError),
    /// A jump, call or function address whose target is not in the program.
    OutOfProgram {
        /// The slot that refers.
        from: u32,
        /// The slot that it names.
        to: i64,
    },
    /// A target that is the second slot of an `ld_imm64`.
    InsideInstruction {
        /// The slot that refers.
        from: u32,
        /// The slot that it names.
        to: u32,
    },
    /// A jump, or running on, from one subprogram into another.
    OutOfSubprog {
        /// The slot of the jump, or of the last instruction.
        from: u32,
        /// The slot that is reached; the program's length if it ends there.
        to: u32,
    },
    /// More than 2³¹ slots.
    TooLong,
}

impl fmt::Display for CfgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CfgError::Empty => f.write_str("a program has at least one instruction"),
            CfgError::Undefined(error) => error.fmt(f),
            CfgError::OutOfProgram { from, to } => write!(f, "slot {from}: goes to slot {to}, outside the program"),
            CfgError::InsideInstruction { from, to } => {
                write!(f, "slot {from}: goes to slot {to}, the middle of an ld_imm64")
            }
            CfgError::OutOfSubprog { from, to } => {
                write!(f, "slot {from}: goes on to slot {to}, outside its subprogram; expected exit or a jump inside")
            }
            CfgError::TooLong => f.write_str("a program of more than 2147483647 slots"),
        }
    }
}

impl std::error::Error for CfgError {}

type Decode = fn(&[Insn], usize) -> Result<Inst, DecodeError>;

impl Cfg {
    /// The graph of a program. Subprograms begin at slot 0 and wherever a call or a function address goes.
    ///
    /// # Errors
    /// An undefined instruction, a target outside, control that runs out of its subprogram.
    pub fn new(insns: &[Insn]) -> Result<Cfg, CfgError> {
        build(insns, &[], decode)
    }

    /// The graph of lowered code, where hidden registers stand and functions are known by their first slots.
    ///
    /// # Errors
    /// As [`Cfg::new`].
    pub fn of_lowered(insns: &[Insn], funcs: &[u32]) -> Result<Cfg, CfgError> {
        build(insns, funcs, decode_lowered)
    }

    /// The block that slot `at` is in.
    #[must_use]
    pub fn block_at(&self, at: u32) -> Option<u32> {
        let after = self.blocks.partition_point(|block| block.slots.start <= at);
        let index = after.checked_sub(1)?;
        self.blocks[index].slots.contains(&at).then_some(index as u32)
    }

    /// The edges that leave a block: the next instruction's first, then the jump's.
    ///
    /// # Panics
    /// If there is no such block.
    #[must_use]
    pub fn outgoing(&self, block: u32) -> &[Edge] {
        let Range { start, end } = self.blocks[block as usize].outgoing.clone();
        &self.edges[start as usize..end as usize]
    }

    /// The edges that enter a block.
    ///
    /// # Panics
    /// If there is no such block.
    pub fn incoming(&self, block: u32) -> impl Iterator<Item = &Edge> {
        let Range { start, end } = self.blocks[block as usize].incoming.clone();
        self.incoming[start as usize..end as usize].iter().map(|&edge| &self.edges[edge as usize])
    }

    /// Whether a block is in a loop, or in one inside it.
    ///
    /// # Panics
    /// If there is no such block.
    #[must_use]
    pub fn is_in_loop(&self, block: u32, which: u32) -> bool {
        let mut inner = self.blocks[block as usize].in_loop;
        while let Some(index) = inner {
            if index == which {
                return true;
            }
            inner = self.loops[index as usize].parent;
        }
        false
    }
}

/// What is known of a slot after the first pass.
const INSTRUCTION: u8 = 1;
const LEADER: u8 = 2;
const SUBPROG: u8 = 4;

fn build(insns: &[Insn], funcs: &[u32], decode: Decode) -> Result<Cfg, CfgError> {
    if insns.is_empty() {
        return Err(CfgError::Empty);
    }
    if i32::try_from(insns.len()).is_err() {
        return Err(CfgError::TooLong);
    }
    let marks = mark(insns, funcs, decode)?;
    let mut cfg = blocks(insns, &marks, decode)?;
    edges(&mut cfg, insns, &marks, decode)?;
    loops::find(&mut cfg);
    Ok(cfg)
}

/// Marks where instructions, blocks and subprograms begin.
fn mark(insns: &[Insn], funcs: &[u32], decode: Decode) -> Result<Vec<u8>, CfgError> {
    let mut marks = vec![0u8; insns.len()];
    marks[0] = LEADER | SUBPROG;
    for &func in funcs {
        let mark = marks.get_mut(func as usize).ok_or(CfgError::OutOfProgram { from: func, to: func.into() })?;
        *mark |= LEADER | SUBPROG;
    }
    let mut at = 0;
    while at < insns.len() {
        let inst = decode(insns, at).map_err(CfgError::Undefined)?;
        marks[at] |= INSTRUCTION;
        let next = at + inst.slots();
        if let Some((rel, kind)) = refers_to(&inst) {
            let to = at as i64 + 1 + i64::from(rel);
            let mark = usize::try_from(to).ok().and_then(|to| marks.get_mut(to));
            *mark.ok_or(CfgError::OutOfProgram { from: at as u32, to })? |= kind;
        }
        if end_of(&inst) != End::FallThrough
            && let Some(mark) = marks.get_mut(next)
        {
            *mark |= LEADER;
        }
        at = next;
    }
    Ok(marks)
}

/// The distance to what an instruction jumps to, calls or takes the address of; and what begins there.
fn refers_to(inst: &Inst) -> Option<(i32, u8)> {
    match *inst {
        Inst::CallLocal { rel } | Inst::FuncAddr { rel, .. } => Some((rel, LEADER | SUBPROG)),
        _ => jump_of(inst).map(|rel| (rel, LEADER)),
    }
}

fn jump_of(inst: &Inst) -> Option<i32> {
    match *inst {
        Inst::Ja { off, .. } => Some(off),
        Inst::Jmp { off, .. } | Inst::MayGoto { off } => Some(off.into()),
        _ => None,
    }
}

fn end_of(inst: &Inst) -> End {
    match inst {
        Inst::Ja { .. } => End::Jump,
        Inst::Jmp { .. } | Inst::MayGoto { .. } => End::Branch,
        Inst::GotoX { .. } => End::Indirect,
        Inst::Exit => End::Exit,
        _ => End::FallThrough,
    }
}

fn blocks(insns: &[Insn], marks: &[u8], decode: Decode) -> Result<Cfg, CfgError> {
    let mut cfg =
        Cfg { subprogs: Vec::new(), blocks: Vec::new(), edges: Vec::new(), loops: Vec::new(), incoming: Vec::new() };
    let mut at = 0;
    while at < insns.len() {
        let start = at;
        if marks[start] & SUBPROG != 0 {
            let block = cfg.blocks.len() as u32;
            cfg.subprogs.push(Subprog { slots: start as u32..start as u32, blocks: block..block });
        }
        let (mut last, mut end) = (at, End::FallThrough);
        while at < insns.len() && (at == start || marks[at] & LEADER == 0) {
            let inst = decode(insns, at).map_err(CfgError::Undefined)?;
            (last, end) = (at, end_of(&inst));
            at += inst.slots();
        }
        cfg.blocks.push(Block {
            slots: start as u32..at as u32,
            last: last as u32,
            subprog: cfg.subprogs.len() as u32 - 1,
            end,
            reachable: false,
            in_loop: None,
            outgoing: 0..0,
            incoming: 0..0,
        });
        if let Some(subprog) = cfg.subprogs.last_mut() {
            subprog.slots.end = at as u32;
            subprog.blocks.end = cfg.blocks.len() as u32;
        }
    }
    Ok(cfg)
}

fn edges(cfg: &mut Cfg, insns: &[Insn], marks: &[u8], decode: Decode) -> Result<(), CfgError> {
    // Targets of calls and function addresses are looked at too, wherever they stand.
    let mut at = 0;
    while at < insns.len() {
        let inst = decode(insns, at).map_err(CfgError::Undefined)?;
        if let Some((rel, _)) = refers_to(&inst) {
            let to = (at as i64 + 1 + i64::from(rel)) as u32;
            if marks[to as usize] & INSTRUCTION == 0 {
                return Err(CfgError::InsideInstruction { from: at as u32, to });
            }
        }
        at += inst.slots();
    }
    for index in 0..cfg.blocks.len() {
        let Block { slots, last, subprog, end, .. } = cfg.blocks[index].clone();
        let first = cfg.edges.len() as u32;
        let from = index as u32;
        let inside = cfg.subprogs[subprog as usize].slots.clone();
        if matches!(end, End::FallThrough | End::Branch) {
            if slots.end >= inside.end {
                return Err(CfgError::OutOfSubprog { from: last, to: slots.end });
            }
            cfg.edges.push(Edge { from, to: from + 1, taken: false, back: false });
        }
        let inst = decode(insns, last as usize).map_err(CfgError::Undefined)?;
        if let Some(rel) = jump_of(&inst) {
            let to = (i64::from(last) + 1 + i64::from(rel)) as u32;
            let Some(block) = cfg.block_at(to).filter(|_| inside.contains(&to)) else {
                return Err(CfgError::OutOfSubprog { from: last, to });
            };
            cfg.edges.push(Edge { from, to: block, taken: true, back: false });
        }
        cfg.blocks[index].outgoing = first..cfg.edges.len() as u32;
    }
    let mut order: Vec<u32> = (0..cfg.edges.len() as u32).collect();
    order.sort_by_key(|&edge| cfg.edges[edge as usize].to);
    let mut at = 0;
    for (index, block) in cfg.blocks.iter_mut().enumerate() {
        let start = at;
        while order.get(at).is_some_and(|&edge| cfg.edges[edge as usize].to == index as u32) {
            at += 1;
        }
        block.incoming = start as u32..at as u32;
    }
    cfg.incoming = order;
    Ok(())
}

#[cfg(test)]
mod tests;
