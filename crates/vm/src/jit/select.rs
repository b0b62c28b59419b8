//! Pass `select`: a short way around what is computed of a number becomes a selection between both. Whether such ways are
//! gone depends on the data, which no processor foresees. Jumps over a mere move stay, since the processor goes on with what
//! it expects, and so do those around what a loop hands on from round to round: there, most rounds do the same. Outside of
//! loops all stay: what runs once for a packet goes the same way with most.
//!
//! Sound because what stands on such a way has no effect and cannot trap: it is computed on each way, and of what both
//! leave that is chosen which the jump would have led to.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{Block, BlockArg, Function, Inst, InstBuilder, InstructionData, Opcode, Value, ValueDef};

/// Instructions of a way that compute, constants and changes of width aside.
const MOST: usize = 2;
/// Values that are chosen behind it.
const MOST_CHOSEN: usize = 2;

/// A branch whose ways meet at once.
struct Short {
    branch: Inst,
    condition: Value,
    /// Blocks that only compute: one, or one on each way.
    between: Vec<Block>,
    join: Block,
    /// What the join gets if the condition holds, and if not.
    chosen: Vec<(Value, Value)>,
}

/// Makes selections of short ways.
pub(super) fn select(function: &mut Function) {
    let mut ways = Ways { flow: ControlFlowGraph::with_function(function), places: SecondaryMap::new() };
    for (place, block) in function.layout.blocks().enumerate() {
        ways.places[block] = place;
    }
    // What comes last is looked at first, so that ways inside of ways are gone by then.
    for (block, _) in in_loops(function, &ways.flow).into_iter().rev() {
        while let Some(short) = short(function, &ways, block) {
            choose(function, &short);
            for &changed in short.between.iter().chain([&block]) {
                ways.flow.recompute_block(function, changed);
            }
        }
    }
}

/// Blocks that are run again and again, in their order, and in how many loops each is.
pub(super) fn in_loops(function: &Function, flow: &ControlFlowGraph) -> Vec<(Block, u32)> {
    let blocks: Vec<Block> = function.layout.blocks().collect();
    let mut places = SecondaryMap::with_default(0);
    for (place, &block) in blocks.iter().enumerate() {
        places[block] = place;
    }
    let mut loops = vec![0; blocks.len()];
    for (place, &block) in blocks.iter().enumerate() {
        if let Some(last) = flow.pred_iter(block).map(|from| places[from.block]).filter(|&from| from >= place).max() {
            loops[place..=last].iter_mut().for_each(|count| *count += 1);
        }
    }
    blocks.into_iter().zip(loops).filter(|(_, loops)| *loops > 0).collect()
}

/// What a value is the lower half of, or what is extended to it: a move, for most machines.
pub(super) fn bare(function: &Function, mut value: Value) -> Value {
    while let ValueDef::Result(inst, _) = function.dfg.value_def(value)
        && let Opcode::Uextend | Opcode::Ireduce = function.dfg.insts[inst].opcode()
    {
        value = function.dfg.inst_args(inst)[0];
    }
    function.dfg.resolve_aliases(value)
}

/// How blocks lead to each other.
struct Ways {
    flow: ControlFlowGraph,
    /// Each block's place among all, of which those that lead to it come first, but for ways back.
    places: SecondaryMap<Block, usize>,
}

impl Ways {
    /// Whether a value is what a loop has from its last round.
    fn hand_on(&self, function: &Function, value: Value) -> bool {
        let ValueDef::Param(block, _) = function.dfg.value_def(bare(function, value)) else { return false };
        self.flow.pred_iter(block).any(|from| self.places[from.block] >= self.places[block])
    }
}

/// The short ways that a block ends with.
fn short(function: &Function, all: &Ways, block: Block) -> Option<Short> {
    if !function.layout.is_block_inserted(block) {
        return None;
    }
    let branch = function.layout.last_inst(block)?;
    let InstructionData::Brif { arg: condition, blocks, .. } = function.dfg.insts[branch] else { return None };
    let pool = &function.dfg.value_lists;
    let ways = blocks.map(|call| (call.block(pool), values(call.args(pool))));
    let beyond = |way: usize| {
        let (to, given) = &ways[way];
        let is_own = all.flow.pred_iter(*to).count() == 1 && given.as_ref().is_some_and(Vec::is_empty);
        if is_own { computes_only(function, *to) } else { None }
    };
    if ways[0].0 == ways[1].0 {
        return None;
    }
    let (then, otherwise) = (beyond(0), beyond(1));
    let (between, join, yes, no) = match (then, otherwise) {
        (Some((join, yes, cost)), Some((other, no, more))) if join == other && cost + more <= MOST => {
            (vec![ways[0].0, ways[1].0], join, yes, no)
        }
        (Some((join, yes, _)), _) if join == ways[1].0 => (vec![ways[0].0], join, yes, ways[1].1.clone()?),
        (_, Some((join, no, _))) if join == ways[0].0 => (vec![ways[1].0], join, ways[0].1.clone()?, no),
        _ => return None,
    };
    let is_cold = |block: &Block| function.layout.is_cold(*block);
    if is_cold(&join) || between.iter().any(is_cold) || between.contains(&join) || between.contains(&block) {
        return None;
    }
    let chosen: Vec<(Value, Value)> = yes.into_iter().zip(no).collect();
    let differ = || chosen.iter().filter(|(yes, no)| yes != no);
    let is_worth_it = |&(yes, no): &(Value, Value)| {
        let is_computed = [yes, no].iter().any(|&value| computed_in(function, &between, value));
        let is_handed_on = [yes, no].iter().any(|&value| all.hand_on(function, value));
        function.dfg.value_type(yes).is_int() && is_computed && !is_handed_on
    };
    let all = differ().count() <= MOST_CHOSEN && differ().all(is_worth_it);
    all.then_some(Short { branch, condition, between, join, chosen })
}

/// Whether these blocks compute a value, which is no constant.
fn computed_in(function: &Function, between: &[Block], value: Value) -> bool {
    let ValueDef::Result(inst, _) = function.dfg.value_def(bare(function, value)) else { return false };
    let is_here = function.layout.inst_block(inst).is_some_and(|block| between.contains(&block));
    is_here && function.dfg.insts[inst].opcode() != Opcode::Iconst
}

/// Where a block leads that does nothing but compute little, what it hands over, and how much it computes.
fn computes_only(function: &Function, block: Block) -> Option<(Block, Vec<Value>, usize)> {
    let last = function.layout.last_inst(block)?;
    let InstructionData::Jump { destination, .. } = function.dfg.insts[last] else { return None };
    let mut cost = 0;
    for inst in function.layout.block_insts(block).filter(|inst| *inst != last) {
        cost += match function.dfg.insts[inst].opcode() {
            Opcode::Iconst | Opcode::Uextend | Opcode::Ireduce => 0,
            Opcode::Iadd | Opcode::Isub | Opcode::Ineg | Opcode::Band | Opcode::Bor | Opcode::Bxor => 1,
            Opcode::Ishl | Opcode::Ushr | Opcode::Sshr | Opcode::Icmp | Opcode::Select => 1,
            _ => return None,
        };
    }
    let pool = &function.dfg.value_lists;
    (cost <= MOST).then_some((destination.block(pool), values(destination.args(pool))?, cost))
}

fn values(arguments: impl Iterator<Item = BlockArg>) -> Option<Vec<Value>> {
    arguments.map(|argument| argument.as_value()).collect()
}

/// Computes what stands between in front of the branch, which becomes a jump.
fn choose(function: &mut Function, short: &Short) {
    for &block in &short.between {
        let insts: Vec<Inst> = function.layout.block_insts(block).collect();
        for &inst in &insts[..insts.len() - 1] {
            function.layout.remove_inst(inst);
            function.layout.insert_inst(inst, short.branch);
        }
        function.layout.remove_block_and_insts(block);
    }
    let mut at = FuncCursor::new(function).at_inst(short.branch);
    at.use_srcloc(short.branch);
    let mut handed: Vec<BlockArg> = Vec::new();
    for &(yes, no) in &short.chosen {
        let value = if yes == no { yes } else { at.ins().select(short.condition, yes, no) };
        handed.push(value.into());
    }
    function.replace(short.branch).jump(short.join, &handed);
}
