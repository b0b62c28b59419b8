//! What code takes of the fuel, and where. A straight piece is paid for where it begins, as a whole: one subtraction. Whether
//! that was more than there is, is asked where control comes back to, in front of calls, where a function returns, and at
//! the latest where [`UNASKED`] instructions would run without. So code stops only if it has begun to run more than it may,
//! and no more than that beyond; who looks at the fuel meanwhile, helpers and callees, never sees a debt.
//!
//! What passes leave out since it is known how it ends is not paid for.

use super::graph::{End, Graph, Node};
use super::lift::{Lifter, PLAIN};
use super::loops::Loops;
use super::native::Service;
use super::plan::Plan;
use crate::Env;
use alveary_isa::Inst;
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use std::mem::offset_of;

/// Instructions that may run without asking.
const UNASKED: u32 = 256;

/// Where the environment has the fuel.
const FUEL: i32 = offset_of!(Env, fuel) as i32;

/// What a node takes where it begins.
#[derive(Clone, Copy, Default)]
pub(super) struct Charge {
    cost: u32,
    /// Whether it asks if there was as much.
    asks: bool,
}

/// What each node takes where it begins.
pub(super) fn charges(plan: &Plan<'_>, graph: &Graph, loops: &Loops) -> Vec<Charge> {
    let mut charges = vec![Charge::default(); graph.nodes.len()];
    let mut place = vec![usize::MAX; graph.nodes.len()];
    for (at, &node) in loops.order.iter().enumerate() {
        place[node] = at;
    }
    // How many instructions were paid for, at most, since the last question.
    let mut unasked = vec![0_u32; graph.nodes.len()];
    for (at, &node) in loops.order.iter().enumerate() {
        let Node { body, last, end, .. } = &graph.nodes[node];
        let mut calls = false;
        let weights = plan.insts_at(body.clone()).map(|(slot, inst)| {
            calls |= matches!(inst, Inst::CallHelper { .. } | Inst::CallLocal { .. } | Inst::CallX { .. });
            plan.weight(slot, &inst)
        });
        let cost = weights.fold(0, u32::saturating_add);
        // What ends it is an instruction of its own, if it is one and stands behind the others: what is behind a call that
        // became part of the function may have none, and the call is paid for in front of it.
        let ends = *last >= body.end && !matches!(end, End::Guard { .. });
        let cost = cost.saturating_add(ends.into());
        let before = loops.before[node].iter();
        let is_head = before.clone().any(|&from| place[from] >= at);
        let paid = before.map(|&from| unasked[from]).max().unwrap_or(0).saturating_add(cost);
        let asks = is_head || calls || *end == End::Return || paid > UNASKED;
        unasked[node] = if asks { 0 } else { paid };
        charges[node] = Charge { cost, asks };
    }
    charges
}

impl Lifter<'_> {
    /// At the start of a function, and behind what may have taken some: how much there is.
    pub(super) fn load_fuel(&mut self) {
        if let Some(fuel) = self.fuel {
            let left = self.to.ins().load(I64, PLAIN, self.env, FUEL);
            // As a number with a sign: nobody runs as many instructions.
            let most = self.number(i64::MAX);
            let left = self.to.ins().umin(left, most);
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

    /// Where code stops in the middle of a straight piece, which was paid for before it was asked whether there is as much.
    pub(super) fn forgive_debt(&mut self) {
        if let Some(fuel) = self.fuel {
            let (left, zero) = (self.to.use_var(fuel), self.number(0));
            let left = self.to.ins().smax(left, zero);
            self.to.def_var(fuel, left);
        }
    }

    /// Takes fuel, and stops if that was more than there is.
    pub(super) fn charge(&mut self, slot: u32, Charge { cost, asks }: Charge) {
        let Some(fuel) = self.fuel else { return };
        if cost > 0 {
            let left = self.to.use_var(fuel);
            let cost = self.number(cost.into());
            let fewer = self.to.ins().isub(left, cost);
            self.to.def_var(fuel, fewer);
        }
        if asks {
            let (left, zero) = (self.to.use_var(fuel), self.number(0));
            let none = self.to.ins().icmp(IntCC::SignedLessThan, left, zero);
            let slot = self.number(slot.into());
            self.unless(none, |lifter| {
                let zero = lifter.number(0);
                lifter.to.def_var(fuel, zero);
                let returned = lifter.ask(Service::OutOfFuel, &[slot]);
                lifter.leave(&returned);
            });
        }
    }
}
