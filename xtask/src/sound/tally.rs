//! What is counted over many programs, and how it is printed.

use alveary_abi::{HelperId, Profile};
use alveary_isa::{Inst, decode};
use alveary_spec::Program;
use std::{collections::BTreeMap, time::Duration};

/// Counts of one thread, or of all.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) programs: u64,
    pub(crate) accepted: u64,
    pub(crate) rejected: BTreeMap<String, u64>,
    /// By the verifier or by the runtime, and why.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Programs of types that do not run here: only judged.
    pub(crate) judged_only: u64,
    /// Runs that took more than their budget.
    pub(crate) long: u64,
    pub(crate) insns: u64,
    /// How often what is known of an instruction was held against a run.
    pub(crate) facts: u64,
    /// Programs that the kernel judged, and those that it takes.
    pub(crate) kernel: [u64; 2],
    /// We accept and the kernel does not, by its reason; and the other way, by ours.
    pub(crate) only_ours: BTreeMap<String, Difference>,
    pub(crate) only_theirs: BTreeMap<String, Difference>,
    /// Accepted programs with an instruction of each kind, with a call of each helper.
    kinds: BTreeMap<String, u64>,
    helpers: BTreeMap<u32, u64>,
    /// Accepted programs that trapped and that nobody proves, by what stopped them.
    pub(crate) unproven: BTreeMap<String, u64>,
    /// What went wrong.
    pub(crate) findings: Vec<String>,
}

/// Programs on which the two differ for one reason.
#[derive(Default)]
pub(crate) struct Difference {
    pub(crate) count: u64,
    /// The seed of the first.
    pub(crate) seed: u64,
}

impl Difference {
    pub(crate) fn add(of: &mut BTreeMap<String, Difference>, reason: String, seed: u64) {
        let difference = of.entry(reason).or_insert(Difference { count: 0, seed });
        difference.count += 1;
    }
}

impl Tally {
    /// An accepted program's instructions.
    pub(crate) fn count(&mut self, program: &Program) {
        let mut at = 0;
        let (mut kinds, mut helpers) = (Vec::new(), Vec::new());
        while at < program.insns.len() {
            let inst = decode(&program.insns, at).ok();
            if let Some(inst) = &inst {
                kinds.push(kind(inst));
                helpers.extend(if let Inst::CallHelper { id } = inst { Some(*id as u32) } else { None });
            }
            at += inst.map_or(1, |inst| inst.slots());
        }
        kinds.sort_unstable();
        kinds.dedup();
        helpers.sort_unstable();
        helpers.dedup();
        for kind in kinds {
            match self.kinds.get_mut(&kind) {
                Some(count) => *count += 1,
                None => _ = self.kinds.insert(kind, 1),
            }
        }
        helpers.into_iter().for_each(|helper| *self.helpers.entry(helper).or_default() += 1);
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.programs += other.programs;
        self.accepted += other.accepted;
        self.judged_only += other.judged_only;
        self.long += other.long;
        self.insns += other.insns;
        self.facts += other.facts;
        self.findings.extend(other.findings);
        (0..2).for_each(|n| self.kernel[n] += other.kernel[n]);
        let sum = |mine: &mut BTreeMap<String, u64>, theirs: BTreeMap<String, u64>| {
            theirs.into_iter().for_each(|(key, count)| *mine.entry(key).or_default() += count);
        };
        sum(&mut self.rejected, other.rejected);
        sum(&mut self.refused, other.refused);
        sum(&mut self.unproven, other.unproven);
        sum(&mut self.kinds, other.kinds);
        other.helpers.into_iter().for_each(|(id, count)| *self.helpers.entry(id).or_default() += count);
        for (mine, theirs) in [(&mut self.only_ours, other.only_ours), (&mut self.only_theirs, other.only_theirs)] {
            for (reason, found) in theirs {
                mine.entry(reason).or_insert(Difference { count: 0, seed: found.seed }).count += found.count;
            }
        }
    }

    pub(crate) fn print(&self, took: Duration) {
        let share = 100.0 * self.accepted as f64 / self.programs.max(1) as f64;
        println!("{} programs in {:.1?}: {} accepted ({share:.1} %)", self.programs, took, self.accepted);
        println!(
            "ran {} of them, {} instructions; {} had a run beyond the budget",
            self.accepted - self.judged_only,
            self.insns,
            self.long
        );
        if self.facts > 0 {
            println!("{} facts held", self.facts);
        }
        print_counts("rejected", &self.rejected, 40);
        print_counts("refused", &self.refused, 20);
        print_counts("accepted, not proven, trapped", &self.unproven, 20);
        print_counts("accepted programs with an instruction", &self.kinds, usize::MAX);
        let profile = Profile::linux_6_18();
        let name = |id: &u32| profile.helper(HelperId(*id)).map_or_else(|| id.to_string(), |row| row.name.to_owned());
        let helpers = self.helpers.iter().map(|(id, count)| (name(id), *count)).collect();
        print_counts("accepted programs with a call", &helpers, usize::MAX);
        if self.kernel[0] > 0 {
            println!("\nthe kernel judged {} and takes {}", self.kernel[0], self.kernel[1]);
            for (what, found) in [
                ("we accept, the kernel rejects", &self.only_ours),
                ("the kernel accepts, we reject", &self.only_theirs),
            ] {
                println!("{what}: {}", found.values().map(|difference| difference.count).sum::<u64>());
                for (reason, Difference { count, seed }) in found {
                    println!("{count:>8}  {reason} (seed {seed})");
                }
            }
        }
        println!("\nfindings: {}", self.findings.len());
        self.findings.iter().take(10).for_each(|finding| println!("{finding}"));
    }
}

fn print_counts(what: &str, counts: &BTreeMap<String, u64>, most: usize) {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    println!("\n{what}: {} kinds", counts.len());
    for (name, count) in counts.into_iter().take(most) {
        println!("{count:>10}  {name}");
    }
}

/// `Alu Add 64`, `Load`, …
fn kind(inst: &Inst) -> String {
    match inst {
        Inst::Alu { wide, op, .. } => format!("{op:?} {wide:?}"),
        Inst::Jmp { wide, op, .. } => format!("jump {op:?} {wide:?}"),
        Inst::Load { width, signed, .. } => format!("load {width:?}{}", if *signed { " signed" } else { "" }),
        Inst::Store { width, .. } => format!("store {width:?}"),
        Inst::Atomic { op, .. } => format!("atomic {op:?}"),
        Inst::Swap { kind, bits, .. } => format!("swap {kind:?} {bits}"),
        Inst::MovSx { bits, .. } => format!("sign extension {bits}"),
        other => {
            let text = format!("{other:?}");
            text.split([' ', '{']).next().unwrap_or_default().to_owned()
        }
    }
}
