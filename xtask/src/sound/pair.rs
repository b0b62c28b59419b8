//! One program on the interpreter, as native code and, if that is asked for, on the kernel; and why they differ, if they do.
//!
//! What a program does may depend on where things are. So where the engines differ, the same is done again in machines whose
//! contexts, stacks, packets and maps stand elsewhere, each at places of its own. If interpreters differ from each other, it
//! is for addresses; if not, it is a finding.

use super::{
    Bench, Wanted,
    engines::Compared,
    machine::{self, Kept, Machine, Seen},
    running::{Running, Taken},
    text,
};
use alveary_abi::{MapDef, MapType};
use alveary_maps::{Domain, Environment, Map};
use alveary_runtime::{Engine, Pass, Passes};
use alveary_spec::Program;
use alveary_testing::Draw;
use alveary_verifier::Verified;
use std::{hint::black_box, sync::Arc};

/// The shortest packet that the kernel runs programs on.
const SHORTEST: usize = 15;

/// Rounds of loops by helpers that a run may take: the kernel takes all of them, the engines stop at the same one.
const FEW: u64 = 1 << 10;

/// Instructions that a run takes at most: `may_goto`, loops by helpers and tail calls make programs that take more.
const LONG: u64 = 1 << 16;

/// How many machines of each engine do the same again, before a difference is not for addresses. A difference may show in
/// one bit of an address only, which half of them have.
const ELSEWHERE: usize = 24;

/// Bytes of the heap between the machines, at most: for the lower bits of addresses.
const GAP: u64 = 1 << 12;

/// Pages that are mapped between the machines, at most: few for what finds room among others, many for what does not.
const PAGES: [u64; 2] = [1 << 8, 1 << 18];

/// The two engines, and the kernel if that is asked for.
pub(crate) struct Pair {
    /// Sees which programs take too long: it does with them what the others do, and counts.
    scout: Machine,
    pub(super) interpreted: Machine,
    pub(super) native: Machine,
    kernel: Option<Running>,
}

impl Pair {
    pub(crate) fn new(bench: &Bench, wanted: &Wanted) -> Result<Pair, String> {
        let kernel = || Running::new(bench.specs(), &bench.generator.program(0));
        Ok(Pair {
            scout: machine(bench, wanted, Engine::Interp)?.budget(LONG),
            interpreted: machine(bench, wanted, Engine::Interp)?,
            native: machine(bench, wanted, Engine::Jit)?,
            kernel: if wanted.kernel { Some(kernel()?) } else { None },
        })
    }

    /// Runs the program of a seed on all; whether it is proven, and taken by the kernel if that is asked.
    pub(crate) fn one(
        &mut self,
        bench: &Bench,
        wanted: &Wanted,
        seed: u64,
        compared: &mut Compared,
    ) -> Result<bool, String> {
        let mut made = bench.generator.program(seed);
        made.program.name = seed.to_string().into();
        let program = Arc::new(made.program);
        compared.programs += 1;
        if !machine::runs(program.ty) {
            return Ok(false);
        }
        self.hold(bench, wanted, seed, (&program, made.bounded), compared)
    }

    /// Holds what all make of a program against each other, which may be known to take few instructions.
    pub(crate) fn hold(
        &mut self,
        bench: &Bench,
        wanted: &Wanted,
        seed: u64,
        (program, bounded): (&Arc<Program>, bool),
        compared: &mut Compared,
    ) -> Result<bool, String> {
        if self.kernel.as_ref().is_some_and(|kernel| kernel.is_loose(program)) {
            return Ok(false);
        }
        // Once for all: it takes as long as all the rest. The kernel would take its time over what is too long for that.
        let Some(verified) = self.interpreted.prove(program)? else { return Ok(false) };
        if !bounded && self.scout.takes_long(program, self.interpreted.kept(), seed, wanted.rounds)? {
            compared.long += 1;
            return Ok(false);
        }
        let taken = match &mut self.kernel {
            None => None,
            Some(kernel) => match kernel.take(program)? {
                None => return Ok(false),
                taken => taken,
            },
        };
        let kept = self.interpreted.kept().clone();
        let Some(interpreted) = self.interpreted.see(&verified, seed, wanted.rounds)? else { return Ok(false) };
        let only_once = || format!("seed {seed} runs as it is by one engine only");
        let native = self.native.see(&verified, seed, wanted.rounds)?.ok_or_else(only_once)?;
        compared.ran += 1;
        let on_kernel = self.on_kernel(taken.as_ref(), &interpreted)?;
        compared.kernel += u64::from(on_kernel.is_some());
        let difference = if interpreted != native {
            interpreted.difference(&native, "native")
        } else if let Some((ours, theirs)) = on_kernel.filter(|(ours, theirs)| ours != theirs) {
            ours.difference(&theirs, "by the kernel")
        } else {
            compared.traps += interpreted.traps();
            return Ok(true);
        };
        let (here, there) = elsewhere(bench, wanted, seed, &verified, &kept)?;
        // Where it was at first is a place, too: a pointer whose bytes are taken for a text is a number at few of them.
        let once = interpreted != here[0] && there.iter().all(|seen| *seen == here[0]);
        // And so is where it was native: an interpreter is told the address of that context, too.
        let mut in_its_place = machine(bench, wanted, Engine::Interp)?;
        in_its_place.take_contexts(&mut self.native);
        in_its_place.keep(&kept)?;
        let once = once || in_its_place.see(&verified, seed, wanted.rounds)?.is_some_and(|seen| seen != here[0]);
        if once || here.iter().any(|seen| *seen != here[0]) {
            compared.addresses += 1;
        } else {
            let natives = there.iter().filter(|seen| **seen != here[0]).count();
            compared.findings.push(format!(
                "seed {seed}: {difference}\n{natives} of {ELSEWHERE} native ones differ elsewhere, too\n{}",
                text(program)
            ));
        }
        // What the engines have in maps that nobody empties is not the same any longer.
        *self = Pair::new(bench, wanted)?;
        Ok(true)
    }

    /// What the interpreter did and what the kernel did, as far as both can be compared.
    fn on_kernel(&mut self, taken: Option<&Taken>, interpreted: &Seen) -> Result<Option<(Seen, Seen)>, String> {
        let (Some(kernel), Some(taken)) = (&mut self.kernel, taken) else { return Ok(None) };
        let theirs = kernel.replay(taken, self.interpreted.script())?;
        Ok(theirs.map(|theirs| (kernel.comparable(interpreted.clone()), theirs)))
    }
}

/// What interpreters and what native ones make of a program, each at other addresses, until two interpreters differ.
pub(super) fn elsewhere(
    bench: &Bench,
    wanted: &Wanted,
    seed: u64,
    verified: &Verified,
    kept: &Kept,
) -> Result<(Vec<Seen>, Vec<Seen>), String> {
    let mut draw = Draw::new(seed);
    // All stay, so that no two have the same addresses.
    let mut all = Vec::new();
    let mut see = |engine| {
        // An optimised build would leave out what is allocated and never looked at.
        let gap = black_box(Vec::<u8>::with_capacity(draw.below(GAP) as usize));
        let mapped = PAGES.map(|most| pages(1 + draw.below(most)));
        let mut machine = machine(bench, wanted, engine)?;
        machine.keep(kept)?;
        let seen = machine.see(verified, seed, wanted.rounds)?.ok_or("a proof is worth something only once")?;
        all.push((machine, gap, mapped));
        Ok::<Seen, String>(seen)
    };
    let mut both = (Vec::new(), Vec::new());
    for _ in 0..ELSEWHERE {
        both.0.push(see(Engine::Interp)?);
        if both.0.last() != both.0.first() {
            break;
        }
        both.1.push(see(Engine::Jit)?);
    }
    Ok(both)
}

/// So many mapped pages, of which none is touched: of a map, since it is where maps stand that they move.
fn pages(count: u64) -> Result<Arc<dyn Map>, String> {
    let (key_size, value_size, max_entries) = (4, 1 << 12, count as u32);
    let def = MapDef { ty: MapType::ARRAY, key_size, value_size, max_entries, flags: 0, extra: 0, special: Vec::new() };
    let env = Environment { cpus: 1, page: 1 << 12, seed: 0, domain: Domain::new() };
    alveary_maps::create(&def, None, &env).map_err(|refused| refused.to_string())
}

fn machine(bench: &Bench, wanted: &Wanted, engine: Engine) -> Result<Machine, String> {
    // What is made better where code is lowered, is held against code that it is not made of.
    let lowering = [Pass::Dead, Pass::Array].into_iter().filter(|pass| !wanted.passes.has(*pass));
    let passes = if engine == Engine::Interp { lowering.fold(Passes::NONE, Passes::with) } else { wanted.passes };
    let runtime = machine::runtime(bench.kernel.clone(), wanted.seed, engine, passes);
    let machine = Machine::new(&runtime, 0, bench.specs(), wanted.seed)?;
    Ok(if wanted.kernel { machine.shortest(SHORTEST) } else { machine.budget(FEW) })
}
