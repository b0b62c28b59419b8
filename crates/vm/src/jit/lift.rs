//! One function of eBPF as a function of Cranelift's IR: blocks, jumps, how it begins and ends. What instructions
//! compute is in `arith`, what they access in `memory`, what they call in `call`.
//!
//! Registers are variables, which become SSA values: nothing is read that the program does not read.

use super::affine::Sum;
use super::early::Waiting;
use super::forward::Written;
use super::frame::Frame;
use super::gather::Gathered;
use super::graph::{End, Graph, Guard, Runs, Test};
use super::loops::Loops;
use super::many::{self, Many};
use super::native::Service;
use super::pass::Pass;
use super::pass::narrow::{self, Widths};
use super::plan::{Plan, Rules};
use super::{arena, fuel, hoist, order, scale, select, unread};
use crate::Env;
use crate::stack::{FRAME, LOOPS, Stack};
use alveary_isa::{CmpOp, Inst, Operand, Reg, Wide, Width};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8X16, I32, I64};
use cranelift_codegen::ir::{
    AbiParam, Block, BlockCall, Function, InstBuilder, JumpTableData, MemFlagsData, Signature, SourceLoc, StackSlot,
    StackSlotData, StackSlotKind, UserFuncName, Value,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use std::collections::HashMap;
use std::mem::offset_of;
use std::ops::Range;

/// Lifts function `number` of a program, which passes made `graph` of.
pub(super) fn function(
    plan: &Plan<'_>,
    number: usize,
    graph: &Graph,
    isa: &dyn TargetIsa,
    context: &mut FunctionBuilderContext,
) -> Function {
    let signature = match plan.rules.many && number == 0 {
        true => many::signature(isa),
        false => signature(isa, plan.rules, plan.functions[number].args),
    };
    let mut function = Function::with_name_signature(UserFuncName::user(0, number as u32), signature);
    let mut lifter = Lifter::new(plan, number, graph, isa, FunctionBuilder::new(&mut function, context));
    lifter.begin();
    for at in 0..lifter.loops.order.len() {
        lifter.node(lifter.loops.order[at]);
    }
    let env = lifter.env;
    lifter.finish();
    let passes = plan.rules.passes;
    if passes.has(Pass::Gather) {
        unread::remove(&mut function);
    }
    if passes.has(Pass::Select) {
        select::select(&mut function);
    }
    if passes.has(Pass::Scale) {
        scale::scale(&mut function);
    }
    if passes.has(Pass::Order) {
        order::order(&mut function);
    }
    if passes.has(Pass::Hoist) && plan.rules.ahead.is_none() && plan.rules.key.is_none() {
        hoist::hoist(&mut function, env);
    }
    function
}

/// Of a function that takes the environment and `args` registers: it gives back r0, and whether it stopped, if it may.
pub(super) fn signature(isa: &dyn TargetIsa, rules: Rules<'_>, args: u8) -> Signature {
    let mut signature = Signature::new(isa.default_call_conv());
    signature.params = vec![AbiParam::new(I64); usize::from(rules.takes_environment()) + usize::from(args)];
    signature.returns = vec![AbiParam::new(I64); if rules.ahead.is_some() { 1 } else { 2 }];
    signature
}

/// Offsets from the environment.
const USED: i32 = (offset_of!(Env, stack) + Stack::USED) as i32;
const LIMIT: i32 = (offset_of!(Env, stack) + Stack::LIMIT) as i32;
const TOP: i32 = (offset_of!(Env, stack) + Stack::TOP) as i32;

/// The machine whose baseline has no vectors.
pub(super) const WITHOUT_VECTORS: &str = "riscv64";

/// Accesses that do not trap, at any alignment.
pub(super) const PLAIN: MemFlagsData = MemFlagsData::new().with_notrap();

/// The function in the making.
pub(super) struct Lifter<'a> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) isa: &'a dyn TargetIsa,
    pub(super) to: FunctionBuilder<'a>,
    pub(super) number: usize,
    /// The environment.
    pub(super) env: Value,
    /// r0–r5, r10–r12.
    registers: Vec<Variable>,
    /// Values that are another one and a constant.
    sums: HashMap<Value, (Value, i64)>,
    activations: Vec<Activation>,
    /// The one that the node belongs to which is lifted.
    pub(super) activation: usize,
    pub(super) slot: Option<StackSlot>,
    pub(super) gathered: Gathered,
    pub(super) written: Written,
    pub(super) waiting: Waiting,
    /// How often `may_goto` may still fall through.
    loops_left: Option<Variable>,
    pub(super) graph: &'a Graph,
    loops: Loops,
    /// What was loaded in front of loops, by slots.
    pub(super) loaded: HashMap<u32, Variable>,
    /// Sums of loops that run in lanes, by the slots that add to them.
    pub(super) summed: HashMap<u32, Variable>,
    /// What nodes became, and how many ways to them are still to come.
    nodes: Vec<(Block, usize)>,
    /// Where calls go on that found their callee stopped.
    stopped: Option<Block>,
    /// In a function that runs for one list of arguments after the other.
    pub(super) many: Option<Many>,
    /// Where the arena begins.
    pub(super) arena: Option<Value>,
    /// What is taken of the fuel, and where.
    pub(super) charges: fuel::Charges,
    /// How many bits registers can have: at this place, and where nodes begin.
    pub(super) widths: Widths,
    pub(super) places: narrow::Places,
    begin_widths: Vec<Widths>,
    /// The fuel, in functions that take some.
    pub(super) fuel: Option<Variable>,
}

/// What a function has of its own, also where it is part of another one.
struct Activation {
    /// r6–r9.
    registers: [Variable; 4],
    /// Stack words that are registers, by their numbers.
    words: Vec<Variable>,
}

impl<'a> Lifter<'a> {
    fn new(
        plan: &'a Plan<'a>,
        number: usize,
        graph: &'a Graph,
        isa: &'a dyn TargetIsa,
        mut to: FunctionBuilder<'a>,
    ) -> Lifter<'a> {
        let registers: Vec<Variable> = (0..=Reg::ENV.0).map(|_| to.declare_var(I64)).collect();
        let activations = graph.activations.iter().map(|&function| Activation {
            registers: std::array::from_fn(|_| to.declare_var(I64)),
            words: match &plan.functions[function].frame {
                Frame::Own { registers, .. } => registers.iter().map(|_| to.declare_var(I64)).collect(),
                Frame::Shared { .. } => Vec::new(),
            },
        });
        let activations = activations.collect();
        let loops = Loops::of(graph);
        // The function's start is a way to the first one.
        let ways = |node: usize| loops.before[node].len() + usize::from(node == 0);
        let mut nodes = vec![(Block::from_u32(0), 0); graph.nodes.len()];
        for &node in &loops.order {
            nodes[node] = (to.create_block(), ways(node));
            if graph.nodes[node].cold {
                to.set_cold_block(nodes[node].0);
            }
        }
        let fuel = (plan.rules.fuel && plan.functions[number].stops).then(|| to.declare_var(I64));
        let charges = if fuel.is_some() { fuel::charges(plan, graph, &loops) } else { fuel::Charges::default() };
        let (places, begin_widths) = match plan.rules.passes.has(Pass::Narrow) {
            true => narrow::find(plan, graph, &loops.order),
            false => Default::default(),
        };
        Lifter {
            plan,
            isa,
            to,
            number,
            env: Value::from_u32(0),
            registers,
            sums: HashMap::new(),
            activations,
            activation: 0,
            slot: None,
            gathered: Gathered::default(),
            written: Written::default(),
            waiting: Waiting::default(),
            loops_left: None,
            graph,
            loops,
            loaded: HashMap::new(),
            summed: HashMap::new(),
            nodes,
            stopped: None,
            many: None,
            arena: None,
            charges,
            widths: Widths::default(),
            places,
            begin_widths,
            fuel,
        }
    }

    /// The function's start: arguments, the frame.
    fn begin(&mut self) {
        let function = &self.plan.functions[self.number];
        let entry = self.to.create_block();
        self.to.append_block_params_for_function_params(entry);
        self.to.switch_to_block(entry);
        self.to.seal_block(entry);
        let mut params = self.to.block_params(entry).to_vec();
        if self.plan.rules.takes_environment() {
            self.env = params.remove(0);
            self.set(Reg::ENV, self.env);
        }
        if self.plan.rules.many && self.number == 0 {
            params = self.next_arguments(&params, function.args);
        }
        for (reg, &param) in (1..).zip(&params) {
            self.set(Reg(reg), param);
        }
        self.find_arena();
        self.load_fuel();
        if function.counted {
            self.count();
        }
        match &function.frame {
            Frame::Own { size, unwritten, .. } => {
                self.clear_words();
                if *size > 0 {
                    let end = self.native_frame(*size);
                    self.clear(end, unwritten);
                }
            }
            Frame::Shared { unwritten } if self.plan.rules.ahead.is_some() => {
                let end = self.native_frame(FRAME);
                self.set(Reg::FP, end);
                self.clear(end, unwritten);
            }
            Frame::Shared { unwritten } => {
                let end = self.get(Reg::FP);
                let end = self.host(end);
                self.clear(end, unwritten);
            }
        }
        let mut insts = function.blocks.iter().flat_map(|&block| self.plan.insts_of_block(block));
        if insts.any(|(_, inst)| matches!(inst, Inst::MayGoto { .. })) {
            let (loops, most) = (self.to.declare_var(I32), self.to.ins().iconst(I32, i64::from(LOOPS)));
            self.to.def_var(loops, most);
            self.loops_left = Some(loops);
        }
        self.to.ins().jump(self.nodes[0].0, &[]);
        self.arrive(0);
    }

    /// So many bytes of the native stack: where they end.
    fn native_frame(&mut self, bytes: usize) -> Value {
        let slot = self.to.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, bytes as u32, 3));
        self.slot = Some(slot);
        self.to.ins().stack_addr(I64, slot, bytes as i32)
    }

    /// Zeroes the stack words of an activation that are registers.
    fn clear_words(&mut self) {
        for word in 0..self.activations[self.activation].words.len() {
            let zero = self.number(0);
            self.to.def_var(self.word(word), zero);
        }
    }

    /// Takes a frame into use, or stops.
    fn count(&mut self) {
        let function = &self.plan.functions[self.number];
        let used = self.to.ins().load(I64, PLAIN, self.env, USED);
        let limit = self.to.ins().load(I64, PLAIN, self.env, LIMIT);
        let none = self.to.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, used, limit);
        let slot = self.number(i64::from(function.start));
        self.unless(none, |lifter| {
            let returned = lifter.ask(Service::TooDeep, &[slot]);
            lifter.to.ins().return_(&returned);
        });
        let more = self.to.ins().iadd_imm_s(used, 1);
        self.to.ins().store(PLAIN, more, self.env, USED);
        if function.frame.is_shared() {
            let top = if self.plan.rules.arena.is_some() { arena::FRAMES } else { TOP };
            let top = self.to.ins().load(I64, PLAIN, self.env, top);
            let frame = self.number(FRAME as i64);
            let below = self.to.ins().imul(used, frame);
            let end = self.to.ins().isub(top, below);
            self.set(Reg::FP, end);
        }
    }

    /// Zeroes words below `end`.
    fn clear(&mut self, end: Value, words: &[bool]) {
        let mut zero = None;
        for (pair, words) in words.chunks(2).enumerate() {
            let end_of_pair = -(16 * pair as i32);
            match words {
                [true, true] if self.isa.name() != WITHOUT_VECTORS => {
                    let zero = *zero.get_or_insert_with(|| {
                        let byte = self.to.ins().iconst(cranelift_codegen::ir::types::I8, 0);
                        self.to.ins().splat(I8X16, byte)
                    });
                    self.to.ins().store(PLAIN, zero, end, end_of_pair - 16);
                }
                _ => {
                    for (word, _) in words.iter().enumerate().filter(|(_, unwritten)| **unwritten) {
                        let zero = self.to.ins().iconst(I64, 0);
                        self.to.ins().store(PLAIN, zero, end, end_of_pair - 8 * (word as i32 + 1));
                    }
                }
            }
        }
    }

    fn node(&mut self, number: usize) {
        self.to.switch_to_block(self.nodes[number].0);
        let graph = self.graph;
        let node = &graph.nodes[number];
        self.activation = node.activation;
        self.widths = self.begin_widths.get_mut(number).map(std::mem::take).unwrap_or_default();
        self.gathered.forget();
        self.written.forget();
        self.waiting.forget();
        if node.begins {
            self.clear_words();
            self.widths.clear_words(&self.places, node.activation);
        }
        if let Some((reg, held)) = node.holds {
            let held = self.constant(held as i64);
            self.set(reg, held);
        }
        self.charge_node(number);
        match &node.runs {
            Runs::OneByOne => self.body(number, node.body.clone()),
            Runs::InFront(body, round) => self.in_front(body.clone(), round),
            Runs::AtOnce(round) => self.at_once(node.body.clone(), round),
            Runs::Behind(round) => self.behind(round),
            Runs::Rise(rises) => {
                for &(reg, by) in rises {
                    let value = self.get(reg);
                    let risen = self.sum(value, by);
                    self.set(reg, risen);
                }
            }
        }
        self.to.set_srcloc(SourceLoc::new(node.last));
        match &node.end {
            &End::Jump(to) => self.jump(number, to),
            &End::Branch { test, taken, next } => self.branch(number, test, taken, next),
            End::Switch { reg, narrow, ways, otherwise } => self.switch(*reg, *narrow, ways, *otherwise),
            End::Guard { guard, yes, no } => self.guard(number, guard, *yes, *no),
            End::Same { stretches, yes, no } => self.same(number, stretches, *yes, *no),
            &End::MayGoto { taken, next } => self.may_goto(number, taken, next),
            End::Return => {
                let (r0, no) = (self.get(Reg::R0), self.number(0));
                self.leave(&[r0, no]);
            }
        }
    }

    /// Lifts instructions of a node.
    fn body(&mut self, number: usize, body: Range<u32>) {
        let (plan, graph) = (self.plan, self.graph);
        let insts: Vec<(u32, Inst)> = plan.insts_at(body).collect();
        let mut rest = &insts[..];
        while let Some(&(slot, inst)) = rest.first() {
            self.to.set_srcloc(SourceLoc::new(slot));
            let count = self.fill(rest).unwrap_or_else(|| {
                self.inst(slot, inst);
                self.charge_behind(number, slot);
                1
            });
            let (done, left) = rest.split_at(count);
            for &(slot, inst) in done {
                self.widths.step(plan, graph, &self.places, graph.nodes[number].activation, slot, inst);
                self.forget(slot, inst);
                self.wrote(slot, inst);
            }
            rest = left;
        }
    }

    fn finish(mut self) {
        if let Some(stopped) = self.stopped {
            self.to.switch_to_block(stopped);
            self.to.seal_block(stopped);
            self.to.set_srcloc(SourceLoc::default());
            let (nothing, yes) = (self.number(0), self.number(1));
            self.to.ins().return_(&[nothing, yes]);
        }
        self.go_round();
        self.to.finalize(self.isa.frontend_config());
    }

    /// Lifts one instruction that the next one follows.
    pub(super) fn inst(&mut self, slot: u32, inst: Inst) {
        match inst {
            Inst::CallHelper { id } => match self.known_lookup(slot).map(|(lookup, base)| (*lookup, base)) {
                Some((lookup, base)) => self.look_up(lookup, base, |lifter| lifter.call_helper(slot, id as usize)),
                None => self.call_helper(slot, id as usize),
            },
            Inst::CallLocal { rel } => self.call_local(self.plan.callee(slot, rel)),
            Inst::CallX { dst, .. } => self.call_register(slot, dst),
            other => {
                if !self.access(slot, other) {
                    self.compute(slot, other);
                }
            }
        }
    }

    /// Returns from the function, which gives its frame back.
    pub(super) fn leave(&mut self, values: &[Value]) {
        if let Some(many) = &self.many {
            let next = many.next;
            self.to.ins().jump(next, &[values[0].into()]);
            return;
        }
        self.store_fuel();
        if self.plan.functions[self.number].counted {
            let used = self.to.ins().load(I64, PLAIN, self.env, USED);
            let fewer = self.to.ins().iadd_imm_s(used, -1);
            self.to.ins().store(PLAIN, fewer, self.env, USED);
        }
        let given = if self.plan.rules.ahead.is_some() { &values[..1] } else { values };
        self.to.ins().return_(given);
    }

    /// The block that stops because a callee did.
    pub(super) fn stopped(&mut self) -> Block {
        *self.stopped.get_or_insert_with(|| {
            let block = self.to.create_block();
            self.to.set_cold_block(block);
            block
        })
    }

    /// Does something rare if `condition` holds, which ends the function, and goes on otherwise.
    pub(super) fn unless(&mut self, condition: Value, rare: impl FnOnce(&mut Self)) {
        let (then, onward) = (self.to.create_block(), self.to.create_block());
        self.to.set_cold_block(then);
        self.to.ins().brif(condition, then, &[], onward, &[]);
        self.to.switch_to_block(then);
        self.to.seal_block(then);
        rare(self);
        self.to.switch_to_block(onward);
        self.to.seal_block(onward);
    }

    /// The only way on from a node.
    fn jump(&mut self, from: usize, to: usize) {
        let way = self.way(from, to);
        self.to.ins().jump(way, &[]);
        self.walk(way, to);
    }

    fn branch(&mut self, from: usize, test: Test, taken: usize, next: usize) {
        // What is compared with zero needs no comparison.
        let (condition, taken, next) = match test {
            Test { op: CmpOp::Eq, src: Operand::Imm(0), .. } => (self.get_as(test.wide, test.dst), next, taken),
            _ => (self.condition(test), taken, next),
        };
        let ways = [taken, next].map(|to| self.way(from, to));
        self.to.ins().brif(condition, ways[0], &[], ways[1], &[]);
        self.walk(ways[0], taken);
        self.walk(ways[1], next);
    }

    fn guard(&mut self, from: usize, guard: &Guard, yes: usize, no: usize) {
        let (first, end) = (self.sum_of(&guard.rises), self.sum_of(&guard.end));
        let last = self.sum(first, guard.more as i64);
        let wraps = self.to.ins().icmp(IntCC::UnsignedLessThan, last, first);
        let (ways, onward) = ([no, yes].map(|to| self.way(from, to)), self.to.create_block());
        self.to.ins().brif(wraps, ways[0], &[], onward, &[]);
        self.to.switch_to_block(onward);
        self.to.seal_block(onward);
        let code = if guard.strict { IntCC::UnsignedGreaterThanOrEqual } else { IntCC::UnsignedGreaterThan };
        let outside = self.to.ins().icmp(code, last, end);
        self.to.ins().brif(outside, ways[0], &[], ways[1], &[]);
        self.walk(ways[0], no);
        self.walk(ways[1], yes);
    }

    fn same(&mut self, from: usize, stretches: &[Sum; 2], yes: usize, no: usize) {
        let [one, other] = [0, 1].map(|at| {
            let place = self.sum_of(&stretches[at]);
            let (root, off) = self.parts(place);
            match i32::try_from(off) {
                Ok(off) => self.to.ins().load(I64, PLAIN, root, off),
                Err(_) => self.to.ins().load(I64, PLAIN, place, 0),
            }
        });
        let same = self.to.ins().icmp(IntCC::Equal, one, other);
        let ways = [yes, no].map(|to| self.way(from, to));
        self.to.ins().brif(same, ways[0], &[], ways[1], &[]);
        self.walk(ways[0], yes);
        self.walk(ways[1], no);
    }

    fn switch(&mut self, reg: Reg, narrow: bool, ways: &[usize], otherwise: usize) {
        let mut value = self.get(reg);
        if !narrow {
            let most = self.number(ways.len() as i64);
            value = self.to.ins().umin(value, most);
        }
        let index = self.to.ins().ireduce(I32, value);
        let blocks = ways.iter().chain([&otherwise]).map(|&to| self.nodes[to].0);
        let mut calls: Vec<BlockCall> =
            blocks.map(|block| BlockCall::new(block, [], &mut self.to.func.dfg.value_lists)).collect();
        let Some(last) = calls.pop() else { return };
        let table = self.to.create_jump_table(JumpTableData::new(last, &calls));
        self.to.ins().br_table(index, table);
        ways.iter().chain([&otherwise]).for_each(|&to| self.arrive(to));
    }

    /// Registers, added up.
    fn sum_of(&mut self, sum: &Sum) -> Value {
        let mut regs = sum.regs.iter();
        let mut value = match regs.next() {
            Some(&reg) => self.get(reg),
            None => return self.number(sum.off),
        };
        for &reg in regs {
            let other = self.get(reg);
            value = self.added(value, other);
        }
        self.sum(value, sum.off)
    }

    fn may_goto(&mut self, from: usize, taken: usize, next: usize) {
        let Some(loops) = self.loops_left else { return };
        let left = self.to.use_var(loops);
        let fewer = self.to.ins().iadd_imm_s(left, -1);
        let (onward, way) = (self.to.create_block(), self.way(from, taken));
        self.to.ins().brif(left, onward, &[], way, &[]);
        self.walk(way, taken);
        self.to.switch_to_block(onward);
        self.to.seal_block(onward);
        self.to.def_var(loops, fewer);
        self.to.ins().jump(self.nodes[next].0, &[]);
        self.arrive(next);
    }

    /// The block to jump to for going from one node to another: one in between for a way out of a loop, or of several to
    /// the function's end, so that what is moved about on this way alone is not on the one that goes on (pass `exits`:
    /// sound because such a block does nothing).
    fn way(&mut self, from: usize, to: usize) -> Block {
        let leaves = self.loops.leaves(from, to) || self.gives_up(from, to);
        if !leaves || !self.plan.rules.passes.has(Pass::Exits) {
            return self.nodes[to].0;
        }
        let between = self.to.create_block();
        let is_latch = self.loops.around(from).is_some_and(|around| around.latches.contains(&from));
        if !is_latch {
            self.to.set_cold_block(between);
        }
        between
    }

    /// Whether one of several ways to the function's end begins here, beside the one that goes on.
    fn gives_up(&self, from: usize, to: usize) -> bool {
        let ends = |node: usize| self.graph.nodes[node].end == End::Return;
        ends(to) && self.loops.before[to].len() > 1 && !self.graph.nodes[from].end.ways().all(ends)
    }

    /// Fills the block in between, if there is one.
    fn walk(&mut self, way: Block, to: usize) {
        let target = self.nodes[to].0;
        if way != target {
            self.to.switch_to_block(way);
            self.to.seal_block(way);
            self.to.ins().jump(target, &[]);
        }
        self.arrive(to);
    }

    /// One more way leads to a node; when all do, its values are known.
    fn arrive(&mut self, node: usize) {
        let (block, ways) = &mut self.nodes[node];
        *ways -= 1;
        if *ways == 0 {
            self.to.seal_block(*block);
        }
    }

    fn condition(&mut self, Test { wide, op, dst, src }: Test) -> Value {
        let left = self.get_as(wide, dst);
        let is_zero = src == Operand::Imm(0);
        let right = |lifter: &mut Self| lifter.operand(wide, src);
        let code = match op {
            CmpOp::Ne if is_zero => return left,
            CmpOp::Set => {
                let right = right(self);
                return self.to.ins().band(left, right);
            }
            CmpOp::Eq => IntCC::Equal,
            CmpOp::Ne => IntCC::NotEqual,
            CmpOp::Gt => IntCC::UnsignedGreaterThan,
            CmpOp::Ge => IntCC::UnsignedGreaterThanOrEqual,
            CmpOp::Lt => IntCC::UnsignedLessThan,
            CmpOp::Le => IntCC::UnsignedLessThanOrEqual,
            CmpOp::SGt => IntCC::SignedGreaterThan,
            CmpOp::SGe => IntCC::SignedGreaterThanOrEqual,
            CmpOp::SLt => IntCC::SignedLessThan,
            CmpOp::SLe => IntCC::SignedLessThanOrEqual,
        };
        let right = right(self);
        self.to.ins().icmp(code, left, right)
    }

    /// What a register holds.
    pub(super) fn get(&mut self, reg: Reg) -> Value {
        self.to.use_var(self.register(reg))
    }

    fn register(&self, reg: Reg) -> Variable {
        match reg.0 {
            6..=9 => self.activations[self.activation].registers[usize::from(reg.0) - 6],
            _ => self.registers[usize::from(reg.0)],
        }
    }

    /// What a register holds, or its lower half.
    pub(super) fn get_as(&mut self, wide: Wide, reg: Reg) -> Value {
        let value = self.get(reg);
        match wide {
            Wide::W64 => value,
            Wide::W32 => self.to.ins().ireduce(I32, value),
        }
    }

    pub(super) fn set(&mut self, reg: Reg, value: Value) {
        self.to.def_var(self.register(reg), value);
    }

    /// A second operand.
    pub(super) fn operand(&mut self, wide: Wide, src: Operand) -> Value {
        match (src, wide) {
            (Operand::Reg(reg), _) => self.get_as(wide, reg),
            (Operand::Imm(imm), _) if self.plan.rules.key.is_some() => {
                let value = self.constant(imm.into());
                if wide == Wide::W64 { value } else { self.to.ins().ireduce(I32, value) }
            }
            (Operand::Imm(imm), Wide::W64) => self.number(imm.into()),
            (Operand::Imm(imm), Wide::W32) => self.to.ins().iconst(I32, i64::from(imm as u32)),
        }
    }

    /// A constant of the program.
    pub(super) fn constant(&mut self, number: i64) -> Value {
        let Some(key) = self.plan.rules.key else { return self.number(number) };
        let place = self.number(std::ptr::from_ref(key) as i64);
        let (hidden, key) = (self.number(number ^ *key as i64), self.to.ins().load(I64, PLAIN, place, 0));
        self.to.ins().bxor(hidden, key)
    }

    /// A constant.
    pub(super) fn number(&mut self, number: i64) -> Value {
        self.to.ins().iconst(I64, number)
    }

    /// Whether it is known that no more bits of a register are set than a value of this width has.
    pub(super) fn fits(&self, reg: Reg, width: Width) -> bool {
        self.widths.fits(&self.places, self.activation, reg, width)
    }

    /// The same of a stack word.
    pub(super) fn word_fits(&self, number: usize, width: Width) -> bool {
        self.widths.word_fits(&self.places, self.activation, number, width)
    }

    /// The register that a stack word is.
    pub(super) fn word(&self, number: usize) -> Variable {
        self.activations[self.activation].words[number]
    }

    /// The frame of the function that is lifted, or of the one that is part of it here.
    pub(super) fn frame(&self) -> &'a Frame {
        &self.plan.functions[self.graph.activations[self.activation]].frame
    }

    /// A value and a constant whose sum this value is.
    pub(super) fn parts(&self, value: Value) -> (Value, i64) {
        self.sums.get(&value).copied().unwrap_or((value, 0))
    }

    /// `value + other`, by the values that they began with.
    pub(super) fn added(&mut self, value: Value, other: Value) -> Value {
        let ((value, first), (other, second)) = (self.parts(value), self.parts(other));
        let roots = self.to.ins().iadd(value, other);
        self.sum(roots, first.wrapping_add(second))
    }

    /// `value + off`, by the value that it began with (pass `roots`: sound because sums are the same modulo 2⁶⁴ in any
    /// order).
    pub(super) fn sum(&mut self, value: Value, off: i64) -> Value {
        let (root, first) = self.parts(value);
        let off = first.wrapping_add(off);
        if off == 0 {
            return root;
        }
        if self.plan.rules.key.is_some() {
            let off = self.constant(off);
            return self.to.ins().iadd(root, off);
        }
        let sum = self.to.ins().iadd_imm_s(root, off);
        if self.plan.rules.passes.has(Pass::Roots) {
            self.sums.insert(sum, (root, off));
        }
        sum
    }
}
