//! Types and functions of kernel modules: asked where the kernel itself has none, and only then.

use crate::common::{compile, kernel};
use alveary_btf::{Btf, Builder, Kind, Linkage, Member, New, TypeId};
use alveary_isa::Endian::Little;
use alveary_object::{Options, read, resolve};
use alveary_spec::{Kernel, Module, Modules, Program};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

const PROGRAMS: &str = r#"
    #define CORE __attribute__((preserve_access_index))
    struct sock { int mark; } CORE;
    struct conn { int mark; } CORE;
    int kernel_call(int a) __attribute__((section(".ksyms")));
    int conn_put(int a) __attribute__((section(".ksyms")));
    int other_call(int a) __attribute__((section(".ksyms")));
    extern const int sock_count __attribute__((section(".ksyms")));
    extern const int conn_count __attribute__((section(".ksyms")));
    SEC("xdp") int own(struct sock *s) { return s->mark; }
    SEC("xdp") int modules(struct conn *c) { return c->mark; }
    SEC("xdp") int calls(void *c) { return kernel_call(1) + conn_put(2) + other_call(3) + conn_put(4); }
    SEC("xdp") int counts(void *c) { return sock_count + conn_count + other_call(3) + conn_count; }
    SEC("fentry/kernel_call") int to_own(void *c) { return 0; }
    SEC("fentry/conn_put") int to_found(void *c) { return 0; }
    SEC("fentry/two:other_call") int to_named(void *c) { return 0; }
    SEC("fentry/one:other_call") int to_none(void *c) { return 0; }
"#;

/// Adds a struct with `mark` at a bit, a variable that counts them, and a function `int name(int)`.
fn content(mut b: Builder, int: TypeId, record: &str, at: u32, function: &str) -> Btf {
    b.add(&New::Var { name: &format!("{record}_count"), ty: int, linkage: Linkage::Global });
    b.add(&New::Struct {
        name: record,
        size: 64,
        members: &[Member { name: "mark", ty: int, bit_offset: at, bits: None }],
    });
    let params = [alveary_btf::Param { name: "a", ty: int }];
    let proto = b.add(&New::FuncProto { ret: int, params: &params });
    b.add(&New::Func { name: function, proto, linkage: Linkage::Static });
    b.finish().unwrap()
}

/// A kernel and its modules `one` and `two`; how often they were read.
fn with_modules() -> (Kernel, Arc<AtomicUsize>) {
    let mut b = Builder::new(Little);
    let int = b.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let base = Arc::new(content(b, int, "sock", 64, "kernel_call"));
    // The second module has a struct of the kernel's name too: nobody asks it.
    let one = content(Builder::over(base.clone()), int, "conn", 128, "conn_put");
    let two = content(Builder::over(base.clone()), int, "sock", 192, "other_call");
    let all = [("one", one), ("two", two)].map(|(name, btf)| Module { name: name.into(), btf: Arc::new(btf) });
    let times = Arc::new(AtomicUsize::new(0));
    let counted = times.clone();
    let modules = Modules::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        all.to_vec()
    });
    (Kernel { btf: Some(base), modules, symbols: Some(Arc::default()), ..kernel() }, times)
}

fn resolved(object: &[u8], kernel: &Kernel, name: &str) -> Arc<Program> {
    let options = Options { programs: Some(vec![name.to_owned()]), ty: None };
    resolve(&read(object).unwrap(), kernel, &options).unwrap_or_else(|e| panic!("{name}: {e:?}")).programs[0].clone()
}

#[test]
fn modules_are_asked_for_types_and_functions_that_the_kernel_does_not_have() {
    let test = "modules_are_asked_for_types_and_functions_that_the_kernel_does_not_have";
    let Some(object) = compile(test, PROGRAMS, &["-g"]) else { return };
    let (kernel, times) = with_modules();
    assert_eq!(resolved(&object, &kernel, "own").insns[0].off, 8);
    assert_eq!(times.load(Ordering::Relaxed), 0, "the kernel itself has the answer");
    assert_eq!(resolved(&object, &kernel, "modules").insns[0].off, 16);

    let calls = resolved(&object, &kernel, "calls");
    assert_eq!(calls.modules.iter().map(|m| &**m).collect::<Vec<_>>(), ["one", "two"]);
    let made: Vec<(i16, i32)> = calls.insns.iter().filter(|i| i.op == 0x85).map(|i| (i.off, i.imm)).collect();
    let id = |btf: &Btf, name: &str| btf.find(name, Kind::Func).unwrap().0 as i32;
    let [one, two] = kernel.modules.all() else { panic!() };
    let put = (1, id(&one.btf, "conn_put"));
    let own = (0, id(kernel.btf.as_ref().unwrap(), "kernel_call"));
    assert_eq!(made, [own, put, (2, id(&two.btf, "other_call")), put]);
    assert_eq!(times.load(Ordering::Relaxed), 1, "they are read once");
}

/// As in a call, a module is named by its number: in the second half of the instruction.
#[test]
fn variables_of_modules_are_named_by_type_and_module() {
    let test = "variables_of_modules_are_named_by_type_and_module";
    let Some(object) = compile(test, PROGRAMS, &["-g"]) else { return };
    let (kernel, _) = with_modules();
    let program = resolved(&object, &kernel, "counts");
    let number = |name: &str| 1 + program.modules.iter().position(|m| &**m == name).unwrap() as i32;
    assert_eq!(program.modules.len(), 2);
    let heads = program.insns.windows(2).filter(|pair| (pair[0].op, pair[0].src.0) == (0x18, 3));
    let mut made: Vec<(i32, i32)> = heads.map(|pair| (pair[0].imm, pair[1].imm)).collect();
    made.sort_unstable();
    made.dedup();
    let id = |btf: &Btf, name: &str| btf.find(name, Kind::Var).unwrap().0 as i32;
    let [one, _] = kernel.modules.all() else { panic!() };
    let own = (id(kernel.btf.as_ref().unwrap(), "sock_count"), 0);
    assert_eq!(made, [own, (id(&one.btf, "conn_count"), number("one"))]);
    assert_eq!(i32::from(program.insns.iter().find(|insn| insn.op == 0x85).unwrap().off), number("two"));
}

#[test]
fn programs_are_for_functions_of_modules() {
    let Some(object) = compile("programs_are_for_functions_of_modules", PROGRAMS, &["-g"]) else { return };
    let (kernel, times) = with_modules();
    let target = |name: &str| resolved(&object, &kernel, name).target.clone().unwrap();
    assert_eq!(target("to_own").unwrap().module, None);
    assert_eq!(times.load(Ordering::Relaxed), 0, "the kernel itself has the answer");
    for (name, module, function) in [("to_found", "one", "conn_put"), ("to_named", "two", "other_call")] {
        let found = target(name).unwrap();
        assert_eq!(found.module.as_deref(), Some(module), "{name}");
        let module = kernel.modules.all().iter().find(|one| &*one.name == module).unwrap();
        assert_eq!(Some(found.id), module.btf.find(function, Kind::Func), "{name}");
    }
    let why = target("to_none").unwrap_err();
    assert_eq!(why.message, "program `to_none` is for the function `other_call`, which module `one` does not have");
}
