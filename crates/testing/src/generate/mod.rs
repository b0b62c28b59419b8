//! Programs from seeds: structured ones, of the kind that people write, of which about half are right.
//!
//! A program is made statement by statement (branches, loops, accesses to stack, packet and maps, helper calls,
//! subprograms, callbacks), while a few imagined runs of it go along: they say what a register may hold, and so which
//! offset is just inside, which branch is never taken, what a number is at most. Such guesses are mostly right and at
//! times not, and some programs are reckless: they leave checks out. What they are is the verifier's to say.
//!
//! ```
//! use alveary_abi::ProgType;
//! use alveary_testing::{Generator, maps};
//!
//! let generator = Generator::new(&[ProgType::XDP, ProgType::SCHED_CLS], |_, _| true);
//! let made = generator.program(7);
//! assert_eq!(made.program.insns, generator.program(7).program.insns);
//! // Every program names the same maps, in this order.
//! assert!(made.program.maps.iter().all(|name| maps().contains_key(name)));
//! ```
//!
//! To hold something against runs of programs: check `program` with the environment of [`maps()`], load it with a map of
//! each name in the order of `program.maps`, run it over packets and contents of any kind. [`Generated::shrink`] gives
//! the smallest program that still shows what was found.

mod access;
mod call;
mod code;
mod control;
mod function;
mod maps;
mod number;
mod packet;
mod rounds;
mod stale;
mod state;
mod surroundings;
#[cfg(test)]
mod tests;
mod types;
mod words;

pub use maps::{PROGRAMS, map_names, maps};
pub use surroundings::Needs;

use crate::{draw::Draw, plain};
use alveary_abi::ProgType;
use alveary_spec::Program;
use code::Code;
use function::Maker;
use std::sync::Arc;
use surroundings::Surroundings;

/// Makes programs.
#[derive(Debug)]
pub struct Generator {
    types: Vec<Surroundings>,
    names: Vec<String>,
    careful: bool,
    fills_frames: bool,
    short_too: bool,
}

/// A program that was made.
#[derive(Clone, Debug)]
pub struct Generated {
    /// It. Its functions stand behind each other, its maps are those of [`maps()`].
    pub program: Program,
    /// It takes no more steps than its verification took: it has neither callbacks, nor `may_goto`, nor tail calls.
    pub bounded: bool,
    /// The same with labels.
    code: Code,
}

impl Generator {
    /// Makes programs of these types. `can` says which helpers they may call and which fields of their context they
    /// may use, of those that Linux allows them: what is to run has to be there.
    #[must_use]
    pub fn new(types: &[ProgType], can: impl Fn(ProgType, Needs<'_>) -> bool) -> Generator {
        let types = types.iter().map(|ty| Surroundings::of(*ty, &can)).collect();
        Generator { types, names: map_names(), careful: false, fills_frames: false, short_too: false }
    }

    /// No program is reckless from now on: for who runs what is right and learns nothing of the rest.
    #[must_use]
    pub fn careful(self) -> Generator {
        Generator { careful: true, ..self }
    }

    /// Three programs of four are short from now on: for who wants to see many, and takes longer the longer they are.
    #[must_use]
    pub fn short_too(self) -> Generator {
        Generator { short_too: true, ..self }
    }

    /// Functions write their whole frames first, from now on. Linux lets programs read the rest of a slot that was written
    /// in part, where nobody knows what was before them. And the indices of tail calls have 32 bits.
    #[must_use]
    pub fn filling_frames(self) -> Generator {
        Generator { fills_frames: true, ..self }
    }

    /// The program of this seed.
    #[must_use]
    pub fn program(&self, seed: u64) -> Generated {
        let mut draw = Draw::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let surroundings = &self.types[draw.below(self.types.len() as u64) as usize];
        let short = self.short_too && draw.chance(3, 4);
        let made = Maker::new(surroundings, draw, short, self.careful, self.fills_frames).program();
        let program = program(&made.code, surroundings.ty, &self.names);
        Generated { program, bounded: made.bounded, code: made.code }
    }
}

impl Generated {
    /// The program with as few instructions as `still` is true of.
    #[must_use]
    pub fn shrink(&self, mut still: impl FnMut(&Program) -> bool) -> Program {
        let (mut best, mut code) = (self.program.clone(), self.code.clone());
        let mut size = code.len();
        while size > 0 {
            let mut at = 0;
            let before = code.len();
            while at < code.len() {
                let smaller = code.without(at..at + size);
                let tried = smaller.map(|code| (program(&code, best.ty, &best.maps), code));
                match tried.filter(|(program, _)| !program.insns.is_empty() && still(program)) {
                    Some((program, smaller)) => (best, code) = (program, smaller),
                    None => at += size,
                }
            }
            if size > 1 || code.len() == before {
                size /= 2;
            }
        }
        best
    }
}

fn program(code: &Code, ty: ProgType, maps: &[String]) -> Program {
    let (insns, starts) = code.lay_out();
    let names = starts.iter().enumerate().map(|(n, (start, _))| (*start, Arc::from(format!("f{n}"))));
    let types = types::types();
    let funcs = starts.iter().map(|(start, signature)| types.func(ty, *start, *signature)).collect();
    let btf = Some(types.btf.clone());
    Program { subprogs: names.collect(), maps: maps.to_vec(), funcs, btf, ..plain::program(ty, insns) }
}
