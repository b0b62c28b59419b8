//! Where a value came from: the steps of the path are undone one by one, from the register that was rejected to the
//! instruction that made the value.

use super::Story;
use crate::state::{Byte, Kind, Reg, State, Type};
use alveary_abi::HelperId;
use alveary_isa::{AluOp, AtomicOp, Inst, Operand, Wide};

/// A place that holds a value: in frame `.0`, register or slot `.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Reg(usize, u8),
    Slot(usize, usize),
}

/// What happened to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Copied from a register.
    Copied,
    /// Copied in part: a 32-bit move, a sign extension.
    Narrowed,
    /// Stored to the stack.
    Spilled,
    /// Loaded from the stack.
    Filled,
    /// Handed to a function.
    Passed,
    /// Returned by a function.
    Returned,
    /// Changed by an operation, `None`: negated or swapped.
    Computed(Option<AluOp>),
    /// A jump taught something of it.
    Learnt,
    /// A call, whose result it is not, changed it.
    Changed,
    // Where values begin.
    /// A constant.
    Constant,
    /// Loaded from memory through register `.0`.
    Loaded(u8),
    /// Given by a helper or a global function.
    Result,
    /// Not kept by a call.
    Lost,
    /// Bytes written to the stack that are no register's.
    Stored,
    /// There at the start of the program, of a function, of a callback.
    Entered,
}

impl How {
    /// Nothing that was before matters.
    pub(super) fn begins(self) -> bool {
        matches!(self, How::Constant | How::Loaded(_) | How::Result | How::Lost | How::Stored | How::Entered)
    }
}

/// Something that happened to a value at a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// The step whose instruction did it.
    pub(super) step: usize,
    pub(super) how: How,
    /// Where the value was after it, and before.
    pub(super) after: Cell,
    pub(super) before: Cell,
}

/// What happened to the value that `cell` holds before step `until`, newest first. The last event is where it began, if
/// that was recorded.
pub(super) fn history(story: &Story<'_>, cell: Cell, until: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let mut cell = cell;
    for step in (0..until).rev() {
        let Some((how, before)) = undo(story, step, cell) else { continue };
        events.push(Event { step, how, after: cell, before });
        cell = before;
        if how.begins() {
            return events;
        }
    }
    if !story.cut {
        events.push(Event { step: 0, how: How::Entered, after: cell, before: cell });
    }
    events
}

/// What a cell holds.
pub(super) fn read(state: &State, cell: Cell) -> Option<Reg> {
    match cell {
        Cell::Reg(frame, n) if frame <= state.depth => state.frame(frame).regs.get(n as usize).copied(),
        Cell::Slot(frame, n) if frame <= state.depth => {
            state.frame(frame).stack.get(n).filter(|slot| slot.is_spill()).map(|slot| slot.reg)
        }
        _ => None,
    }
}

/// What a step did to a cell, and where the value was before; `None`: nothing.
fn undo(story: &Story<'_>, step: usize, cell: Cell) -> Option<(How, Cell)> {
    let inst = story.inst(step)?;
    let before = story.state(step);
    let after = story.state(step + 1);
    let depth = before.depth;
    let here = |n: u8| Cell::Reg(depth, n);
    let differs = || {
        let (was, is) = (read(before, cell), read(after, cell));
        match (was, is) {
            (Some(was), Some(is)) => !was.same_content(&is),
            (was, is) => was.is_some() != is.is_some(),
        }
    };
    match inst {
        // A path that goes on from the same instruction with one value picked: it was not yet executed.
        Inst::Alu { op: AluOp::And | AluOp::Or, .. } if story.moments[step + 1].insn == story.moments[step].insn => {
            None
        }
        Inst::Alu { wide, op: AluOp::Mov, dst, src } if cell == here(dst.0) => Some(match src {
            Operand::Imm(_) => (How::Constant, cell),
            Operand::Reg(src) if wide == Wide::W64 => (How::Copied, here(src.0)),
            Operand::Reg(src) => (How::Narrowed, here(src.0)),
        }),
        Inst::Alu { op, dst, src, .. } if cell == here(dst.0) => {
            let pointer = match src {
                Operand::Reg(src) if before.reg(dst.0).is_scalar() && !before.reg(src.0).is_scalar() => here(src.0),
                _ => cell,
            };
            Some((How::Computed(Some(op)), pointer))
        }
        Inst::Neg { dst, .. } | Inst::Swap { dst, .. } if cell == here(dst.0) => Some((How::Computed(None), cell)),
        Inst::MovSx { dst, src, .. } if cell == here(dst.0) => Some((How::Narrowed, here(src.0))),
        Inst::LoadImm64 { dst, .. }
        | Inst::MapIdx { dst, .. }
        | Inst::MapValueIdx { dst, .. }
        | Inst::FuncAddr { dst, .. }
            if cell == here(dst.0) =>
        {
            Some((How::Constant, cell))
        }
        Inst::Load { width, dst, src, off, .. } | Inst::LoadAcquire { width, dst, src, off } if cell == here(dst.0) => {
            let slot = slot_of(before.reg(src.0), off.into());
            let spilled = slot.filter(|slot| fills(before, *slot, off.into(), width.bytes()));
            Some(spilled.map_or((How::Loaded(src.0), cell), |slot| (How::Filled, slot)))
        }
        Inst::Atomic { op, src, dst, .. } => {
            let loaded = match op {
                AtomicOp::Cmpxchg => Some(0),
                AtomicOp::Xchg
                | AtomicOp::Add { fetch: true }
                | AtomicOp::Or { fetch: true }
                | AtomicOp::And { fetch: true }
                | AtomicOp::Xor { fetch: true } => Some(src.0),
                _ => None,
            };
            if loaded.is_some_and(|n| cell == here(n)) {
                return Some((How::Loaded(dst.0), cell));
            }
            (matches!(cell, Cell::Slot(..)) && differs()).then_some((How::Stored, cell))
        }
        Inst::Store { dst, off, src, .. } => undo_store(before, after, cell, before.reg(dst.0), off.into(), src, depth),
        Inst::StoreRelease { dst, off, src, .. } => {
            undo_store(before, after, cell, before.reg(dst.0), off.into(), Operand::Reg(src), depth)
        }
        Inst::Jmp { .. } | Inst::MayGoto { .. } => differs().then_some((How::Learnt, cell)),
        Inst::CallLocal { .. } | Inst::CallHelper { .. } | Inst::LoadAbs { .. } | Inst::LoadInd { .. } => {
            undo_call(story, inst, before, after, cell, differs())
        }
        Inst::Exit if after.depth < depth && cell == Cell::Reg(after.depth, 0) => {
            (!before.top().in_callback).then_some((How::Returned, here(0)))
        }
        _ => None,
    }
}

/// Whether a load of so many bytes gives back what was spilled to a slot.
fn fills(state: &State, slot: Cell, off: i64, size: usize) -> bool {
    let (Cell::Slot(frame, n), Some(reg)) = (slot, read(state, slot)) else { return false };
    let spilled = state.frame(frame).stack[n].bytes.iter().filter(|byte| **byte == Byte::Spill).count();
    if reg.is_scalar() { size <= spilled && off % 8 == 0 } else { size == 8 && spilled == 8 }
}

fn undo_store(
    before: &State,
    after: &State,
    cell: Cell,
    base: &Reg,
    off: i64,
    src: Operand,
    depth: usize,
) -> Option<(How, Cell)> {
    let Cell::Slot(frame, n) = cell else { return None };
    if slot_of(base, off) == Some(cell) {
        let whole = read(after, cell).is_some();
        return Some(match src {
            Operand::Reg(src) if whole => (How::Spilled, Cell::Reg(depth, src.0)),
            Operand::Imm(_) if whole => (How::Constant, cell),
            _ => (How::Stored, cell),
        });
    }
    let bytes = |state: &State| state.frame(frame).stack.get(n).map(|slot| slot.bytes);
    let touched = frame <= before.depth && frame <= after.depth && bytes(before) != bytes(after);
    touched.then_some((How::Stored, cell))
}

fn undo_call(
    story: &Story<'_>,
    inst: Inst,
    before: &State,
    after: &State,
    cell: Cell,
    differs: bool,
) -> Option<(How, Cell)> {
    let depth = before.depth;
    if after.depth > depth {
        return match cell {
            Cell::Reg(frame, n) if frame == after.depth => {
                let passed = matches!(inst, Inst::CallLocal { .. }) && (1..6).contains(&n);
                Some(if passed { (How::Passed, Cell::Reg(depth, n)) } else { (How::Entered, cell) })
            }
            Cell::Slot(frame, _) if frame == after.depth => Some((How::Entered, cell)),
            Cell::Reg(frame, n) if frame == depth && n < 6 => differs.then_some((How::Lost, cell)),
            _ => None,
        };
    }
    // A tail call that fails to return, or a packet load behind the end, leaves its function.
    if after.depth < depth {
        return match cell {
            Cell::Reg(frame, 0) if frame == after.depth => Some((How::Result, cell)),
            Cell::Reg(frame, _) | Cell::Slot(frame, _) if frame <= after.depth && differs => Some((How::Changed, cell)),
            _ => None,
        };
    }
    match cell {
        Cell::Reg(frame, 0) if frame == depth => Some((How::Result, cell)),
        Cell::Reg(frame, 1..6) if frame == depth => Some((How::Lost, cell)),
        // A callback's end, come back to: the call is made again.
        _ if story.program().aux[before.insn as usize].calls_back && !differs => None,
        Cell::Slot(..) if differs && read(after, cell).is_none() => Some((How::Stored, cell)),
        _ => differs.then_some((How::Changed, cell)),
    }
}

/// The slot that an access through a register is to, if it is to one.
pub(super) fn slot_of(base: &Reg, off: i64) -> Option<Cell> {
    let value = base.val.value().filter(|_| base.ty == Type::of(Kind::Stack))? as i64;
    let at = i64::from(base.off) + value + off;
    let slot = usize::try_from((-at - 1).checked_div(8)?).ok()?;
    (at < 0).then_some(Cell::Slot(base.frame as usize, slot))
}

/// Whether a helper is called that may move the packet.
pub(super) fn moves_packet(story: &Story<'_>, insn: u32) -> bool {
    match story.program().inst(insn) {
        Some(Inst::CallHelper { .. }) => story.helper_at(insn).is_some_and(|(row, _)| {
            row.protos.iter().any(|proto| proto.effects.changes_packet) || row.id == HelperId::TAIL_CALL
        }),
        Some(Inst::CallLocal { .. }) => {
            let start = story.program().callee(insn).and_then(|start| u32::try_from(start).ok());
            let subprog = start.and_then(|start| story.program().subprog_at(start));
            subprog.is_some_and(|n| story.program().subprogs[n as usize].changes_packet)
        }
        _ => false,
    }
}
