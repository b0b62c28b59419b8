//! What is known of a program before it is lifted: blocks in order, which arguments functions read, what they need.
//! Knows nothing of Cranelift.

use super::address::{Ahead, HELPERS, SERVICES, SYMBOLS, TABLES};
use super::budget::{self, Budget};
use super::frame::Frame;
use super::native::Service;
use super::pass::{Pass, Passes};
use crate::bad_code::{BadCode, BadCodeKind};
use crate::predecode::{Ops, bad, decode_all};
use crate::{Code, Known, Sym, memory};
use alveary_isa::cfg::{Cfg, End};
use alveary_isa::{AluOp, AtomicOp, Inst, Operand, Reg};
use std::collections::VecDeque;
use std::ops::Range;

/// What holds for each instruction of a program, beside what it does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules<'a> {
    /// Addresses are offsets in an arena ([`crate::arena`]): their bits that are looked at.
    pub(crate) arena: Option<u64>,
    /// What is made better, as far as lifting does it.
    pub(crate) passes: Passes,
    /// Loops and calls take fuel.
    pub(crate) fuel: bool,
    /// What the program's constants are mixed with: where it stands is in the code, not what it is.
    pub(crate) key: Option<&'a u64>,
    /// Addresses are written in when the code is linked: it may be linked again.
    pub(crate) kept: bool,
    /// The first function runs for one list of arguments after the other.
    pub(crate) many: bool,
    /// It is compiled ahead of time, of code that is proven.
    pub(crate) ahead: Option<Ahead<'a>>,
}

impl Rules<'_> {
    /// Whether functions get the environment, or what stands for it.
    pub(super) fn takes_environment(&self) -> bool {
        self.ahead.is_none_or(|ahead| !ahead.table.is_empty())
    }
}

/// A program.
pub(super) struct Plan<'a> {
    pub(super) rules: Rules<'a>,
    pub(super) code: &'a Code,
    pub(super) ops: &'a Ops,
    pub(super) insts: Vec<Option<Inst>>,
    pub(super) cfg: Cfg,
    pub(super) functions: Vec<Function>,
}

/// A function.
pub(super) struct Function {
    /// Its first slot.
    pub(super) start: u32,
    /// Blocks that can be reached, each before those that only it leads to.
    pub(super) blocks: Vec<u32>,
    /// How many of r1–r5 it reads, counted from the first.
    pub(super) args: u8,
    /// Whether it takes a frame into use: where something may ask how many are, or look into its own.
    pub(super) counted: bool,
    /// Whether it may stop instead of returning.
    pub(super) stops: bool,
    /// Whether it stops for lack of fuel alone.
    pub(super) only_pays: bool,
    pub(super) frame: Frame,
}

impl<'a> Plan<'a> {
    pub(super) fn new(code: &'a Code, ops: &'a Ops, rules: Rules<'a>) -> Result<Plan<'a>, BadCode> {
        let insts = decode_all(code)?;
        let starts: Vec<u32> = code.funcs.iter().map(|func| func.start).collect();
        let no_graph = |_| bad(code, 0, BadCodeKind::Unsupported("a graph of so many instructions"));
        let cfg = Cfg::of_lowered(&code.insns, &starts).map_err(no_graph)?;
        let mut plan = Plan { rules, code, ops, insts, cfg, functions: Vec::new() };
        // Whether functions are entered by others than those that call them, who pay for straight ones.
        let by_register = |inst: &Inst| matches!(inst, Inst::FuncAddr { .. } | Inst::CallX { .. });
        let others_enter = plan.insts.iter().flatten().any(by_register)
            || code.syms.iter().any(|(_, sym)| matches!(sym, Sym::Func(_)));
        for (number, &start) in starts.iter().enumerate() {
            let blocks = plan.order(number);
            let frame = Frame::of(&plan, &blocks, code.funcs[number].stack);
            // Nobody has looked how deep the calls of an arena's program nest.
            let calls = |inst: &Inst| rules.arena.is_some() && matches!(inst, Inst::CallLocal { .. });
            let own = |inst: &Inst| matches!(inst, Inst::CallHelper { .. } | Inst::CallX { .. }) || calls(inst);
            let here = rules.ahead.is_none();
            let counted = here && (frame.is_shared() || plan.insts_of(&blocks).any(|(_, inst)| own(&inst)));
            let traps = counted || here && plan.insts_of(&blocks).any(|(_, inst)| is_atomic(&inst));
            let pays = rules.fuel && (number == 0 || others_enter || plan.takes_fuel(&blocks));
            let (stops, only_pays) = (traps || pays, !traps);
            plan.functions.push(Function { start, blocks, args: 0, counted, stops, only_pays, frame });
        }
        // In an arena, what calls others is counted.
        if rules.ahead.is_none() && rules.arena.is_none() {
            plan.count_those_that_recurse();
        }
        plan.spread();
        plan.find_arguments();
        Ok(plan)
    }

    /// Whether a function of these blocks is not one straight piece that calls nobody, for which its callers pay.
    fn takes_fuel(&self, blocks: &[u32]) -> bool {
        let calls = |inst: &Inst| matches!(inst, Inst::CallLocal { .. } | Inst::CallX { .. } | Inst::CallHelper { .. });
        blocks.len() > 1
            || blocks.iter().any(|&block| self.successors(block).next().is_some())
            || self.insts_of(blocks).any(|(_, inst)| calls(&inst))
    }

    /// How many instructions an instruction stands for, those aside that take fuel themselves.
    pub(super) fn weight(&self, slot: u32, inst: &Inst) -> u32 {
        let Inst::CallLocal { rel } = inst else { return 1 };
        let callee = &self.functions[self.callee(slot, *rel)];
        if callee.stops { 1 } else { 1 + self.insts_of(&callee.blocks).count() as u32 }
    }

    /// Whether an instruction is a call that may not come back. Lookups, and what is done in place of helpers, do.
    pub(super) fn may_leave(&self, slot: u32, inst: &Inst) -> bool {
        match inst {
            Inst::CallHelper { .. } => {
                let Code { lookups, bodies, .. } = self.code;
                lookups.binary_search_by_key(&slot, |lookup| lookup.slot).is_err()
                    && bodies.binary_search_by_key(&slot, |(slot, _)| *slot).is_err()
            }
            Inst::CallLocal { rel } => self.functions[self.callee(slot, *rel)].counted,
            Inst::CallX { .. } => true,
            _ => false,
        }
    }

    /// The first slots of functions.
    pub(super) fn starts(&self) -> Vec<u32> {
        self.functions.iter().map(|function| function.start).collect()
    }

    /// What a name in compiled code stands for.
    pub(super) fn address(&self, (space, index): (u32, u32)) -> Option<u64> {
        let at = index as usize;
        match space {
            SYMBOLS => Some(self.ops.ops[self.code.syms.get(at)?.0 as usize].imm),
            HELPERS => Some(self.ops.helpers.get(at)?.body as usize as u64),
            SERVICES => Some(Service::numbered(index)?.address()),
            TABLES => self.ops.tables.get(at).copied(),
            _ => None,
        }
    }

    /// What is known of a slot. Of numbers that is pass `facts`: sound because what is proven of each instruction holds
    /// whenever it has run ([`crate::Image::trusted`] asks for that).
    pub(super) fn known(&self, slot: u32) -> Known {
        let known = self.code.known.get(slot as usize).copied().unwrap_or_default();
        if self.rules.passes.has(Pass::Facts) { known } else { Known { memory: known.memory, ..Known::NOTHING } }
    }

    /// The instructions of a block, by slot.
    pub(super) fn insts_of_block(&self, block: u32) -> impl DoubleEndedIterator<Item = (u32, Inst)> {
        self.insts_at(self.cfg.blocks[block as usize].slots.clone())
    }

    /// Instructions by slot.
    pub(super) fn insts_at(&self, slots: Range<u32>) -> impl DoubleEndedIterator<Item = (u32, Inst)> {
        budget::count(slots.len() + 1);
        slots.filter_map(|slot| self.insts[slot as usize].map(|inst| (slot, inst)))
    }

    fn insts_of(&self, blocks: &[u32]) -> impl Iterator<Item = (u32, Inst)> {
        blocks.iter().flat_map(|&block| self.insts_of_block(block))
    }

    /// Where control is that comes to a block: blocks that only jump are stepped over.
    pub(super) fn threaded(&self, mut block: u32) -> u32 {
        for _ in 0..8 {
            let at = &self.cfg.blocks[block as usize];
            match self.cfg.outgoing(block) {
                [edge] if at.end == End::Jump && at.slots.start == at.last && edge.to != block => block = edge.to,
                _ => break,
            }
        }
        block
    }

    /// The blocks that follow, the next one before the one that is jumped to.
    pub(super) fn successors(&self, block: u32) -> impl Iterator<Item = u32> {
        self.cfg.outgoing(block).iter().map(|edge| self.threaded(edge.to))
    }

    /// The function that begins `rel` slots behind `slot`.
    pub(super) fn callee(&self, slot: u32, rel: i32) -> usize {
        let target = (i64::from(slot) + 1 + i64::from(rel)) as u32;
        // `predecode` refuses calls of anything else.
        self.code.funcs.partition_point(|func| func.start < target)
    }

    /// Reverse postorder.
    fn order(&self, function: usize) -> Vec<u32> {
        let range = self.cfg.subprogs[function].blocks.clone();
        let mut seen = vec![false; range.len()];
        let mut order = Vec::new();
        let mut stack = vec![(range.start, 0)];
        seen[0] = true;
        while let Some((block, next)) = stack.last_mut() {
            match self.successors(*block).nth(*next) {
                Some(to) => {
                    *next += 1;
                    let seen = &mut seen[(to - range.start) as usize];
                    if !std::mem::replace(seen, true) {
                        stack.push((to, 0));
                    }
                }
                None => {
                    order.push(*block);
                    stack.pop();
                }
            }
        }
        order.reverse();
        order
    }

    fn callees(&self, function: usize) -> Vec<usize> {
        let calls = self.insts_of(&self.functions[function].blocks).filter_map(|(slot, inst)| match inst {
            Inst::CallLocal { rel } => Some(self.callee(slot, rel)),
            _ => None,
        });
        calls.collect()
    }

    /// Recursion comes to an end by the number of frames.
    fn count_those_that_recurse(&mut self) {
        let callees: Vec<Vec<usize>> = (0..self.functions.len()).map(|function| self.callees(function)).collect();
        for function in 0..self.functions.len() {
            let (mut seen, mut todo) = (vec![false; callees.len()], callees[function].clone());
            while let Some(callee) = todo.pop() {
                if !std::mem::replace(&mut seen[callee], true) {
                    todo.extend(&callees[callee]);
                }
            }
            if seen[function] {
                self.functions[function].counted = true;
                self.functions[function].stops = true;
            }
        }
    }

    /// What calls a function that is counted or may stop, is or may itself.
    fn spread(&mut self) {
        self.settle(|plan, function, callees| {
            let counted = callees.iter().any(|&callee| plan.functions[callee].counted);
            let stops = counted || callees.iter().any(|&callee| plan.functions[callee].stops);
            let function = &mut plan.functions[function];
            let changed = counted && !function.counted || stops && !function.stops;
            function.counted |= counted;
            function.stops |= stops;
            changed
        });
    }

    /// Which arguments functions read: registers that are live at their starts.
    fn find_arguments(&mut self) {
        if !self.rules.passes.has(Pass::Args) {
            self.functions.iter_mut().for_each(|function| function.args = 5);
            return;
        }
        let mut budget = Budget::of(self.insts.len());
        self.settle(|plan, function, _| {
            let live = plan.live_at_start(function, &mut budget) >> 1 & 0b1_1111;
            let args = (u16::BITS - live.leading_zeros()) as u8;
            let changed = args != plan.functions[function].args;
            plan.functions[function].args = args;
            changed
        });
    }

    /// Finds out something of each function that depends on those that it calls: `change` says whether what was known of it
    /// has changed, and is asked again when one of them has.
    fn settle(&mut self, mut change: impl FnMut(&mut Self, usize, &[usize]) -> bool) {
        let callees: Vec<Vec<usize>> = (0..self.functions.len()).map(|function| self.callees(function)).collect();
        let mut callers = vec![Vec::new(); callees.len()];
        for (function, callees) in callees.iter().enumerate() {
            callees.iter().for_each(|&callee| callers[callee].push(function));
        }
        let mut todo = VecDeque::from(callees_first(&callees));
        let mut waits = vec![true; callees.len()];
        while let Some(function) = todo.pop_front() {
            waits[function] = false;
            if change(self, function, &callees[function]) {
                callers[function].dedup();
                for &caller in &callers[function] {
                    if !std::mem::replace(&mut waits[caller], true) {
                        todo.push_back(caller);
                    }
                }
            }
        }
    }

    /// All registers, if finding them takes too long.
    fn live_at_start(&self, function: usize, budget: &mut Budget) -> u16 {
        let blocks = &self.functions[function].blocks;
        let first = self.cfg.subprogs[function].blocks.start;
        let mut live = vec![0_u16; self.cfg.subprogs[function].blocks.len()];
        let mut changed = true;
        while changed {
            changed = false;
            for &block in blocks.iter().rev() {
                if !budget.take(1 + self.cfg.blocks[block as usize].slots.len()) {
                    return u16::MAX;
                }
                let mut now = self.successors(block).fold(0, |live_out, to| live_out | live[(to - first) as usize]);
                for (slot, inst) in self.insts_of_block(block).rev() {
                    let (reads, writes) = self.registers(slot, &inst);
                    now = now & !writes | reads;
                }
                let before = &mut live[(block - first) as usize];
                changed |= *before != now;
                *before = now;
            }
        }
        live[0]
    }

    /// The registers that an instruction reads, and those that it writes, as bits.
    pub(super) fn registers(&self, slot: u32, inst: &Inst) -> (u16, u16) {
        let bit = |reg: Reg| 1_u16 << reg.0;
        let operand = |src: Operand| if let Operand::Reg(reg) = src { bit(reg) } else { 0 };
        let args = |count: u8| (1 << (count.min(5) + 1)) - 2;
        match *inst {
            Inst::Alu { op: AluOp::Mov, dst, src, .. } => (operand(src), bit(dst)),
            Inst::Alu { dst, src, .. } => (operand(src) | bit(dst), bit(dst)),
            Inst::Neg { dst, .. } | Inst::Swap { dst, .. } => (bit(dst), bit(dst)),
            Inst::MovSx { dst, src, .. }
            | Inst::Load { dst, src, .. }
            | Inst::LoadAcquire { dst, src, .. }
            | Inst::AddrSpaceCast { dst, src, .. } => (bit(src), bit(dst)),
            Inst::LoadImm64 { dst, .. }
            | Inst::MapFd { dst, .. }
            | Inst::MapValueFd { dst, .. }
            | Inst::VarAddr { dst, .. }
            | Inst::FuncAddr { dst, .. }
            | Inst::MapIdx { dst, .. }
            | Inst::MapValueIdx { dst, .. } => (0, bit(dst)),
            Inst::Store { dst, src, .. } => (operand(src) | bit(dst), 0),
            Inst::StoreRelease { dst, src, .. } => (bit(src) | bit(dst), 0),
            Inst::Atomic { op, dst, src, .. } => {
                let compared = if op == AtomicOp::Cmpxchg { bit(Reg::R0) } else { 0 };
                let written = match memory::result_of(op) {
                    memory::OldValue::Nowhere => 0,
                    memory::OldValue::Source => bit(src),
                    memory::OldValue::R0 => bit(Reg::R0),
                };
                (bit(dst) | bit(src) | compared, written)
            }
            Inst::Jmp { dst, src, .. } => (bit(dst) | operand(src), 0),
            Inst::CallHelper { id } => (args(self.code.calls[id as usize].args), bit(Reg::R0)),
            Inst::CallLocal { rel } => (args(self.functions[self.callee(slot, rel)].args), bit(Reg::R0)),
            Inst::CallX { dst, .. } => (args(5) | bit(dst), bit(Reg::R0)),
            Inst::Exit => (bit(Reg::R0), 0),
            Inst::Ja { .. }
            | Inst::MayGoto { .. }
            | Inst::GotoX { .. }
            | Inst::CallKfunc { .. }
            | Inst::LoadAbs { .. }
            | Inst::LoadInd { .. } => (0, 0),
        }
    }
}

/// All functions, each behind those that it calls, as far as they do not call each other.
fn callees_first(callees: &[Vec<usize>]) -> Vec<usize> {
    let mut seen = vec![false; callees.len()];
    let mut order = Vec::new();
    for root in 0..callees.len() {
        if std::mem::replace(&mut seen[root], true) {
            continue;
        }
        let mut stack = vec![(root, callees[root].iter())];
        while let Some((function, next)) = stack.last_mut() {
            match next.next() {
                Some(&callee) => {
                    if !std::mem::replace(&mut seen[callee], true) {
                        stack.push((callee, callees[callee].iter()));
                    }
                }
                None => {
                    order.push(*function);
                    stack.pop();
                }
            }
        }
    }
    order
}

fn is_atomic(inst: &Inst) -> bool {
    matches!(inst, Inst::Atomic { .. } | Inst::LoadAcquire { .. } | Inst::StoreRelease { .. })
}
