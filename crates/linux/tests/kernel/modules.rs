//! Functions and variables of kernel modules, and programs for their functions: as far as modules are loaded here.

use crate::support::{allowed, insns};
use alveary_abi::{AttachType, Errno, ProgType};
use alveary_btf::{Btf, Kind, Type, TypeId};
use alveary_isa::{Insn, Reg};
use alveary_linux::{
    modules::{self, Opened},
    prog::{self, ProgFrom, Refused},
};
use alveary_spec::{KernelType, Module, Program};
use std::{fs, sync::Arc};

const CONNTRACK: &str = "nf_conntrack";

/// A connection is looked for and, if there is one, let go: both functions are the module's. Their places in the program
/// are those of the calls without a helper.
const LOOKUP: &str = "
    r2 = 0
    *(u64 *)(r10 - 8) = r2
    *(u64 *)(r10 - 16) = r2
    *(u64 *)(r10 - 24) = r2
    *(u64 *)(r10 - 32) = r2
    r2 = r10
    r2 += -16
    r3 = 12
    r4 = r10
    r4 += -32
    r5 = 12
    call 1
    if r0 == 0 goto +2
    r1 = r0
    call 2
    r0 = 2
    exit";

/// The modules that are loaded and show their types; a line says that `test` is skipped if there are none.
fn modules(test: &str) -> Option<Vec<Module>> {
    let types = fs::read("/sys/kernel/btf/vmlinux").ok().filter(|_| allowed(test))?;
    let kernel = Arc::new(Btf::read_owned(types, None).expect("the kernel's types"));
    let all = modules::running(kernel).all().to_vec();
    if all.is_empty() {
        eprintln!("SKIP {test}: no module with types is loaded");
    }
    Some(all).filter(|all| !all.is_empty())
}

/// The connection tracking's module.
fn conntrack(test: &str) -> Option<Module> {
    let found = modules(test)?.into_iter().find(|module| &*module.name == CONNTRACK);
    if found.is_none() {
        eprintln!("SKIP {test}: the module {CONNTRACK} is not loaded");
    }
    found
}

fn program(ty: ProgType, insns: Vec<Insn>, modules: &[&Module]) -> Program {
    let modules = modules.iter().map(|module| module.name.clone()).collect();
    Program { name: "alveary_test".into(), ty, insns, modules, license: "GPL".to_owned(), ..Program::default() }
}

fn load(program: &Program) -> Result<(), Box<Refused>> {
    let modules = Opened::for_program(program).expect("modules");
    prog::load(program, &ProgFrom { modules: Some(&modules), ..ProgFrom::default() }).map(drop)
}

#[test]
fn functions_of_a_module_are_called() {
    let Some(module) = conntrack("functions_of_a_module_are_called") else { return };
    let mut insns = insns(LOOKUP);
    let names = ["bpf_xdp_ct_lookup", "bpf_ct_release"];
    for (call, name) in insns.iter_mut().filter(|insn| insn.op == 0x85).zip(names) {
        let id = module.btf.find(name, Kind::Func).expect("a function of the module");
        *call = Insn { src: Reg(2), off: 1, imm: id.0 as i32, ..*call };
    }
    let taken = program(ProgType::XDP, insns.clone(), &[&module]);
    load(&taken).unwrap_or_else(|e| panic!("{}\n{}", e.why, e.log));
    // As the kernel's own function, which has another of that number or none, it is refused.
    insns.iter_mut().filter(|insn| insn.op == 0x85).for_each(|call| call.off = 0);
    load(&program(ProgType::XDP, insns, &[])).expect_err("no function of the kernel");
}

#[test]
fn variables_of_modules_have_addresses() {
    let test = "variables_of_modules_have_addresses";
    let Some(modules) = modules(test) else { return };
    let own = |module: &Module| {
        let own = |id: &TypeId| id.0 >= module.btf.first_id() && matches!(module.btf.ty(*id), Some(Type::Var { .. }));
        module.btf.ids().find(own)
    };
    let Some((module, id)) = modules.iter().find_map(|module| Some((module, own(module)?))) else {
        eprintln!("SKIP {test}: no module that is loaded shows a variable");
        return;
    };
    let address = |number: i32| {
        let mut insns = insns("r1 = 0 ll\nr0 = 0\nexit");
        (insns[0].src, insns[0].imm, insns[1].imm) = (Reg(3), id.0 as i32, number);
        insns
    };
    let taken = program(ProgType::XDP, address(1), &[module]);
    load(&taken).unwrap_or_else(|e| panic!("{} of {}: {}\n{}", module.btf.name(id), module.name, e.why, e.log));
    load(&program(ProgType::XDP, address(0), &[])).expect_err("no variable of the kernel");
}

#[test]
fn programs_are_for_functions_of_a_module() {
    let Some(module) = conntrack("programs_are_for_functions_of_a_module") else { return };
    let id = module.btf.find("nf_ct_delete", Kind::Func).expect("a function of the module");
    let target = KernelType { module: Some(module.name.clone()), id };
    let fentry = Program {
        expected: Some(AttachType::TRACE_FENTRY),
        target: Some(Ok(target)),
        ..program(ProgType::TRACING, insns("r0 = 0\nexit"), &[])
    };
    match load(&fentry) {
        Ok(()) => {}
        // Nothing is traced on some machines, the kernel's own functions neither.
        Err(e) if e.errno == Some(Errno::EPERM) => eprintln!("SKIP programs_are_for_functions_of_a_module: {}", e.why),
        Err(e) => panic!("{}\n{}", e.why, e.log),
    }
}

#[test]
fn a_module_that_is_not_loaded_is_named() {
    if !allowed("a_module_that_is_not_loaded_is_named") {
        return;
    }
    let gone = Program { modules: vec!["not_there".into()], ..program(ProgType::XDP, insns("r0 = 2\nexit"), &[]) };
    let refused = load(&gone).expect_err("no such module");
    assert_eq!(refused.why.message, "the kernel does not show the types of module `not_there`");
    assert_eq!(refused.why.help, ["load the module: `modprobe not_there`"]);
}
