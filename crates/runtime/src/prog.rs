//! A loaded program: immutable, shared by all virtual CPUs that run it.

use crate::{LoadedMap, bind::Closure, context::Context, family::FamilyTable, load::Site};
use alveary_abi::Helper;
use alveary_diag::Diagnostic;
use alveary_maps::Domain;
use alveary_spec::Program;
use alveary_verifier::{Report, Verified};
use alveary_vm::{Code, Image, NativeFunction};
use std::{fmt, sync::Arc};

/// A program that can run. `Send` and `Sync`; it keeps its maps.
pub struct Prog {
    pub(crate) id: u32,
    pub(crate) program: Arc<Program>,
    /// Boxed: their addresses are the words by which the program names them.
    pub(crate) maps: Box<[LoadedMap]>,
    pub(crate) sites: Box<[Site]>,
    pub(crate) context: Context,
    pub(crate) family: FamilyTable,
    /// It reads other CPUs' values (`bpf_map_lookup_percpu_elem`).
    pub(crate) all_cpus: bool,
    /// The closures that it calls, by the numbers that its image was linked with.
    pub(crate) closures: Box<[Arc<Closure>]>,
    /// That of the runtime that loaded it: no other runs it.
    pub(crate) domain: Arc<Domain>,
    /// It was proven, and no run of it changes the context.
    pub(crate) leaves_context: bool,
    /// What was linked.
    pub(crate) code: Code,
    pub(crate) image: Image,
    pub(crate) trust: Trust,
}

/// Whether a program runs as it is, or is checked at each step.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The verifier has proven it: it runs as it is.
    Proven(Box<Verified>),
    /// The verifier cannot judge it, or its proof is not worth anything here: it runs checked. Why.
    NotProven(String),
    /// Nobody asked: it runs checked.
    Unverified,
}

/// Why a program is not loaded.
#[derive(Clone, Debug)]
pub struct NotLoaded {
    /// In words.
    pub why: Diagnostic,
    /// The verifier's report, if it is that which rejects the program.
    pub rejected: Option<Box<Report>>,
}

impl From<Diagnostic> for NotLoaded {
    fn from(why: Diagnostic) -> NotLoaded {
        NotLoaded { why, rejected: None }
    }
}

impl fmt::Display for NotLoaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl std::error::Error for NotLoaded {}

impl Prog {
    /// Its id, from 1: what user space reads from a prog array.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it was loaded from.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// Its maps, in the program's order.
    #[must_use]
    pub fn maps(&self) -> &[LoadedMap] {
        &self.maps
    }

    /// Whether it runs as it is, or checked.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The code that the engine got.
    #[must_use]
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// The helpers that its code calls, by their numbers there.
    pub fn helpers(&self) -> impl Iterator<Item = &'static Helper> {
        self.sites.iter().map(|site| site.row)
    }

    /// Whether it runs as native code, by now.
    #[must_use]
    pub fn is_native(&self) -> bool {
        self.image.is_native()
    }

    /// Says that it will run often: what would be compiled when it is hot ([`crate::Engine::Auto`]) is compiled now.
    pub fn attached(&self) {
        self.image.warm();
    }

    /// Its native functions by now; none while it is interpreted. Slots are those of [`Prog::code`].
    #[must_use]
    pub fn native_functions(&self) -> Vec<NativeFunction> {
        self.image.native_functions()
    }

    /// Whether it is sure that a run leaves the context as it was: it was proven, stores to no field, and calls nothing that
    /// is handed the context or is of its family. What it writes to packets and maps is not asked.
    #[must_use]
    pub fn leaves_context(&self) -> bool {
        self.leaves_context
    }

    /// The machine code of one of them.
    #[must_use]
    pub fn machine_code(&self, function: &NativeFunction) -> Option<&[u8]> {
        self.image.machine_code(function)
    }

    /// Whether it calls anything that may hold something when the program ends, or runs another one.
    pub(crate) fn calls(&self) -> bool {
        !self.sites.is_empty()
    }

    /// Whether it runs as it is.
    pub(crate) fn is_trusted(&self) -> bool {
        matches!(self.trust, Trust::Proven(_))
    }

    /// The number of the map that a word names.
    pub(crate) fn map_number(&self, word: u64) -> Option<usize> {
        let from = word.wrapping_sub(self.maps.as_ptr() as u64);
        let size = size_of::<LoadedMap>() as u64;
        (from.is_multiple_of(size) && from / size < self.maps.len() as u64).then_some((from / size) as usize)
    }
}

impl fmt::Debug for Prog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prog").field("id", &self.id).field("name", &self.program.name).finish_non_exhaustive()
    }
}
