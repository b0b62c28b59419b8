//! Prototypes of the kernel's functions that programs may call (kfuncs): those that a declaration tag says so of.

use super::Writer;
use crate::{Btf, Type, TypeId};
use alveary_diag::Diagnostic;
use alveary_sort::Sort;
use std::collections::HashSet;

/// The tag of each of them.
const KFUNC: &str = "bpf_kfunc";
/// The tag of those that leave most registers alone.
const FASTCALL: &str = "bpf_fastcall";

impl Writer<'_> {
    /// All of them, by name. Who brings along prototypes of their own defines `BPF_NO_KFUNC_PROTOTYPES`.
    pub(super) fn kfuncs(&mut self) -> Result<(), Diagnostic> {
        let fast: HashSet<TypeId> = tagged(self.btf, FASTCALL).map(|(id, ..)| id).collect();
        let mut all: Vec<_> = tagged(self.btf, KFUNC).collect();
        all.order_by_key(|(_, name, _)| *name);
        self.out.push_str("\n/* BPF kfuncs */\n#ifndef BPF_NO_KFUNC_PROTOTYPES\n");
        for (id, name, proto) in all {
            self.out.push_str(if fast.contains(&id) { "extern __bpf_fastcall " } else { "extern " });
            self.declare(proto, name, 0, 0)?;
            self.out.push_str(" __weak __ksym;\n");
        }
        self.out.push_str("#endif\n\n");
        Ok(())
    }
}

/// The functions with this tag, their names and prototypes.
fn tagged<'a>(btf: &'a Btf, tag: &'static str) -> impl Iterator<Item = (TypeId, &'a str, TypeId)> {
    (1..btf.count()).filter_map(move |id| {
        let Some(Type::DeclTag { name, ty, component: None }) = btf.ty(TypeId(id)) else { return None };
        match btf.ty(ty) {
            Some(Type::Func { name: func, proto, .. }) if name == tag => Some((ty, func, proto)),
            _ => None,
        }
    })
}
