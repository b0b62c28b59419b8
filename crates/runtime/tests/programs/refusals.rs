//! What is not there is refused at load, by name, at the instruction.

use crate::harness::{Bench, kernel, map, program, runtime};
use alveary_abi::{MapType, Profile, ProgType, Version};
use alveary_diag::{Diagnostic, Place};
use alveary_runtime::{Runtime, World};
use alveary_spec::Program;
use std::sync::Arc;

fn refused(program: Program) -> Diagnostic {
    runtime().load(Arc::new(program), vec![]).expect_err("it must be refused").why
}

#[test]
fn a_number_that_is_no_helper() {
    let d = refused(program("r0 = 0\ncall 9999\nexit\n"));
    assert_eq!(d.code.0, "helper-unknown");
    assert_eq!(d.place(), &Place::Insn { prog: "main".into(), index: 1 });
    assert!(d.to_string().contains("9999"), "{d}");
}

#[test]
fn a_helper_that_this_type_may_not_call() {
    let d = refused(program("call bpf_skb_vlan_pop\nexit\n"));
    assert_eq!(d.code.0, "helper-not-for-type");
    assert!(d.to_string().contains("`xdp` may not call `bpf_skb_vlan_pop`"), "{d}");
    assert!(d.notes.iter().any(|n| n.contains("sched_cls")), "it says who may: {:?}", d.notes);
}

#[test]
fn a_helper_that_is_not_here() {
    let d = refused(program("call bpf_fib_lookup\nexit\n"));
    assert_eq!(d.code.0, "helper-unsupported");
    assert!(d.to_string().contains("`bpf_fib_lookup` is not implemented on target `user`"), "{d}");
}

#[test]
fn a_helper_of_a_later_kernel() {
    let mut old = kernel();
    old.profile = Profile::linux(Version(5, 4));
    let runtime = Runtime::builder(old, World::repeatable()).family::<Bench>(Arc::new(())).build();
    let d = runtime.load(Arc::new(program("call bpf_loop\nexit\n")), vec![]).expect_err("5.4 has no bpf_loop");
    assert!(d.to_string().contains("`bpf_loop` came with Linux 5.17") && d.to_string().contains("5.4"), "{d}");
}

#[test]
fn a_gpl_helper_for_another_licence() {
    let text = "r1 = r10\nr1 += -8\n*(u64 *)(r10 - 8) = 0\nr2 = 8\ncall bpf_trace_printk\nexit\n";
    let mut mit = program(text);
    mit.license = "MIT".into();
    let d = refused(mit);
    assert_eq!(d.code.0, "helper-gpl");
    assert_eq!(d.place(), &Place::Insn { prog: "main".into(), index: 4 });
    let mut dual = program(text);
    dual.license = "Dual MIT/GPL".into();
    runtime().load(Arc::new(dual), vec![]).expect("a compatible licence");
}

#[test]
fn a_program_type_without_a_hook() {
    let d = refused(Program { ty: ProgType::KPROBE, ..program("r0 = 0\nexit\n") });
    assert_eq!(d.code.0, "prog-type-unsupported");
    assert!(d.to_string().contains("`kprobe`"), "{d}");
    assert!(d.expected.as_ref().is_some_and(|e| e.contains("xdp")), "{d}");
}

#[test]
fn legacy_packet_loads_outside_of_socket_buffers() {
    let d = refused(program("r6 = r1\nr0 = *(u8 *)skb[0]\nexit\n"));
    assert_eq!(d.code.0, "insn-unsupported");
    assert!(d.to_string().contains("legacy packet load"), "{d}");
}

#[test]
fn a_map_that_the_program_does_not_have() {
    let d = refused(program("r0 = 0\nr1 = m0 ll\nexit\n"));
    assert_eq!(d.code.0, "map-index");
    assert_eq!(d.place(), &Place::Insn { prog: "main".into(), index: 1 });
}

#[test]
fn code_that_leaves_the_program() {
    let d = refused(program("r0 = 0\n"));
    assert_eq!(d.code.0, "insn-invalid");
}

#[test]
fn programs_of_two_types_in_one_prog_array() {
    let runtime = runtime();
    let array = map(&runtime, MapType::PROG_ARRAY, 4, 4, 4);
    let xdp = runtime.load(Arc::new(program("r0 = 0\nexit\n")), vec![]).expect("it loads");
    let tc = Program { ty: ProgType::SCHED_CLS, ..program("r0 = 0\nexit\n") };
    let tc = runtime.load(Arc::new(tc), vec![]).expect("it loads");
    runtime.set_slot(&array, 0, &xdp).expect("the first decides");
    let d = runtime.set_slot(&array, 1, &tc).expect_err("another type");
    assert!(d.to_string().contains("sched_cls") && d.to_string().contains("xdp"), "{d}");
    runtime.set_slot(&array, 4, &xdp).expect_err("behind the end");
}

#[test]
fn a_program_for_another_context() {
    struct Other;
    // SAFETY: there are no backings and no regions.
    unsafe impl alveary_runtime::Family for Other {
        type Ctx = u8;
        type State = ();
        const NAME: &'static str = "other";
        const TYPES: &'static [ProgType] = &[ProgType::KPROBE];
        fn backings() -> &'static [alveary_runtime::Backing] {
            &[]
        }
        fn helpers() -> &'static [alveary_runtime::Bind] {
            &[]
        }
        fn regions(_: &u8, _: &mut dyn FnMut(alveary_vm::Region)) {}
    }
    let runtime = runtime();
    let prog = runtime.load(Arc::new(program("r0 = 0\nexit\n")), vec![]).expect("it loads");
    let d = runtime.vcpu(0).expect("CPU 0").run::<Other>(&prog, &0).expect_err("its context is another");
    assert_eq!(d.code.0, "context");
}
