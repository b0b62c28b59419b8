//! Passes: what is made better in a function before it is lifted, each in a file of its own that says which fact makes
//! it sound. Every one of them can be left out, and what is left is right, too.
//!
//! | file | what becomes better |
//! |---|---|
//! | `inline` | small functions are made part of those that call them |
//! | `thread` | comparisons are left out on ways that say how they end |
//! | `lanes` | four rounds of a loop run at once, in the lanes of vectors |
//! | `sum`, in `lanes` | loops that sum do so in four lanes |
//! | `compare` | stretches of the packet are compared eight bytes at a time |
//! | `widen` | loops ask once for several rounds whether they stay inside of something |
//! | `unroll` | several rounds of loops that count stand one behind the other |
//! | `states` | loops stand once for each of the few constants that a register has in them |
//! | `switch` | trees of comparisons become jumps by tables |
//! | `below` | loops that count ask whether they are below their end, or above |
//! | `tails` | many ways to the last test of a loop have one each |
//!
//! While lifting:
//!
//! | file | what becomes better |
//! |---|---|
//! | `jit/lookup` | lookups in hash tables are made without a call |
//! | `jit/body` | what helpers do is done in place of their calls |
//! | `narrow` | what has 32 bits is not extended again |
//! | `jit/multiply` | multiplications by some constants become shifts |
//! | `jit/divide` | divisions by more constants become one multiplication |
//! | `jit/fill` | stores of one value side by side become wide ones |
//! | `jit/gather` | bytes of the packet that are put together are loaded as one word |
//! | `jit/forward` | what was just written to the stack is not read from there |
//! | `jit/early` | what is computed of many loads is computed where the program does |
//! | `jit/select` | short ways around what is cheap become selections |
//! | `jit/hoist` | what loops need in each round is in a register |
//! | `words`, in `jit/frame` | words of frames that nobody else sees are registers |
//! | `args`, in `jit/plan` | functions are called with what they read |
//! | `facts`, in `jit/plan` | what the verifier knows of numbers is used |
//! | `exits`, in `jit/lift` | ways out of loops are blocks of their own, apart from the loop |
//! | `roots`, in `jit/lift` | addresses are what they began with, and a number |
//! | `jit/scale` | bits beside shifted ones are added |
//! | `jit/order` | what nothing reads later is written over |
//!
//! `dead` and `array` are made before any of that, where a proven program is lowered (by the runtime, for the interpreter,
//! too). `short`, `leaf` and `align` are made of what is compiled (`jit/emitted`, `jit/layout`).

mod below;
mod compare;
mod inline;
pub(super) mod lanes;
pub(super) mod narrow;
mod states;
mod switch;
mod tails;
#[cfg(test)]
mod tests;
mod thread;
mod unroll;
mod widen;

use super::graph::Graph;
use super::plan::Plan;
use std::fmt;

/// A pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pass {
    /// What the verifier knows never to happen is left out: branches, and what only they lead to.
    Dead,
    /// Lookups in arrays are a comparison and an address.
    Array,
    /// Small functions are made part of those that call them.
    Inline,
    /// Comparisons are left out on ways that say how they end.
    Thread,
    /// Four rounds of a loop run at once, in the lanes of vectors.
    Lanes,
    /// Loops that sum do so in four lanes.
    Sum,
    /// Stretches of the packet are compared eight bytes at a time.
    Compare,
    /// Loops ask once for several rounds whether they stay inside of something.
    Widen,
    /// Several rounds of loops that count stand one behind the other.
    Unroll,
    /// Loops stand once for each of the few constants that a register has in them.
    States,
    /// Trees of comparisons become jumps by tables.
    Switch,
    /// Loops that count ask whether they are below their end, or above.
    Below,
    /// Many ways to the last test of a loop have one each.
    Tails,
    /// Lookups in hash tables that are known are made without a call.
    Lookup,
    /// What helpers do is done in place of their calls.
    Helper,
    /// What has 32 bits is not extended again.
    Narrow,
    /// Multiplications by some constants become shifts.
    Multiply,
    /// Divisions by more constants become one multiplication.
    Divide,
    /// Stores of one value side by side become wide ones.
    Fill,
    /// Bytes of the packet that are put together are loaded as one word.
    Gather,
    /// What was just written to the stack is not read from there.
    Forward,
    /// What is computed of many loads is computed where the program does.
    Early,
    /// Short ways around what is cheap become selections.
    Select,
    /// Bits beside shifted ones are added.
    Scale,
    /// What nothing reads later is written over.
    Order,
    /// What loops need in each round is in a register.
    Hoist,
    /// Words of frames that nobody else sees are registers.
    Words,
    /// Functions are called with what they read of their arguments.
    Args,
    /// What the verifier knows of numbers is used.
    Facts,
    /// Ways out of loops, and to a function's end before it, are blocks of their own, apart from what goes on.
    Exits,
    /// Addresses are what they began with, and a number.
    Roots,
    /// Distances and numbers take one byte of machine code where that is enough.
    Short,
    /// Functions that need none have no frame.
    Leaf,
    /// Functions begin where their loops touch few lines of the instruction cache.
    Align,
}

/// A pass over a function.
struct Row {
    pass: Pass,
    name: &'static str,
    /// What it does to the function's graph; some passes are made later.
    run: Option<fn(&Plan<'_>, &mut Graph)>,
}

/// The passes, in their order.
const ROWS: &[Row] = &[
    Row { pass: Pass::Dead, name: "dead", run: None },
    Row { pass: Pass::Array, name: "array", run: None },
    Row { pass: Pass::Inline, name: "inline", run: Some(inline::run) },
    Row { pass: Pass::Thread, name: "thread", run: Some(thread::run) },
    Row { pass: Pass::Lanes, name: "lanes", run: Some(lanes::run) },
    Row { pass: Pass::Sum, name: "sum", run: Some(lanes::run_sums) },
    Row { pass: Pass::Compare, name: "compare", run: Some(compare::run) },
    Row { pass: Pass::Widen, name: "widen", run: Some(widen::run) },
    Row { pass: Pass::Unroll, name: "unroll", run: Some(unroll::run) },
    Row { pass: Pass::States, name: "states", run: Some(states::run) },
    Row { pass: Pass::Switch, name: "switch", run: Some(switch::run) },
    Row { pass: Pass::Below, name: "below", run: Some(below::run) },
    Row { pass: Pass::Tails, name: "tails", run: Some(tails::run) },
    Row { pass: Pass::Lookup, name: "lookup", run: None },
    Row { pass: Pass::Helper, name: "helper", run: None },
    Row { pass: Pass::Narrow, name: "narrow", run: None },
    Row { pass: Pass::Multiply, name: "multiply", run: None },
    Row { pass: Pass::Divide, name: "divide", run: None },
    Row { pass: Pass::Fill, name: "fill", run: None },
    Row { pass: Pass::Gather, name: "gather", run: None },
    Row { pass: Pass::Forward, name: "forward", run: None },
    Row { pass: Pass::Early, name: "early", run: None },
    Row { pass: Pass::Select, name: "select", run: None },
    Row { pass: Pass::Scale, name: "scale", run: None },
    Row { pass: Pass::Order, name: "order", run: None },
    Row { pass: Pass::Hoist, name: "hoist", run: None },
    Row { pass: Pass::Words, name: "words", run: None },
    Row { pass: Pass::Args, name: "args", run: None },
    Row { pass: Pass::Facts, name: "facts", run: None },
    Row { pass: Pass::Exits, name: "exits", run: None },
    Row { pass: Pass::Roots, name: "roots", run: None },
    Row { pass: Pass::Short, name: "short", run: None },
    Row { pass: Pass::Leaf, name: "leaf", run: None },
    Row { pass: Pass::Align, name: "align", run: None },
];

/// Which passes are made.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Passes(u64);

impl Passes {
    /// All of them.
    pub const ALL: Passes = Passes(u64::MAX);
    /// None: what is lifted is the program as it is.
    pub const NONE: Passes = Passes(0);
    /// What lowering and lifting do by themselves: others build on it.
    pub const LIFTING: Passes = Passes::NONE
        .with(Pass::Dead)
        .with(Pass::Array)
        .with(Pass::Words)
        .with(Pass::Args)
        .with(Pass::Facts)
        .with(Pass::Exits)
        .with(Pass::Roots);

    /// One alone, with what it builds on.
    #[must_use]
    pub const fn only(pass: Pass) -> Passes {
        let alone = Passes::NONE.with(pass);
        if Passes::LIFTING.has(pass) { alone } else { Passes(Passes::LIFTING.0 | alone.0) }
    }

    /// These, but for one.
    #[must_use]
    pub const fn without(self, pass: Pass) -> Passes {
        Passes(self.0 & !(1 << pass as u32))
    }

    /// These, and one more.
    #[must_use]
    pub const fn with(self, pass: Pass) -> Passes {
        Passes(self.0 | 1 << pass as u32)
    }

    /// Whether a pass is among them.
    #[must_use]
    pub const fn has(self, pass: Pass) -> bool {
        self.0 & 1 << pass as u32 != 0
    }
}

impl Default for Passes {
    /// Those that make most programs faster: all but [`Pass::Narrow`], which some lose by.
    fn default() -> Passes {
        Passes::ALL.without(Pass::Narrow)
    }
}

impl fmt::Debug for Passes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Pass::all().filter(|pass| self.has(*pass))).finish()
    }
}

impl Pass {
    /// Every pass there is, in their order.
    pub fn all() -> impl Iterator<Item = Pass> {
        ROWS.iter().map(|row| row.pass)
    }

    /// The pass of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Pass> {
        ROWS.iter().find(|row| row.name == name).map(|row| row.pass)
    }

    /// Its name, as [`Pass::named`] takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        ROWS.iter().find(|row| row.pass == self).map_or("", |row| row.name)
    }
}

/// Function `number` of a program as it is lifted.
pub(super) fn run(plan: &Plan<'_>, number: usize, passes: Passes) -> Graph {
    let mut graph = Graph::of(plan, number);
    for row in ROWS.iter().filter(|row| passes.has(row.pass)) {
        if let Some(run) = row.run {
            run(plan, &mut graph);
        }
    }
    graph
}
