//! Each pass, by functions before and after it. `golden/NAME.txt` has a program (functions begin at labels without a
//! dot), and what becomes of its first function; `UPDATE=1 cargo test -p alveary-vm golden` writes what becomes of it now.

use super::*;
use crate::code::{Known, Memory};
use crate::engine::{Trusted, handler_at};
use crate::jit::affine::Sum;
use crate::jit::graph::{End, Runs, Test};
use crate::jit::{Jit, Rules};
use crate::predecode::predecode;
use crate::{Call, Code, Env, Func, HelperFn, Link};
use alveary_isa::{Inst, asm::assemble, decode};
use std::fmt::Write;
use std::path::Path;

struct Nothing;

// SAFETY: there are no maps, and the helper takes whatever it is given.
unsafe impl Link for Nothing {
    fn map(&self, map: u16) -> u64 {
        map.into()
    }
    fn map_value(&self, _: u16, _: u32) -> u64 {
        0
    }
    fn memory(&self, _: u16, off: u64) -> u64 {
        off
    }
    fn helper(&self, _: u16) -> HelperFn {
        unsafe extern "C" fn nothing(_: *const Env, _: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
            0
        }
        nothing
    }
}

/// The code of a program in text; helpers are called by their numbers in `calls`. What r2 and r3 point to is the packet,
/// what r4 and r5 point to are values of two maps.
fn code(text: &str) -> Code {
    let (assembly, errors) = assemble(text, &|_| None);
    assert!(errors.is_empty(), "{errors:?}");
    let starts = assembly.sections[0].labels.iter().filter(|label| !label.name.starts_with('.'));
    let mut funcs: Vec<Func> = starts.map(|label| Func { start: label.slot, stack: 512 }).collect();
    funcs.sort_unstable_by_key(|func| func.start);
    let insns = assembly.into_raw().expect("no references").to_vec();
    let mut known = vec![Known::NOTHING; insns.len()];
    let mut slot = 0;
    while let Ok(inst) = decode(&insns, slot) {
        if let Inst::Load { src: base, .. } | Inst::Store { dst: base, .. } = inst {
            known[slot].memory = match base.0 {
                2 | 3 => Memory::Packet,
                value @ 4..=5 => Memory::Value(value.into()),
                _ => Memory::Any,
            };
        }
        slot += inst.slots();
    }
    Code { insns, known, funcs, calls: vec![Call { args: 2, returns: true, tag: 1 }], ..Code::default() }
}

fn text(plan: &Plan<'_>, graph: &Graph) -> String {
    let mut text = String::new();
    for number in graph.order() {
        let node = &graph.nodes[number];
        let of = if node.activation == 0 { String::new() } else { format!(", activation {}", node.activation) };
        let cold = if node.cold { ", cold" } else { "" };
        let _ = writeln!(text, "node {number}{of}{cold}:");
        match &node.runs {
            Runs::OneByOne => {}
            Runs::InFront(_, round) => {
                let _ = writeln!(text, "  loads at {:?}", round.loads);
            }
            Runs::AtOnce(round) => {
                let rises = round.rises.iter().map(|(place, by)| format!("{place:?} {by}"));
                let _ =
                    writeln!(text, "  four rounds at once; in each goes up: {}", rises.collect::<Vec<_>>().join(", "));
            }
        }
        for (slot, inst) in plan.insts_at(node.body.clone()) {
            let _ = writeln!(text, "  {slot:>3}: {inst}");
        }
        let _ = writeln!(text, "       {}", end(&node.end));
    }
    text
}

fn end(end: &End) -> String {
    match end {
        End::Jump(to) => format!("to node {to}"),
        End::Branch { test: Test { wide, op, dst, src }, taken, next } => {
            let jump = Inst::Jmp { wide: *wide, op: *op, dst: *dst, src: *src, off: 0 }.to_string();
            format!("{} node {taken} else node {next}", jump.trim_end_matches("+0").trim_end())
        }
        End::MayGoto { taken, next } => format!("may go to node {taken} else node {next}"),
        End::Switch { reg, ways, otherwise, .. } => format!("by r{} to nodes {ways:?} else node {otherwise}", reg.0),
        End::Guard { guard, yes, no } => {
            let sum = |sum: &Sum| {
                let regs = sum.regs.iter().map(|reg| format!("r{}", reg.0));
                let off = (sum.off != 0 || sum.regs.is_empty()).then(|| sum.off.to_string());
                regs.chain(off).collect::<Vec<String>>().join(" + ")
            };
            let below = if guard.strict { "<" } else { "<=" };
            let (rises, end) = (sum(&guard.rises), sum(&guard.end));
            format!("if {rises} <= {rises} + {} {below} {end} to node {yes} else node {no}", guard.more)
        }
        End::Return => "return r0".to_owned(),
    }
}

#[test]
fn golden() {
    for (row, run) in ROWS.iter().filter_map(|row| Some((row, row.run?))) {
        hold(row.name, |code| {
            let ops = predecode(code, &Nothing, handler_at::<Trusted>).expect("well-formed");
            let plan = Plan::new(code, &ops, Rules::default()).expect("well-formed");
            let mut graph = Graph::of(&plan, 0);
            let before = self::text(&plan, &graph);
            run(&plan, &mut graph);
            (before, self::text(&plan, &graph))
        });
    }
}

/// Passes that are made while lifting, by the code generator's IR.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn golden_while_lifting() {
    for pass in [Pass::Narrow, Pass::Multiply, Pass::Fill, Pass::Gather, Pass::Early] {
        hold(pass.name(), |code| {
            let [before, after] = [Passes::NONE, Passes::NONE.with(pass)].map(|passes| {
                let jit = Jit::with_passes(1 << 20, passes).expect("it is x86-64");
                let listed = jit.list(code, &Nothing).expect("well-formed");
                let of_a_slot = listed[0].lifted.iter().filter_map(|line| Some((line.slot?, &line.text)));
                of_a_slot.fold(String::new(), |text, (slot, line)| text + &format!("  {slot:>3}: {line}\n"))
            });
            (before, after)
        });
    }
}

/// Holds what `make` says of each program of a pass's file, before and after, against what the file says.
fn hold(name: &str, make: impl Fn(&Code) -> (String, String)) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/jit/pass/golden").join(name).with_extension("txt");
    let file = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    let mut now = String::new();
    for case in file.split("=== ").skip(1) {
        let program = case.split("--- ").next().expect("there is always a first part");
        let (title, source) = program.split_once('\n').expect("a title has a line of its own");
        let (before, after) = make(&code(source));
        let _ = write!(now, "=== {title}\n{source}--- before\n{before}--- after\n{after}");
    }
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(&path, &now).expect("the source folder can be written to");
    }
    assert!(file == now, "{}: pass `{name}` now makes:\n{now}", path.display());
}

#[test]
fn passes_are_known_by_their_names() {
    for pass in Pass::all() {
        assert_eq!(Pass::named(pass.name()), Some(pass));
        assert!(Passes::ALL.has(pass) && !Passes::ALL.without(pass).has(pass) && Passes::NONE.with(pass).has(pass));
    }
    assert_eq!(Pass::named("another"), None);
}
