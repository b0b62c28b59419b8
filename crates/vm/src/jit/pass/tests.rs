//! Each pass, by functions before and after it. `golden/NAME.txt` has a program (functions begin at labels without a
//! dot), and what becomes of its first function; `UPDATE=1 cargo test -p alveary-vm golden` writes what becomes of it now.

use super::*;
use crate::code::{Body, Known, Lookup, Memory, Table};
use crate::engine::{Trusted, handler_at};
use crate::jit::affine::Sum;
use crate::jit::graph::{End, Runs, Test};
use crate::jit::native::Service;
use crate::jit::{Jit, Listed, Rules};
use crate::predecode::predecode;
use crate::{Call, Code, Env, Func, HelperFn, Link};
use alveary_isa::{AluOp, Inst, Operand, Reg, asm::assemble, decode};
use cranelift_codegen::ir::immediates::Imm64;
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
/// what r4 and r5 point to are values of two maps; what is added to r8 leaves 3 to 100, what is
/// taken from it 0 to 100, what differs from it is 7, and it is
/// not zero where it divides.
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
        if let Inst::Alu { op: AluOp::Add, dst: Reg(8), .. } = inst {
            known[slot].range = (3, 100);
        }
        if let Inst::Alu { op: AluOp::Sub, dst: Reg(8), .. } = inst {
            known[slot].range = (0, 100);
        }
        if let Inst::Alu { op: AluOp::Xor, dst: Reg(8), .. } = inst {
            known[slot].range = (7, 7);
        }
        if let Inst::Alu { op: AluOp::Div, src: Operand::Reg(Reg(8)), .. } = inst {
            known[slot].divisor_not_zero = true;
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
        if let Some((reg, number)) = node.holds {
            let _ = writeln!(text, "  r{} holds {number}", reg.0);
        }
        match &node.runs {
            Runs::OneByOne => {}
            Runs::Rise(rises) => {
                let rises = rises.iter().map(|(reg, by)| format!("r{} += {by}", reg.0));
                let _ = writeln!(text, "  {}", rises.collect::<Vec<_>>().join("; "));
            }
            Runs::Behind(_) => {
                let _ = writeln!(text, "  lanes are added up");
            }
            Runs::InFront(_, round) => {
                let _ = writeln!(text, "  loads at {:?}", round.loads);
            }
            Runs::AtOnce(round) => {
                let rises = round.rises.iter().map(|(place, by)| format!("{place:?} {by}"));
                for (slot, reg, _) in &round.sums {
                    let _ = writeln!(text, "  r{} is summed in lanes at {slot}", reg.0);
                }
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
        End::Same { stretches, yes, no } => {
            let [one, other] = [0, 1].map(|at| sum(&stretches[at]));
            format!("if eight bytes at {one} and {other} are the same to node {yes} else node {no}")
        }
        End::Guard { guard, yes, no } => {
            let below = if guard.strict { "<" } else { "<=" };
            let (rises, end) = (sum(&guard.rises), sum(&guard.end));
            format!("if {rises} <= {rises} + {} {below} {end} to node {yes} else node {no}", guard.more)
        }
        End::Return => "return r0".to_owned(),
    }
}

fn sum(sum: &Sum) -> String {
    let regs = sum.regs.iter().map(|reg| format!("r{}", reg.0));
    let off = (sum.off != 0 || sum.regs.is_empty()).then(|| sum.off.to_string());
    regs.chain(off).collect::<Vec<String>>().join(" + ")
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

/// What a pass is compared with: what it builds on, without it.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn before(pass: Pass) -> Passes {
    if Passes::LIFTING.has(pass) { Passes::NONE } else { Passes::LIFTING }
}

/// Passes that are made while lifting, by the code generator's IR.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn golden_while_lifting() {
    let passes = [Pass::Narrow, Pass::Multiply, Pass::Fill, Pass::Gather, Pass::Early, Pass::Select, Pass::Scale];
    // What is done where code is lowered, the vm does not see.
    let lifting = Pass::all().filter(|pass| Passes::LIFTING.has(*pass) && !matches!(pass, Pass::Dead | Pass::Array));
    let more = [Pass::Lookup, Pass::Helper, Pass::Divide, Pass::Order, Pass::Hoist, Pass::Forward];
    let more = more.into_iter().chain(lifting);
    for pass in passes.into_iter().chain(more) {
        // Where these are, nobody knows.
        let known = [(Nothing.helper(0) as usize as u64, "HELPER"), (Service::Obey.address(), "OBEY")];
        let known = known.into_iter().chain([(Service::TooDeep.address(), "TOO_DEEP")]);
        let known: Vec<(String, &str)> =
            known.map(|(address, name)| (Imm64::new(address as i64).to_string(), name)).collect();
        let named =
            |line: &str| known.iter().fold(line.to_owned(), |line, (address, name)| line.replace(address, name));
        hold(pass.name(), |code| {
            let code = with_bodies_and_lookups(code);
            let [before, after] = [before(pass), Passes::only(pass)].map(|passes| {
                let listed = list(&code, passes);
                let of_a_slot = listed[0].lifted.iter().filter_map(|line| Some((line.slot?, &line.text)));
                let text = of_a_slot.map(|(slot, line)| format!("  {slot:>3}: {}\n", named(line)));
                text.collect()
            });
            (before, after)
        });
    }
}

/// The pass that is made of machine code, by where what comes from which slot begins and ends: lines have 64 bytes.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn golden_where_code_begins() {
    hold(Pass::Align.name(), |code| {
        let [before, after] = [before(Pass::Align), Passes::only(Pass::Align)].map(|passes| {
            let listed = list(code, passes);
            let parts = listed.iter().flat_map(|function| function.parts.iter().map(|part| (function.address, part)));
            let places = parts.map(|(begin, part)| {
                let at = |byte: usize| begin as usize + byte;
                format!("  {:>3}: {:>3} to {:>3}\n", part.slot, at(part.bytes.start), at(part.bytes.end))
            });
            places.collect()
        });
        (before, after)
    });
}

/// Passes that are made of machine code, by its instructions.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[test]
fn golden_machine_code() {
    for pass in [Pass::Short, Pass::Leaf] {
        hold(pass.name(), |code| {
            let [before, after] = [before(pass), Passes::only(pass)].map(|passes| {
                let listed = list(&with_bodies_and_lookups(code), passes);
                machine_code(&listed[0].code)
            });
            (before, after)
        });
    }
}

/// Instructions, each behind its place; addresses of this process, which nobody knows, are not told.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn machine_code(code: &[u8]) -> String {
    use iced_x86::{Formatter, GasFormatter, OpKind};
    let mut text = String::new();
    for instruction in iced_x86::Decoder::with_ip(64, code, 0, 0).iter() {
        let mut line = String::new();
        GasFormatter::new().format(&instruction, &mut line);
        if instruction.op_kinds().any(|kind| kind == OpKind::Immediate64) {
            line = line.split('$').next().unwrap_or_default().to_owned() + "ADDRESS";
        }
        let _ = writeln!(text, "  {:>3}: {line}", instruction.ip());
    }
    text
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn list(code: &Code, passes: Passes) -> Vec<Listed> {
    let jit = Jit::with_passes(1 << 20, passes).expect("it is x86-64");
    jit.list(code, &Nothing).expect("well-formed")
}

/// The code, with something known of each call of a helper: it is a lookup in one kind of table after the other, and does one
/// thing after the other of what an engine may do by itself.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn with_bodies_and_lookups(code: &Code) -> Code {
    let bodies = [
        Body::Random,
        Body::Checksum { from: 0, to: 8, folded: true },
        Body::PacketBytes { start: 0, end: 8, size: 6, last: 0xffff, to_packet: false },
        Body::Replaced { start: 0, end: 8, size: 4, last: 0xffff, narrow: false, zero_means_none: 0x20 },
    ];
    let table = Table::Hash {
        buckets: 0x100,
        mask: 7,
        slots: 0x200,
        slot: 16,
        next: 0,
        key: 4,
        values: 0x300,
        value_stride: 24,
        cpu_stride: 0,
        seed: 5,
        used: 12,
    };
    let mut code = code.clone();
    let mut slot = 0;
    let mut calls = Vec::new();
    while let Ok(inst) = decode(&code.insns, slot as usize) {
        if matches!(inst, Inst::CallHelper { .. }) {
            calls.push(slot);
        }
        slot += inst.slots() as u32;
    }
    let trie =
        Table::Trie { version: 0x80, root: 0x84, nodes: 0x100, node: 40, child: 0, bits: 8, prefix: 16, value: 24 };
    let tables = [(8, table), (20, table), (8, trie), (20, trie)].into_iter().cycle();
    let lookups = calls.iter().zip(tables);
    code.lookups = lookups.map(|(&slot, (key_size, table))| Lookup { slot, map: 0, key_size, table }).collect();
    code.bodies = calls.into_iter().zip(bodies).collect();
    code
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
