//! Loops of a [`Graph`]: which nodes are in which, and how often they run. Knows nothing of Cranelift.
//!
//! A loop is what leads back to a node that every way into it passes (Aho, Lam, Sethi, Ullman, "Compilers", 9.6). What
//! can be entered elsewhere is none here, and nothing is made of it.

use super::budget::Budget;
use super::graph::{End, Graph};
use std::ops::Range;

/// All loops of a graph.
pub(super) struct Loops {
    /// Inner ones come before those around them.
    pub(super) loops: Vec<Loop>,
    /// The innermost loop of each node.
    innermost: Vec<Option<usize>>,
    /// Where control may come from to each node that can be reached.
    pub(super) before: Vec<Vec<usize>>,
    /// Nodes that can be reached, each before those that only it leads to.
    pub(super) order: Vec<usize>,
    /// Each node's place in that order.
    place: Vec<usize>,
    /// The node that every way to a node passes last, by places.
    dominators: Vec<usize>,
    /// Whether there may be loops that are not known.
    misses_some: bool,
}

/// Loops in each other that code generators are made for.
const DEEP: u32 = 32;

/// A loop.
pub(super) struct Loop {
    /// Where it is entered.
    pub(super) head: usize,
    /// From where control goes back to its head.
    pub(super) latches: Vec<usize>,
    /// Its nodes, the head first.
    pub(super) nodes: Vec<usize>,
    parent: Option<usize>,
    /// Whether there is a loop in it.
    pub(super) is_outer: bool,
    /// Whether control may go round in it without coming to its head, nor round a loop that is known: by a circle that is
    /// entered at two places.
    pub(super) has_circle: bool,
}

impl Loops {
    pub(super) fn of(graph: &Graph) -> Loops {
        let order = graph.order();
        let mut place = vec![usize::MAX; graph.nodes.len()];
        for (at, &node) in order.iter().enumerate() {
            place[node] = at;
        }
        let mut before = vec![Vec::new(); graph.nodes.len()];
        for &node in &order {
            graph.nodes[node].end.ways().for_each(|to| before[to].push(node));
        }
        let innermost = vec![None; graph.nodes.len()];
        let mut loops =
            Loops { loops: Vec::new(), innermost, before, order, place, dominators: Vec::new(), misses_some: false };
        let goes_back = |node: &&usize| loops.before[**node].iter().any(|&from| loops.goes_back(from, **node));
        let heads: Vec<usize> = loops.order.iter().filter(goes_back).copied().collect();
        // Of graphs where loops are nested so deep that it takes more, nothing is known of the rest.
        let mut budget = Budget::of(loops.order.len());
        if !heads.is_empty() {
            let found = loops.find_dominators(&mut budget).and_then(|()| loops.find(&heads, &mut budget));
            loops.misses_some = found.is_none();
        }
        loops
    }

    /// Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm" (2001).
    fn find_dominators(&mut self, budget: &mut Budget) -> Option<()> {
        const NONE: usize = usize::MAX;
        let mut dominators = vec![NONE; self.order.len()];
        dominators[0] = 0;
        let mut changed = true;
        while changed {
            changed = false;
            for (at, &node) in self.order.iter().enumerate().skip(1) {
                let mut new = NONE;
                for from in self.before[node].iter().map(|&from| self.place[from]) {
                    if dominators[from] == NONE {
                        continue;
                    }
                    let (mut one, mut other) = (from, if new == NONE { from } else { new });
                    while one != other {
                        budget.take(1).then_some(())?;
                        if one > other {
                            one = dominators[one];
                        } else {
                            other = dominators[other];
                        }
                    }
                    new = one;
                    budget.take(1).then_some(())?;
                }
                changed |= dominators[at] != new;
                dominators[at] = new;
            }
        }
        self.dominators = dominators;
        Some(())
    }

    /// Whether a way goes against the order of nodes. In each circle there is one that does.
    fn goes_back(&self, from: usize, to: usize) -> bool {
        self.place[from] >= self.place[to]
    }

    /// Whether a node runs once at most in each round of a loop.
    pub(super) fn is_once(&self, which: &Loop, node: usize) -> bool {
        !which.has_circle && self.around(node).is_some_and(|inner| inner.head == which.head)
    }

    /// Whether every way to `node` passes `above`. Of graphs without loops it is not known.
    pub(super) fn dominates(&self, above: usize, node: usize) -> bool {
        let (above, mut at) = (self.place[above], self.place[node]);
        while at > above {
            match self.dominators.get(at) {
                Some(&next) => at = next,
                None => return false,
            }
        }
        at == above
    }

    fn find(&mut self, heads: &[usize], budget: &mut Budget) -> Option<()> {
        // From where and to where each node is below a node of the tree that dominators are.
        let below = self.below();
        let is_above = |above: usize, node: usize| {
            let [above, node] = [above, node].map(|node| &below[self.place[node]]);
            above.start <= node.start && node.end <= above.end
        };
        let mut inside = vec![usize::MAX; self.order.len()];
        // Where a circle begins that no loop has been found of.
        let mut circle = vec![false; self.order.len()];
        heads.iter().for_each(|&head| circle[self.place[head]] = true);
        for &head in heads.iter().rev() {
            let latches: Vec<usize> = self.before[head].iter().copied().filter(|&from| is_above(head, from)).collect();
            if latches.is_empty() {
                continue;
            }
            let number = self.loops.len();
            let mut found = Loop {
                head,
                latches: latches.clone(),
                nodes: vec![head],
                parent: None,
                is_outer: false,
                has_circle: false,
            };
            inside[self.place[head]] = number;
            circle[self.place[head]] =
                self.before[head].iter().any(|&from| self.goes_back(from, head) && !is_above(head, from));
            let mut todo = latches;
            while let Some(node) = todo.pop() {
                budget.take(1).then_some(())?;
                if std::mem::replace(&mut inside[self.place[node]], number) != number {
                    found.nodes.push(node);
                    todo.extend(&self.before[node]);
                }
            }
            found.has_circle = found.nodes[1..].iter().any(|&node| circle[self.place[node]]);
            found.is_outer = found.has_circle;
            for &node in &found.nodes {
                match self.innermost[node] {
                    None => self.innermost[node] = Some(number),
                    Some(mut inner) => {
                        found.is_outer = true;
                        while let Some(around) = self.loops[inner].parent.filter(|&around| around != number) {
                            inner = around;
                            budget.take(1);
                        }
                        self.loops[inner].parent = Some(number);
                    }
                }
            }
            self.loops.push(found);
        }
        Some(())
    }

    /// Whether loops are in each other deeper than those of programs that somebody wrote to be run.
    pub(super) fn are_deep(&self) -> bool {
        // A loop around another one comes behind it.
        let mut depths = vec![1_u32; self.loops.len()];
        for (number, around) in self.loops.iter().enumerate().rev() {
            if let Some(parent) = around.parent {
                depths[number] = depths[parent] + 1;
            }
        }
        self.misses_some || depths.iter().any(|&depth| depth > DEEP)
    }

    /// The places of nodes in the order in which the tree of dominators is gone through: its own, to behind the last one
    /// below it.
    fn below(&self) -> Vec<Range<usize>> {
        let mut sizes = vec![1; self.order.len()];
        for at in (1..sizes.len()).rev() {
            sizes[self.dominators[at]] += sizes[at];
        }
        // Where the next one below each node begins. A dominator has a lower place than what it dominates.
        let (mut next, mut below) = (vec![1; sizes.len()], vec![0..sizes[0]; sizes.len()]);
        for at in 1..sizes.len() {
            let start = next[self.dominators[at]];
            next[self.dominators[at]] += sizes[at];
            next[at] = start + 1;
            below[at] = start..start + sizes[at];
        }
        below
    }

    /// The innermost loop that a node is in.
    pub(super) fn around(&self, node: usize) -> Option<&Loop> {
        self.innermost[node].map(|number| &self.loops[number])
    }

    /// Whether a node is in a loop, or in one inside it.
    pub(super) fn contains(&self, which: &Loop, node: usize) -> bool {
        let mut inner = self.innermost[node];
        while let Some(number) = inner {
            if self.loops[number].head == which.head {
                return true;
            }
            inner = self.loops[number].parent;
        }
        false
    }

    /// Whether a way leaves the innermost loop that it begins in.
    pub(super) fn leaves(&self, from: usize, to: usize) -> bool {
        self.around(from).is_some_and(|around| !self.contains(around, to))
    }

    /// From where a loop is entered.
    pub(super) fn entries<'a>(&'a self, which: &'a Loop) -> impl Iterator<Item = usize> + 'a {
        self.before[which.head].iter().copied().filter(|&from| !self.contains(which, from))
    }
}

impl Loop {
    /// The only node from which control goes back, if it is one that also may leave: the test there, by which control
    /// goes back, and where it goes if not.
    pub(super) fn last_test(&self, graph: &Graph) -> Option<(usize, super::graph::Test, usize)> {
        let [latch] = self.latches[..] else { return None };
        match graph.nodes[latch].end {
            End::Branch { test, taken, next } if taken == self.head => Some((latch, test, next)),
            End::Branch { test, taken, next } if next == self.head => Some((latch, test.negated()?, taken)),
            _ => None,
        }
    }
}
