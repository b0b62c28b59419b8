//! Helper arguments are held against the row.

use crate::harness::{fault, map, runtime};
use alveary_abi::MapType;

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
    refused("r1 = 0\nr2 = 4\nr3 = 0\nr4 = 0\nr5 = 0\ncall bpf_csum_diff\nexit\n", 1, "csum_diff");
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
