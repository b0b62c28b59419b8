//! Elements, locks, ring buffers.

use crate::harness::{fault, map, map_spec, map_with, run, runtime};
use alveary_abi::{MapType, Special, SpecialKind, flags};
use std::slice::from_ref;

const KEY: &str = "*(u32 *)(r10 - 4) = 1\nr1 = m0 ll\nr2 = r10\nr2 += -4\n";

#[test]
fn update_lookup_delete() {
    let runtime = runtime();
    let hash = map(&runtime, MapType::HASH, 4, 8, 4);
    let text = format!(
        "{KEY}*(u64 *)(r10 - 16) = 77\nr3 = r10\nr3 += -16\nr4 = 0\ncall bpf_map_update_elem\nif r0 != 0 goto bad\n\
         {KEY}call bpf_map_lookup_elem\nif r0 == 0 goto bad\nr6 = *(u64 *)(r0 + 0)\n*(u64 *)(r0 + 0) = 78\n\
         {KEY}call bpf_map_delete_elem\nif r0 != 0 goto bad\n{KEY}call bpf_map_delete_elem\nr0 += r6\nexit\n\
         bad: r0 = 0\nexit\n"
    );
    assert_eq!(run(&runtime, &text, &[hash]), 77 - 2, "the second delete finds nothing (-ENOENT)");
}

#[test]
fn a_value_ends_where_it_ends() {
    let runtime = runtime();
    let array = map(&runtime, MapType::ARRAY, 4, 12, 4);
    let text = |off: u32| format!("{KEY}call bpf_map_lookup_elem\nr0 = *(u32 *)(r0 + {off})\nexit\n");
    assert_eq!(run(&runtime, &text(8), from_ref(&array)), 0);
    assert_eq!(fault(&runtime, &text(12), &[array]).code.0, "trap-load", "the padding is not the program's");
}

#[test]
fn each_cpu_has_its_value_and_may_ask_for_others() {
    let runtime = runtime();
    let array = map(&runtime, MapType::PERCPU_ARRAY, 4, 8, 4);
    array.map.write(&1u32.to_ne_bytes(), &[[1u8; 8], [2u8; 8]].concat(), 0).expect("both CPUs");
    let own = format!("{KEY}call bpf_map_lookup_elem\nr0 = *(u8 *)(r0 + 0)\nexit\n");
    assert_eq!(run(&runtime, &own, from_ref(&array)), 1);
    let of = |cpu: u32| {
        format!(
            "{KEY}r3 = {cpu}\ncall bpf_map_lookup_percpu_elem\nif r0 == 0 goto out\nr0 = *(u8 *)(r0 + 0)\nout: exit\n"
        )
    };
    assert_eq!(run(&runtime, &of(1), from_ref(&array)), 2);
    assert_eq!(run(&runtime, &of(2), &[array]), 0, "there is no third CPU");
}

const LOCK: &str = "*(u32 *)(r10 - 4) = 1\nr1 = m0 ll\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\nr6 = r0\n\
                    r1 = r6\ncall bpf_spin_lock\n";

#[test]
fn a_lock_is_taken_and_given_back() {
    let runtime = runtime();
    let locked = Special { off: 0, kind: SpecialKind::SpinLock };
    let array = map_with(&runtime, MapType::ARRAY, 8, locked);
    let good = format!("{LOCK}r1 = r6\ncall bpf_spin_unlock\nr0 = 5\nexit\n");
    assert_eq!(run(&runtime, &good, from_ref(&array)), 5);
    // Kept, taken twice, given back unheld: each ends the run, and the next can take it again.
    for bad in ["r0 = 0\nexit\n", "r1 = r6\ncall bpf_spin_lock\nexit\n", "r0 = *(u8 *)(r0 - 1)\nexit\n"] {
        fault(&runtime, &format!("{LOCK}{bad}"), from_ref(&array));
        assert_eq!(run(&runtime, &good, from_ref(&array)), 5, "after {bad}");
    }
    let elsewhere = good.replace("r1 = r6\ncall bpf_spin_lock", "r1 = r6\nr1 += 4\ncall bpf_spin_lock");
    assert_eq!(fault(&runtime, &elsewhere, &[array]).code.0, "trap-argument");
}

const RESERVE: &str = "r1 = m0 ll\nr2 = 16\nr3 = 0\ncall bpf_ringbuf_reserve\nif r0 == 0 goto out\nr6 = r0\n\
                       *(u64 *)(r6 + 0) = 11\n*(u64 *)(r6 + 8) = 22\nr1 = r6\nr2 = 0\n";

fn events(ring: &alveary_runtime::LoadedMap) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    ring.map.streams().expect("a stream").drain(&mut |event| all.push(event.data.to_vec()));
    all
}

#[test]
fn what_is_reserved_is_submitted_or_discarded() {
    let runtime = runtime();
    let ring = map(&runtime, MapType::RINGBUF, 0, 0, 4096);
    let end = "r0 = 0\nexit\nout: r0 = 1\nexit\n";
    assert_eq!(run(&runtime, &format!("{RESERVE}call bpf_ringbuf_submit\n{end}"), from_ref(&ring)), 0);
    assert_eq!(events(&ring), [[11u64.to_ne_bytes(), 22u64.to_ne_bytes()].concat()]);
    assert_eq!(run(&runtime, &format!("{RESERVE}call bpf_ringbuf_discard\n{end}"), from_ref(&ring)), 0);
    let after =
        fault(&runtime, &format!("{RESERVE}call bpf_ringbuf_submit\n*(u8 *)(r6 + 0) = 1\n{end}"), from_ref(&ring));
    assert_eq!(after.code.0, "trap-store", "it is the map's again");
    assert_eq!(events(&ring).len(), 1);
    fault(&runtime, &format!("{RESERVE}{end}"), from_ref(&ring));
    assert_eq!(events(&ring), Vec::<Vec<u8>>::new(), "what a stopped run had reserved is discarded");
}

#[test]
fn output_copies_memory_into_the_ring() {
    let runtime = runtime();
    let ring = map(&runtime, MapType::RINGBUF, 0, 0, 4096);
    let text = "*(u32 *)(r10 - 4) = 0x04030201\nr1 = m0 ll\nr2 = r10\nr2 += -4\nr3 = 4\nr4 = 0\n\
                call bpf_ringbuf_output\nexit\n";
    assert_eq!(run(&runtime, text, from_ref(&ring)), 0);
    assert_eq!(events(&ring), [0x0403_0201u32.to_ne_bytes().to_vec()]);
}

#[test]
fn queues_push_and_pop() {
    let runtime = runtime();
    let queue = map(&runtime, MapType::QUEUE, 0, 8, 2);
    let push = "*(u64 *)(r10 - 8) = 6\nr1 = m0 ll\nr2 = r10\nr2 += -8\nr3 = 0\ncall bpf_map_push_elem\n";
    let pop = "r1 = m0 ll\nr2 = r10\nr2 += -16\ncall bpf_map_pop_elem\nr6 = *(u64 *)(r10 - 16)\nr0 += r6\nexit\n";
    assert_eq!(run(&runtime, &format!("{push}{pop}"), &[queue]), 6);
}

/// A bloom filter reads what it is asked about: that may stand in memory that programs may not write.
#[test]
fn a_bloom_filter_is_asked_about_a_value_of_a_constant_map() {
    let runtime = runtime();
    let bloom = map(&runtime, MapType::BLOOM_FILTER, 0, 8, 16);
    let mut constant = map_spec("constant", MapType::ARRAY, 4, 8, 1);
    constant.def.flags = flags::BPF_F_RDONLY_PROG;
    let constant = runtime.create_map(&constant).expect("a map");
    let text = "r1 = m0 ll\nr2 = v1 ll\ncall bpf_map_peek_elem\nexit\n";
    let maps = [bloom, constant];
    assert_eq!(run(&runtime, text, &maps) as i64, -2, "nothing was put in (-ENOENT)");
    maps[0].map.queue().expect("a queue").push(&[0; 8], 0).expect("there is room");
    assert_eq!(run(&runtime, text, &maps), 0, "eight zeroes were");
    let queue = [map(&runtime, MapType::QUEUE, 0, 8, 2), maps[1].clone()];
    assert_eq!(fault(&runtime, text, &queue).code.0, "trap-argument", "a queue writes its value there");
}
