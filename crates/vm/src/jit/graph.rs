//! A function as passes see and change it: straight pieces of the program, and the ways between them. A piece may stand
//! in more than one place, and pieces of other functions may stand here, too. Knows nothing of Cranelift.

use super::affine::Sum;
use super::budget;
use super::pass::lanes::Round;
use super::plan::Plan;
use alveary_isa::cfg::End as BlockEnd;
use alveary_isa::{CmpOp, Inst, Operand, Reg, Wide};
use std::ops::Range;
use std::rc::Rc;

/// A function. It begins with its first node.
#[derive(Clone, Debug)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// Whose registers r6–r9 and stack words are in use: the function itself, then each function that was made part of
    /// it, by their numbers.
    pub(super) activations: Vec<usize>,
}

/// Instructions that run one after the other, and what comes then.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Slots of the program. What jumps, exits or calls a function that is part of this one is not among them.
    pub(super) body: Range<u32>,
    /// The slot of the instruction that ends it; one in front of it, if none does that is its own.
    pub(super) last: u32,
    pub(super) end: End,
    /// Which of the activations it belongs to.
    pub(super) activation: usize,
    /// A function that was made part of this one begins here. Nothing comes back to such a node within the call.
    pub(super) begins: bool,
    /// It is not expected to run often.
    pub(super) cold: bool,
    pub(super) runs: Runs,
    /// What a register is known to hold where it begins.
    pub(super) holds: Option<(Reg, u64)>,
}

/// How a node runs its instructions.
#[derive(Clone, Debug)]
pub(super) enum Runs {
    OneByOne,
    /// It has none: it makes ready what rounds of these have in common.
    InFront(Range<u32>, Rc<Round>),
    /// Several rounds of a loop at once.
    AtOnce(Rc<Round>),
    /// It has none: it adds up what rounds of these have summed apart.
    Behind(Rc<Round>),
    /// It has none: registers go up by so much.
    Rise(Vec<(Reg, i64)>),
}

/// How a node ends. Numbers are those of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Jump(usize),
    Branch {
        test: Test,
        taken: usize,
        next: usize,
    },
    /// `taken` when it has fallen through often enough.
    MayGoto {
        taken: usize,
        next: usize,
    },
    /// To one of `ways`, by what the register holds, or its lower half, if nothing depends on the upper one.
    Switch {
        reg: Reg,
        narrow: bool,
        ways: Vec<usize>,
        otherwise: usize,
    },
    /// `yes` if the guard holds.
    Guard {
        guard: Box<Guard>,
        yes: usize,
        no: usize,
    },
    /// `yes` if eight bytes are the same in both.
    Same {
        stretches: Box<[Sum; 2]>,
        yes: usize,
        no: usize,
    },
    /// The function returns r0.
    Return,
}

/// Whether something that rises by `more` stays below an end, and does not wrap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) rises: Sum,
    pub(super) more: u64,
    pub(super) end: Sum,
    /// It must not become equal to the end, either.
    pub(super) strict: bool,
}

/// What a conditional jump compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) wide: Wide,
    pub(super) op: CmpOp,
    pub(super) dst: Reg,
    pub(super) src: Operand,
}

impl Graph {
    /// Function `number` of a program, as it stands there.
    pub(super) fn of(plan: &Plan<'_>, number: usize) -> Graph {
        let mut graph = Graph { nodes: Vec::new(), activations: vec![number] };
        graph.add_function(plan, number, 0, None);
        graph
    }

    /// Adds the nodes of a function as part of an activation; where it returns, control goes on at `then`, if that is
    /// given. The number of the first one.
    pub(super) fn add_function(
        &mut self,
        plan: &Plan<'_>,
        number: usize,
        activation: usize,
        then: Option<usize>,
    ) -> usize {
        let (blocks, first) = (&plan.functions[number].blocks, self.nodes.len());
        let base = plan.cfg.subprogs[number].blocks.start;
        let mut numbers = vec![usize::MAX; plan.cfg.subprogs[number].blocks.len()];
        for (at, block) in blocks.iter().enumerate() {
            numbers[(block - base) as usize] = first + at;
        }
        for &block in blocks {
            let mut ways = plan.successors(block).map(|to| numbers[(to - base) as usize]);
            let at = &plan.cfg.blocks[block as usize];
            let end = match (plan.insts[at.last as usize], at.end, ways.next(), ways.next()) {
                (Some(Inst::Jmp { wide, op, dst, src, .. }), BlockEnd::Branch, Some(next), Some(taken))
                    if next != taken =>
                {
                    End::Branch { test: Test { wide, op, dst, src }, taken, next }
                }
                // It counts, even where both ways are one.
                (Some(Inst::MayGoto { .. }), BlockEnd::Branch, Some(next), Some(taken)) => End::MayGoto { taken, next },
                (_, BlockEnd::Exit, ..) => then.map_or(End::Return, End::Jump),
                (_, _, Some(next), _) => End::Jump(next),
                // Predecoding refuses code that runs out of its function.
                _ => End::Return,
            };
            let body = match at.end {
                BlockEnd::FallThrough => at.slots.clone(),
                _ => at.slots.start..at.last,
            };
            self.nodes.push(Node {
                body,
                last: at.last,
                end,
                activation,
                begins: false,
                cold: false,
                runs: Runs::OneByOne,
                holds: None,
            });
        }
        first
    }

    /// Nodes that can be reached, each before those that only it leads to.
    pub(super) fn order(&self) -> Vec<usize> {
        budget::count(self.nodes.len());
        let mut seen = vec![false; self.nodes.len()];
        let ways = |node: usize| self.nodes[node].end.ways();
        let (mut order, mut stack) = (Vec::new(), vec![(0, ways(0))]);
        seen[0] = true;
        while let Some((node, next)) = stack.last_mut() {
            match next.next() {
                Some(to) => {
                    if !std::mem::replace(&mut seen[to], true) {
                        stack.push((to, ways(to)));
                    }
                }
                None => {
                    order.push(*node);
                    stack.pop();
                }
            }
        }
        order.reverse();
        order
    }

    /// Adds copies of nodes, with the ways between them. A node's copy is as far behind `first`, which is given back, as
    /// the node is behind the first one in `nodes`.
    pub(super) fn copy(&mut self, nodes: &[usize]) -> usize {
        let first = self.nodes.len();
        for &node in nodes {
            let mut copy = self.nodes[node].clone();
            copy.end.each_way(|to| {
                if let Some(at) = nodes.iter().position(|node| node == to) {
                    *to = first + at;
                }
            });
            self.nodes.push(copy);
        }
        first
    }
}

impl End {
    /// Where control may go on, without a jump first.
    pub(super) fn ways(&self) -> impl Iterator<Item = usize> {
        let (table, first, second): (&[usize], _, _) = match *self {
            End::Jump(to) => (&[], Some(to), None),
            End::Branch { taken, next, .. } | End::MayGoto { taken, next } => (&[], Some(next), Some(taken)),
            End::Switch { ref ways, otherwise, .. } => (ways, Some(otherwise), None),
            End::Guard { yes, no, .. } | End::Same { yes, no, .. } => (&[], Some(yes), Some(no)),
            End::Return => (&[], None, None),
        };
        table.iter().copied().chain(first).chain(second)
    }

    /// Changes where control goes on.
    pub(super) fn each_way(&mut self, mut change: impl FnMut(&mut usize)) {
        match self {
            End::Jump(to) => change(to),
            End::Branch { taken, next, .. } | End::MayGoto { taken, next } => {
                change(next);
                change(taken);
            }
            End::Switch { ways, otherwise, .. } => {
                ways.iter_mut().for_each(&mut change);
                change(otherwise);
            }
            End::Guard { yes, no, .. } | End::Same { yes, no, .. } => {
                change(yes);
                change(no);
            }
            End::Return => {}
        }
    }

    /// As [`End::each_way`], one for another.
    pub(super) fn redirect(&mut self, from: usize, to: usize) {
        self.each_way(|way| {
            if *way == from {
                *way = to;
            }
        });
    }
}

impl Test {
    /// What holds where this does not; a test of bits has no such comparison.
    pub(super) fn negated(self) -> Option<Test> {
        let op = match self.op {
            CmpOp::Eq => CmpOp::Ne,
            CmpOp::Ne => CmpOp::Eq,
            CmpOp::Gt => CmpOp::Le,
            CmpOp::Le => CmpOp::Gt,
            CmpOp::Ge => CmpOp::Lt,
            CmpOp::Lt => CmpOp::Ge,
            CmpOp::SGt => CmpOp::SLe,
            CmpOp::SLe => CmpOp::SGt,
            CmpOp::SGe => CmpOp::SLt,
            CmpOp::SLt => CmpOp::SGe,
            CmpOp::Set => return None,
        };
        Some(Test { op, ..self })
    }
}
