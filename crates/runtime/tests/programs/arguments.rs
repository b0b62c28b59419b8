//! Helper arguments are held against the row.

use crate::harness::{fault, map, map_spec, run, run_prog, runtime};
use alveary_abi::MapType;
use alveary_btf::Linkage;
use alveary_runtime::Trust;
use alveary_testing::with_function;
use std::sync::Arc;

/// Which argument, from 1, of which helper is refused.
fn refused(text: &str, argument: u32, helper: &str) {
    let runtime = runtime();
    let maps = [map(&runtime, MapType::HASH, 4, 8, 4), map(&runtime, MapType::PROG_ARRAY, 4, 4, 4)];
    let d = fault(&runtime, text, &maps);
    assert_eq!(d.code.0, "trap-argument", "{text}\n{d}");
    let expected = format!("`bpf_{helper}` may not be called with this argument {argument}");
    assert!(d.to_string().contains(&expected), "{text}\n{d}");
}

#[test]
fn what_is_no_map_or_none_for_this_helper() {
    refused("r1 = 5\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\nexit\n", 1, "map_lookup_elem");
    refused("r1 = m0 ll\nr1 += 8\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\nexit\n", 1, "map_lookup_elem");
    refused("r1 = m1 ll\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\nexit\n", 1, "map_lookup_elem");
    refused("r2 = m0 ll\nr3 = 0\ncall bpf_tail_call\nexit\n", 2, "tail_call");
}

#[test]
fn memory_that_is_not_the_programs() {
    refused("r1 = m0 ll\nr2 = r10\nr2 += -3\ncall bpf_map_lookup_elem\nexit\n", 2, "map_lookup_elem");
    refused("r1 = m0 ll\nr2 = 0\ncall bpf_map_lookup_elem\nexit\n", 2, "map_lookup_elem");
    let update = "r1 = m0 ll\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -7\nr4 = 0\ncall bpf_map_update_elem\nexit\n";
    refused(update, 3, "map_update_elem");
    refused("r1 = r10\nr1 += -8\nr2 = 0\ncall bpf_trace_printk\nexit\n", 2, "trace_printk");
    refused("r1 = r10\nr1 += -8\nr2 = 9\ncall bpf_trace_printk\nexit\n", 1, "trace_printk");
    refused("r1 = r10\nr1 += -8\nr2 = -1\ncall bpf_trace_printk\nexit\n", 1, "trace_printk");
    refused("r1 = 8\nr2 = 4\nr3 = 0\nr4 = 0\nr5 = 0\ncall bpf_csum_diff\nexit\n", 1, "csum_diff");
}

/// Linux's verifier takes the result of a lookup with any size, whether or not it is there.
#[test]
fn memory_that_may_be_null_is_none_then() {
    let runtime = runtime();
    let maps = [map(&runtime, MapType::HASH, 4, 4, 4)];
    let lookup = "*(u32 *)(r10 - 4) = 7\nr1 = m0 ll\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\n";
    let sum = "r2 = 4\nr3 = r10\nr3 += -4\nr4 = 4\nr5 = 0\ncall bpf_csum_diff\nexit\n";
    let found = run(&runtime, &format!("{lookup}r1 = r0\n{sum}"), &maps);
    assert_eq!(found, run(&runtime, &format!("*(u32 *)(r10 - 4) = 7\nr1 = 0\n{sum}"), &maps));
    // Numbers to print that are not there are an error: EINVAL.
    let text = "r1 = 0\n*(u64 *)(r10 - 8) = r1\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 0\nr4 = SIZE\n\
                call bpf_trace_vprintk\nexit\n";
    assert_eq!(run(&runtime, &text.replace("SIZE", "8"), &[]) as i64, -22);
    assert_eq!(run(&runtime, &text.replace("SIZE", "0"), &[]), 0);
}

/// Linux's verifier takes what a global function was given for aligned, and asks no caller to align it.
#[test]
fn a_number_may_be_given_back_at_any_address() {
    let text = "r0 = 0\n*(u32 *)(r10 - 4) = r0\nr2 = r10\nr2 += -4\nr1 = m ll\ncall bpf_map_lookup_elem\n\
                if r0 == 0 goto e\nr6 = r0\nr1 = r0\nr1 += 7\ncall f\nr0 = *(u64 *)(r6 + 7)\ne:\nexit\n\
                f:\nif r1 == 0 goto n\nr4 = r1\nr1 = 0x393837\n*(u64 *)(r10 - 8) = r1\nr1 = r10\nr1 += -8\nr2 = 3\n\
                r3 = 0\ncall bpf_strtoul\nn:\nr0 = 0\nexit";
    let (runtime, program) = (runtime(), Arc::new(with_function(text, Linkage::Global)));
    let maps = vec![runtime.create_map(&map_spec("m", MapType::ARRAY, 4, 32, 1)).expect("a map")];
    let proven = runtime.load(program.clone(), maps.clone()).unwrap_or_else(|why| panic!("{why}"));
    assert!(matches!(proven.trust(), Trust::Proven(_)), "{:?}", proven.trust());
    let checked = runtime.load_unverified(program, maps.clone()).expect("all of it is here");
    for prog in [proven, checked] {
        maps[0].map.write(&[0; 4], &[0xee; 32], 0).expect("the value");
        assert_eq!(run_prog(&runtime, &prog).expect("no trap").value, 789);
        let mut value = [0; 32];
        maps[0].map.read(&[0; 4], &mut value).expect("the value");
        assert_eq!((&value[..7], &value[15..]), (&[0xee; 7][..], &[0xee; 17][..]), "nothing beside it is written");
    }
}

#[test]
fn what_is_no_context_and_no_reservation() {
    refused("r1 = 1\nr2 = m1 ll\nr3 = 0\ncall bpf_tail_call\nexit\n", 1, "tail_call");
    refused("r1 = r10\nr1 += -8\nr2 = 0\ncall bpf_ringbuf_submit\nexit\n", 1, "ringbuf_submit");
}

#[test]
fn what_is_no_function_to_call_back() {
    let runtime = runtime();
    let d = fault(&runtime, "r1 = 2\nr2 = 7\nr3 = 0\nr4 = 0\ncall bpf_loop\nexit\n", &[]);
    assert_eq!(d.code.0, "trap-call", "{d}");
}
