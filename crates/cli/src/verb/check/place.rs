//! `--attach` with a place in the kernel: a function, a tracepoint, a security hook, as a section's name would say it.

use crate::failure::Failure;
use alveary_abi::{ProgType, SectionRest};
use alveary_btf::{Btf, Kind};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_spec::{Attach, Kernel, ProgramSpec, Spec};

/// Has the programs that are judged be meant for this place, in place of what their sections name.
pub(super) fn put(spec: &mut Spec, prog: Option<&str>, kernel: &Kernel, text: &str) -> Result<(), Failure> {
    let Some(btf) = kernel.btf.clone() else {
        let why = format!("whether the kernel has `{text}` is not known: there are no types of it");
        let why = Diagnostic::new("attach-target", why, Place::Nowhere);
        return Err(why.expected("--btf FILE, with the kernel's types").into());
    };
    let wanted = spec.programs.values_mut().filter(|program| prog.is_none_or(|name| name == program.name));
    for program in wanted {
        let place = parse(program, kernel, text)?;
        exists(program, &place, kernel, &btf)?;
        program.attach = Some(place);
    }
    Ok(())
}

/// The place, as the program's section reads what stands behind its `/`.
fn parse(program: &ProgramSpec, kernel: &Kernel, text: &str) -> Result<Attach, Diagnostic> {
    let section = kernel.profile.section(&program.section);
    let row = section.map(|section| section.row).filter(|row| {
        let device = matches!(row.rest, SectionRest::Nothing | SectionRest::Comment | SectionRest::Target);
        !device && Some(row.ty) == program.ty
    });
    let Some(row) = row else {
        let ty = program.ty.and_then(|ty| kernel.profile.prog_type(ty));
        let theirs = ty.map_or(&[][..], |row| row.attach);
        let names: Vec<&str> = theirs.iter().filter_map(|at| Some(kernel.profile.attach_type(*at)?.name)).collect();
        let why = crate::inspect::missing("attach type", text, &names, Place::Nowhere);
        let ty = ty.map_or("such", |row| row.name);
        return Err(why.note(format!("program `{}`: {ty} programs are not for a function of the kernel", program.name)));
    };
    Attach::parse(row.rest, row.ret, text).map_err(|expected| {
        Diagnostic::new("attach-target", format!("`{text}` is no place for program `{}`", program.name), Place::Nowhere)
            .expected(expected)
            .found(text.to_owned())
    })
}

/// Whether the kernel's types have a probe's function, a tracepoint. What tracing and security programs are for, loading
/// asks itself.
fn exists(program: &ProgramSpec, place: &Attach, kernel: &Kernel, btf: &Btf) -> Result<(), Diagnostic> {
    let (what, name, prefix, kind) = match place {
        Attach::Kprobe { function, .. } => ("function", function, "", Kind::Func),
        Attach::RawTracepoint { name } => ("tracepoint", name, "btf_trace_", Kind::Typedef),
        _ => return Ok(()),
    };
    let full = format!("{prefix}{name}");
    let modules = || kernel.modules.all().iter().any(|module| module.btf.find(&full, kind).is_some());
    if btf.find(&full, kind).is_some() || modules() {
        return Ok(());
    }
    let alike = |n: &&str| n.len().abs_diff(name.len()) <= 2 && n.get(..2) == name.get(..2);
    let types = btf.ids().filter_map(|id| btf.ty(id)).filter(|ty| ty.kind() == kind);
    let near = did_you_mean(name, types.filter_map(|ty| ty.name().strip_prefix(prefix)).filter(alike));
    let why = format!("program `{}` is for the {what} `{name}`, which the kernel's types do not have", program.name);
    let why = Diagnostic::new("attach-target", why, Place::Nowhere);
    let why = match near {
        Some(near) => why.help(format!("did you mean `{near}`?")),
        None => why,
    };
    Err(match program.ty {
        Some(ProgType::KPROBE) => why.note("the verdict on a probe is the same wherever it is put"),
        _ => why,
    })
}
