//! The ranges of numbers: an analysis that follows every way through the program, joins what is known where ways meet,
//! and goes on until nothing changes. No way ends early, and nothing is believed of numbers that the exploration found.
//!
//! Of the exploration it takes which instructions are reached, which ways jumps go, and what pointers point to.

use super::{
    Argument, Fact, REGISTERS,
    effect::{number, returned, transfer, ways},
    record::{divisor, written},
    values::Values,
};
use crate::{program::Prepared, scalar::Scalar};
use alveary_abi::HelperId;
use alveary_isa::{Inst, Operand, Reg, Wide};
use std::collections::{BTreeMap, BTreeSet, btree_map};

/// How often ways may bring something new to a place before what changes there is given up.
const PATIENCE: u32 = 4;
/// How often everything is followed once more, to find again what was given up.
const TIGHTENINGS: u32 = 2;

/// Completes the facts; gives the registers at the start of each stretch without jumps.
pub(super) fn find(program: &Prepared<'_>, facts: &mut [Fact]) -> Vec<(u32, [Scalar; REGISTERS])> {
    let flow = Flow {
        program,
        facts,
        starts: starts(program),
        escapes: (0..program.subprogs.len()).map(|n| escapes(program, n)).collect(),
    };
    let mut known = flow.settle();
    for _ in 0..TIGHTENINGS {
        known = flow.tighten(&known);
    }
    let Flow { starts, escapes, .. } = flow;
    Writer { program, escapes: &escapes, starts: &starts, known: &known }.write(facts);
    known.entries.into_iter().map(|(at, entry)| (at, entry.values.regs)).collect()
}

/// Bytes that the analysis may take, beside the facts.
pub(super) fn bytes(program: &Prepared<'_>) -> usize {
    let starts = starts(program).into_iter().filter(|start| *start).count();
    starts * KNOWN * (size_of::<Entry>() + AROUND) + MOST_PLACES * KNOWN * Values::PLACE
}

/// How often an entry is there: what is known, what will be, what is given.
const KNOWN: usize = 3;
/// What the table around an entry takes.
const AROUND: usize = 48;
/// Places of stacks that all entries may know of together; those that come later know of none.
const MOST_PLACES: usize = 1 << 16;

/// What is known where ways meet.
#[derive(Clone)]
struct Entry {
    values: Values,
    changes: u32,
}

impl Entry {
    fn new(values: Values) -> Entry {
        Entry { values, changes: 0 }
    }

    /// Takes in what a way brings; whether that was new.
    fn take_in(&mut self, values: &Values) -> bool {
        let changed = self.values.take_in(values, self.changes >= PATIENCE);
        self.changes += u32::from(changed);
        changed
    }
}

/// What is known of the whole program.
struct Known {
    /// Where a stretch of code without jumps begins that is reached.
    entries: BTreeMap<u32, Box<Entry>>,
    /// Places of stacks that these know of, or knew of.
    places: usize,
    /// What each function gives back, once a way through it is known.
    exits: Vec<Option<Entry>>,
}

struct Flow<'a> {
    program: &'a Prepared<'a>,
    facts: &'a [Fact],
    /// Whether a stretch of code without jumps begins at each slot.
    starts: Vec<bool>,
    /// For each function: whether its frame pointer goes where writes through it cannot be told.
    escapes: Vec<bool>,
}

/// What comes of one stretch of code.
#[derive(Default)]
struct Outcome {
    /// What is known at the starts of others.
    entries: Vec<(u32, Values)>,
    /// What the function that it is in gives back.
    exits: Vec<Scalar>,
    /// The function that it calls.
    callee: Option<u32>,
}

/// What comes behind a stretch of code.
enum End {
    Jump {
        to: u32,
    },
    Fork {
        at: u32,
        next: u32,
        to: u32,
    },
    Call {
        callee: u32,
        next: u32,
    },
    Return,
    /// The next stretch follows.
    Next {
        to: u32,
    },
    /// Nothing: what follows is not reached.
    Nothing,
}

impl Known {
    fn nothing(program: &Prepared<'_>) -> Known {
        let exits = program.subprogs.iter().map(|_| None).collect();
        Known { entries: BTreeMap::from([(0, Box::new(Entry::new(Values::UNKNOWN)))]), places: 0, exits }
    }

    /// What is known at `at`, if something is; else `values` are from now on.
    fn entry(&mut self, at: u32, values: &Values) -> Option<&mut Entry> {
        match self.entries.entry(at) {
            btree_map::Entry::Occupied(entry) => Some(entry.into_mut()),
            btree_map::Entry::Vacant(entry) => {
                let mut values = values.clone();
                self.places += values.places();
                if self.places > MOST_PLACES {
                    values.forget_stack();
                }
                entry.insert(Box::new(Entry::new(values)));
                None
            }
        }
    }
}

impl Flow<'_> {
    /// Follows all ways until nothing changes.
    fn settle(&self) -> Known {
        let mut known = Known::nothing(self.program);
        // Starts of the stretches that call each function.
        let mut callers = vec![BTreeSet::new(); self.escapes.len()];
        let mut waiting = BTreeSet::from([0]);
        while let Some(start) = waiting.pop_first() {
            let outcome = self.follow(start, &known);
            if let Some(callee) = outcome.callee {
                callers[callee as usize].insert(start);
            }
            for (at, values) in outcome.entries {
                if at < self.program.len() && known.entry(at, &values).is_none_or(|entry| entry.take_in(&values)) {
                    waiting.insert(at);
                }
            }
            let subprog = self.program.subprog_of(start) as usize;
            for result in outcome.exits {
                let exit = &mut known.exits[subprog];
                let news = match exit {
                    Some(exit) => exit.take_in(&returning(result)),
                    None => true,
                };
                if news {
                    exit.get_or_insert_with(|| Entry::new(returning(result)));
                    waiting.extend(&callers[subprog]);
                }
            }
        }
        known
    }

    /// Follows each stretch once more from what is known before it. What comes of that holds as well, and says more
    /// where a loop's numbers were given up that its condition bounds.
    fn tighten(&self, known: &Known) -> Known {
        let mut new = Known::nothing(self.program);
        for &start in known.entries.keys() {
            let outcome = self.follow(start, known);
            for (at, values) in outcome.entries {
                if at < self.program.len()
                    && let Some(entry) = new.entry(at, &values)
                {
                    entry.values.take_in(&values, false);
                }
            }
            let subprog = self.program.subprog_of(start) as usize;
            for result in outcome.exits {
                match &mut new.exits[subprog] {
                    Some(exit) => _ = exit.values.take_in(&returning(result), false),
                    none => *none = Some(Entry::new(returning(result))),
                }
            }
        }
        new
    }

    /// Follows the code from the start of a stretch.
    fn follow(&self, start: u32, known: &Known) -> Outcome {
        let mut outcome = Outcome::default();
        let Some(entry) = known.entries.get(&start) else { return outcome };
        let mut values = entry.values.clone();
        let subprog = self.program.subprog_of(start);
        let mut at = start;
        let end = loop {
            let fact = &self.facts[at as usize];
            let Some(inst) = self.program.inst(at).filter(|_| fact.reached) else { break End::Nothing };
            if ends_function(inst) && subprog != 0 {
                outcome.exits.push(Scalar::UNKNOWN);
            }
            if let (Inst::FuncAddr { .. }, Some(callee)) = (inst, self.program.callee(at)) {
                outcome.entries.extend(u32::try_from(callee).map(|to| (to, Values::UNKNOWN)));
            }
            if let Some(end) = end_of(self.program, at, inst) {
                break end;
            }
            transfer(self.program, fact, inst, self.escapes[subprog as usize], &mut values);
            at += inst.slots() as u32;
            match self.starts.get(at as usize) {
                Some(true) => break End::Next { to: at },
                Some(false) => {}
                None => break End::Nothing,
            }
        };
        match end {
            End::Jump { to } | End::Next { to } => outcome.entries.push((to, values)),
            End::Fork { at, next, to } => {
                let [behind, there] = ways(self.program, &self.facts[at as usize], at, &values);
                outcome.entries.extend(behind.map(|values| (next, values)));
                outcome.entries.extend(there.map(|values| (to, values)));
            }
            End::Call { callee, next } => {
                outcome.callee = Some(callee);
                outcome.entries.push((self.program.subprogs[callee as usize].start, values.of_callee()));
                if let Some(exit) = &known.exits[callee as usize] {
                    returned(&mut values, exit.values.regs[0], self.escapes[subprog as usize]);
                    outcome.entries.push((next, values));
                }
            }
            End::Return => outcome.exits.push(values.regs[0]),
            End::Nothing => {}
        }
        outcome
    }
}

/// Where stretches of code without jumps begin: every place that is come to otherwise than from the slot before it.
fn starts(program: &Prepared<'_>) -> Vec<bool> {
    let mut starts = vec![false; program.len() as usize];
    let mut mark = |at: u32| {
        if let Some(start) = starts.get_mut(at as usize) {
            *start = true;
        }
    };
    program.subprogs.iter().for_each(|subprog| mark(subprog.start));
    for at in 0..program.len() {
        match program.inst(at).and_then(|inst| end_of(program, at, inst)) {
            Some(End::Jump { to } | End::Next { to }) => mark(to),
            Some(End::Fork { next, to, .. }) => [next, to].into_iter().for_each(&mut mark),
            Some(End::Call { next, .. }) => mark(next),
            Some(End::Return | End::Nothing) | None => {}
        }
    }
    starts
}

/// Whether a function may end in a call: what it gives back then is not known.
fn ends_function(inst: Inst) -> bool {
    match inst {
        Inst::CallHelper { id } => id == HelperId::TAIL_CALL.0 as i32,
        Inst::LoadAbs { .. } | Inst::LoadInd { .. } => true,
        _ => false,
    }
}

/// What a function gives back.
fn returning(result: Scalar) -> Values {
    let mut values = Values::UNKNOWN;
    values.regs[0] = result;
    values
}

/// Whether the frame pointer of function `n` is used otherwise than as the base of a load or store.
fn escapes(program: &Prepared<'_>, n: usize) -> bool {
    let subprog = &program.subprogs[n];
    let fp = |operand: Operand| operand == Operand::Reg(Reg::FP);
    (subprog.start..subprog.end).filter_map(|at| program.inst(at)).any(|inst| match inst {
        Inst::Load { .. } | Inst::LoadAcquire { .. } => false,
        Inst::Store { src, .. } => fp(src),
        Inst::Atomic { src, .. } | Inst::StoreRelease { src, .. } => src == Reg::FP,
        Inst::Alu { src, dst, .. } | Inst::Jmp { src, dst, .. } => fp(src) || dst == Reg::FP,
        Inst::MovSx { src, .. } | Inst::AddrSpaceCast { src, .. } => src == Reg::FP,
        _ => false,
    })
}

/// What comes behind an instruction that ends a stretch.
fn end_of(program: &Prepared<'_>, at: u32, inst: Inst) -> Option<End> {
    let jump = |off: i64| u32::try_from(i64::from(at) + off + 1).map_or(End::Nothing, |to| End::Jump { to });
    Some(match inst {
        Inst::Ja { off, .. } => jump(off.into()),
        Inst::Jmp { off, .. } | Inst::MayGoto { off } => match jump(off.into()) {
            End::Jump { to } => End::Fork { at, next: at + 1, to },
            end => end,
        },
        Inst::CallLocal { .. } => {
            let callee = program.callee(at).and_then(|to| program.subprog_at(u32::try_from(to).ok()?));
            callee.map_or(End::Nothing, |callee| End::Call { callee, next: at + 1 })
        }
        Inst::Exit => End::Return,
        _ => return None,
    })
}

/// Goes over the code once more, when all is known, and writes down what is.
struct Writer<'a> {
    program: &'a Prepared<'a>,
    escapes: &'a [bool],
    starts: &'a [bool],
    known: &'a Known,
}

impl Writer<'_> {
    fn write(&self, facts: &mut [Fact]) {
        let mut visited = vec![false; facts.len()];
        for (&start, entry) in &self.known.entries {
            self.stretch(start, entry.values.clone(), facts, &mut visited);
        }
        for (fact, visited) in facts.iter_mut().zip(visited) {
            if !visited {
                *fact = Fact::DEAD;
            }
        }
    }

    fn stretch(&self, start: u32, mut values: Values, facts: &mut [Fact], visited: &mut [bool]) {
        let escapes = self.escapes[self.program.subprog_of(start) as usize];
        let mut at = start;
        loop {
            let Some(fact) = facts.get_mut(at as usize).filter(|fact| fact.reached) else { return };
            let Some(inst) = self.program.inst(at) else { return };
            visited[at as usize] = true;
            write_operands(fact, inst, &values);
            match end_of(self.program, at, inst) {
                Some(End::Fork { .. }) => {
                    let open = ways(self.program, fact, at, &values).map(|side| side.is_some());
                    [fact.falls_through, fact.jumps] = open;
                    return;
                }
                Some(End::Call { callee, .. }) => {
                    let exit = self.known.exits[callee as usize].as_ref();
                    fact.result = exit.map_or(Scalar::UNKNOWN, |exit| exit.values.regs[0]);
                    return;
                }
                Some(_) => return,
                None => {}
            }
            transfer(self.program, fact, inst, escapes, &mut values);
            if let Some(dst) = written(inst) {
                fact.result = number(&values, Reg(dst));
            }
            at += inst.slots() as u32;
            if self.starts.get(at as usize).is_none_or(|start| *start) {
                return;
            }
        }
    }
}

/// What an instruction works on.
fn write_operands(fact: &mut Fact, inst: Inst, values: &Values) {
    fact.divisor_not_zero = divisor(inst).is_some_and(|by| is_not_zero(inst, &number(values, Reg(by))));
    if let Some(call) = &mut fact.call {
        for (arg, value) in call.args.iter_mut().zip(&values.regs[1..]) {
            if let Argument::Number(number) = arg {
                *number = *value;
            }
        }
    }
}

/// Whether the division that `inst` is never divides by zero, `by` being what it divides by.
fn is_not_zero(inst: Inst, by: &Scalar) -> bool {
    match inst {
        Inst::Alu { wide: Wide::W32, .. } => by.half.umin > 0 || by.half_bits().ones != 0,
        _ => by.wide.umin > 0 || by.bits.ones != 0,
    }
}
