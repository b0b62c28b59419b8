use super::*;
use crate::asm::assemble;
use crate::{Endian, Reg};

fn insns(text: &str) -> Vec<Insn> {
    let (assembly, errors) = assemble(text, &|_| None);
    assert_eq!(errors, []);
    assembly.into_raw().unwrap()
}

fn graph(text: &str) -> Cfg {
    Cfg::new(&insns(text)).unwrap()
}

/// The graph in words: a line a block.
fn words(cfg: &Cfg) -> Vec<String> {
    let edge = |edge: &Edge| {
        format!("{}{}{}", if edge.taken { "taken " } else { "" }, edge.to, if edge.back { " back" } else { "" })
    };
    cfg.blocks
        .iter()
        .enumerate()
        .map(|(index, block)| {
            let edges: Vec<String> = cfg.outgoing(index as u32).iter().map(edge).collect();
            let unreachable = if block.reachable { "" } else { " unreachable" };
            let inside = block.in_loop.map_or(String::new(), |index| format!(" in loop {index}"));
            format!("{:?} {:?} -> [{}]{unreachable}{inside}", block.slots, block.end, edges.join(", "))
        })
        .collect()
}

#[test]
fn blocks_and_edges() {
    let cfg = graph(
        "r0 = 5 ll
         if r1 == 0 goto zero
         r0 = 1
         goto out
         zero: r0 = 2
         out: exit",
    );
    assert_eq!(
        words(&cfg),
        ["0..3 Branch -> [1, taken 2]", "3..5 Jump -> [taken 3]", "5..6 FallThrough -> [3]", "6..7 Exit -> []",]
    );
    assert_eq!(cfg.incoming(3).map(|edge| edge.from).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((cfg.block_at(1), cfg.block_at(4), cfg.block_at(7)), (Some(0), Some(1), None));
    assert_eq!(cfg.blocks[0].last, 2);
}

#[test]
fn subprograms_by_calls_and_addresses() {
    let cfg = graph(
        "call f
         r2 = g ll
         exit
         f: r0 = 1
         exit
         g: gotox r1",
    );
    let subprogs: Vec<_> = cfg.subprogs.iter().map(|subprog| (subprog.slots.clone(), subprog.blocks.clone())).collect();
    assert_eq!(subprogs, [(0..4, 0..1), (4..6, 1..2), (6..7, 2..3)]);
    assert_eq!(cfg.blocks[2].end, End::Indirect);
    assert!(cfg.blocks.iter().all(|block| block.reachable));
}

#[test]
fn nested_loops_and_dead_code() {
    let cfg = graph(
        "outer: r1 += 1
         inner: r2 += 1
         if r2 < 5 goto inner
         if r1 < 5 goto outer
         exit
         r0 = 9
         self: if r0 > 1 goto self
         exit",
    );
    assert_eq!(
        words(&cfg),
        [
            "0..1 FallThrough -> [1] in loop 0",
            "1..3 Branch -> [2, taken 1 back] in loop 1",
            "3..4 Branch -> [3, taken 0 back] in loop 0",
            "4..5 Exit -> []",
            "5..6 FallThrough -> [5] unreachable",
            "6..7 Branch -> [6, taken 5] unreachable",
            "7..8 Exit -> [] unreachable",
        ]
    );
    let outer = Loop { head: 0, parent: None, depth: 1, irreducible: false };
    let inner = Loop { head: 1, parent: Some(0), depth: 2, irreducible: false };
    assert_eq!(cfg.loops, [outer, inner]);
    assert!(cfg.is_in_loop(1, 0) && cfg.is_in_loop(1, 1) && !cfg.is_in_loop(2, 1) && !cfg.is_in_loop(3, 0));
}

#[test]
fn a_loop_with_two_entries_is_irreducible() {
    let cfg = graph(
        "if r1 == 0 goto second
         first: r1 += 1
         second: r1 += 2
         if r1 < 9 goto first
         exit",
    );
    assert_eq!(cfg.loops.len(), 1);
    assert!(cfg.loops[0].irreducible);
    assert_eq!(cfg.blocks.iter().map(|block| block.in_loop).collect::<Vec<_>>(), [None, Some(0), Some(0), None]);
}

#[test]
fn an_irreducible_loop_belongs_to_the_loop_around_it() {
    let cfg = graph(
        "top: r1 += 1
         if r1 == 0 goto second
         first: r1 += 1
         second: r1 += 2
         if r1 < 9 goto first
         if r1 < 99 goto top
         exit",
    );
    let inner = cfg.loops.iter().position(|one| one.irreducible).unwrap();
    assert_eq!(cfg.loops[inner].parent, Some(0));
    assert_eq!(cfg.loops[0], Loop { head: 0, parent: None, depth: 1, irreducible: false });
    assert!((0..4).all(|block| cfg.is_in_loop(block, 0)));
}

#[test]
fn what_leaves_its_place_is_refused() {
    #[rustfmt::skip]
    let rows = [
        ("goto +1\nexit", "slot 0: goes to slot 2, outside the program"),
        ("goto -2\nexit", "slot 0: goes to slot -1, outside the program"),
        ("call pc+7\nexit", "slot 0: goes to slot 8, outside the program"),
        ("goto +1\nr1 = 5 ll\nexit", "slot 0: goes to slot 2, the middle of an ld_imm64"),
        ("r0 = 1", "slot 0: goes on to slot 1, outside its subprogram; expected exit or a jump inside"),
        ("if r1 == 0 goto +0", "slot 0: goes to slot 1, outside the program"),
        ("call f\nr0 = 1\nf: exit", "slot 1: goes on to slot 2, outside its subprogram; expected exit or a jump inside"),
        ("call f\ngoto end\nf: exit\nend: exit", "slot 1: goes on to slot 3, outside its subprogram; expected exit or a jump inside"),
        ("call f\nexit\nf: goto -2", "slot 2: goes on to slot 1, outside its subprogram; expected exit or a jump inside"),
    ];
    for (text, expected) in rows {
        assert_eq!(Cfg::new(&insns(text)).unwrap_err().to_string(), expected, "{text}");
    }
    assert_eq!(Cfg::new(&[]), Err(CfgError::Empty));
    assert!(matches!(Cfg::new(&[Insn { op: 0xff, ..Insn::default() }]), Err(CfgError::Undefined(_))));
}

#[test]
fn lowered_code_names_its_functions() {
    let mut code = insns("r0 = r1\nexit\nr0 = r2\nexit");
    code[0].src = Reg::ENV;
    let cfg = Cfg::of_lowered(&code, &[0, 2]).unwrap();
    assert_eq!(cfg.subprogs.len(), 2);
    assert!(Cfg::new(&code).is_err());
    assert_eq!(Cfg::of_lowered(&code, &[9]), Err(CfgError::OutOfProgram { from: 9, to: 9 }));
}

/// Against the definition: b is in the natural loop of a back edge if it reaches the edge's source without its head.
#[test]
fn random_graphs_agree_with_the_definition() {
    let mut state = 5u64;
    let mut random = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let (mut natural, mut others) = (0, 0);
    for _ in 0..3000 {
        let count = 3 + random(12);
        let mut text = String::new();
        for line in 0..count {
            match random(3) {
                0 => text.push_str(&format!("l{line}: goto l{}\n", random(count))),
                1 => text.push_str(&format!("l{line}: if r1 > {line} goto l{}\n", random(count))),
                _ => text.push_str(&format!("l{line}: r1 += 1\n")),
            }
        }
        let cfg = graph(&format!("{text}exit"));
        let blocks = cfg.blocks.len() as u32;
        // What is reached from `from` without passing `without`.
        let reach = |from: u32, without: u32| {
            let mut seen = vec![false; blocks as usize];
            let mut stack = if from == without { vec![] } else { vec![from] };
            while let Some(block) = stack.pop() {
                if !std::mem::replace(&mut seen[block as usize], true) {
                    stack.extend(cfg.outgoing(block).iter().map(|edge| edge.to).filter(|&to| to != without));
                }
            }
            seen
        };
        let reachable = reach(0, u32::MAX);
        assert_eq!(cfg.blocks.iter().map(|block| block.reachable).collect::<Vec<_>>(), reachable);
        if cfg.loops.iter().any(|one| one.irreducible) {
            others += 1;
            continue;
        }
        for (index, one) in cfg.loops.iter().enumerate() {
            let beside = reach(0, one.head);
            let latches: Vec<u32> = cfg.incoming(one.head).filter(|edge| edge.back).map(|edge| edge.from).collect();
            for block in 0..blocks {
                let avoids = reach(block, one.head);
                let inside = block == one.head
                    || reachable[block as usize] && latches.iter().any(|&latch| avoids[latch as usize]);
                assert_eq!(cfg.is_in_loop(block, index as u32), inside, "block {block} loop {one:?}\n{text}");
            }
            assert!(latches.iter().all(|&latch| latch == one.head || !beside[latch as usize]), "the head dominates");
            natural += 1;
        }
    }
    assert!(natural > 500 && others > 50, "{natural} {others}");
}

#[test]
fn random_slots_never_panic() {
    let mut state = 3u64;
    for _ in 0..100_000 {
        let slots: Vec<Insn> = (0..6)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let mut bytes = (state >> 8).to_le_bytes();
                bytes[0] = [0x05, 0x15, 0x85, 0x95, 0x18, 0x06, 0xe5, 0x0d, 0x00][(state >> 60) as usize % 9];
                bytes[2] %= 8;
                bytes[3..].fill(0);
                Insn::from_bytes(bytes, Endian::Little)
            })
            .collect();
        drop(Cfg::new(&slots));
    }
}
