//! What is made better where proven programs are lowered, before and after it.

use crate::harness::{Bench, kernel, map_spec, program, run_prog};
use alveary_abi::MapType;
use alveary_isa::decode_lowered;
use alveary_runtime::{Engine, Pass, Passes, Runtime, Trust, World};
use alveary_spec::Program;
use std::fmt::Write;
use std::sync::Arc;

/// What a program is lowered to, by these passes, and what it gives. Its maps are an array and one of values by CPU.
fn lowered(text: &str, passes: Passes) -> (String, u64) {
    let builder = Runtime::builder(kernel(), World::repeatable()).family::<Bench>(Arc::new(()));
    let runtime = builder.engine(Engine::Interp).passes(passes).build();
    let maps = [("all", MapType::ARRAY), ("own", MapType::PERCPU_ARRAY)];
    let maps = maps.map(|(name, ty)| runtime.create_map(&map_spec(name, ty, 4, 8, 4)).expect("a map"));
    let program = Program { maps: vec!["all".into(), "own".into()], ..program(text) };
    let prog = runtime.load(Arc::new(program), maps.to_vec()).unwrap_or_else(|why| panic!("{text}\n{why}"));
    assert!(matches!(prog.trust(), Trust::Proven(_)), "{:?}", prog.trust());
    let (mut code, mut slot) = (String::new(), 0);
    while let Ok(inst) = decode_lowered(&prog.code().insns, slot) {
        let _ = writeln!(code, "{slot}: {inst}");
        slot += inst.slots();
    }
    (code, run_prog(&runtime, &prog).expect("it runs").value)
}

/// With a pass, and without.
fn both(text: &str, pass: Pass) -> [String; 2] {
    let [(with, value), (without, same)] =
        [Passes::default(), Passes::default().without(pass)].map(|passes| lowered(text, passes));
    assert_eq!(value, same);
    [with, without]
}

#[test]
fn what_never_happens_is_left_out() {
    let text = "call bpf_get_smp_processor_id\nr0 &= 1\nif r0 < 2 goto in\nr0 = 7\nexit\nin: if r0 > 1 goto far\n\
                r0 += 5\nexit\nfar: r0 = 9\nexit\n";
    let [with, without] = both(text, Pass::Dead);
    assert_eq!(
        with,
        "0: r0 = *(u64 *)(r12 + 0)\n\
         1: r0 &= 1\n\
         2: goto +0\n\
         3: r0 += 5\n\
         4: exit\n\
         "
    );
    assert_eq!(
        without,
        "0: r0 = *(u64 *)(r12 + 0)\n\
         1: r0 &= 1\n\
         2: if r0 < 2 goto +3\n\
         3: r0 = -1\n\
         4: callx r0\n\
         5: exit\n\
         6: if r0 > 1 goto +2\n\
         7: r0 += 5\n\
         8: exit\n\
         9: r0 = -1\n\
         10: callx r0\n\
         11: exit\n\
         "
    );
}

#[test]
fn of_what_never_happens_no_more_is_left_than_a_stop() {
    let dead = "r0 += 1\n".repeat(12_000);
    let text = format!("r0 = 1\nif r0 == 1 goto out\n{dead}out: exit\n");
    let [_, without] = both(&text, Pass::Dead);
    assert_eq!(without.lines().count(), 6, "{}", &without[..200]);
}

#[test]
fn lookups_in_arrays_are_no_calls() {
    let at = |map: u32| {
        format!(
            "*(u32 *)(r10 - 4) = r6\nr1 = m{map} ll\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\n\
             if r0 == 0 goto out\nr1 = *(u64 *)(r0 + 0)\nr7 += r1\n"
        )
    };
    let text =
        format!("call bpf_get_smp_processor_id\nr6 = r0\nr7 = 0\n{}{}r7 = 3\nout: r0 = r7\nexit\n", at(0), at(1));
    let [with, without] = both(&text, Pass::Array);
    assert_eq!(
        with,
        "0: r0 = *(u64 *)(r12 + 0)\n\
         1: r6 = r0\n\
         2: r7 = 0\n\
         3: *(u32 *)(r10 - 4) = r6\n\
         4: r1 = map_by_idx(0)\n\
         6: r2 = r10\n\
         7: r2 += -4\n\
         8: r0 = *(u32 *)(r2 + 0)\n\
         9: if r0 >= 4 goto +5\n\
         10: r0 <<= 3\n\
         11: r11 = 0x0 ll\n\
         13: r0 += r11\n\
         14: goto +1\n\
         15: r0 = 0\n\
         16: if r0 == 0 goto +22\n\
         17: r1 = *(u64 *)(r0 + 0)\n\
         18: r7 += r1\n\
         19: *(u32 *)(r10 - 4) = r6\n\
         20: r1 = map_by_idx(1)\n\
         22: r2 = r10\n\
         23: r2 += -4\n\
         24: r0 = *(u32 *)(r2 + 0)\n\
         25: if r0 >= 4 goto +8\n\
         26: r0 <<= 3\n\
         27: r11 = 0x0 ll\n\
         29: r0 += r11\n\
         30: r11 = *(u64 *)(r12 + 0)\n\
         31: r11 *= 64\n\
         32: r0 += r11\n\
         33: goto +1\n\
         34: r0 = 0\n\
         35: if r0 == 0 goto +3\n\
         36: r1 = *(u64 *)(r0 + 0)\n\
         37: r7 += r1\n\
         38: r7 = 3\n\
         39: r0 = r7\n\
         40: exit\n\
         "
    );
    assert_eq!(
        without,
        "0: r0 = *(u64 *)(r12 + 0)\n\
         1: r6 = r0\n\
         2: r7 = 0\n\
         3: *(u32 *)(r10 - 4) = r6\n\
         4: r1 = map_by_idx(0)\n\
         6: r2 = r10\n\
         7: r2 += -4\n\
         8: call 1\n\
         9: if r0 == 0 goto +12\n\
         10: r1 = *(u64 *)(r0 + 0)\n\
         11: r7 += r1\n\
         12: *(u32 *)(r10 - 4) = r6\n\
         13: r1 = map_by_idx(1)\n\
         15: r2 = r10\n\
         16: r2 += -4\n\
         17: call 1\n\
         18: if r0 == 0 goto +3\n\
         19: r1 = *(u64 *)(r0 + 0)\n\
         20: r7 += r1\n\
         21: r7 = 3\n\
         22: r0 = r7\n\
         23: exit\n\
         "
    );
}
