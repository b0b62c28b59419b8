//! Ways out of a program's memory, its budget or all bounds that once were open: see docs/soundness.md.

use crate::harness::{Bench, Bytes, fault, kernel, load, map, map_with, run, runtime};
use alveary_abi::{Helper, HelperId, MapType, ProgType, Proto, Special, SpecialKind};
use alveary_maps::Layout;
use alveary_runtime::{Backing, Bind, Family, LoadedMap, Runtime, World};
use alveary_vm::Region;
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
    slice::from_ref,
    sync::Arc,
};

const KEY: &str = "*(u32 *)(r10 - 4) = 1\nr1 = m0 ll\nr2 = r10\nr2 += -4\n";

#[test]
fn a_runtime_runs_its_own_programs_alone() {
    // A map that was made for one CPU has nothing for the others: they got the memory behind its end.
    let mut small = kernel();
    small.cpus = 1;
    let small = Runtime::builder(small, World::repeatable()).family::<Bench>(Arc::new(())).build();
    let array = map(&small, MapType::PERCPU_ARRAY, 4, 8, 4);
    let Layout::Array { data, cpu_stride, .. } = array.map.layout() else { panic!("no array") };
    let behind = array.map.base() as u64 + data + cpu_stride;
    let runtime = runtime();
    let text = format!("r1 = m0 ll\nr1 = {behind:#x} ll\nr0 = *(u64 *)(r1 + 0)\nexit\n");
    let prog = load(&small, &text, from_ref(&array));
    let context = [const { Cell::new(0) }; 64];
    let refused = runtime.vcpu(1).expect("CPU 1").run::<Bench>(&prog, &context).expect_err("another runtime's");
    assert_eq!(refused.code.0, "prog-foreign");
    let slots = map(&runtime, MapType::PROG_ARRAY, 4, 4, 1);
    assert_eq!(runtime.set_slot(&slots, 0, &prog).expect_err("another runtime's").code.0, "prog-slot");
    // An embedder vouches for a map; but what it says of itself counts, too.
    // SAFETY: made by `create`.
    let vouched = unsafe { LoadedMap::new(array.spec.clone(), array.map.clone()) };
    let prog = load(&runtime, &text, &[vouched]);
    let trap = runtime.vcpu(1).expect("CPU 1").run::<Bench>(&prog, &context).expect_err("no value of CPU 1");
    assert_eq!(trap.code.0, "trap-load");
}

#[test]
fn a_program_put_into_a_slot_past_the_runtime_is_not_entered() {
    let (one, other) = (runtime(), runtime());
    let array = map(&one, MapType::PROG_ARRAY, 4, 4, 1);
    let foreign = load(&other, "r0 = 7\nexit\n", &[]);
    array.map.slots().expect("slots").set(&[0; 4], Some(foreign), 0).expect("any program");
    let text = "r2 = m0 ll\nr3 = 0\ncall bpf_tail_call\nr0 = 1\nexit\n";
    assert_eq!(run(&one, text, &[array]), 1, "as from an empty slot");
}

#[test]
fn an_update_under_a_lock_that_stays_taken_ends() {
    let runtime = runtime();
    let locked = Special { off: 0, kind: SpecialKind::SpinLock };
    for ty in [MapType::ARRAY, MapType::HASH] {
        let map = map_with(&runtime, ty, 8, locked.clone());
        let _ = map.map.write(&1u32.to_ne_bytes(), &[0; 8], 0);
        let take = format!("{KEY}call bpf_map_lookup_elem\n*(u32 *)(r0 + 0) = 1\n");
        let update = format!("{KEY}*(u64 *)(r10 - 16) = 0\nr3 = r10\nr3 += -16\nr4 = 4\ncall bpf_map_update_elem\n");
        let value = run(&runtime, &format!("{take}{update}exit\n"), &[map]);
        assert_eq!(value as i64, -16, "EBUSY");
    }
}

#[test]
fn for_each_over_an_array_of_billions_costs_what_it_visits() {
    let runtime = runtime();
    let array = map(&runtime, MapType::ARRAY, 4, 1, u32::MAX);
    let text = "r1 = m0 ll\nr2 = fn_body ll\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_for_each_map_elem\nexit\n\
                fn_body:\nr0 = *(u32 *)(r2 + 0)\nr0 >>= 1\nexit\n";
    assert_eq!(run(&runtime, text, &[array]), 3, "stopped by the third");
}

#[test]
fn open_reservations_are_bounded() {
    let runtime = runtime();
    let ring = map(&runtime, MapType::RINGBUF, 0, 0, 1 << 20);
    let count = map(&runtime, MapType::ARRAY, 4, 8, 1);
    let text = "r6 = 0\nagain:\nr1 = m0 ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nif r0 == 0 goto out\n\
                r6 += 1\ngoto again\nout:\nr1 = v1 ll\n*(u64 *)(r1 + 0) = r6\nexit\n";
    fault(&runtime, text, &[ring.clone(), count.clone()]);
    let mut reserved = [0; 8];
    count.map.read(&0u32.to_ne_bytes(), &mut reserved).expect("the value");
    assert_eq!(u64::from_ne_bytes(reserved), 128);
    assert_eq!(ring.map.streams().expect("a stream").drain(&mut |_| panic!("none was submitted")), 0);
}

#[test]
fn numbers_of_regions_are_used_again() {
    // One reservation is always open while the other one is given back: each had a higher number than all before, and
    // each access looked at all of them, so that work grew with the square of what was reserved.
    let runtime = runtime();
    let ring = map(&runtime, MapType::RINGBUF, 0, 0, 1 << 20);
    let reserve = "r1 = m0 ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\n";
    let text = format!(
        "r7 = 60000\n{reserve}r6 = r0\nagain:\n{reserve}r8 = r0\nif r8 == 0 goto out\n*(u64 *)(r8 + 0) = 1\n\
         r1 = r6\nr2 = 0\ncall bpf_ringbuf_discard\nr6 = r8\nr7 += -1\nif r7 != 0 goto again\nout:\n\
         r1 = r6\nr2 = 0\ncall bpf_ringbuf_discard\nr0 = r7\nexit\n"
    );
    assert_eq!(run(&runtime, &text, &[ring]), 0);
}

/// As [`Bench`], but that it cannot say what its regions are when the first byte is set.
struct Panicking;

// SAFETY: as for `Bench`.
unsafe impl Family for Panicking {
    type Ctx = Bytes;
    type State = ();
    const NAME: &'static str = "panicking";
    const TYPES: &'static [ProgType] = &[ProgType::XDP];
    fn backings() -> &'static [Backing] {
        &[]
    }
    fn helpers() -> &'static [Bind] {
        &[]
    }
    fn regions(ctx: &Bytes, add: &mut dyn FnMut(Region)) {
        assert!(ctx[0].get() == 0, "the family panics");
        Bench::regions(ctx, add);
    }
}

#[test]
fn what_a_run_holds_is_given_back_when_a_family_panics() {
    // The next run of the same CPU released the lock, in a map that may have gone by then.
    static MOVE: Helper =
        Helper::new(HelperId(HelperId::FIRST_OWN.0 + 3), "move").protos(&[Proto::takes(&[]).changes_packet()]);
    let runtime = Runtime::builder(kernel(), World::repeatable())
        .family::<Panicking>(Arc::new(()))
        .helper_fn::<Panicking>(&MOVE, |cx, _| {
            cx.ctx()[0].set(1);
            0
        })
        .build();
    let array = map_with(&runtime, MapType::ARRAY, 8, Special { off: 0, kind: SpecialKind::SpinLock });
    let lock = format!("{KEY}call bpf_map_lookup_elem\nr6 = r0\nr1 = r6\ncall bpf_spin_lock\n");
    let unlock = "r1 = r6\ncall bpf_spin_unlock\nr0 = 5\nexit\n";
    let bad = load(&runtime, &format!("{lock}call {}\n{unlock}", MOVE.id.0), from_ref(&array));
    let good = load(&runtime, &format!("{lock}{unlock}"), &[array]);
    let mut cpu = runtime.vcpu(0).expect("CPU 0");
    let mut run = |prog| {
        let context = [const { Cell::new(0) }; 64];
        catch_unwind(AssertUnwindSafe(|| cpu.run::<Panicking>(prog, &context).map(|ran| ran.value)))
    };
    assert!(run(&bad).is_err(), "it panics");
    assert!(matches!(run(&good), Ok(Ok(5))), "the lock is free, and nothing is held");
}
