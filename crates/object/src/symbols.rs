//! A kernel's variables and functions, as an object declares them (`__ksym`).

use crate::core::compat;
use alveary_btf::{Btf, Kind, Type, TypeId, essential_name};
use alveary_diag::did_you_mean;
use alveary_spec::{Extern, ExternKind, Kernel, KernelType, Module};

/// What a declaration stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Symbol {
    /// A variable or function by its id in the types of the kernel or of a module.
    Typed(KernelType),
    /// An address.
    Address(u64),
    /// The kernel does not have it, and the object can do without.
    Absent,
}

/// What is wrong with a declaration: in words, and what helps.
#[derive(Clone, Debug)]
pub(crate) struct BadSymbol {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// Finds what a declaration stands for.
pub(crate) fn find<'a>(name: &str, one: &Extern, local: &Btf, kernel: &'a Kernel) -> Result<Symbol, BadSymbol> {
    let what = if one.kind == ExternKind::Function { "function" } else { "variable" };
    let bad = |why: &str, help: Option<String>| {
        if one.weak {
            return Ok(Symbol::Absent);
        }
        Err(BadSymbol { message: format!("the program needs the kernel's {what} `{name}`{why}"), help })
    };
    let Some(addresses) = &kernel.symbols else {
        let help = "declare it `__weak` and ask first: `if (bpf_ksym_exists(…))`";
        return bad(", and this kernel gives programs none of its own", Some(help.to_owned()));
    };
    if one.ty == TypeId::VOID {
        return match addresses.get(name) {
            Some(address) => Ok(Symbol::Address(*address)),
            None => bad(", which it does not have", None),
        };
    }
    let Some(btf) = kernel.btf.as_deref() else {
        return bad(
            ", and the kernel's types are not known",
            Some("give the kernel's BTF: `--btf FILE`, in Rust `User::builder().btf(…)`".to_owned()),
        );
    };
    let (kind, bare) = match one.kind {
        ExternKind::Function => (Kind::Func, essential_name(name)),
        _ => (Kind::Var, name),
    };
    let own = btf.find(bare, kind).map(|id| (None, btf, id));
    let in_modules = || {
        let found = |module: &'a Module| Some((Some(&module.name), &*module.btf, module.btf.find(bare, kind)?));
        kernel.modules.all().iter().find_map(found)
    };
    let Some((module, btf, id)) = own.or_else(in_modules) else {
        let alike = btf.ids().filter_map(|id| btf.ty(id)).filter(|t| t.kind() == kind).map(Type::name);
        let alike = alike.filter(|n| n.len().abs_diff(bare.len()) <= 2 && n.get(..2) == bare.get(..2));
        let near = if one.weak { None } else { did_you_mean(bare, alike) };
        return bad(", which it does not have", near.map(|near| format!("did you mean `{near}`?")));
    };
    let target = match btf.ty(id) {
        Some(Type::Func { proto: ty, .. } | Type::Var { ty, .. }) => btf.resolve(ty),
        _ => TypeId::VOID,
    };
    match compat::types(local, one.ty, btf, target) {
        Ok(true) => Ok(Symbol::Typed(KernelType { module: module.cloned(), id })),
        _ if one.weak && one.kind == ExternKind::Function => Ok(Symbol::Absent),
        _ => Err(BadSymbol {
            message: format!(
                "the kernel's {what} `{name}` is a `{}`, and the program declares it as `{}`",
                btf.c_name(target),
                local.c_name(one.ty)
            ),
            help: Some("declare it as `vmlinux.h` does".to_owned()),
        }),
    }
}
