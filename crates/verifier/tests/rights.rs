//! What those may load who have fewer rights than root. The kernel's words are those of `cargo xtask agree --caps`.

use alveary_abi::{Errno, MapType, ProgType};
use alveary_isa::Inst;
use alveary_testing::{code, def, kernel, map_spec, program};
use alveary_verifier::{Caps, Env, LogLevel, Report, Verdict, check};
use std::collections::BTreeMap;

const SOCKET: ProgType = ProgType::SOCKET_FILTER;
const BPF: Caps = Caps { bpf: true, ..Caps::NONE };

/// `m`: an array of one 64-byte value, or of 16.
fn checked(ty: ProgType, text: &str, caps: Caps) -> Report {
    let mut program = program(ty, code(text, |dst, _| Inst::MapIdx { dst, idx: 0 }));
    program.maps = vec!["m".to_owned()];
    let maps = BTreeMap::from([("m".to_owned(), map_spec("m", def(MapType::ARRAY, 4, 64, 1)))]);
    let kernel = kernel(2);
    check(&program, &Env { caps, log: LogLevel::ALL, ..Env::new(&kernel, &maps) })
}

fn message(report: &Report) -> (Errno, &str) {
    let Verdict::Reject(why) = &report.verdict else { panic!("{:?}", report.verdict) };
    (why.errno, why.message.lines().last().unwrap_or_default())
}

/// Finds the value, and goes to `e` if there is none; an index is in r6.
const LOOKUP: &str = "r6 = *(u32 *)(r1 + 0)\nr2 = 0\n*(u32 *)(r10 - 4) = r2\nr2 = r10\nr2 += -4\nr1 = m ll\n\
                      call bpf_map_lookup_elem\nif r0 == 0 goto e\n";

#[test]
fn types_and_sizes_ask_for_rights() {
    let refused = |ty, text: &str, caps| message(&checked(ty, text, caps)).0;
    assert_eq!(refused(ProgType::XDP, "r0 = 0\nexit", BPF), Errno::EPERM);
    assert_eq!(refused(ProgType::SK_REUSEPORT, "r0 = 0\nexit", Caps::NONE), Errno::EPERM);
    let long = "r0 = 0\n".repeat(4096) + "exit";
    assert_eq!(refused(SOCKET, &long, Caps::NONE), Errno::E2BIG);
    assert_eq!(checked(SOCKET, &long, BPF).verdict, Verdict::Accept);
    let Verdict::Reject(why) = checked(ProgType::KPROBE, "r0 = 0\nexit", BPF).verdict else { panic!("accepted") };
    assert_eq!(why.note.as_deref(), Some("programs of this type ask for CAP_PERFMON"));
}

#[test]
fn ordinary_users_have_no_loops_and_no_functions() {
    let looping = checked(SOCKET, "r0 = 0\nl:\nr0 += 1\nif r0 < 100 goto l\nexit", Caps::NONE);
    assert_eq!(message(&looping), (Errno::EINVAL, "back-edge from insn 2 to 1"));
    let calling = checked(SOCKET, "call f\nexit\nf:\nr0 = 0\nexit", Caps::NONE);
    let words = "loading/calling other bpf or kernel functions are allowed for CAP_BPF and CAP_SYS_ADMIN";
    assert_eq!(message(&calling), (Errno::EPERM, words));
    let jiffies = checked(SOCKET, "call bpf_jiffies64\nexit", Caps::NONE);
    assert_eq!(message(&jiffies).1, "program of this type cannot use helper bpf_jiffies64#118");
    assert_eq!(checked(SOCKET, "call bpf_jiffies64\nexit", BPF).verdict, Verdict::Accept);
}

#[test]
fn what_tells_of_tasks_asks_for_perfmon() {
    let text = "r1 = r10\nr1 += -16\nr2 = 16\ncall bpf_get_current_comm\nr0 = 0\nexit";
    let device = |perfmon| checked(ProgType::CGROUP_DEVICE, text, Caps { perfmon, ..Caps::ALL });
    assert_eq!(message(&device(false)).1, "program of this type cannot use helper bpf_get_current_comm#16");
    assert_eq!(device(true).verdict, Verdict::Accept);
}

#[test]
fn addresses_stay_hidden() {
    for (text, words) in [
        ("r0 = r1\nexit", "R0 leaks addr as return value"),
        ("if r1 == 5 goto e\ne:\nr0 = 0\nexit", "R1 pointer comparison prohibited"),
        ("r1 -= r10\nr0 = 0\nexit", "R1 pointer -= pointer prohibited"),
        ("r0 = *(u64 *)(r10 - 8)\nexit", "invalid read from stack R10 off=-8 size=8"),
    ] {
        assert_eq!(message(&checked(SOCKET, text, BPF)).1, words, "{text}");
    }
}

#[test]
fn sums_that_cannot_be_masked_are_refused() {
    let sum = |middle: &str| checked(SOCKET, &format!("{LOOKUP}{middle}\ne:\nr0 = 0\nexit"), BPF);
    assert_eq!(sum("r6 &= 15\nr0 += r6\nr1 = *(u8 *)(r0 + 0)").verdict, Verdict::Accept);
    let both = sum("r6 &= 15\nr6 -= 8\nr0 += 32\nr0 += r6\nr1 = *(u8 *)(r0 + 0)");
    assert_eq!(
        message(&both).1,
        "R6 has unknown scalar with mixed signed bounds, pointer arithmetic with it prohibited for !root"
    );
    let far = sum("r0 += 64\nr0 += -8");
    assert_eq!(message(&far).1, "R0 pointer arithmetic of map value goes out of range, prohibited for !root");
}

#[test]
fn a_way_that_is_only_a_mistake_ends_at_a_barrier() {
    let text = "r0 = 0\nif r0 == 0 goto e\nr0 = *(u64 *)(r0 + 0)\ne:\nr0 = 0\nexit";
    let report = checked(SOCKET, text, BPF);
    assert_eq!(report.verdict, Verdict::Accept);
    assert!(report.log.contains("from 1 to 2 (speculative execution):"), "{}", report.log);
    assert!(report.log.contains("R0 invalid mem access 'scalar'"), "{}", report.log);
    assert!(!checked(SOCKET, text, Caps::ALL).log.contains("speculative"));
}

/// That an array's value is there is known of constant indices; ordinary users' are not looked at.
#[test]
fn ordinary_users_ask_whether_a_value_is_there() {
    let text = "r2 = 0\n*(u32 *)(r10 - 4) = r2\nr2 = r10\nr2 += -4\nr1 = m ll\ncall bpf_map_lookup_elem\n\
                r0 = *(u8 *)(r0 + 0)\nr0 = 0\nexit";
    assert_eq!(checked(SOCKET, text, BPF).verdict, Verdict::Accept);
    assert_eq!(message(&checked(SOCKET, text, Caps::NONE)).1, "R0 invalid mem access 'map_value_or_null'");
}
