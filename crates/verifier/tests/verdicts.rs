//! Small programs, each with the kernel's word on it: ours has to be the same, and, where bpf(2) may be used, so has the
//! running kernel's.

use alveary_abi::{MapDef, MapType, ProgType};
use alveary_btf::{Builder, FuncInfo, Linkage, New, Param};
use alveary_isa::{Endian, Inst, Reg};
use alveary_testing::{bpf, code, def, kernel, map_spec, program};
use alveary_verifier::{Env, LogLevel, Report, Verdict, check};
use std::{collections::BTreeMap, sync::Arc};

/// What a program gets.
enum Expected {
    Accepted,
    /// The last line of the message.
    Rejected(&'static str),
}
use Expected::{Accepted, Rejected};

struct Case {
    name: &'static str,
    ty: ProgType,
    text: &'static str,
    expected: Expected,
}

const fn case(name: &'static str, ty: ProgType, text: &'static str, expected: Expected) -> Case {
    Case { name, ty, text, expected }
}

const XDP: ProgType = ProgType::XDP;
const TC: ProgType = ProgType::SCHED_CLS;

/// `m0`: a hash of 8-byte keys and 16-byte values. `m1`: an array of one 64-byte value. `m2`: a ring buffer.
/// `m3`: programs.
fn maps() -> [(&'static str, MapDef); 4] {
    [
        ("m0", def(MapType::HASH, 8, 16, 4)),
        ("m1", def(MapType::ARRAY, 4, 64, 1)),
        ("m2", def(MapType::RINGBUF, 0, 0, 4096)),
        ("m3", def(MapType::PROG_ARRAY, 4, 4, 4)),
    ]
}

#[rustfmt::skip] // a case reads as a program
const CASES: &[Case] = &[
    case("a number is returned", XDP, "r0 = 2\nexit", Accepted),
    case("nothing is returned", XDP, "exit", Rejected("R0 !read_ok")),
    case("a pointer is used as a number's address", XDP, "r2 = 8\nr0 = *(u64 *)(r2 + 0)\nexit",
        Rejected("R2 invalid mem access 'scalar'")),
    case("the frame pointer is written", XDP, "r10 = 1\nr0 = 0\nexit", Rejected("frame pointer is read only")),
    case("the program runs out of its end", XDP, "r0 = 0", Rejected("last insn is not an exit or jmp")),
    case("an instruction is never reached", XDP, "r0 = 0\nexit\nr0 = 1\nexit", Rejected("unreachable insn 2")),
    case("a loop never ends", XDP, "r0 = 0\nl:\nr1 = r1\ngoto l", Rejected("infinite loop detected at insn 1")),
    case("a loop is bounded", XDP, "r0 = 0\nl:\nr0 += 1\nif r0 < 100 goto l\nexit", Accepted),
    case("a division by a constant zero", XDP, "r0 = 1\nr0 /= 0\nexit", Rejected("div by zero")),
    case("a shift by too much", XDP, "r0 = 1\nr0 <<= 64\nexit", Rejected("invalid shift 64")),

    case("a field of the context", XDP, "r0 = *(u32 *)(r1 + 12)\nexit", Accepted),
    case("half a field of the context", XDP, "r0 = *(u16 *)(r1 + 12)\nexit",
        Rejected("invalid bpf_context access off=12 size=2")),
    case("behind the context", XDP, "r0 = *(u32 *)(r1 + 24)\nexit",
        Rejected("invalid bpf_context access off=24 size=4")),
    case("a context that was moved", TC, "r1 += 4\nr0 = *(u32 *)(r1 + 4)\nexit",
        Rejected("dereference of modified ctx ptr R1 off=4 disallowed")),
    case("a field is written", TC, "r2 = 7\n*(u32 *)(r1 + 8) = r2\nr0 = 0\nexit", Accepted),
    case("a field that is only read is written", TC, "r2 = 7\n*(u32 *)(r1 + 16) = r2\nr0 = 0\nexit",
        Rejected("invalid bpf_context access off=16 size=4")),

    case("a packet that was checked", XDP,
        "r2 = *(u32 *)(r1 + 4)\nr1 = *(u32 *)(r1 + 0)\nr3 = r1\nr3 += 14\nr0 = 1\nif r3 > r2 goto e\n\
         r0 = *(u8 *)(r1 + 13)\ne:\nexit", Accepted),
    case("one byte more than was checked", XDP,
        "r2 = *(u32 *)(r1 + 4)\nr1 = *(u32 *)(r1 + 0)\nr3 = r1\nr3 += 14\nr0 = 1\nif r3 > r2 goto e\n\
         r0 = *(u8 *)(r1 + 14)\ne:\nexit", Rejected("R1 offset is outside of the packet")),
    case("the check is on the wrong side", XDP,
        "r2 = *(u32 *)(r1 + 4)\nr1 = *(u32 *)(r1 + 0)\nr3 = r1\nr3 += 14\nr0 = 1\nif r3 < r2 goto e\n\
         r0 = *(u8 *)(r1 + 0)\ne:\nexit", Rejected("R1 offset is outside of the packet")),
    case("a packet is moved by a number", XDP,
        "r2 = *(u32 *)(r1 + 4)\nr1 = *(u32 *)(r1 + 0)\nr3 = r1\nr3 += 1\nr0 = 1\nif r3 > r2 goto e\n\
         r4 = *(u8 *)(r1 + 0)\nr4 &= 60\nr1 += r4\nr5 = r1\nr5 += 8\nif r5 > r2 goto e\nr0 = *(u64 *)(r1 + 0)\n\
         e:\nexit", Accepted),
    case("a helper has moved the packet", XDP,
        "r6 = r1\nr7 = *(u32 *)(r1 + 0)\nr8 = *(u32 *)(r1 + 4)\nr3 = r7\nr3 += 14\nr0 = 1\nif r3 > r8 goto e\n\
         r1 = r6\nr2 = -4\ncall bpf_xdp_adjust_head\nr0 = *(u8 *)(r7 + 0)\ne:\nexit",
        Rejected("R7 invalid mem access 'scalar'")),

    case("a byte beside a spilled constant is not that constant", XDP,
        "r2 = *(u32 *)(r1 + 12)\n*(u32 *)(r10 - 4) = r2\nr3 = 0\n*(u8 *)(r10 - 8) = r3\n*(u8 *)(r10 - 7) = r2\n\
         r0 = *(u8 *)(r10 - 7)\nif r0 == 0 goto e\nr0 = *(u64 *)(r3 + 0)\ne:\nexit",
        Rejected("R3 invalid mem access 'scalar'")),
    case("a number is not below another that wrapped around in 32 bits", XDP,
        "r6 = *(u32 *)(r1 + 12)\nr2 = 0\n*(u64 *)(r10 - 8) = r2\nr2 = r10\nr2 += -8\nr1 = m0 ll\n\
         call bpf_map_lookup_elem\nif r0 == 0 goto e\nr7 = r6\nw7 += 5\nif r7 > 9 goto e\nif r6 s< 0 goto e\n\
         r0 += r6\nr0 = *(u8 *)(r0 + 0)\ne:\nr0 = 0\nexit",
        Rejected("R0 unbounded memory access, make sure to bounds check any such access")),
    case("the stack is written and read", XDP, "r1 = 5\n*(u64 *)(r10 - 8) = r1\nr0 = *(u64 *)(r10 - 8)\nexit", Accepted),
    case("below the stack", XDP, "r1 = 5\n*(u64 *)(r10 - 520) = r1\nr0 = 0\nexit",
        Rejected("invalid write to stack R10 off=-520 size=8")),
    case("a misaligned stack access", XDP, "r1 = 5\n*(u64 *)(r10 - 12) = r1\nr0 = 0\nexit",
        Rejected("misaligned stack access off 0+0+-12 size 8")),
    case("part of a spilled pointer is read", XDP, "*(u64 *)(r10 - 8) = r1\nr0 = *(u32 *)(r10 - 8)\nexit",
        Rejected("invalid size of register fill")),

    case("a lookup is checked", XDP,
        "r2 = 0\n*(u64 *)(r10 - 8) = r2\nr2 = r10\nr2 += -8\nr1 = m0 ll\ncall bpf_map_lookup_elem\n\
         if r0 == 0 goto e\nr0 = *(u64 *)(r0 + 8)\ne:\nexit", Accepted),
    case("a lookup is not checked", XDP,
        "r2 = 0\n*(u64 *)(r10 - 8) = r2\nr2 = r10\nr2 += -8\nr1 = m0 ll\ncall bpf_map_lookup_elem\n\
         r0 = *(u64 *)(r0 + 0)\nexit", Rejected("R0 invalid mem access 'map_value_or_null'")),
    case("behind a value", XDP,
        "r2 = 0\n*(u64 *)(r10 - 8) = r2\nr2 = r10\nr2 += -8\nr1 = m0 ll\ncall bpf_map_lookup_elem\n\
         if r0 == 0 goto e\nr0 = *(u64 *)(r0 + 12)\ne:\nexit",
        Rejected("R0 min value is outside of the allowed memory range")),
    case("an index that is not bounded", XDP,
        "r6 = *(u32 *)(r1 + 12)\nr2 = 0\n*(u64 *)(r10 - 8) = r2\nr2 = r10\nr2 += -8\nr1 = m0 ll\n\
         call bpf_map_lookup_elem\nif r0 == 0 goto e\nr0 += r6\nr0 = *(u8 *)(r0 + 0)\ne:\nr0 = 0\nexit",
        Rejected("R0 unbounded memory access, make sure to bounds check any such access")),
    case("an index that may be negative", XDP,
        "r6 = *(u32 *)(r1 + 12)\nr6 &= 7\nr6 += -3\nr2 = 0\n*(u64 *)(r10 - 8) = r2\nr2 = r10\nr2 += -8\n\
         r1 = m0 ll\ncall bpf_map_lookup_elem\nif r0 == 0 goto e\nr0 += r6\n\
         r0 = *(u8 *)(r0 + 0)\ne:\nr0 = 0\nexit",
        Rejected("R0 min value is negative, either use unsigned index or do a if (index >=0) check.")),
    case("an index that is masked", XDP,
        "r6 = *(u32 *)(r1 + 12)\nr6 &= 15\nr2 = 0\n*(u64 *)(r10 - 8) = r2\nr2 = r10\nr2 += -8\nr1 = m0 ll\n\
         call bpf_map_lookup_elem\nif r0 == 0 goto e\nr0 += r6\nr0 = *(u8 *)(r0 + 0)\ne:\nr0 = 0\nexit", Accepted),
    case("an array's entry is there", XDP,
        "r2 = 0\n*(u32 *)(r10 - 4) = r2\nr2 = r10\nr2 += -4\nr1 = m1 ll\ncall bpf_map_lookup_elem\n\
         r0 = *(u64 *)(r0 + 0)\nexit", Accepted),
    case("the key lies behind the stack", XDP,
        "r2 = r10\nr2 += -4\nr1 = m0 ll\ncall bpf_map_lookup_elem\nr0 = 0\nexit",
        Rejected("invalid read from stack R2 off=-4 size=8")),
    case("a number is passed as a key", XDP, "r2 = 0\nr1 = m0 ll\ncall bpf_map_lookup_elem\nr0 = 0\nexit",
        Rejected("R2 type=scalar expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")),
    case("packet pointers outlive a tail call that did not happen", XDP,
        "r6 = *(u32 *)(r1 + 0)\nr7 = *(u32 *)(r1 + 4)\nr2 = r6\nr2 += 8\nif r2 > r7 goto l\nr2 = m3 ll\nr3 = 0\n\
         call bpf_tail_call\nr0 = *(u8 *)(r6 + 7)\nl:\nr0 = 0\nexit", Accepted),
    case("a map of the wrong type", XDP, "r2 = m0 ll\nr3 = 0\ncall bpf_tail_call\nr0 = 0\nexit",
        Rejected("expected prog array map for tail call")),

    case("a reference is kept", XDP,
        "r1 = m2 ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nr0 = 0\nexit",
        Rejected("BPF_EXIT instruction in main prog would lead to reference leak")),
    case("a reference is given back", XDP,
        "r1 = m2 ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nif r0 == 0 goto e\nr1 = r0\nr2 = 0\n\
         call bpf_ringbuf_submit\ne:\nr0 = 0\nexit", Accepted),
    case("memory is used after it was given back", XDP,
        "r1 = m2 ll\nr2 = 8\nr3 = 0\ncall bpf_ringbuf_reserve\nif r0 == 0 goto e\nr6 = r0\nr1 = r0\nr2 = 0\n\
         call bpf_ringbuf_submit\nr0 = *(u64 *)(r6 + 0)\ne:\nr0 = 0\nexit",
        Rejected("R6 invalid mem access 'scalar'")),

    case("a helper of other programs", XDP, "call bpf_get_current_comm\nr0 = 0\nexit",
        Rejected("R1 type=ctx expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf, trusted_ptr_")),
    case("a helper of tc", XDP, "r2 = 0\ncall bpf_skb_pull_data\nr0 = 0\nexit",
        Rejected("program of this type cannot use helper bpf_skb_pull_data#39")),
    case("a register that a call does not keep", XDP, "r1 = 1\ncall bpf_get_prandom_u32\nr0 = r1\nexit",
        Rejected("R1 !read_ok")),
    case("two pointers are added", XDP, "r2 = r10\nr2 += r1\nr0 = 0\nexit",
        Rejected("R2 pointer += pointer prohibited")),
    case("a pointer is multiplied", XDP, "r1 *= 8\nr0 = 0\nexit",
        Rejected("R1 pointer arithmetic with *= operator prohibited")),
    case("a pointer's low half is moved", XDP, "w1 += 8\nr0 = 0\nexit",
        Rejected("R1 32-bit pointer arithmetic prohibited")),
    case("an atomic addition to the packet", TC,
        "r2 = *(u32 *)(r1 + 80)\nr1 = *(u32 *)(r1 + 76)\nr3 = r1\nr3 += 8\nr0 = 0\nif r3 > r2 goto e\nr4 = 1\n\
         lock *(u64 *)(r1 + 0) += r4\ne:\nexit",
        Rejected("BPF_ATOMIC stores into R1 pkt is not allowed")),
    case("a stack of two functions", XDP, "call f\nr0 = 0\nexit\nf:\nr1 = 1\n*(u64 *)(r10 - 400) = r1\n\
         call g\nr0 = 0\nexit\ng:\nr1 = 1\n*(u64 *)(r10 - 400) = r1\nr0 = 0\nexit",
        Rejected("combined stack size of 3 calls is 800. Too large")),
    case("the stack of a caller is returned", XDP, "call f\nr0 = 0\nexit\nf:\nr0 = r10\nexit",
        Rejected("cannot return stack pointer to the caller")),
    case("a socket program of cgroups returns 2", ProgType::CGROUP_SYSCTL, "r0 = 2\nexit",
        Rejected("At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]")),
    case("a kprobe reads its registers", ProgType::KPROBE, "r0 = *(u64 *)(r1 + 112)\nexit", Accepted),
    case("a kprobe reads behind its registers", ProgType::KPROBE, "r0 = *(u64 *)(r1 + 168)\nexit",
        Rejected("invalid bpf_context access off=168 size=8")),
];

fn ours(case: &Case, log: LogLevel) -> Report {
    let numbers: Vec<&str> = maps().iter().map(|(name, _)| *name).collect();
    let load = |dst: Reg, name: &str| {
        let idx = numbers.iter().position(|n| *n == name).expect("the map is there") as u32;
        Inst::MapIdx { dst, idx }
    };
    let mut program = program(case.ty, code(case.text, load));
    program.maps = numbers.iter().map(|name| (*name).to_owned()).collect();
    program.expected = expected_attach(case.ty);
    let specs: BTreeMap<_, _> = maps().into_iter().map(|(name, def)| (name.to_owned(), map_spec(name, def))).collect();
    let kernel = kernel(bpf::possible_cpus());
    check(&program, &Env { log, ..Env::new(&kernel, &specs) })
}

fn expected_attach(ty: ProgType) -> Option<alveary_abi::AttachType> {
    (ty == ProgType::CGROUP_SYSCTL).then_some(alveary_abi::AttachType::CGROUP_SYSCTL)
}

#[test]
fn verdicts_and_messages_are_the_kernels() {
    for case in CASES {
        let report = ours(case, LogLevel::default());
        match (&report.verdict, &case.expected) {
            (Verdict::Accept, Accepted) => {}
            (Verdict::Reject(why), Rejected(message)) => {
                assert_eq!(why.message.lines().last(), Some(*message), "{}", case.name);
            }
            (verdict, _) => panic!("{}: {verdict:?}", case.name),
        }
    }
}

#[test]
fn the_running_kernel_says_the_same() {
    if !bpf::permitted("the_running_kernel_says_the_same") {
        return;
    }
    let made: BTreeMap<&str, bpf::Map> =
        maps().into_iter().map(|(name, def)| (name, bpf::Map::create(&def, None).expect("a map"))).collect();
    // Loading by bare bpf(2) names no attach type.
    for case in CASES.iter().filter(|case| expected_attach(case.ty).is_none()) {
        let insns = code(case.text, |dst, name| Inst::MapFd { dst, fd: made[name].fd() });
        match (bpf::Prog::load(case.ty, &insns), &case.expected) {
            (Ok(_), Accepted) => {}
            (Err(why), Rejected(message)) => {
                let why = why.to_string();
                assert!(why.contains(message), "{}: the kernel says {why}", case.name);
            }
            (Ok(_), Rejected(_)) => panic!("{}: the kernel accepts", case.name),
            (Err(why), Accepted) => panic!("{}: the kernel rejects: {why}", case.name),
        }
    }
}

#[test]
fn the_log_is_the_kernels() {
    let case = &CASES[CASES.iter().position(|c| c.name == "an index that is masked").expect("it is there")];
    let log = ours(case, LogLevel::ALL).log;
    for line in [
        "0: R1=ctx() R10=fp0",
        "1: (57) r6 &= 15                      ; R6=scalar(smin=smin32=0,smax=umax=smax32=umax32=15,var_off=(0x0; 0xf))",
        "8: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,map=m0,ks=8,vs=16)",
        "mark_precise: frame0: regs=r6 stack= before 1: (57) r6 &= 15",
        "(0) live stack update done in 2 iterations",
        "from 9 to 12: safe",
        "processed 14 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 0",
    ] {
        assert!(log.lines().any(|found| found == line), "{line}\nis not in\n{log}");
    }
}

/// What a static function is called with matters to the log alone, and is remarked on once.
#[test]
fn what_a_static_function_is_called_with_is_remarked_on() {
    let remarks = [
        ("a", None, "r1 = r10", "R1 is not a scalar"),
        ("xdp_md", None, "r1 = r10", "arg#0 expects pointer to ctx"),
        ("xdp_md", None, "r1 = r6\nr1 += 4", "dereference of modified ctx ptr R1 off=4 disallowed"),
        ("xdp_md", Some("arg:nonnull"), "r1 = r6", "arg#0 type tag is not supported in static functions"),
    ];
    let kernel = kernel(1);
    for (takes, tag, set, remark) in remarks {
        let call = format!("{set}\ncall f\n");
        let text = format!("r6 = r1\n{call}{call}r0 = 0\nexit\nf:\nr0 = 0\nexit");
        let mut program = program(XDP, code(&text, |dst, _| Inst::MapIdx { dst, idx: 0 }));
        let start = program.insns.len() as u32 - 2;
        let mut types = Builder::new(Endian::HOST);
        let int = types.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
        let shown = types.add(&New::Struct { name: takes, size: 0, members: &[] });
        let pointer = types.add(&New::Ptr(shown));
        let ty = if takes == "a" { int } else { pointer };
        let proto = types.add(&New::FuncProto { ret: int, params: &[Param { name: "a", ty }] });
        let main = types.add(&New::Func { name: "main", proto, linkage: Linkage::Static });
        let f = types.add(&New::Func { name: "f", proto, linkage: Linkage::Static });
        if let Some(name) = tag {
            types.add(&New::DeclTag { name, ty: f, component: Some(0) });
        }
        program.btf = Some(Arc::new(types.finish().expect("the types are whole")));
        program.funcs = vec![FuncInfo { insn: 0, ty: main }, FuncInfo { insn: start, ty: f }];
        program.subprogs.push((start, "f".into()));
        let report = check(&program, &Env { log: LogLevel::ALL, ..Env::new(&kernel, &BTreeMap::new()) });
        assert_eq!(report.verdict, Verdict::Accept, "{text}");
        assert_eq!(report.log.lines().filter(|line| *line == remark).count(), 1, "{remark}\n{}", report.log);
    }
}
