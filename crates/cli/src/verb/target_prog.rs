//! The option that names a program whose function others replace (freplace) or trace (fentry, fexit, fmod_ret).

use crate::{
    bpftool::{select, words::Words},
    failure::Failure,
};
use alveary::LinuxBuilder;
use alveary_abi::{AttachType, ProgType};
use alveary_diag::{Diagnostic, Place};
use alveary_linux::sys::Object;
use alveary_spec::{ProgramSpec, Spec};
use clap::Args;
use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

#[derive(Debug, Args)]
pub(super) struct TargetProg {
    /// The program that is replaced or traced, by id, name or pinned path; its function if the section does not name it
    #[arg(long, num_args = 1..=2, value_names = ["PROG", "FUNCTION"])]
    target_prog: Option<Vec<String>>,
}

impl TargetProg {
    /// Has every program of the object that can be for a function of the one that is named be loaded for it.
    pub(super) fn give(&self, mut linux: LinuxBuilder, spec: &Spec) -> Result<LinuxBuilder, Failure> {
        let Some(words) = &self.target_prog else { return Ok(linux) };
        let target = named(&words[0])?;
        let fitting: Vec<_> = spec.programs.values().filter(|program| takes(program)).collect();
        if fitting.is_empty() {
            let why = Diagnostic::new("target-program", "no program of the object is for another one", Place::Nowhere);
            return Err(why.expected("programs in sections `freplace`, `fentry`, `fexit` or `fmod_ret`").into());
        }
        for program in fitting {
            let target = target.as_fd().try_clone_to_owned()?;
            linux = linux.target_program(&program.name, target, words.get(1).map(String::as_str));
        }
        Ok(linux)
    }
}

/// Whether a program can be loaded for a function of another.
fn takes(program: &ProgramSpec) -> bool {
    use AttachType as A;
    let traces = [A::TRACE_FENTRY, A::TRACE_FEXIT, A::MODIFY_RETURN];
    program.ty == Some(ProgType::EXT)
        || program.ty == Some(ProgType::TRACING) && program.expected.is_some_and(|ty| traces.contains(&ty))
}

/// A program: a number is its id, what has a `/` its pin, anything else its name.
fn named(text: &str) -> Result<OwnedFd, Failure> {
    if text.contains('/') {
        return select::pinned(Path::new(text), Object::Prog, "program");
    }
    let by = if text.bytes().all(|byte| byte.is_ascii_digit()) { "id" } else { "name" };
    select::prog(&mut Words::new(&[by.to_owned(), text.to_owned()]))
}
