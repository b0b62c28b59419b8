//! What is learnt of the instructions of small programs, in words. That no fact is ever wrong is held against runs
//! elsewhere (`facts` in the tests of `alveary`).

use alveary_abi::{MapDef, MapType, ProgType, flags};
use alveary_isa::{Inst, decode};
use alveary_spec::{Initial, MapSpec, Program};
use alveary_testing::{code, def, kernel, map_spec};
use alveary_verifier::{Env, facts::Words, prove};
use std::{collections::BTreeMap, sync::Arc};

/// A hash, an array of four, a ring buffer, and a value of two 32-bit numbers, 7 and 100, that never changes.
fn maps() -> BTreeMap<String, MapSpec> {
    let plain = |name: &str, def: MapDef| map_spec(name, def);
    let constant = MapSpec {
        initial: Initial::Bytes([7u32.to_le_bytes(), 100u32.to_le_bytes()].concat()),
        freeze: true,
        ..plain("ro", MapDef { flags: flags::BPF_F_RDONLY_PROG, ..def(MapType::ARRAY, 4, 8, 1) })
    };
    let all = [
        plain("hash", def(MapType::HASH, 8, 16, 4)),
        plain("four", def(MapType::ARRAY, 4, 64, 4)),
        plain("ring", def(MapType::RINGBUF, 0, 0, 4096)),
        constant,
    ];
    all.into_iter().map(|spec| (spec.name.clone(), spec)).collect()
}

fn program(text: &str) -> Program {
    let specs = maps();
    let names: Vec<&str> = specs.keys().map(String::as_str).collect();
    let insns = code(text, |dst, name| match names.iter().position(|n| *n == name) {
        Some(idx) => Inst::MapIdx { dst, idx: idx as u32 },
        None => Inst::MapValueIdx { dst, idx: names.iter().position(|n| *n == "ro").expect("ro") as u32, off: 0 },
    });
    let maps = names.iter().map(|name| (*name).to_owned()).collect();
    Program { maps, ..alveary_testing::program(ProgType::XDP, insns) }
}

/// A line for each instruction of which something is known: the instruction, and what.
#[track_caller]
fn learnt(text: &str, expected: &str) {
    let (specs, kernel) = (maps(), kernel(2));
    let proven = prove(Arc::new(program(text)), &Env::new(&kernel, &specs));
    let verified = proven.unwrap_or_else(|report| panic!("{text}\n{:?}", report.verdict));
    let program = verified.program();
    let mut found = String::new();
    let mut at = 0;
    while at < program.insns.len() {
        let inst = decode(&program.insns, at).expect("an instruction");
        let words = Words { fact: verified.facts().at(at as u32), maps: &program.maps }.to_string();
        if !words.is_empty() {
            found += &format!("{inst}  ; {words}\n");
        }
        at += inst.slots();
    }
    assert_eq!(found, expected, "{text}");
}

#[test]
fn packets_and_context() {
    learnt(
        "r2 = *(u32 *)(r1 + 4)\nr1 = *(u32 *)(r1 + 0)\nr3 = r1\nr3 += 14\nr0 = 1\nif r3 > r2 goto e\n\
         r0 = *(u8 *)(r1 + 13)\nr0 &= 1\ne:\nexit",
        "r2 = *(u32 *)(r1 + 4)  ; ctx + 4, gives packet's end\n\
         r1 = *(u32 *)(r1 + 0)  ; ctx, gives packet\n\
         r3 = r1  ; gives packet\n\
         r3 += 14  ; gives packet + 14\n\
         r0 = 1  ; gives 1\n\
         r0 = *(u8 *)(r1 + 13)  ; packet + 13, gives 0 to 255\n\
         r0 &= 1  ; gives 0 to 1\n",
    );
}

/// Both ways come to the addition, and the second ends there, since nothing depends on `r0`: what the first knew of it
/// holds for the first alone.
#[test]
fn a_number_is_what_it_is_on_every_path() {
    learnt(
        "r6 = *(u32 *)(r1 + 12)\nr0 = 5\nif r6 == 0 goto l\nr0 = 9\nl:\nr0 += 1\nexit",
        "r6 = *(u32 *)(r1 + 12)  ; ctx + 12, gives 0 to 4294967295\n\
         r0 = 5  ; gives 5\n\
         r0 = 9  ; gives 9\n\
         r0 += 1  ; gives 6 to 10\n",
    );
}

#[test]
fn a_loop_keeps_what_its_condition_says() {
    learnt(
        "r0 = 0\nl:\nr0 += 1\nif r0 < 100 goto l\nexit",
        "r0 = 0  ; gives 0\n\
         r0 += 1  ; gives 1 to 100\n",
    );
}

#[test]
fn constants_of_maps_and_of_the_stack() {
    learnt(
        "r1 = v ll\nr2 = *(u32 *)(r1 + 0)\nr3 = *(u32 *)(r1 + 4)\n*(u64 *)(r10 - 8) = r3\nr4 = *(u64 *)(r10 - 8)\n\
         r0 = 1000\nr0 /= r4\nif r2 == 7 goto e\nr0 = 1\ne:\nexit",
        "r1 = map_val(map_by_idx(3)) + 0  ; gives value of ro\n\
         r2 = *(u32 *)(r1 + 0)  ; value of ro, gives 7\n\
         r3 = *(u32 *)(r1 + 4)  ; value of ro + 4, gives 100\n\
         *(u64 *)(r10 - 8) = r3  ; frame - 8\n\
         r4 = *(u64 *)(r10 - 8)  ; frame - 8, gives 100\n\
         r0 = 1000  ; gives 1000\n\
         r0 /= r4  ; never by zero, gives 0 to 10\n\
         if r2 == 7 goto +1  ; always jumps\n\
         r0 = 1  ; never reached\n",
    );
}

#[test]
fn divisors() {
    learnt(
        "r2 = *(u32 *)(r1 + 12)\nr3 = *(u32 *)(r1 + 16)\nr0 = r2\nif r3 == 0 goto e\nr0 /= r3\nw2 %= 10\nr0 += r2\n\
         e:\nexit",
        "r2 = *(u32 *)(r1 + 12)  ; ctx + 12, gives 0 to 4294967295\n\
         r3 = *(u32 *)(r1 + 16)  ; ctx + 16, gives 0 to 4294967295\n\
         r0 = r2  ; gives 0 to 4294967295\n\
         r0 /= r3  ; never by zero, gives 0 to 4294967295\n\
         w2 %= 10  ; gives 0 to 9\n\
         r0 += r2  ; gives 0 to 4294967304\n",
    );
}

#[test]
fn arguments_of_helpers() {
    learnt(
        "r2 = 2\n*(u32 *)(r10 - 8) = r2\nr2 = r10\nr2 += -8\nr1 = four ll\ncall bpf_map_lookup_elem\n\
         r6 = *(u64 *)(r0 + 8)\nr2 = 0\n*(u64 *)(r10 - 8) = r2\nr2 = r10\nr2 += -8\nr1 = hash ll\n\
         call bpf_map_lookup_elem\nif r0 == 0 goto e\nr6 &= 15\nr0 += r6\nr0 = *(u8 *)(r0 + 0)\ne:\nr0 = 0\nexit",
        "r2 = 2  ; gives 2\n\
         *(u32 *)(r10 - 8) = r2  ; frame - 8\n\
         r2 = r10  ; gives frame\n\
         r2 += -8  ; gives frame - 8\n\
         r1 = map_by_idx(0)  ; gives map four\n\
         call 1  ; r1 map four, r2 frame - 8, entry 2, gives value of four\n\
         r6 = *(u64 *)(r0 + 8)  ; value of four + 8\n\
         r2 = 0  ; gives 0\n\
         *(u64 *)(r10 - 8) = r2  ; frame - 8\n\
         r2 = r10  ; gives frame\n\
         r2 += -8  ; gives frame - 8\n\
         r1 = map_by_idx(1)  ; gives map hash\n\
         call 1  ; r1 map hash, r2 frame - 8, gives value of hash or NULL\n\
         r6 &= 15  ; gives 0 to 15\n\
         r0 += r6  ; gives value of hash + 0 to + 15\n\
         r0 = *(u8 *)(r0 + 0)  ; value of hash + 0 to + 15, gives 0 to 255\n\
         r0 = 0  ; gives 0\n",
    );
}

#[test]
fn functions_get_what_all_callers_give() {
    learnt(
        "r1 = 3\ncall f\nr6 = r0\nr1 = 300\ncall f\nr0 += r6\nexit\nf:\nr0 = r1\nr0 &= 0xff\nexit",
        "r1 = 3  ; gives 3\n\
         call pc+5  ; gives 0 to 47\n\
         r6 = r0  ; gives 0 to 47\n\
         r1 = 300  ; gives 300\n\
         call pc+2  ; gives 0 to 47\n\
         r0 += r6  ; gives 0 to 94\n\
         r0 = r1  ; gives 3 to 300\n\
         r0 &= 255  ; gives 0 to 47\n",
    );
}

#[test]
fn entries_of_inner_maps_are_there_where_all_are_of_one_size() {
    let text = "*(u32 *)(r10 - 4) = 0\nr1 = outer ll\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\n\
                if r0 == 0 goto out\nr1 = r0\nr2 = r10\nr2 += -4\ncall bpf_map_lookup_elem\nr0 = *(u64 *)(r0 + 0)\n\
                out:\nr0 = 0\nexit\n";
    let insns = code(text, |dst, _| Inst::MapIdx { dst, idx: 0 });
    let program =
        Arc::new(Program { maps: vec!["outer".to_owned()], ..alveary_testing::program(ProgType::XDP, insns) });
    let kinds =
        [(MapType::ARRAY, 0, true), (MapType::ARRAY, flags::BPF_F_INNER_MAP, false), (MapType::PERCPU_ARRAY, 0, false)];
    for (ty, flags, sure) in kinds {
        let inner = map_spec("inner", MapDef { flags, ..def(ty, 4, 8, 4) });
        let outer = map_spec("outer", def(MapType::ARRAY_OF_MAPS, 4, 4, 1));
        let outer = MapSpec { inner: Some(Box::new(inner)), ..outer };
        let (specs, kernel) = (BTreeMap::from([("outer".to_owned(), outer)]), kernel(2));
        let proven = prove(program.clone(), &Env::new(&kernel, &specs));
        assert_eq!(proven.is_ok(), sure, "{ty:?} {flags:#x}: {:?}", proven.err().map(|report| report.verdict));
        let checked = alveary_verifier::check(&program, &Env::new(&kernel, &specs));
        assert_eq!(checked.verdict, alveary_verifier::Verdict::Accept, "{ty:?} {flags:#x}");
    }
}
