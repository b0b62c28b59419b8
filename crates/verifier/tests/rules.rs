//! Each rule that not all kernels have: a program on which a kernel that has it and one that has it not differ.

use alveary_abi::{MapDef, MapType, Profile, ProgType, RULES, Rule, Version};
use alveary_btf::{Btf, Builder, FuncInfo, Linkage, Member, New, Param, TypeId};
use alveary_isa::{Endian, Inst};
use alveary_spec::{Kernel, Program};
use alveary_testing::{code, def, map_spec, program};
use alveary_verifier::{Caps, Env, Verdict, check};
use std::{collections::BTreeMap, sync::Arc};

/// What a kernel says: nothing, if it accepts the program, or the last line of its message.
type Word = Option<&'static str>;

/// A kernel by three numbers.
type Release = (u16, u16, u8);

struct Case {
    rule: Rule,
    ty: ProgType,
    caps: Caps,
    /// A label `f` is a function of its own.
    text: &'static str,
    linkage: Linkage,
    /// The kernel without the rule.
    before: (Release, Word),
    /// The one with it.
    after: (Release, Word),
}

const XDP: ProgType = ProgType::XDP;
const TC: ProgType = ProgType::SCHED_CLS;
const BPF: Caps = Caps { bpf: true, ..Caps::NONE };

/// By root, of static functions.
const fn case(rule: Rule, ty: ProgType, text: &'static str, before: (Release, Word), after: (Release, Word)) -> Case {
    Case { rule, ty, caps: Caps::ALL, text, linkage: Linkage::Static, before, after }
}

#[rustfmt::skip] // a case reads as a program
const CASES: &[Case] = &[
    Case { linkage: Linkage::Global, ..case(Rule::GlobalFunctions, XDP,
        "r1 = 0\ncall f\nr0 = 0\nexit\nf:\nr0 = 0\nif r1 == 0 goto e\nr0 = *(u64 *)(r1 + 0)\ne:\nexit",
        ((5, 5, 0), None), ((5, 6, 0), Some("R1 invalid mem access 'scalar'"))) },
    case(Rule::MixedTailCalls, XDP,
        "r6 = r1\ncall f\nr1 = r6\nr2 = m1 ll\nr3 = 0\ncall bpf_tail_call\nr0 = 0\nexit\nf:\nr0 = 0\nexit",
        ((5, 9, 0), Some("tail_calls are not allowed in programs with bpf-to-bpf calls")), ((5, 10, 0), None)),
    case(Rule::Atomics, XDP,
        "r0 = 0\n*(u64 *)(r10 - 8) = r0\nr1 = 1\nr1 = atomic_fetch_add((u64 *)(r10 - 8), r1)\nexit",
        ((5, 11, 0), Some("BPF_STX uses reserved fields")), ((5, 12, 0), None)),
    case(Rule::VariableStack, XDP,
        "r6 = *(u32 *)(r1 + 12)\nr6 &= 8\nr2 = r10\nr2 += -16\nr2 += r6\nr0 = 0\n*(u64 *)(r2 + 0) = r0\nexit",
        ((5, 11, 0), Some("variable stack access var_off=(0x0; 0x8) off=-16 size=8")), ((5, 12, 0), None)),
    case(Rule::FunctionAddresses, XDP,
        "r1 = m0 ll\nr2 = f ll\nr3 = 0\nr4 = 0\ncall bpf_for_each_map_elem\nr0 = 0\nexit\nf:\nr0 = 0\nexit",
        ((5, 12, 0), Some("number of funcs in func_info doesn't match number of subprogs")), ((5, 13, 0), None)),
    case(Rule::UnwrittenStack, XDP, "r1 = *(u64 *)(r10 - 8)\nr0 = 0\nexit",
        ((6, 1, 99), Some("invalid read from stack off -8+0 size 8")), ((6, 1, 100), None)),
    case(Rule::EqualsAreThere, XDP,
        "r0 = 0\n*(u32 *)(r10 - 8) = r0\nr2 = r10\nr2 += -8\nr1 = m0 ll\ncall bpf_map_lookup_elem\nr6 = r0\n\
         if r6 == 0 goto e\nr2 = r10\nr2 += -8\nr1 = m0 ll\ncall bpf_map_lookup_elem\nif r0 != r6 goto e\n\
         r0 = *(u64 *)(r0 + 0)\ne:\nr0 = 0\nexit",
        ((6, 1, 192), Some("R0 invalid mem access 'map_value_or_null'")), ((6, 2, 0), None)),
    case(Rule::FarJumps, XDP, "r0 = 0\ngotol e\ne:\nexit",
        ((6, 1, 71), Some("unknown opcode 06")), ((6, 1, 72), None)),
    case(Rule::LoopsByFalling, XDP, "r0 = 0\ngoto m\nl:\nr0 += 1\nm:\nif r0 < 4 goto l\nexit",
        ((6, 6, 0), Some("back-edge from insn 2 to 3")), ((6, 7, 0), None)),
    case(Rule::Version4, XDP, "r0 = 1\nr0 = (s8)r0\nexit",
        ((6, 5, 0), Some("BPF_MOV uses reserved fields")), ((6, 6, 0), None)),
    case(Rule::MayGoto, XDP, "r0 = 0\nl:\nmay_goto e\ngoto l\ne:\nexit",
        ((6, 8, 0), Some("unknown opcode e5")), ((6, 9, 0), None)),
    case(Rule::TailCallsMovePackets, XDP,
        "r6 = r1\nr7 = *(u32 *)(r1 + 0)\nr8 = *(u32 *)(r1 + 4)\nr3 = r7\nr3 += 14\nr0 = 1\nif r3 > r8 goto e\n\
         r1 = r6\nr2 = m1 ll\nr3 = 0\ncall bpf_tail_call\nr0 = *(u8 *)(r7 + 0)\ne:\nr0 = 1\nexit",
        ((6, 12, 8), None), ((6, 12, 9), Some("R7 invalid mem access 'scalar'"))),
    Case { linkage: Linkage::Global, ..case(Rule::FunctionsMovePackets, XDP,
        "r7 = *(u32 *)(r1 + 0)\nr8 = *(u32 *)(r1 + 4)\nr3 = r7\nr3 += 14\nr0 = 1\nif r3 > r8 goto e\n\
         r2 = 0\ncall f\nr0 = *(u8 *)(r7 + 0)\ne:\nr0 = 1\nexit\nf:\nr2 = -4\ncall bpf_xdp_adjust_head\nr0 = 0\nexit",
        ((6, 12, 24), None), ((6, 12, 25), Some("R7 invalid mem access 'scalar'"))) },
    case(Rule::PrivateStacks, ProgType::KPROBE,
        "r0 = 0\n*(u64 *)(r10 - 400) = r0\ncall f\nexit\nf:\nr0 = 0\n*(u64 *)(r10 - 400) = r0\nexit",
        ((6, 12, 117), Some("combined stack size of 2 calls is 800. Too large")), ((6, 13, 0), None)),
    case(Rule::KnownEntries, XDP,
        "r0 = 2\n*(u32 *)(r10 - 8) = r0\nr2 = r10\nr2 += -8\nr1 = m0 ll\ncall bpf_map_lookup_elem\n\
         r0 = *(u64 *)(r0 + 0)\nexit",
        ((6, 13, 0), Some("R0 invalid mem access 'map_value_or_null'")), ((6, 14, 0), None)),
    case(Rule::AcquireRelease, XDP, "r0 = 0\n*(u64 *)(r10 - 8) = r0\nr0 = load_acquire((u64 *)(r10 - 8))\nexit",
        ((6, 14, 0), Some("BPF_ATOMIC uses invalid atomic opcode 100")), ((6, 15, 0), None)),
    Case { caps: BPF, ..case(Rule::Barriers, ProgType::SOCKET_FILTER,
        "r0 = 0\nif r0 == 0 goto e\nr0 = *(u64 *)(r0 + 0)\ne:\nr0 = 0\nexit",
        ((6, 16, 0), Some("R0 invalid mem access 'scalar'")), ((6, 17, 0), None)) },
    case(Rule::MapsAreThere, XDP, "r1 = m0 ll\nif r1 != 0 goto e\nr0 = *(u64 *)(r2 + 0)\ne:\nr0 = 0\nexit",
        ((6, 12, 42), Some("R2 !read_ok")), ((6, 12, 43), None)),
    case(Rule::WalkedMemory, ProgType::RAW_TRACEPOINT,
        "call bpf_get_current_task_btf\nr0 = *(u64 *)(r0 + 0)\nr0 = *(u64 *)(r0 + 0)\nexit",
        ((6, 16, 0), Some("R0 invalid mem access 'scalar'")), ((6, 17, 0), None)),
    case(Rule::TailCallsReturn, XDP,
        "call f\nif r0 == 0 goto e\nr0 = *(u64 *)(r2 + 0)\ne:\nr0 = 0\nexit\n\
         f:\nr2 = m1 ll\nr3 = 0\ncall bpf_tail_call\nr0 = 0\nexit",
        ((6, 17, 0), None), ((6, 19, 0), Some("R2 !read_ok"))),
    case(Rule::ScalarForks, XDP,
        "r6 = *(u32 *)(r1 + 12)\nr6 <<= 63\nr6 s>>= 63\nr6 &= 8\nr2 = r10\nr2 += -16\nr2 += r6\n*(u64 *)(r2 + 0) = r1\n\
         r3 = *(u64 *)(r2 + 0)\nr0 = *(u32 *)(r3 + 12)\nexit",
        ((6, 12, 74), Some("R3 invalid mem access 'scalar'")), ((6, 12, 75), None)),
    // Its outer loop ends, but before the rule no way led out of it.
    case(Rule::CallbackLoops, XDP,
        "r8 = 0\no:\nif r8 >= 10 goto e\nr9 = 0\ni:\nif w9 >= 1 goto n\nr1 = 0\nr2 = f ll\nr3 = r10\nr3 += -8\nr4 = 0\ncall bpf_loop\n\
         r9 = r0\nw9 -= 8\nw9 += 1\ngoto i\nn:\nr8 += 1\ngoto o\ne:\nr0 = *(u64 *)(r5 + 0)\nexit\nf:\nr0 = 0\nexit",
        ((6, 18, 44), None), ((7, 0, 0), Some("R5 !read_ok"))),
    case(Rule::ForksOperate, XDP,
        "r6 = *(u32 *)(r1 + 12)\nr6 <<= 63\nr6 s>>= 63\nr6 |= 8\nif r6 != 0 goto e\nr0 = *(u64 *)(r2 + 0)\ne:\nr0 = 0\nexit",
        ((6, 12, 79), Some("R2 !read_ok")), ((6, 12, 80), None)),
    case(Rule::PacketLoadsReturn, TC,
        "call f\nif r0 == 1 goto e\nr0 = *(u64 *)(r2 + 0)\ne:\nr0 = 0\nexit\nf:\nr6 = r1\nr0 = *(u8 *)skb[0]\nr0 = 1\nexit",
        ((6, 12, 100), None), ((6, 12, 101), Some("R2 !read_ok"))),
    case(Rule::NoPacketLoadsInCallbacks, TC,
        "*(u64 *)(r10 - 8) = r1\nr3 = r10\nr3 += -8\nr1 = 4\nr2 = f ll\nr4 = 0\ncall bpf_loop\nr0 = 0\nexit\n\
         f:\nr6 = *(u64 *)(r2 + 0)\nr0 = *(u8 *)skb[0]\nr0 = 0\nexit",
        ((7, 2, 6), None), ((7, 2, 7), Some("cannot use BPF_LD_[ABS|IND] within callback"))),
];

/// `int main(ctx)`, and `int f(ctx)` with this linkage, or `int f(long)` where its argument is a number.
fn types(context: &str, number: bool, linkage: Linkage) -> (Arc<Btf>, [TypeId; 2]) {
    let mut types = Builder::new(Endian::HOST);
    let int = types.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let long = types.add(&New::Int { name: "long", size: 8, bits: 64, signed: true, char: false, bool: false });
    let context = types.add(&New::Struct { name: context, size: 4, members: &[] });
    let context = types.add(&New::Ptr(context));
    let mut function = |name: &str, ty: TypeId, linkage: Linkage| {
        let proto = types.add(&New::FuncProto { ret: int, params: &[Param { name: "a", ty }] });
        types.add(&New::Func { name, proto, linkage })
    };
    let functions =
        [function("main", context, Linkage::Global), function("f", if number { long } else { context }, linkage)];
    (Arc::new(types.finish().expect("the types are whole")), functions)
}

/// A kernel's: `struct task_struct { void *stack; }`.
fn kernel_types() -> Arc<Btf> {
    let mut types = Builder::new(Endian::HOST);
    let pointer = types.add(&New::Ptr(TypeId::VOID));
    let stack = Member { name: "stack", ty: pointer, bit_offset: 0, bits: None };
    types.add(&New::Struct { name: "task_struct", size: 8, members: &[stack] });
    Arc::new(types.finish().expect("the types are whole"))
}

fn maps() -> BTreeMap<String, alveary_spec::MapSpec> {
    let defs: [(&str, MapDef); 2] = [("m0", def(MapType::ARRAY, 4, 64, 4)), ("m1", def(MapType::PROG_ARRAY, 4, 4, 4))];
    defs.into_iter().map(|(name, def)| (name.to_owned(), map_spec(name, def))).collect()
}

/// The program, with types where it has two functions.
fn program_of(case: &Case) -> Program {
    let load = |dst, name: &str| Inst::MapIdx { dst, idx: u32::from(name == "m1") };
    let mut program = program(case.ty, code(case.text, load));
    program.maps = vec!["m0".to_owned(), "m1".to_owned()];
    if let Some((main, _)) = case.text.split_once("\nf:\n") {
        // As many slots as the program's own part has by itself.
        let alone = main.replace("call f", "r0 = r0").replace("f ll", "m0 ll");
        let start = code(&alone, load).len() as u32;
        let context = if case.ty == XDP { "xdp_md" } else { "__sk_buff" };
        let (btf, [main, f]) = types(context, case.rule == Rule::GlobalFunctions, case.linkage);
        program.btf = Some(btf);
        program.funcs = vec![FuncInfo { insn: 0, ty: main }, FuncInfo { insn: start, ty: f }];
        program.subprogs.push((start, "f".into()));
    }
    program
}

fn word(case: &Case, (major, minor, level): Release) -> Option<String> {
    let profile = Profile::linux(Version(major, minor)).at_level(level);
    let kernel = Kernel { btf: Some(kernel_types()), ..Kernel::of(profile) };
    let maps = maps();
    match check(&program_of(case), &Env { caps: case.caps, ..Env::new(&kernel, &maps) }).verdict {
        Verdict::Accept => None,
        Verdict::Reject(why) => Some(why.message.lines().last().unwrap_or_default().to_owned()),
        Verdict::Refused { reason, .. } => panic!("{:?}: {reason}", case.rule),
    }
}

#[test]
fn kernels_differ_by_their_rules() {
    for case in CASES {
        for (has, (release, expected)) in [(false, case.before), (true, case.after)] {
            let profile = Profile::linux(Version(release.0, release.1)).at_level(release.2);
            assert_eq!(profile.has(case.rule), has, "{:?} of {}", case.rule, profile.release());
            assert_eq!(word(case, release).as_deref(), expected, "{:?} on {}", case.rule, profile.release());
        }
    }
}

#[test]
fn every_rule_has_a_program() {
    for row in RULES {
        assert!(CASES.iter().any(|case| case.rule == row.rule), "{}", row.name);
    }
}
