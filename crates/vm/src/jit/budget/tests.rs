//! Programs that were written to keep the compiler busy: four times as long, they are looked at four times as much.

use super::super::pass::{self, Passes};
use super::super::plan::{Plan, Rules};
use crate::engine::{Trusted, handler_at};
use crate::predecode::predecode;
use crate::{Code, Env, Func, HelperFn, Link};
use alveary_isa::asm::assemble;
use std::cell::Cell;

thread_local! {
    /// What was looked at by this thread.
    pub(super) static COUNTED: Cell<u64> = const { Cell::new(0) };
}

struct Nothing;

// SAFETY: there are no maps and no helpers.
unsafe impl Link for Nothing {
    fn map(&self, _: u16) -> u64 {
        0
    }
    fn map_value(&self, _: u16, _: u32) -> u64 {
        0
    }
    fn memory(&self, _: u16, _: u64) -> u64 {
        0
    }
    fn helper(&self, _: u16) -> HelperFn {
        unsafe extern "C" fn nothing(_: *const Env, _: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
            0
        }
        nothing
    }
}

/// What is looked at in a program, by all passes.
fn looked_at(text: &str) -> u64 {
    let (assembly, errors) = assemble(text, &|_| None);
    assert!(errors.is_empty(), "{errors:?}");
    let starts = assembly.sections[0].labels.iter().filter(|label| label.name.starts_with('f'));
    let starts = [0].into_iter().chain(starts.map(|label| label.slot));
    let funcs: Vec<Func> = starts.map(|start| Func { start, stack: 512 }).collect();
    let insns = assembly.into_raw().expect("no references").to_vec();
    let code = Code { insns, funcs, ..Code::default() };
    let ops = predecode(&code, &Nothing, handler_at::<Trusted>).expect("well-formed");
    COUNTED.set(0);
    let rules = Rules { passes: Passes::ALL, fuel: true, ..Rules::default() };
    let plan = Plan::new(&code, &ops, rules).expect("well-formed");
    for function in 0..plan.functions.len() {
        pass::run(&plan, function, Passes::ALL);
    }
    COUNTED.get()
}

/// A program of so many pieces, each made of its number, between a beginning and an end.
fn of(pieces: usize, piece: impl Fn(usize) -> String) -> String {
    let body: String = (0..pieces).map(piece).collect();
    format!("r0 = 0\n{body}last: exit\n")
}

type Shape = fn(usize) -> String;

/// Each is a program of about so many instructions.
const SHAPES: &[(&str, Shape)] = &[
    ("one comparison after the other, with something between", |n| {
        of(n / 2, |i| format!("if r1 == {i} goto l{i}\nr0 += 1\nl{i}:\n"))
    }),
    ("all comparisons lead to one place", |n| of(n.min(30_000), |i| format!("if r1 == {i} goto last\n"))),
    ("cases that end", |n| of(n / 3, |i| format!("if r1 != {i} goto l{i}\nr0 = {i}\ngoto last\nl{i}:\n"))),
    ("many trees", |n| {
        of(n / 12, |i| {
            let case = |c| format!("if r2 == {c} goto l{i}_{c}\n");
            let cases: String = (0..6).map(case).collect();
            let labels: String = (0..6).map(|c| format!("l{i}_{c}: r0 += {c}\n")).collect();
            format!("{cases}{labels}")
        })
    }),
    ("loops that count", |n| of(n / 4, |i| format!("r6 = 0\nl{i}: r0 += r1\nr6 += 1\nif r6 != 9 goto l{i}\n"))),
    ("loops in loops", |n| {
        let ends: String = (0..n / 3).rev().map(|i| format!("r1 += 1\nif r1 == {i} goto l{i}\n")).collect();
        of(n / 3, |i| format!("l{i}: r0 += {i}\n")).replace("last:", &format!("{ends}last:"))
    }),
    ("all lead back to the first", |n| of(n / 2, |i| format!("l{i}: r0 += 1\nif r1 == {i} goto l0\n"))),
    ("all lead back to somewhere", |n| {
        of(n / 2, |i| format!("l{i}: r0 += 1\nif r1 == {i} goto l{}\n", i * 7919 % (i + 1)))
    }),
    ("machines of states", |n| {
        of(n / 7, |i| {
            format!(
                "r6 = 0\nl{i}: if r6 == 1 goto m{i}\nr6 = 1\ngoto n{i}\nm{i}: r6 = 0\nn{i}: r1 += 1\nif r1 != 5 goto l{i}\n"
            )
        })
    }),
    ("each function calls the next one", |n| {
        let functions: String = (0..n / 3).map(|i| format!("f{i}: r0 += r1\ncall f{}\nexit\n", i + 1)).collect();
        format!("call f0\nexit\n{functions}f{}: r0 = r5\nexit\n", n / 3)
    }),
    ("stack words", |n| {
        of(n / 3, |i| {
            let width = ["u64", "u32"][i / 30 % 2];
            format!(
                "if r1 > {i} goto l{i}\n*({width} *)(r10 - {}) = r1\nl{i}: r2 = *(u64 *)(r10 - 8)\n",
                8 + i % 30 * 8
            )
        })
    }),
];

#[test]
fn what_is_looked_at_grows_with_a_program_and_not_faster() {
    for (name, shape) in SHAPES {
        let [short, long] = [4_000, 16_000].map(|insts| looked_at(&shape(insts)));
        assert!(long < short * 6, "{name}: {short} for 4000 instructions, {long} for 16000");
    }
}
