//! Native code goes with its program, whoever loads how many: alone in its process, so that all mappings are its own.
#![cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux"))]

mod support;

use alveary_isa::{AluOp, Inst};
use alveary_vm::{Env, Exit, Image, Jit};
use std::fs;
use std::sync::{Arc, Barrier};
use std::thread;
use support::*;

const THREADS: u64 = 4;
const LOADS: u64 = 10_000;

/// Mappings that hold code, and those that nothing may touch: their places.
fn mappings() -> (Vec<String>, usize) {
    let all = fs::read_to_string("/proc/self/maps").expect("Linux says what is mapped");
    let rights = |line: &str| line.split(' ').nth(1).unwrap_or_default().to_owned();
    let code = all.lines().filter(|line| rights(line).contains('x')).map(str::to_owned).collect();
    (code, all.lines().filter(|line| rights(line) == "---p").count())
}

fn load_and_run(jit: &Arc<Jit>, number: u64) {
    let owner = Owner(vec![]);
    let length = (number % 7) as i32;
    let work = (0..length).flat_map(|n| [alu(AluOp::Mul, 1, 2), add(1, n)]);
    let insts: Vec<Inst> = [mov(2, 3)].into_iter().chain(work).chain([movr(0, 1), EXIT]).collect();
    // SAFETY: the program accesses no memory.
    let image = unsafe { Image::native(&owner.code(&insts, &[0]), &owner, jit) }.expect("well-formed");
    let expected = (0..length as u64).fold(number, |value, n| value * 3 + n);
    assert_eq!(image.run(&Env::new(), 0, [number, 0, 0, 0, 0], None), Ok(Exit::Return(expected)));
}

/// The mapping of an address, and those before and behind it: their ends and rights.
fn around(address: u64) -> Vec<(u64, u64, String)> {
    let all = fs::read_to_string("/proc/self/maps").expect("Linux says what is mapped");
    let mapping = |line: &str| {
        let (places, rights) = (line.split(' ').next()?, line.split(' ').nth(1)?);
        let (start, end) = places.split_once('-')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        Some((hex(start)?, hex(end)?, rights.to_owned()))
    };
    let all: Vec<_> = all.lines().filter_map(mapping).collect();
    let at = all.iter().position(|(start, end, _)| (*start..*end).contains(&address)).expect("it is mapped");
    all[at - 1..=at + 1].to_vec()
}

fn code_is_read_only_between_guards(jit: &Arc<Jit>) {
    let owner = Owner(vec![]);
    // SAFETY: the program accesses no memory.
    let image = unsafe { Image::native(&owner.code(&[mov(0, 3), EXIT], &[0]), &owner, jit) }.expect("well-formed");
    let [function] = image.native_functions()[..] else { panic!("there is one function") };
    let [before, code, behind] = &around(function.address)[..] else { panic!("there are three") };
    assert_eq!((&*code.2, code.1 - code.0), ("r-xp", jit.in_use() as u64));
    assert_eq!((&*before.2, before.1), ("---p", code.0));
    assert_eq!((&*behind.2, behind.0), ("---p", code.1));
}

#[test]
fn ten_thousand_loads_on_four_threads_leave_no_page_mapped() {
    let jit = Jit::new(1 << 20).expect("there is one for this machine");
    code_is_read_only_between_guards(&jit);
    let barrier = Barrier::new(THREADS as usize + 1);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (jit, barrier) = (&jit, &barrier);
            scope.spawn(move || {
                // What the allocator maps for a thread is there after the first loads.
                (0..20).for_each(|number| load_and_run(jit, number));
                barrier.wait();
                barrier.wait();
                (0..LOADS / THREADS).for_each(|number| load_and_run(jit, number * THREADS + thread));
                barrier.wait();
                barrier.wait();
            });
        }
        barrier.wait();
        let before = mappings();
        barrier.wait();
        barrier.wait();
        let after = mappings();
        barrier.wait();
        assert_eq!(before, after);
    });
    assert_eq!(jit.in_use(), 0);
}
