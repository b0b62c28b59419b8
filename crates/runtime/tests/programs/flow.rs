//! Tail calls, callbacks, budgets.

use crate::harness::{Bench, fault, load, map, run, run_prog, runtime};
use alveary_abi::MapType;
use std::cell::Cell;
use std::slice::from_ref;

const NEXT: &str = "r6 = r1\nr1 = r6\nr2 = m0 ll\nr3 = 0\ncall bpf_tail_call\n";

#[test]
fn a_tail_call_ends_the_program_and_starts_the_other() {
    let runtime = runtime();
    let array = map(&runtime, MapType::PROG_ARRAY, 4, 4, 2);
    let second = load(&runtime, "r0 = 7\nexit\n", &[]);
    let first = format!("{NEXT}r0 = 1\nexit\n");
    assert_eq!(run(&runtime, &first, from_ref(&array)), 1, "an empty slot falls through");
    runtime.set_slot(&array, 0, &second).expect("a slot");
    assert_eq!(run(&runtime, &first, from_ref(&array)), 7);
    let behind = first.replace("r3 = 0", "r3 = 5");
    assert_eq!(run(&runtime, &behind, &[array]), 1, "behind the end falls through");
}

#[test]
fn thirty_three_tail_calls_and_no_more() {
    let runtime = runtime();
    let array = map(&runtime, MapType::PROG_ARRAY, 4, 4, 1);
    let count = map(&runtime, MapType::ARRAY, 4, 8, 1);
    let text = format!("r2 = v1 ll\nr3 = *(u64 *)(r2 + 0)\nr3 += 1\n*(u64 *)(r2 + 0) = r3\n{NEXT}r0 = 3\nexit\n");
    let maps = [array.clone(), count.clone()];
    let itself = load(&runtime, &text, &maps);
    runtime.set_slot(&array, 0, &itself).expect("a slot");
    assert_eq!(run_prog(&runtime, &itself).expect("it ends").value, 3);
    let mut runs = [0; 8];
    count.map.read(&0u32.to_ne_bytes(), &mut runs).expect("the value");
    assert_eq!(u64::from_ne_bytes(runs), 34);
}

#[test]
fn the_program_after_a_tail_call_has_its_own_maps() {
    let runtime = runtime();
    let array = map(&runtime, MapType::PROG_ARRAY, 4, 4, 1);
    let value = map(&runtime, MapType::ARRAY, 4, 8, 1);
    let second = load(&runtime, "r1 = v0 ll\n*(u64 *)(r1 + 0) = 9\nr0 = *(u64 *)(r1 + 0)\nexit\n", &[value]);
    runtime.set_slot(&array, 0, &second).expect("a slot");
    assert_eq!(run(&runtime, &format!("{NEXT}r0 = 1\nexit\n"), &[array]), 9);
}

#[test]
fn a_tail_call_in_a_subprogram_returns_to_its_caller() {
    let runtime = runtime();
    let array = map(&runtime, MapType::PROG_ARRAY, 4, 4, 1);
    let second = load(&runtime, "r0 = 40\nexit\n", &[]);
    runtime.set_slot(&array, 0, &second).expect("a slot");
    let text = format!("call fn_sub\nr0 += 2\nexit\nfn_sub:\n{NEXT}r0 = 1\nexit\n");
    assert_eq!(run(&runtime, &text, &[array]), 42);
}

#[test]
fn a_trap_after_a_tail_call_names_the_program() {
    let runtime = runtime();
    let array = map(&runtime, MapType::PROG_ARRAY, 4, 4, 1);
    let second = load(&runtime, "r0 = 0\nr1 = 0\nr0 = *(u8 *)(r1 + 0)\nexit\n", &[]);
    runtime.set_slot(&array, 0, &second).expect("a slot");
    let first = load(&runtime, &format!("{NEXT}r0 = 1\nexit\n"), &[array]);
    let context = [const { Cell::new(0) }; 64];
    let mut cpu = runtime.vcpu(0).expect("CPU 0");
    let fault = cpu.batch::<Bench>(&first).expect("a batch").run(&context).expect_err("a trap");
    assert_eq!(fault.trap.insn, 2);
    assert!(std::sync::Arc::ptr_eq(&fault.program, second.program()));
}

#[test]
fn a_trap_behind_a_tail_call_of_a_subprogram_names_the_program() {
    let runtime = runtime();
    let array = map(&runtime, MapType::PROG_ARRAY, 4, 4, 1);
    let second = load(&runtime, "r1 = 0\nr0 = *(u8 *)(r1 + 0)\nexit\n", &[]);
    runtime.set_slot(&array, 0, &second).expect("a slot");
    let text = format!("call fn_sub\nexit\nfn_sub:\n{NEXT}r0 = 1\nexit\n");
    let first = load(&runtime, &text, &[array]);
    let context = [const { Cell::new(0) }; 64];
    let mut cpu = runtime.vcpu(0).expect("CPU 0");
    let fault = cpu.batch::<Bench>(&first).expect("a batch").run(&context).expect_err("a trap");
    assert!(std::sync::Arc::ptr_eq(&fault.program, second.program()));
    assert_eq!(fault.trap.insn, 1);
}

const LOOP: &str = "r1 = 5\nr2 = fn_body ll\nr3 = r10\nr3 += -8\n*(u64 *)(r10 - 8) = 0\nr4 = 0\ncall bpf_loop\n\
                    r6 = *(u64 *)(r10 - 8)\nr0 <<= 32\nr0 |= r6\nexit\n";

#[test]
fn bpf_loop_calls_back_until_it_is_told_to_stop() {
    let runtime = runtime();
    let body = "fn_body:\nr3 = *(u64 *)(r2 + 0)\nr3 += r1\n*(u64 *)(r2 + 0) = r3\nr0 = 0\nexit\n";
    assert_eq!(run(&runtime, &format!("{LOOP}{body}"), &[]), 5 << 32 | (1 + 2 + 3 + 4));
    let body = "fn_body:\nr0 = 0\nif r1 < 2 goto out\nr0 = 1\nout: exit\n";
    assert_eq!(run(&runtime, &format!("{LOOP}{body}"), &[]), 3 << 32);
    let many = format!("{LOOP}{body}").replace("r1 = 5", "r1 = 8388609");
    assert_eq!(run(&runtime, &many, &[]) as i64 >> 32, -7, "more than BPF_MAX_LOOPS");
}

#[test]
fn a_trap_in_a_callback_stops_the_program_there() {
    let d = fault(&runtime(), &format!("{LOOP}fn_body:\nr0 = *(u64 *)(r1 + 0)\nexit\n"), &[]);
    assert!(d.to_string().starts_with("main: instruction 12: load of 8 bytes outside"), "{d}");
}

#[test]
fn an_endless_loop_uses_up_its_budget() {
    let runtime = runtime();
    let prog = load(&runtime, "again: goto again\nexit\n", &[]);
    let context = [const { Cell::new(0) }; 64];
    let mut cpu = runtime.vcpu(0).expect("CPU 0");
    cpu.set_budget(1000);
    let d = cpu.run::<Bench>(&prog, &context).expect_err("it has no end");
    assert_eq!(d.code.0, "trap-budget");
}

#[test]
fn executed_instructions_are_counted_through_callbacks() {
    let runtime = runtime();
    let ran = |text: &str| run_prog(&runtime, &load(&runtime, text, &[])).expect("no trap").insns;
    assert_eq!(ran("r0 = 2\nexit\n"), 2);
    // 12 slots of the program (the address is one instruction), five times two of the callback.
    assert_eq!(ran(&format!("{LOOP}fn_body:\nr0 = 0\nexit\n")), 11 + 5 * 2);
}

#[test]
fn for_each_map_elem_visits_every_element_once() {
    let runtime = runtime();
    let hash = map(&runtime, MapType::HASH, 4, 8, 16);
    for i in 1..=10u32 {
        hash.map.write(&i.to_ne_bytes(), &u64::from(i * 100).to_ne_bytes(), 0).expect("an element");
    }
    // Adds keys and values, deletes each as it goes.
    let text = "r1 = m0 ll\nr2 = fn_body ll\nr3 = r10\nr3 += -8\n*(u64 *)(r10 - 8) = 0\nr4 = 0\n\
                call bpf_for_each_map_elem\nr6 = *(u64 *)(r10 - 8)\nr0 <<= 32\nr0 |= r6\nexit\n\
                fn_body:\nr6 = *(u32 *)(r2 + 0)\nr7 = *(u64 *)(r3 + 0)\nr6 += r7\nr7 = *(u64 *)(r4 + 0)\nr6 += r7\n\
                *(u64 *)(r4 + 0) = r6\ncall bpf_map_delete_elem\nr0 = 0\nexit\n";
    assert_eq!(run(&runtime, text, from_ref(&hash)), 10 << 32 | (55 + 5500));
    assert!(hash.map.next_key(None, &mut [0; 4]).is_err(), "all were deleted");
}

/// Between runs of ready programs others run, contexts go, and what maps give up goes, too.
#[test]
fn programs_that_are_ready_run_as_others_do() {
    let runtime = runtime();
    let array = map(&runtime, MapType::PROG_ARRAY, 4, 4, 1);
    let value = map(&runtime, MapType::ARRAY, 4, 8, 1);
    let second = load(&runtime, "r0 = 7\nexit\n", &[]);
    runtime.set_slot(&array, 0, &second).expect("a slot");
    let first = load(&runtime, &format!("{NEXT}r0 = 1\nexit\n"), from_ref(&array));
    let counts = load(&runtime, "r1 = v0 ll\nr0 = *(u64 *)(r1 + 0)\nr0 += 1\n*(u64 *)(r1 + 0) = r0\nexit\n", &[value]);
    let stops = load(&runtime, "r0 = *(u64 *)(r1 + 0)\nexit\n", &[]);
    let mut cpu = runtime.vcpu(0).expect("CPU 0");
    let mut ready = |prog| {
        let context = [const { Cell::new(0) }; 64];
        cpu.run_ready::<Bench>(prog, &context)
            .expect("its family")
            .map(|ran| ran.value)
            .map_err(|fault| fault.diagnostic())
    };
    for round in 0..200 {
        assert_eq!(ready(&first).expect("no trap"), 7);
        assert_eq!(ready(&counts).expect("no trap"), 3 * round + 1);
        assert_eq!(ready(&counts).expect("no trap"), 3 * round + 2);
        ready(&stops).expect_err("a context that is no memory");
        assert_eq!(ready(&counts).expect("no trap"), 3 * round + 3);
    }
    drop(cpu);

    let third = load(&runtime, "r0 = 8\nexit\n", &[]);
    let gone = |runs: u32, rests: bool| {
        let old = load(&runtime, "r0 = 7\nexit\n", &[]);
        runtime.set_slot(&array, 0, &old).expect("a slot");
        let mut cpu = runtime.vcpu(1).expect("CPU 1");
        let context = [const { Cell::new(0) }; 64];
        let mut run = || cpu.run_ready::<Bench>(&first, &context).expect("its family").expect("no trap").value;
        assert_eq!(run(), 7);
        let kept = std::sync::Arc::downgrade(&old);
        runtime.set_slot(&array, 0, &third).expect("a slot");
        drop(old);
        assert!(kept.upgrade().is_some(), "a run may be in the midst of it");
        (0..runs).for_each(|_| assert_eq!(run(), 8));
        if rests {
            cpu.rest();
        }
        kept.upgrade().is_none()
    };
    assert!(gone(0, true), "who rests keeps nothing");
    assert!(gone(100, false), "who runs on does not keep it for ever");
}
