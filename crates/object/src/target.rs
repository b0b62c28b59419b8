//! What of a kernel's types a program is loaded for: the function, tracepoint, hook or iterator that its section names.

use alveary_abi::{AttachType, ProgType};
use alveary_btf::{Btf, Kind};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_spec::{Attach, Kernel, KernelType, Module, ProgramSpec};

/// How the kernel's types name what a program of this expected attach type is loaded for.
struct Naming {
    expected: AttachType,
    /// What stands in front of the name.
    prefix: &'static str,
    kind: Kind,
    /// What it is, for people.
    what: &'static str,
}

const NAMINGS: [Naming; 7] = [
    Naming { expected: AttachType::TRACE_RAW_TP, prefix: "btf_trace_", kind: Kind::Typedef, what: "tracepoint" },
    Naming { expected: AttachType::TRACE_FENTRY, prefix: "", kind: Kind::Func, what: "function" },
    Naming { expected: AttachType::TRACE_FEXIT, prefix: "", kind: Kind::Func, what: "function" },
    Naming { expected: AttachType::MODIFY_RETURN, prefix: "", kind: Kind::Func, what: "function" },
    Naming { expected: AttachType::TRACE_ITER, prefix: "bpf_iter_", kind: Kind::Func, what: "iterator" },
    Naming { expected: AttachType::LSM_MAC, prefix: "bpf_lsm_", kind: Kind::Func, what: "security hook" },
    Naming { expected: AttachType::LSM_CGROUP, prefix: "bpf_lsm_", kind: Kind::Func, what: "security hook" },
];
/// The kernel itself where a module may be named.
const VMLINUX: &str = "vmlinux";

/// What a program is loaded for on a kernel; `None` if its section names nothing of the kind, or nothing is known of the
/// kernel's types.
pub(crate) fn find(program: &ProgramSpec, kernel: &Kernel) -> Option<Result<KernelType, Diagnostic>> {
    let btf = kernel.btf.as_deref()?;
    if !matches!(program.ty, Some(ProgType::TRACING | ProgType::LSM)) {
        return None;
    }
    let naming = NAMINGS.iter().find(|n| Some(n.expected) == program.expected)?;
    let (module, name) = match program.attach.as_ref()? {
        Attach::Btf { module, name } => (module.as_deref(), name),
        Attach::Iter { name } => (None, name),
        _ => return None,
    };
    let full = format!("{}{name}", naming.prefix);
    let own = module.is_none_or(|module| module == VMLINUX).then(|| btf.find(&full, naming.kind)).flatten();
    let found = own.map(|id| KernelType { module: None, id }).or_else(|| {
        let named = kernel.modules.all().iter().filter(|one| module.is_none_or(|module| module == &*one.name));
        let own = |one: &Module| one.btf.find(&full, naming.kind).filter(|id| id.0 >= one.btf.first_id());
        named.into_iter().find_map(|one| Some(KernelType { module: Some(one.name.clone()), id: own(one)? }))
    });
    Some(found.ok_or_else(|| missing(program, naming, module, name, kernel, btf)))
}

fn missing(
    program: &ProgramSpec,
    naming: &Naming,
    module: Option<&str>,
    name: &str,
    kernel: &Kernel,
    btf: &Btf,
) -> Diagnostic {
    let Naming { what, prefix, kind, .. } = *naming;
    let at = Place::Section { section: program.section.clone(), at: 0 };
    let known = |module: &str| kernel.modules.all().iter().any(|one| *one.name == *module);
    let message = match module {
        Some(module) if known(module) => {
            format!("program `{}` is for the {what} `{name}`, which module `{module}` does not have", program.name)
        }
        Some(module) => format!(
            "program `{}` is for the {what} `{name}` of module `{module}`, whose types are not known",
            program.name
        ),
        None => format!("program `{}` is for the {what} `{name}`, which the kernel does not have", program.name),
    };
    let alike = |n: &&str| n.len().abs_diff(name.len()) <= 2 && n.get(..2) == name.get(..2);
    let names = btf
        .ids()
        .filter_map(|id| btf.ty(id))
        .filter(|t| t.kind() == kind)
        .filter_map(|t| t.name().strip_prefix(prefix));
    let problem = Diagnostic::new("attach-target", message, at);
    match did_you_mean(name, names.filter(alike)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}
