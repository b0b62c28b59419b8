//! What declaration tags say of functions: promises on arguments (`__arg_nonnull`), exception callbacks.

use alveary_btf::{Btf, Type, TypeId};
use alveary_spec::{ArgTag, Function, ProgramSpec, Promise};
use std::collections::{BTreeMap, HashMap};

const ARGUMENT: &str = "arg:";
const CALLBACK: &str = "exception_callback:";
const PROMISES: [(&str, Promise); 6] = [
    ("ctx", Promise::Ctx),
    ("nonnull", Promise::NonNull),
    ("nullable", Promise::Nullable),
    ("trusted", Promise::Trusted),
    ("untrusted", Promise::Untrusted),
    ("arena", Promise::Arena),
];

/// Gives functions and programs what the tags say of them.
pub(crate) fn read(
    btf: &Btf,
    functions: &mut BTreeMap<String, Function>,
    programs: &mut BTreeMap<String, ProgramSpec>,
) {
    let mut args: HashMap<TypeId, Vec<ArgTag>> = HashMap::new();
    let mut callbacks: HashMap<&str, Vec<&str>> = HashMap::new();
    for id in btf.ids() {
        let Some(Type::DeclTag { name, ty, component }) = btf.ty(id) else { continue };
        match (component, name.strip_prefix(ARGUMENT), name.strip_prefix(CALLBACK)) {
            (Some(arg), Some(word), _) => args.entry(ty).or_default().push(ArgTag { arg, promise: promise(word) }),
            (None, _, Some(callback)) => callbacks.entry(btf.name(ty)).or_default().push(callback),
            _ => {}
        }
    }
    for function in functions.values_mut() {
        let Some(first) = function.funcs.first().filter(|f| f.insn == 0) else { continue };
        // Each function has a type of its own; one that is named twice keeps its tags once.
        function.args = args.remove(&first.ty).unwrap_or_default();
    }
    for program in programs.values_mut() {
        // Of several none is taken: the verifier refuses them.
        if let Some([callback]) = callbacks.get(program.name.as_str()).map(Vec::as_slice) {
            program.exception_callback = Some((*callback).to_owned());
        }
    }
}

fn promise(word: &str) -> Promise {
    let known = PROMISES.iter().find(|(name, _)| *name == word);
    known.map_or_else(|| Promise::Unknown(word.to_owned()), |(_, promise)| promise.clone())
}
