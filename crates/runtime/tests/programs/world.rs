//! Time, randomness, identity: what is configured is what programs see.

use crate::harness::{Bench, kernel, load, run, runtime};
use alveary_runtime::{Clock, Runtime, World};
use std::{cell::Cell, sync::Arc};

#[test]
fn a_virtual_clock_stands_still_until_it_is_set() {
    let world = World { clock: Clock::Virtual { start: 1000 }, ..World::repeatable() };
    let runtime = Runtime::builder(kernel(), world).family::<Bench>(Arc::new(())).build();
    let context = [const { Cell::new(0) }; 64];
    for helper in ["bpf_ktime_get_ns", "bpf_ktime_get_boot_ns", "bpf_ktime_get_coarse_ns", "bpf_ktime_get_tai_ns"] {
        let prog = load(&runtime, &format!("call {helper}\nexit\n"), &[]);
        let mut cpu = runtime.vcpu(0).expect("CPU 0");
        assert_eq!(cpu.run::<Bench>(&prog, &context).expect("no trap").value, 1000, "{helper}");
        let mut batch = cpu.batch::<Bench>(&prog).expect("a batch");
        batch.set_time(5_000_000_000);
        assert_eq!(batch.run(&context).expect("no trap").value, 5_000_000_000, "{helper}");
    }
    // 250 ticks a second, from five minutes before the 32-bit counter wraps.
    let jiffies = run(&runtime, "call bpf_jiffies64\nexit\n", &[]);
    assert_eq!(jiffies, u64::from(u32::MAX) + 1 - 300 * 250);
}

#[test]
fn real_time_goes_on() {
    let runtime = Runtime::builder(kernel(), World::real()).family::<Bench>(Arc::new(())).build();
    let text = "call bpf_ktime_get_ns\nr6 = r0\ncall bpf_ktime_get_ns\nif r0 < r6 goto bad\nr0 = r6\nexit\nbad: r0 = 0\nexit\n";
    assert_ne!(run(&runtime, text, &[]), 0);
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let text = "call bpf_get_prandom_u32\nr6 = r0\ncall bpf_get_prandom_u32\nr0 <<= 32\nr0 |= r6\nexit\n";
    let with = |seed| {
        let world = World { seed, ..World::repeatable() };
        let runtime = Runtime::builder(kernel(), world).family::<Bench>(Arc::new(())).build();
        run(&runtime, text, &[])
    };
    assert_eq!(with(Some(7)), with(Some(7)));
    assert_ne!(with(Some(7)), with(Some(8)));
    assert_ne!(with(None), with(None));
}

#[test]
fn a_program_knows_its_cpu() {
    let runtime = runtime();
    let prog = load(&runtime, "call bpf_get_smp_processor_id\nexit\n", &[]);
    let context = [const { Cell::new(0) }; 64];
    for number in 0..2 {
        let mut cpu = runtime.vcpu(number).expect("a free CPU");
        assert!(runtime.vcpu(number).is_none(), "it is taken");
        assert_eq!(cpu.run::<Bench>(&prog, &context).expect("no trap").value, u64::from(number));
    }
    assert!(runtime.vcpu(2).is_none(), "there are two");
    assert!(runtime.vcpu(0).is_some(), "it was given back");
}
