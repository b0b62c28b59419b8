//! Programs from what they were resolved to.

use crate::{
    btf, context,
    modules::Opened,
    sys::{self, LogLevel, ProgLoad},
};
use alveary_abi::{Errno, Tables, Version};
use alveary_btf::TypeId;
use alveary_diag::{Diagnostic, Place};
use alveary_isa::{Insn, Reg};
use alveary_spec::{KernelType, Program};
use std::{
    borrow::Cow,
    ffi::CString,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

/// What a program does not say of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProgFrom<'a> {
    /// Its maps, in the order of [`Program::maps`].
    pub maps: &'a [BorrowedFd<'a>],
    /// The object's types, loaded.
    pub btf: Option<BorrowedFd<'a>>,
    /// The types of modules that it names ([`crate::modules::Opened::for_program`] opens them).
    pub modules: Option<&'a Opened>,
    /// The program whose function it replaces or traces, and that function in its types.
    pub replaces: Option<(BorrowedFd<'a>, TypeId)>,
    /// The kernel's version, which probes have to name on old kernels.
    pub kernel: Option<(Version, u8)>,
    /// The device that it is bound to.
    pub ifindex: u32,
    /// What the verifier shall say.
    pub log: LogLevel,
    /// A BPF token.
    pub token: Option<BorrowedFd<'a>>,
}

/// A program that was refused: why, and everything that the verifier said.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What is wrong, on the instruction at which the verifier stopped.
    pub why: Diagnostic,
    /// The verifier's log; empty if it did not get that far.
    pub log: String,
    /// The kernel's error, unless it was not asked.
    pub errno: Option<Errno>,
}

/// What the verifier says of helpers that are for programs under the GPL.
const GPL_ONLY: &str = "from non-GPL compatible program";
const LD_IMM64: u8 = 0x18;
const CALL: u8 = 0x85;
const PSEUDO_MAP_FD: u8 = 1;
const PSEUDO_MAP_VALUE: u8 = 2;
const PSEUDO_BTF_ID: u8 = 3;
const PSEUDO_MAP_IDX: u8 = 5;
const PSEUDO_MAP_IDX_VALUE: u8 = 6;

/// Loads a program.
///
/// # Errors
/// What the kernel has against it.
pub fn load(program: &Program, from: &ProgFrom<'_>) -> Result<sys::Loaded, Box<Refused>> {
    let unasked = |why| Box::new(Refused { why, log: String::new(), errno: None });
    let none = Opened::default();
    let modules = from.modules.unwrap_or(&none);
    let insns = with_descriptors(program, from.maps, modules).map_err(unasked)?;
    let license = CString::new(program.license.as_str()).unwrap_or_default();
    let (attach_to, attach_btf_id) = match from.replaces {
        Some((fd, function)) => (Some(fd), function),
        None => match program.target.clone().transpose().map_err(unasked)?.unwrap_or_default() {
            KernelType { module: Some(name), id } => (Some(modules.named(&name).map_err(unasked)?), id),
            KernelType { module: None, id } => (None, id),
        },
    };
    // Calls count modules from 1: what stands in front is not looked at.
    let called: Vec<BorrowedFd<'_>> =
        program.modules.iter().map(|name| modules.named(name)).collect::<Result<_, _>>().map_err(unasked)?;
    let fds: Vec<BorrowedFd<'_>> = called.first().into_iter().chain(&called).copied().collect();
    // Records refer to types: without these they are nothing.
    let (funcs, lines) = if from.btf.is_some() { (&*program.funcs, &*program.lines) } else { Default::default() };
    let load = ProgLoad {
        expected: program.expected,
        flags: program.flags,
        name: &program.name,
        license: &license,
        kernel_version: from.kernel.map_or(0, version_code),
        btf: from.btf,
        funcs,
        lines,
        attach_btf_id,
        attach_to,
        fds: &fds,
        ifindex: from.ifindex,
        token: from.token,
        log: from.log,
        ..ProgLoad::new(program.ty, &insns)
    };
    let refused = |e: &sys::Error| {
        Box::new(Refused { why: explain(program, e), log: e.log().to_owned(), errno: Some(e.errno()) })
    };
    match load.load() {
        Err(e) if from.btf.is_some() => load_named(program, load, from).ok_or_else(|| refused(&e)),
        done => done.map_err(|e| refused(&e)),
    }
}

/// Loads a program that was refused once more, with contexts by name: for kernels that do not know them otherwise.
fn load_named(program: &Program, load: ProgLoad<'_>, from: &ProgFrom<'_>) -> Option<sys::Loaded> {
    let named = context::named(program)?;
    let types = btf::load(&named.types, from.token).ok()?;
    ProgLoad { btf: Some(types.fd.as_fd()), funcs: &named.funcs, ..load }.load().ok()
}

/// The instructions, with descriptors in place of indices into the program's maps, and of numbers of its modules.
fn with_descriptors<'p>(
    program: &'p Program,
    maps: &[BorrowedFd<'_>],
    modules: &Opened,
) -> Result<Cow<'p, [Insn]>, Diagnostic> {
    let mut insns = Cow::Borrowed(program.insns.as_slice());
    let mut at = 0;
    while let Some(&insn) = insns.get(at) {
        let wide = insn.op == LD_IMM64;
        if wide && insn.src.0 == PSEUDO_BTF_ID {
            if let Some(second) = insns.to_mut().get_mut(at + 1)
                && let Some(module) =
                    usize::try_from(second.imm).ok().and_then(|n| program.modules.get(n.checked_sub(1)?))
            {
                second.imm = modules.named(module)?.as_raw_fd();
            }
            at += 2;
            continue;
        }
        let kind = match insn.src.0 {
            PSEUDO_MAP_IDX => PSEUDO_MAP_FD,
            PSEUDO_MAP_IDX_VALUE => PSEUDO_MAP_VALUE,
            _ => 0,
        };
        if wide && kind != 0 {
            let Some(map) = usize::try_from(insn.imm).ok().and_then(|index| maps.get(index)) else {
                let place = Place::Insn { prog: program.name.clone(), index: at as u32 };
                return Err(Diagnostic::new("map-index", "the program names a map that it does not have", place)
                    .expected(format!("an index below {}", maps.len()))
                    .found(insn.imm.to_string()));
            };
            insns.to_mut()[at] = Insn { src: Reg(kind), imm: map.as_raw_fd(), ..insn };
        }
        at += if wide { 2 } else { 1 };
    }
    Ok(insns)
}

/// `KERNEL_VERSION` of the UAPI.
fn version_code((Version(major, minor), patch): (Version, u8)) -> u32 {
    u32::from(major) << 16 | u32::from(minor) << 8 | u32::from(patch)
}

/// The refusal, on the instruction at which the verifier stopped.
fn explain(program: &Program, e: &sys::Error) -> Diagnostic {
    let mut why = e.diagnostic();
    if let Some(index) = last_insn(e.log())
        && let Some(label) = why.labels.first_mut()
    {
        label.at = Place::Insn { prog: program.name.clone(), index };
    }
    if program.license.is_empty() && e.log().contains(GPL_ONLY) {
        why = why
            .help("declare the licence in the object: `char LICENSE[] SEC(\"license\") = \"GPL\";`")
            .note("it has none; aya's own loader takes that for GPL, libbpf and Alveary do not");
    }
    let Some(slot) = last_insn(e.log()) else { return why };
    // An instruction that asks for what no kernel has explains itself better than the verifier can.
    if let Some(cause) = program.poison(slot) {
        return cause.clone();
    }
    match newer_helper(program, slot).zip(sys::running()) {
        Some(((name, since), running)) if running < since => {
            why.expected(format!("Linux {since} or newer, which has bpf_{name}")).found(format!("Linux {running}"))
        }
        _ => why,
    }
}

/// The helper that the instruction calls, and the first kernel that has it.
fn newer_helper(program: &Program, slot: u32) -> Option<(&'static str, Version)> {
    let insn = program.insns.get(slot as usize).filter(|insn| insn.op == CALL && insn.src.0 == 0)?;
    let tables = Tables::linux();
    let helper = tables.helpers.iter().find(|row| row.id.0 as i32 == insn.imm)?;
    Some((helper.name, helper.since))
}

/// The instruction that the verifier looked at last: lines of its log begin with their number (`12: (bf) r1 = r0`).
fn last_insn(log: &str) -> Option<u32> {
    log.lines().rev().find_map(|line| {
        let (number, rest) = line.split_once(": ")?;
        rest.starts_with('(').then(|| number.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::{last_insn, newer_helper};
    use alveary_abi::Version;
    use alveary_isa::{Insn, Reg};
    use alveary_spec::Program;

    #[test]
    fn a_helper_is_known_by_the_first_kernel_that_has_it() {
        let call = |imm| Insn { op: 0x85, dst: Reg(0), src: Reg(0), off: 0, imm };
        let program = Program { insns: vec![call(1), call(211), call(9999)], ..Program::default() };
        assert_eq!(newer_helper(&program, 0), Some(("map_lookup_elem", Version(3, 19))));
        assert_eq!(newer_helper(&program, 1), Some(("cgrp_storage_delete", Version(6, 2))));
        assert_eq!((newer_helper(&program, 2), newer_helper(&program, 3)), (None, None));
    }

    #[test]
    fn the_last_instruction_of_a_log() {
        let log = "0: R1=ctx() R10=fp0\n0: (b7) r0 = 0  ; R0_w=0\n7: (bf) r1 = r3\nR3 !read_ok\nprocessed 2 insns\n";
        assert_eq!(last_insn(log), Some(7));
        assert_eq!(last_insn("nothing of the kind"), None);
    }
}
