//! Reachability and the nesting of loops: Havlak, "Nesting of Reducible and Irreducible Loops" (TOPLAS 1997), over a
//! depth-first walk without recursion. Nearly linear, so that no input takes long.

use super::{Cfg, Loop};

const NONE: u32 = u32::MAX;

/// The depth-first walk: blocks by preorder, and back.
struct Walk {
    /// The block with this number.
    block: Vec<u32>,
    /// The number of this block, or [`NONE`] if it is not reachable.
    number: Vec<u32>,
    /// The last number below this number.
    last: Vec<u32>,
}

impl Walk {
    fn is_ancestor(&self, above: u32, below: u32) -> bool {
        above <= below && below <= self.last[above as usize]
    }
}

/// Fills in `reachable`, `back`, `in_loop` and `loops`.
pub(super) fn find(cfg: &mut Cfg) {
    let walk = walk(cfg);
    for (block, &number) in cfg.blocks.iter_mut().zip(&walk.number) {
        block.reachable = number != NONE;
    }
    for edge in &mut cfg.edges {
        let (from, to) = (walk.number[edge.from as usize], walk.number[edge.to as usize]);
        edge.back = from != NONE && walk.is_ancestor(to, from);
    }
    let (header, irreducible) = nest(cfg, &walk);
    name_loops(cfg, &walk, &header, &irreducible);
}

fn walk(cfg: &Cfg) -> Walk {
    let count = cfg.blocks.len();
    let mut walk = Walk { block: Vec::new(), number: vec![NONE; count], last: Vec::new() };
    // A block, and which of its edges comes next.
    let mut stack: Vec<(u32, usize)> = Vec::new();
    let visit = |walk: &mut Walk, stack: &mut Vec<(u32, usize)>, block: u32| {
        let number = walk.block.len() as u32;
        walk.number[block as usize] = number;
        walk.block.push(block);
        walk.last.push(number);
        stack.push((block, 0));
    };
    for subprog in &cfg.subprogs {
        visit(&mut walk, &mut stack, subprog.blocks.start);
        while let Some((block, next)) = stack.last_mut() {
            let block = *block;
            match cfg.outgoing(block).get(*next) {
                Some(edge) => {
                    *next += 1;
                    if walk.number[edge.to as usize] == NONE {
                        visit(&mut walk, &mut stack, edge.to);
                    }
                }
                None => {
                    stack.pop();
                    let last = walk.block.len() as u32 - 1;
                    walk.last[walk.number[block as usize] as usize] = last;
                }
            }
        }
    }
    walk
}

/// For each number the number of the head of the loop around it (for a head: around its own loop), and which heads are
/// of irreducible loops. Inner loops come first and are collapsed into their heads.
fn nest(cfg: &Cfg, walk: &Walk) -> (Vec<u32>, Vec<bool>) {
    let count = walk.block.len();
    let mut header = vec![NONE; count];
    let mut irreducible = vec![false; count];
    let mut sets = Sets((0..count as u32).collect());
    // Ways into a head that came from beside its irreducible loop, as lists: (source, the list's next).
    let mut beside: Vec<(u32, u32)> = Vec::new();
    let mut beside_of = vec![NONE; count];
    // Which head a set was last collected for, so that none is collected twice.
    let mut collected_for = vec![NONE; count];
    let (mut body, mut sources) = (Vec::new(), Vec::new());
    for head in (0..count as u32).rev() {
        body.clear();
        for edge in cfg.incoming(walk.block[head as usize]).filter(|edge| edge.back) {
            let from = sets.find(walk.number[edge.from as usize]);
            if from != head && collected_for[from as usize] != head {
                collected_for[from as usize] = head;
                body.push(from);
            }
        }
        let mut next = 0;
        while let Some(&member) = body.get(next) {
            next += 1;
            sources.clear();
            let forward = cfg.incoming(walk.block[member as usize]).filter(|edge| !edge.back);
            sources.extend(forward.map(|edge| walk.number[edge.from as usize]).filter(|&from| from != NONE));
            let mut link = beside_of[member as usize];
            while let Some(&(from, next)) = beside.get(link as usize) {
                sources.push(from);
                link = next;
            }
            for &source in &sources {
                let from = sets.find(source);
                if !walk.is_ancestor(head, from) {
                    irreducible[head as usize] = true;
                    beside.push((from, beside_of[head as usize]));
                    beside_of[head as usize] = beside.len() as u32 - 1;
                } else if from != head && collected_for[from as usize] != head {
                    collected_for[from as usize] = head;
                    body.push(from);
                }
            }
        }
        for &member in &body {
            header[member as usize] = head;
            sets.join(member, head);
        }
    }
    (header, irreducible)
}

/// Numbers the loops, outer ones first: a head's number is larger than that of the heads around it.
fn name_loops(cfg: &mut Cfg, walk: &Walk, header: &[u32], irreducible: &[bool]) {
    let mut loop_of_head = vec![None; header.len()];
    for number in 0..header.len() {
        let block = walk.block[number];
        let around = loop_of_head.get(header[number] as usize).copied().flatten();
        let is_head = cfg.incoming(block).any(|edge| edge.back);
        if is_head {
            let depth = around.map_or(0, |outer: u32| cfg.loops[outer as usize].depth) + 1;
            loop_of_head[number] = Some(cfg.loops.len() as u32);
            cfg.loops.push(Loop { head: block, parent: around, depth, irreducible: irreducible[number] });
        }
        cfg.blocks[block as usize].in_loop = loop_of_head[number].or(around);
    }
}

/// Disjoint sets of numbers, each known by one of its members.
struct Sets(Vec<u32>);

impl Sets {
    fn find(&mut self, mut of: u32) -> u32 {
        while self.0[of as usize] != of {
            // Path halving keeps the ways short.
            let above = self.0[self.0[of as usize] as usize];
            self.0[of as usize] = above;
            of = above;
        }
        of
    }

    /// The set of `member` becomes part of that of `head`, and is known by it.
    fn join(&mut self, member: u32, head: u32) {
        self.0[member as usize] = head;
    }
}
