//! What becomes of code on its way to the machine, for people to look at: the code generator's IR, before and after its
//! optimisations, and machine code; all with the slots of the code that they come from. Nothing of it can be run.

use super::emitted::Emitted;
use super::plan::Plan;
use super::text::STRANGE;
use super::{Jit, Rules, Stage, cache::Key};
use crate::engine::{Trusted, handler_at};
use crate::predecode::{bad, predecode};
use crate::{BadCode, Code, Link};
use cranelift_codegen::ir::Function;
use std::ops::Range;
use std::sync::Arc;

/// A function, stage by stage.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its first slot.
    pub start: u32,
    /// The code generator's IR as it was made.
    pub lifted: Vec<Line>,
    /// The same after the code generator's optimisations.
    pub optimized: Vec<Line>,
    /// Where its machine code begins, counted from the first function's.
    pub address: u64,
    /// Its machine code.
    pub code: Vec<u8>,
    /// What of it comes from where, in order. What is in none comes from no slot: how the function begins and ends.
    pub parts: Vec<Part>,
}

/// A line of IR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The slot that it comes from.
    pub slot: Option<u32>,
    /// The line.
    pub text: String,
}

/// Machine code that comes from one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it is in the function's machine code.
    pub bytes: Range<usize>,
    /// The slot.
    pub slot: u32,
}

impl Jit {
    /// What code becomes, function by function. The listing is all that is made of it.
    ///
    /// # Errors
    /// As [`crate::Image::native`].
    pub fn list(self: &Arc<Jit>, code: &Code, link: &dyn Link) -> Result<Vec<Listed>, BadCode> {
        let ops = predecode(code, link, handler_at::<Trusted>)?;
        // As it is compiled: what is kept names addresses in another way.
        let kept = self.cache.is_some() && self.rules().key.is_none() && Key::of(self, code, &self.rules()).is_some();
        let plan = Plan::new(code, &ops, Rules { kept, ..self.rules() })?;
        let mut listed = Vec::new();
        let mut lifted = Vec::new();
        let text = self.text(&plan, |number, stage| match stage {
            Stage::Lifted(function) => lifted = lines(function),
            Stage::Compiled(function, emitted) => listed.push(Listed {
                start: plan.functions[number].start,
                lifted: std::mem::take(&mut lifted),
                optimized: lines(function),
                address: 0,
                code: vec![0; emitted.code.len()],
                parts: parts(emitted),
            }),
        })?;
        let (bytes, starts) = text.place(&plan).ok_or_else(|| bad(code, 0, STRANGE))?;
        for (function, start) in listed.iter_mut().zip(starts) {
            function.address = start as u64;
            let end = start + function.code.len();
            function.code.copy_from_slice(&bytes[start..end]);
        }
        Ok(listed)
    }
}

/// The code generator writes `@` and the slot in hex before what comes from one.
fn lines(function: &Function) -> Vec<Line> {
    let line = |line: &str| {
        let marked = line.strip_prefix('@').and_then(|rest| rest.split_once(' '));
        match marked.and_then(|(slot, text)| Some((u32::from_str_radix(slot, 16).ok()?, text))) {
            Some((slot, text)) => Line { slot: Some(slot), text: text.trim().to_owned() },
            None => Line { slot: None, text: line.trim().to_owned() },
        }
    };
    function.display().to_string().lines().map(line).collect()
}

fn parts(emitted: &Emitted<'_>) -> Vec<Part> {
    let known = emitted.compiled.buffer.get_srclocs_sorted().iter().filter(|part| !part.loc.is_default());
    known
        .map(|part| Part {
            bytes: emitted.place(part.start as usize)..emitted.place(part.end as usize),
            slot: part.loc.bits(),
        })
        .collect()
}
