//! What code takes of the fuel, and where. A straight piece is paid for where it begins, as a whole: one subtraction. It ends
//! with a call that may not come back (a tail call), since what stands behind that may not run. Whether
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
use std::collections::HashMap;
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

/// What a function takes of the fuel.
#[derive(Default)]
pub(super) struct Charges {
    /// Where each node begins.
    nodes: Vec<Charge>,
    /// Behind calls that may not come back: the node and the call's slot.
    behind: HashMap<(usize, u32), Charge>,
}

/// What each node takes where it begins, and behind its calls.
pub(super) fn charges(plan: &Plan<'_>, graph: &Graph, loops: &Loops) -> Charges {
    let mut charges = Charges { nodes: vec![Charge::default(); graph.nodes.len()], behind: HashMap::new() };
    let mut place = vec![usize::MAX; graph.nodes.len()];
    for (at, &node) in loops.order.iter().enumerate() {
        place[node] = at;
    }
    // How many instructions were paid for, at most, since the last question.
    let mut unasked = vec![0_u32; graph.nodes.len()];
    for (at, &node) in loops.order.iter().enumerate() {
        let Node { body, last, end, .. } = &graph.nodes[node];
        let before = loops.before[node].iter();
        let mut must_ask = before.clone().any(|&from| place[from] >= at);
        let mut paid = before.map(|&from| unasked[from]).max().unwrap_or(0);
        let (mut cost, mut behind) = (0_u32, None);
        let mut take = |cost: u32, asks: bool, behind: Option<u32>, paid: &mut u32| {
            *paid = paid.saturating_add(cost);
            let asks = asks || *paid > UNASKED;
            *paid = if asks { 0 } else { *paid };
            match behind {
                Some(call) => drop(charges.behind.insert((node, call), Charge { cost, asks })),
                None => charges.nodes[node] = Charge { cost, asks },
            }
        };
        for (slot, inst) in plan.insts_at(body.clone()) {
            cost = cost.saturating_add(plan.weight(slot, &inst));
            must_ask |= matches!(inst, Inst::CallHelper { .. } | Inst::CallLocal { .. } | Inst::CallX { .. });
            if plan.may_leave(slot, &inst) {
                take(cost, must_ask, behind, &mut paid);
                (cost, must_ask, behind) = (0, false, Some(slot));
            }
        }
        // What ends it is an instruction of its own, if it is one and stands behind the others: what is behind a call that
        // became part of the function may have none, and the call is paid for in front of it.
        let ends = *last >= body.end && !matches!(end, End::Guard { .. });
        take(cost.saturating_add(ends.into()), must_ask || *end == End::Return, behind, &mut paid);
        unasked[node] = paid;
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

    /// Takes what a node takes where it begins.
    pub(super) fn charge_node(&mut self, node: usize) {
        if let Some(&charge) = self.charges.nodes.get(node) {
            self.charge(self.graph.nodes[node].body.start, charge);
        }
    }

    /// Takes what is behind a call, if that may have left.
    pub(super) fn charge_behind(&mut self, node: usize, call: u32) {
        if let Some(&charge) = self.charges.behind.get(&(node, call)) {
            self.charge(call + 1, charge);
        }
    }

    /// Takes fuel, and stops if that was more than there is.
    fn charge(&mut self, slot: u32, Charge { cost, asks }: Charge) {
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
