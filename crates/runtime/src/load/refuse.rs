//! The words in which a program is refused. Each says what, where, and what would help.

use crate::{LoadedMap, bind::MOST_CLOSURES};
use alveary_abi::{Helper, HelperId, Profile, ProgType};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_spec::Program;
use alveary_verifier::Rejection;
use alveary_vm::BadCode;

/// The place of a program's instruction.
pub(crate) fn place(program: &Program, index: usize) -> Place {
    Place::Insn { prog: program.name.clone(), index: u32::try_from(index).unwrap_or(u32::MAX) }
}

/// No family runs programs of this type.
pub(crate) fn unsupported_type(
    program: &Program,
    profile: &Profile,
    there: impl Iterator<Item = ProgType>,
) -> Diagnostic {
    let names: Vec<_> = there.map(|ty| type_name(profile, ty)).collect();
    let message = format!("programs of type `{}` do not run on target `user`", type_name(profile, program.ty));
    Diagnostic::new("prog-type-unsupported", message, place(program, 0))
        .found(format!("section `{}`", program.section))
        .expected(format!("one of {}", names.join(", ")))
}

/// A proof does not hold for this runtime, or these maps.
pub(crate) fn proven_elsewhere(program: &Program) -> Diagnostic {
    let message = format!("what was proven of program `{}` is not proven here", program.name);
    Diagnostic::new("proof-elsewhere", message, place(program, 0))
        .found("another kernel, or maps that are not like those of the proof")
        .expected("the kernel and maps that it was proven for; `Runtime::load` proves it anew")
}

/// A proof is not worth anything with what is here.
pub(crate) fn not_worth(program: &Program, why: &str) -> Diagnostic {
    let message = format!("program `{}` does not run as it was proven", program.name);
    Diagnostic::new("proof-doubt", message, place(program, 0)).found(why.to_owned())
}

/// No kernel has a helper of this number.
pub(super) fn unknown_helper(program: &Program, profile: &Profile, index: usize, id: u32) -> Diagnostic {
    let last = profile.tables().helpers.iter().map(|h| h.id).filter(|id| *id < HelperId::FIRST_OWN).max();
    let message = format!("no helper has the number {id}");
    let d =
        Diagnostic::new("helper-unknown", message, place(program, index)).kernel(format!("invalid func unknown#{id}"));
    match last {
        Some(last) => d.expected(format!("a number from 1 to {}, or of a helper of your own", last.0)),
        None => d,
    }
}

/// The helper is there, but came with a later kernel.
pub(super) fn helper_too_new(program: &Program, profile: &Profile, index: usize, row: &Helper) -> Diagnostic {
    let message = format!("`bpf_{}` came with Linux {}", row.name, row.since);
    Diagnostic::new("helper-too-new", message, place(program, index))
        .found(format!("a program for Linux {}", profile.version))
}

/// The helper is there, but not for this program type.
pub(super) fn helper_not_for_type(program: &Program, profile: &Profile, index: usize, row: &Helper) -> Diagnostic {
    let types = profile.tables().prog_types.iter().filter(|t| row.protos.iter().any(|p| p.scope.progs.has(t.ty)));
    let names: Vec<_> = types.map(|t| t.name).collect();
    let ty = type_name(profile, program.ty);
    let d = Diagnostic::new(
        "helper-not-for-type",
        format!("programs of type `{ty}` may not call `bpf_{}`", row.name),
        place(program, index),
    )
    .kernel(format!("program of this type cannot use helper bpf_{}#{}", row.name, row.id.0));
    let d = if names.is_empty() { d } else { d.note(format!("it may be called by {}", names.join(", "))) };
    let callable = profile
        .tables()
        .helpers
        .iter()
        .filter(|h| h.proto(program.ty, program.expected, profile.version).is_some())
        .map(|h| h.name);
    match did_you_mean(row.name, callable) {
        Some(name) => d.help(format!("did you mean `bpf_{name}`?")),
        None => d,
    }
}

/// The helper is Linux's, but has no body here.
pub(super) fn helper_unsupported(program: &Program, index: usize, row: &Helper) -> Diagnostic {
    let message = format!("`bpf_{}` is not implemented on target `user`", row.name);
    Diagnostic::new("helper-unsupported", message, place(program, index))
        .note(format!("Linux has it since {}", row.since))
}

/// The program calls more closures than can be told apart.
pub(super) fn too_many_closures(program: &Program, index: usize, row: &Helper) -> Diagnostic {
    let message = format!("`bpf_{}` is one helper of the embedder's too many for one program", row.name);
    Diagnostic::new("helper-closures", message, place(program, index))
        .expected(format!("{MOST_CLOSURES} different ones at most that were added as closures"))
        .help("bind further helpers as types (`Builder::helper`)")
}

/// Only GPL-compatible programs may call the helper.
pub(super) fn helper_gpl(program: &Program, index: usize, row: &Helper) -> Diagnostic {
    let message = format!("`bpf_{}` may only be called by programs under a GPL-compatible licence", row.name);
    Diagnostic::new("helper-gpl", message, place(program, index))
        .found(format!("licence \"{}\"", program.license))
        .help("state the licence: `char _license[] SEC(\"license\") = \"GPL\";`, or \"Dual MIT/GPL\"")
        .kernel("cannot call GPL-restricted function from non-GPL compatible program")
}

/// A field of the context that cannot be loaded or stored by itself.
pub(super) fn field_unknown(program: &Program, index: usize, off: i64) -> Diagnostic {
    let message = format!("the context's field at offset {off} has no place here that instructions can reach");
    Diagnostic::new("field-unknown", message, place(program, index))
}

/// The verifier rejects it, and may have explained why.
pub(crate) fn rejected(program: &Program, why: &Rejection, explained: Option<Diagnostic>) -> Diagnostic {
    if let Some(poison) = why.insn.and_then(|insn| program.poison(insn)) {
        return poison.clone();
    }
    if let Some(explained) = explained.filter(|_| !why.message.is_empty()) {
        return explained;
    }
    let at = why.insn.map_or(Place::Nowhere, |insn| place(program, insn as usize));
    let message = format!("the verifier rejects program `{}`", program.name);
    let said = why.message.trim_end();
    let said = if said.is_empty() { format!("{} without a message", why.errno) } else { said.to_owned() };
    Diagnostic::new("rejected", message, at).kernel(said)
}

/// A map index that the program's list does not have, or a map that is not there.
pub(super) fn no_such_map(program: &Program, index: usize, map: u32, there: usize) -> Diagnostic {
    Diagnostic::new("map-index", "the instruction names a map that the program does not have", place(program, index))
        .found(format!("map {map}"))
        .expected(format!("one of its {there} maps"))
}

/// A map that another runtime made: it has not the values of this one's CPUs.
pub(crate) fn foreign_map(program: &Program, map: &LoadedMap) -> Diagnostic {
    let message = format!("map `{}` belongs to another runtime", map.spec.name);
    Diagnostic::new("map-foreign", message, place(program, 0))
        .expected("maps of the runtime that loads the program")
        .help("load what shares maps onto clones of one target")
}

/// The engine cannot run this code.
pub(crate) fn refused_by_engine(program: &Program, e: &BadCode) -> Diagnostic {
    let message = e.to_string();
    let message = message.split_once(": ").map_or(message.as_str(), |(_, why)| why).to_string();
    Diagnostic::new("insn-invalid", message, place(program, e.insn as usize))
}

/// There is no native code of a program, and nothing else may run it.
pub(crate) fn not_native(program: &Program, why: &str) -> Diagnostic {
    let message = format!("there is no native code of program `{}`: {why}", program.name);
    Diagnostic::new("not-native", message, Place::Nowhere)
        .expected("a program that the verifier proves, on a machine that native code is made for")
        .help("engine `auto` interprets what there is no native code of")
}

/// A program cannot become part of a library.
pub(crate) fn not_ahead(program: &Program, index: usize, why: &str) -> Diagnostic {
    let message = format!("program `{}` cannot be compiled ahead of time: {why}", program.name);
    Diagnostic::new("ahead", message, place(program, index))
}

/// An instruction that a program for `user` cannot contain.
pub(super) fn unsupported_insn(program: &Program, index: usize, what: &'static str) -> Diagnostic {
    Diagnostic::new("insn-unsupported", format!("{what} is not supported on target `user`"), place(program, index))
}

pub(super) fn type_name(profile: &Profile, ty: ProgType) -> String {
    profile.prog_type(ty).map_or_else(|| format!("#{}", ty.0), |t| t.name.to_string())
}
