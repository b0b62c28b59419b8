use super::{Assembly, ReferenceKind, assemble};
use crate::{Endian, Insn, Inst, Reg, decode};

fn none(_: &str) -> Option<i32> {
    None
}

fn good(text: &str) -> Assembly {
    let (assembly, errors) = assemble(text, &none);
    assert_eq!(errors, [], "{text}");
    assembly
}

fn insts(text: &str) -> Vec<String> {
    let insns = good(text).into_raw().unwrap();
    let mut at = 0;
    let mut lines = Vec::new();
    while at < insns.len() {
        let inst = decode(&insns, at).unwrap();
        lines.push(inst.to_string());
        at += inst.slots();
    }
    lines
}

/// The errors as `found text in the source: message`.
fn errors(text: &str) -> Vec<String> {
    let (_, errors) = assemble(text, &none);
    errors
        .iter()
        .map(|error| format!("{:?} {error}", &text[error.bytes.start as usize..error.bytes.end as usize]))
        .collect()
}

#[test]
fn every_notation_means_the_same() {
    #[rustfmt::skip]
    let rows: &[(&str, &[&str])] = &[
        ("r0 = 1", &["mov %r0, 1", "mov64 %r0, 0x1", "r0 = 0x1"]),
        ("w0 = w1", &["mov32 %r0, %r1"]),
        ("r1 = (s8)r2", &["movsx864 %r1, %r2"]),
        ("w1 = (s16)w2", &["movsx1632 %r1, %r2"]),
        ("r1 = (s32)r2", &["movsx3264 %r1, %r2"]),
        ("r3 s/= 4", &["sdiv %r3, 4"]),
        ("w3 s%= w4", &["smod32 %r3, %r4"]),
        ("r3 s>>= 4", &["arsh %r3, 4"]),
        ("w3 = -w3", &["neg32 %r3"]),
        ("w1 = -2023406815", &["mov32 %r1, 0x87654321"]),
        ("r1 = le16 r1", &["le16 %r1"]),
        ("r1 = be64 r1", &["be64 %r1"]),
        ("r1 = bswap32 r1", &["bswap32 %r1", "swap32 %r1"]),
        ("r1 = 0x123456789abcdef0 ll", &["lddw %r1, 0x123456789abcdef0", "r1 = 1311768467463790320 ll"]),
        ("r0 = *(u32 *)(r1 + 4)", &["ldxw %r0, [%r1+4]", "r0 = *(u32 *)(r1 + 0x4)", "w0 = *(u32 *)(r1+4)", "r0 = *(u32 *)(r1 +4)"]),
        ("r0 = *(u8 *)(r1 + 0)", &["ldxb %r0, [%r1]", "w0 = *(u8*)(r1 + 0x0)"]),
        ("r0 = *(s8 *)(r1 - 3)", &["ldxsb %r0, [%r1-3]", "r0 = *(s8 *)(r1 - 0x3)", "r0 = *(s8 *)(r1 + -3)"]),
        ("*(u64 *)(r10 - 8) = r1", &["stxdw [%r10-8], %r1", "*(u64 *)(r10 -8) = r1"]),
        ("*(u16 *)(r1 + 2) = 17", &["sth [%r1+2], 0x11"]),
        ("lock *(u64 *)(r10 - 8) += r2", &["lock add [%r10-8], %r2"]),
        ("w2 = atomic_fetch_xor((u32 *)(r10 - 8), w2)", &["lock fetch xor32 [%r10-8], %r2", "lock fetch_xor32 [%r10-8], %r2", "r2 = atomic_fetch_xor((u32 *)(r10 -8), r2)"]),
        ("r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)", &["lock fetch add [%r1], %r2", "r2 = atomic64_fetch_add((u64 *)(r1 +0), r2)"]),
        ("w2 = xchg32_32(r1 + 0, w2)", &["lock xchg32 [%r1], %r2", "r2 = atomic_xchg((u32 *)(r1 +0), r2)"]),
        ("r0 = cmpxchg_64(r1 + 8, r0, r2)", &["lock cmpxchg [%r1+8], %r2", "r0 = atomic64_cmpxchg((u64 *)(r1 +8), r0, r2)"]),
        ("goto -2", &["ja -2", "goto pc-2", "goto -0x2"]),
        ("gotol +70000", &["ja32 +70000", "gotol pc+70000"]),
        ("if w1 s> 7 goto +3", &["jsgt32 %r1, 7, +3", "if w1 s> 0x7 goto +0x3", "if w1 s> 0x7 goto pc+3"]),
        ("if r1 & r2 goto +0", &["jset %r1, %r2, +0"]),
        ("call 5", &["call 0x5", "call helper 5", "call bpf_ktime_get_ns#5"]),
        ("call pc-3", &["call local -3"]),
        ("call kernel-function#7", &["call runtime 7", "call kernel-function bpf_cast#7"]),
        ("callx r2", &["call %r2"]),
        ("r0 = *(u8 *)skb[12]", &["r0 = *(u8 *)skb[0xc]"]),
        ("r0 = *(u32 *)skb[r3 + -4]", &["r0 = *(u32 *)skb[r3 - 4]"]),
        ("exit", &["exit ; done", "exit # done", "exit // done", "l: exit"]),
    ];
    for (plain, others) in rows {
        assert_eq!(insts(plain), [*plain]);
        for other in *others {
            assert_eq!(insts(other), [*plain], "{other}");
        }
    }
}

#[test]
fn labels_are_filled_in() {
    let lines = insts(
        "start: r1 = 0 ll\n if r1 == 0 goto out\n goto start\nout:\n call f\n gotol out\nf: may_goto start\nexit\n",
    );
    assert_eq!(lines, ["r1 = 0x0 ll", "if r1 == 0 goto +1", "goto -4", "call pc+1", "gotol -2", "may_goto -7", "exit"]);
    // The suites' notation: an undefined `exit` is the first exit.
    assert_eq!(insts("jne %r0, 1, exit\nmov %r0, 2\nexit\nexit"), ["if r0 != 1 goto +1", "r0 = 2", "exit", "exit"]);
}

#[test]
fn sections_and_references_reach_the_object_writer() {
    let text = "
        .section xdp,\"ax\",@progbits
        .globl prog
    prog:
        r1 = my_map ll
        r2 = values + 8 ll
        call other
        call local_one
        exit
    local_one:
        exit
        .section tracepoint/syscalls/sys_enter
    second: exit
        .text
    other: exit
    ";
    let assembly = good(text);
    let names: Vec<_> = assembly.sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, [".text", "xdp", "tracepoint/syscalls/sys_enter"]);
    let xdp = &assembly.sections[1];
    let labels: Vec<_> = xdp.labels.iter().map(|label| (label.name.as_str(), label.slot, label.global)).collect();
    assert_eq!(labels, [("prog", 0, true), ("local_one", 7, false)]);
    let references: Vec<_> = xdp.references.iter().map(|r| (r.slot, r.kind, r.symbol.as_str())).collect();
    assert_eq!(
        references,
        [
            (0, ReferenceKind::Address, "my_map"),
            (2, ReferenceKind::Address, "values"),
            (4, ReferenceKind::Call, "other")
        ]
    );
    assert_eq!(xdp.insns[2].imm, 8, "the addend stands in the slot");
    assert_eq!(decode(&xdp.insns, 5), Ok(Inst::CallLocal { rel: 1 }));
    assert_eq!(xdp.insns[5].to_bytes(Endian::Little), [0x85, 0x10, 0, 0, 1, 0, 0, 0]);
    assert_eq!(xdp.lines.len(), xdp.insns.len());
    assert!(text[xdp.lines[4] as usize..].starts_with("call other"));
}

#[test]
fn raw_instructions_know_addresses_of_their_own_functions_only() {
    let insns = good("r1 = f ll\nexit\nf: exit").into_raw().unwrap();
    assert_eq!(decode(&insns, 0), Ok(Inst::FuncAddr { dst: Reg::R1, rel: 2 }));
    let errors = good("r1 = f ll\ncall g\nexit").into_raw().unwrap_err();
    let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "symbol `f` is not defined: expected a label of this section",
            "symbol `g` is not defined: expected a label of this section"
        ]
    );
    assert!(good("exit\n.section xdp\nexit").into_raw().is_err());
}

#[test]
fn helpers_have_the_caller_s_names() {
    let helper = |name: &str| (name == "bpf_ktime_get_ns").then_some(5);
    let (assembly, errors) = assemble("call bpf_ktime_get_ns\ncall bpf_other", &helper);
    assert_eq!(errors, []);
    let section = &assembly.sections[0];
    assert_eq!(decode(&section.insns, 0), Ok(Inst::CallHelper { id: 5 }));
    assert_eq!(section.references[0].symbol, "bpf_other");
    let (assembly, _) = assemble("call bpf_ktime_get_ns\nexit\nbpf_ktime_get_ns: exit", &helper);
    assert_eq!(decode(&assembly.sections[0].insns, 0), Ok(Inst::CallLocal { rel: 1 }), "labels go first");
}

#[test]
fn every_error_is_reported_where_it_is() {
    let text = "r0 = 1\nr11 = 2\nif r1 = 3 goto +1\ngoto nowhere\nr1 = w2\nexit now\nfrob r1\nr1 = 0x100000000\n*(s8 *)(r1 + 1) = 1\nr0 = *(u32 *)(r1 + 40000)\n?\nexit";
    assert_eq!(
        errors(text),
        [
            "\"r11\" no such register: expected r0 to r10, or w0 to w10, found `r11`",
            "\"=\" not a comparison: expected ==, !=, &, >, >=, <, <=, s>, s>=, s< or s<=, found `=`",
            "\"nowhere\" label `nowhere` is not defined: expected a label of section `.text`",
            "\"w2\" register of the wrong width: expected a 64-bit register (r…), found `w2`",
            "\"now\" too much on the line: expected the end of the line, found `now`",
            "\"frob\" unknown instruction: expected a statement such as `r0 = 1`, or a mnemonic such as `mov %r0, 1`, found `frob`",
            "\"0x100000000\" number out of range: expected a number of 32 bits, found 4294967296",
            "\"(\" not a type that can be written here: expected u8, u16, u32 or u64, found `(`",
            "\"+ 40000\" number out of range: expected an offset of 16 bits: -32768 to 32767, found 40000",
            "\"?\" unexpected character, found `?`",
        ]
    );
}

#[test]
fn more_errors_have_their_words() {
    #[rustfmt::skip]
    let rows = [
        ("a: exit\na: exit", "\"a\" label `a` stands twice in its section"),
        (".globl nothing\nexit", "\"nothing\" `nothing` is declared global and nowhere defined: expected a label `nothing:`"),
        ("r1: exit", "\"r1\" a register is no label: expected another name, found `r1`"),
        ("goto 3", "\"3\" not a jump target: expected a label, or a distance with its sign: +3, found `3`"),
        ("goto +40000", "\"+40000\" the jump is too far: expected a distance of 16 bits: -32768 to 32767, found 40000"),
        ("r1 = bswap16 r2", "\"r2\" the instruction works in place: expected register 1 again, found `r2`"),
        ("w1 = 5 ll", "\"\" this value needs a 64-bit register: expected r… on the left, found the end of the line"),
        (".long 5", "\".long\" unknown directive: expected .section, .text or .globl, found `.long`"),
        ("r1 = 99999999999999999999", "\"99999999999999999999\" not a number: expected decimal or 0x… of at most 64 bits, found `99999999999999999999`"),
        ("lock *(u8 *)(r1 + 0) += r2", "\"r2\" atomic operations work on 4 or 8 bytes: expected u32 or u64, found `r2`"),
        ("r1 = sym", "\"\" not a value: expected `ll` after a symbol, found the end of the line"),
    ];
    for (text, expected) in rows {
        assert_eq!(errors(text)[0], expected, "{text}");
    }
}

#[test]
fn a_jump_too_far_for_16_bits_is_refused() {
    let text = format!("goto end\n{}end: exit", "r0 = 0\n".repeat(40_000));
    assert_eq!(
        errors(&text),
        ["\"end\" the jump is too far: expected a distance of 16 bits: -32768 to 32767, found 40000"]
    );
    assert_eq!(
        good(&text.replace("goto", "gotol")).sections[0].insns[0],
        Insn { op: 6, imm: 40_000, ..Insn::default() }
    );
}

/// Pieces of the language in any order: never a panic, and errors lie inside the text.
#[test]
fn nonsense_never_panics() {
    let pieces = [
        "r1",
        "w2",
        "%r3",
        "=",
        "+=",
        "*",
        "(",
        ")",
        "u32",
        "s8",
        "[",
        "]",
        "-",
        "+",
        "5",
        "0xffffffffffffffff",
        "ll",
        "\n",
        "if",
        "goto",
        "call",
        "lock",
        "exit",
        "map_val",
        "map_by_fd",
        ",",
        ":",
        "#",
        ".section",
        ".globl",
        "\"",
        "é",
        "x",
        "skb",
        "@",
        "s>",
        "cmpxchg_64",
        "atomic_fetch_add",
        "ldxw",
        "kernel-function",
        "le16",
        ".text",
        "%",
        "\0",
        "callx",
        "imm",
    ];
    let mut state = 7u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            if state >> 62 != 0 {
                text.push(' ');
            }
        }
        let (assembly, errors) = assemble(&text, &none);
        assert!(errors.iter().all(|error| text.get(error.bytes.start as usize..error.bytes.end as usize).is_some()));
        drop(assembly.into_raw());
    }
}

#[test]
fn numbers_of_a_listing_are_held_against_the_slots() {
    good("a:\n 0: r0 = 1 ll\n 2: exit\nb:\n 0: exit\n");
    assert_eq!(errors("0: r0 = 1 ll\n1: exit"), ["\"1\" the instruction has another number: expected 2, found 1"]);
}
