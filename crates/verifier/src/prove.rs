//! From a verdict to a proof: what may run without being checked.

use crate::{Env, Facts, Report, Stats, Verdict, check_with_facts, explain, facts::Base};
use alveary_abi::Profile;
use alveary_btf::{FuncInfo, Linkage, Type};
use alveary_diag::Diagnostic;
use alveary_isa::{Inst, decode};
use alveary_spec::{Kernel, MapSpec, Program};
use std::{collections::BTreeMap, sync::Arc};

/// A program that was found to be safe, with what was learnt of its instructions. [`prove`] alone makes one, so that it
/// can be asked for where unproven code must not come.
///
/// It holds for a kernel with these rows and this many CPUs, and for maps that are as they were said to be: of these
/// types and sizes, with this content where that can never change.
#[derive(Clone, Debug)]
pub struct Verified {
    program: Arc<Program>,
    /// By all rules that are known.
    kernel: Kernel,
    maps: Vec<MapSpec>,
    facts: Facts,
    stats: Stats,
}

impl Verified {
    /// The program.
    #[must_use]
    pub fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// The rows that it was proven by; the version is the newest. All proofs go by all rules, later kernels' too.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.kernel.profile
    }

    /// The number of CPUs that it was proven for.
    #[must_use]
    pub fn cpus(&self) -> u32 {
        self.kernel.cpus
    }

    /// Whether it holds for this kernel, too, and for maps that are as these, in the program's order: nothing that was asked
    /// for the proof is other there. `kernel` has to be the one that was proven for, or a clone of it.
    #[must_use]
    pub fn holds_for(&self, kernel: &Kernel, maps: &[MapSpec]) -> bool {
        let types = match (&self.kernel.btf, &kernel.btf) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        let same = types && self.kernel.modules.is(&kernel.modules) && self.kernel.cpus == kernel.cpus;
        same && self.kernel.profile.is(&kernel.profile.newest()) && self.maps == maps
    }

    /// The maps that it was proven with, in the program's order.
    #[must_use]
    pub fn maps(&self) -> &[MapSpec] {
        &self.maps
    }

    /// What is known of its instructions.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// How much work it was.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }
}

/// Proves that a program accesses only what it is given, and gives helpers only what they take: by all rules that any
/// kernel is known to have, whichever version `env` names, since kernels without them let through what is unsafe.
///
/// # Errors
/// The verdict, if it is not that the program is accepted. Programs are judged as the kernel does on a little-endian
/// machine; on others nothing is proven.
pub fn prove(program: Arc<Program>, env: &Env<'_>) -> Result<Verified, Box<Report>> {
    if cfg!(target_endian = "big") {
        return Err(refused("the verifier knows the byte order of little-endian machines only"));
    }
    let kernel = newest(env.kernel);
    let (report, facts) = check_with_facts(&program, &Env { kernel: &kernel, ..*env });
    match (&report.verdict, facts) {
        (Verdict::Accept, Some(facts)) => {
            if let Some(insn) = maybe_misaligned(&program, &facts) {
                let reason = "an atomic operation on what a global function was given: no caller was asked to align it";
                return Err(refused_at(reason, insn));
            }
            if let Some(insn) = kernel_variable(&program) {
                return Err(refused_at("the address of a kernel variable", insn));
            }
            if let Some(insn) = facts.kernel_memory {
                return Err(refused_at("an access to the kernel's own memory", insn));
            }
            let maps = proven_maps(&program, env.maps);
            Ok(Verified { program, kernel, maps, facts, stats: report.stats })
        }
        _ => Err(Box::new(report)),
    }
}

/// Explains why [`prove`] found a program to be rejected, as [`explain`] does it of [`check`](crate::check).
#[must_use]
pub fn explain_unproven(program: &Program, env: &Env<'_>, report: &Report) -> Option<Diagnostic> {
    explain(program, &Env { kernel: &newest(env.kernel), ..*env }, report)
}

/// The kernel with all rules.
fn newest(kernel: &Kernel) -> Kernel {
    let Kernel { profile, btf, modules, cpus, .. } = kernel;
    Kernel { btf: btf.clone(), modules: modules.clone(), cpus: *cpus, ..Kernel::of(profile.newest()) }
}

/// The maps that a program names. All are there: it could not have been judged without.
fn proven_maps(program: &Program, maps: &BTreeMap<String, MapSpec>) -> Vec<MapSpec> {
    program.maps.iter().filter_map(|name| maps.get(name)).cloned().collect()
}

/// An atomic operation of which nobody says that its address is aligned: Linux asks for that of all pointers but those
/// that are handed to functions which are verified by themselves.
fn maybe_misaligned(program: &Program, facts: &Facts) -> Option<u32> {
    let btf = program.btf.as_ref()?;
    let global = |func: &FuncInfo| matches!(btf.ty(func.ty), Some(Type::Func { linkage: Linkage::Global, .. }));
    if !program.funcs.iter().skip(1).any(global) {
        return None;
    }
    (0..program.insns.len() as u32).find(|at| {
        let atomic = matches!(
            decode(&program.insns, *at as usize),
            Ok(Inst::Atomic { .. } | Inst::LoadAcquire { .. } | Inst::StoreRelease { .. })
        );
        let fact = facts.at(*at);
        atomic && fact.reached && matches!(fact.access.map(|access| access.base), None | Some(Base::Memory(_)))
    })
}

/// The kernel's memory is not there in user space.
fn kernel_variable(program: &Program) -> Option<u32> {
    let variable = |at: &u32| matches!(decode(&program.insns, *at as usize), Ok(Inst::VarAddr { .. }));
    (0..program.insns.len() as u32).find(variable)
}

fn refused(reason: &str) -> Box<Report> {
    refused_at(reason, 0)
}

fn refused_at(reason: &str, insn: u32) -> Box<Report> {
    Box::new(Report::of(Verdict::Refused { reason: reason.to_owned(), insn }))
}
