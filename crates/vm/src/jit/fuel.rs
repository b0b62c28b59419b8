//! What code takes of the fuel, and where: a function that calls others or has a loop, where it begins, all that it has
//! instructions; a node that control comes back to, all instructions from there to where it comes from. So at least as
//! much is taken as instructions run, at the price of one comparison for each round of a loop.

use super::graph::Graph;
use super::lift::{Lifter, PLAIN};
use super::loops::Loops;
use super::native::Service;
use super::plan::Plan;
use crate::Env;
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use std::mem::offset_of;

/// Where the environment has the fuel.
const FUEL: i32 = offset_of!(Env, fuel) as i32;

/// What each node takes where it begins.
pub(super) fn charges(plan: &Plan<'_>, graph: &Graph, loops: &Loops) -> Vec<u32> {
    let weight = |node: usize| -> u32 {
        let body = plan.insts_at(graph.nodes[node].body.clone());
        body.map(|(slot, inst)| plan.weight(slot, &inst)).fold(1, u32::saturating_add)
    };
    // Instructions up to and with each node, in the nodes' order.
    let mut sum = 0_u32;
    let mut upto = Vec::with_capacity(loops.order.len());
    let mut place = vec![usize::MAX; graph.nodes.len()];
    for (at, &node) in loops.order.iter().enumerate() {
        place[node] = at;
        sum = sum.saturating_add(weight(node));
        upto.push(sum);
    }
    let mut charges = vec![0; graph.nodes.len()];
    let all = plan.functions[graph.activations[0]].stops;
    for (at, &node) in loops.order.iter().enumerate() {
        let last = loops.before[node].iter().map(|&from| place[from]).filter(|&from| from >= at).max();
        let before = if at == 0 { 0 } else { upto[at - 1] };
        let round = last.map_or(0, |last| upto[last] - before);
        charges[node] = if at == 0 && all { sum.max(round) } else { round };
    }
    charges
}

impl Lifter<'_> {
    /// At the start of a function, and behind what may have taken some: how much there is.
    pub(super) fn load_fuel(&mut self) {
        if let Some(fuel) = self.fuel {
            let left = self.to.ins().load(I64, PLAIN, self.env, FUEL);
            self.to.def_var(fuel, left);
        }
    }

    /// Before others look at it. In between it is in a register: a loop would wait for memory in each round.
    pub(super) fn store_fuel(&mut self) {
        if let Some(fuel) = self.fuel {
            let left = self.to.use_var(fuel);
            self.to.ins().store(PLAIN, left, self.env, FUEL);
        }
    }

    /// Takes fuel, or stops.
    pub(super) fn charge(&mut self, slot: u32, cost: u32) {
        let Some(fuel) = self.fuel else { return };
        let left = self.to.use_var(fuel);
        let cost = self.number(cost.into());
        let none = self.to.ins().icmp(IntCC::UnsignedLessThan, left, cost);
        let (slot, zero) = (self.number(slot.into()), self.number(0));
        self.unless(none, |lifter| {
            lifter.to.def_var(fuel, zero);
            let returned = lifter.ask(Service::OutOfFuel, &[slot]);
            lifter.leave(&returned);
        });
        let fewer = self.to.ins().isub(left, cost);
        self.to.def_var(fuel, fewer);
    }
}
