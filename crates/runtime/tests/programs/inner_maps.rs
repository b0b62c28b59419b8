//! Maps of maps: what programs may do with the maps that they find there.

use crate::harness::{fault, load, map, map_spec, run, runtime};
use alveary_abi::MapType;
use alveary_runtime::{LoadedMap, Runtime};

/// An array of one map of this type, which is the map itself too.
fn outer(runtime: &Runtime, ty: MapType) -> [LoadedMap; 2] {
    let template = map_spec("inner", ty, 4, 8, 4);
    let mut spec = map_spec("outer", MapType::ARRAY_OF_MAPS, 4, 4, 1);
    spec.inner = Some(Box::new(template.clone()));
    let (outer, inner) = (runtime.create_map(&spec).expect("a map"), runtime.create_map(&template).expect("a map"));
    runtime.set_map(&outer, &[0; 4], &inner, 0).expect("an entry");
    [outer, inner]
}

/// Leaves the inner map in r6, and a key of zero below the frame pointer.
const FIND: &str = "*(u32 *)(r10 - 4) = 0\nr1 = m0 ll\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\n\
                    if r0 != 0 goto there\nexit\nthere:\nr6 = r0\n";
/// Adds one to the first value of the map in r6.
const ADD: &str = "r1 = r6\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\n\
                   r1 = *(u64 *)(r0 + 0)\nr1 += 1\n*(u64 *)(r0 + 0) = r1\n";

fn value(map: &LoadedMap) -> u64 {
    let mut out = vec![0; map.map.user_value_size()];
    map.map.read(&[0; 4], &mut out).expect("a value");
    u64::from_ne_bytes(out[..8].try_into().expect("eight bytes"))
}

#[test]
fn values_of_an_inner_map_are_the_programs() {
    for ty in [MapType::ARRAY, MapType::PERCPU_ARRAY] {
        let runtime = runtime();
        let [outer, inner] = outer(&runtime, ty);
        let text = format!("{FIND}{ADD}{ADD}r0 = 5\nexit\n");
        assert_eq!(run(&runtime, &text, &[outer]), 5);
        assert_eq!(value(&inner), 2);
    }
}

#[test]
fn a_walk_over_an_inner_map_visits_its_values() {
    let runtime = runtime();
    let [outer, _] = outer(&runtime, MapType::ARRAY);
    let walk = "r1 = r6\nr2 = fn_each ll\nr3 = 0\nr4 = 0\ncall bpf_for_each_map_elem\nexit\n\
                fn_each:\n*(u64 *)(r3 + 0) = 1\nr0 = 0\nexit\n";
    assert_eq!(run(&runtime, &format!("{FIND}{walk}"), &[outer]), 4);
}

#[test]
fn helpers_that_do_not_take_the_inner_type_refuse_it() {
    let runtime = runtime();
    let [outer, _] = outer(&runtime, MapType::ARRAY);
    let text = format!("{FIND}r1 = r6\nr2 = r10\nr2 += -4\ncall bpf_map_pop_elem\nexit\n");
    let trap = fault(&runtime, &text, &[outer]).to_string();
    assert!(trap.contains("argument 1"), "{trap}");
}

#[test]
fn the_words_of_an_outer_map_are_no_memory() {
    let runtime = runtime();
    let [outer, _] = outer(&runtime, MapType::ARRAY);
    fault(&runtime, &format!("{FIND}r0 = *(u64 *)(r6 + 0)\nexit\n"), &[outer]);
}

#[test]
fn a_program_that_tail_calls_in_a_subprogram_keeps_its_inner_maps() {
    let runtime = runtime();
    let [outer, inner] = outer(&runtime, MapType::ARRAY);
    let array = map(&runtime, MapType::PROG_ARRAY, 4, 4, 1);
    runtime.set_slot(&array, 0, &load(&runtime, "r0 = 40\nexit\n", &[])).expect("a slot");
    // r7 keeps a value of the inner map over the call.
    let text = format!(
        "r8 = r1\n{FIND}{ADD}r7 = r0\nr1 = r8\ncall fn_sub\nlock *(u64 *)(r7 + 0) += r0\n{ADD}r0 = 0\nexit\n\
         fn_sub:\nr2 = m1 ll\nr3 = 0\ncall bpf_tail_call\nr0 = 1\nexit\n"
    );
    assert_eq!(run(&runtime, &text, &[outer, array]), 0);
    assert_eq!(value(&inner), 42);
}
