//! What a check may take of memory: programs that are made to take much are refused, and until then take no more.

use alveary_abi::ProgType;
use alveary_isa::{Insn, Reg};
use alveary_spec::Program;
use alveary_testing::{Counting, held, kernel, program};
use alveary_verifier::{Env, LogLevel, Report, Verdict, check, check_with_facts, check_with_work, explain};
use std::collections::BTreeMap;

#[global_allocator]
static COUNTING: Counting = Counting;

const MB: usize = 1 << 20;

const fn insn(op: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { op, dst: Reg(dst), src: Reg(src), off, imm }
}

const fn mov(dst: u8, imm: i32) -> Insn {
    insn(0xb7, dst, 0, 0, imm)
}

const EXIT: Insn = insn(0x95, 0, 0, 0, 0);

/// `body` so many times, between what comes first and what comes last.
fn repeated(first: &[Insn], body: &[Insn], times: usize, last: &[Insn]) -> Program {
    program(ProgType::SCHED_CLS, [first, &body.repeat(times), last].concat())
}

/// A state at every eighth instruction.
fn many_states(times: usize) -> Program {
    repeated(&[], &[mov(1, 1), insn(0x15, 1, 0, 0, 0)], times, &[mov(0, 0), EXIT])
}

/// Every slot of the stack is another one in each state.
fn many_slots() -> Program {
    let stores: Vec<Insn> = (1..=64).flat_map(|n| [insn(0x7a, 10, 0, -8 * n, 1), insn(0x15, 10, 0, 0, 0)]).collect();
    repeated(&[], &stores, 600, &[mov(0, 0), EXIT])
}

/// Sockets that nobody gives back: `bpf_sk_lookup_tcp`, and both ways behind it.
fn many_references() -> Program {
    let first = [insn(0xbf, 6, 1, 0, 0), mov(1, 0), insn(0x7b, 10, 1, -16, 0), insn(0x7b, 10, 1, -8, 0)];
    let lookup = [
        insn(0xbf, 1, 6, 0, 0),
        insn(0xbf, 2, 10, 0, 0),
        insn(0x07, 2, 0, 0, -16),
        mov(3, 12),
        mov(4, -1),
        mov(5, 0),
        insn(0x85, 0, 0, 0, 84),
        insn(0x15, 0, 0, 0, 0),
    ];
    repeated(&first, &lookup, 4000, &[mov(0, 0), EXIT])
}

/// A long function, most of which is never reached, called from many places: each is a chain of calls of its own.
fn many_chains() -> Program {
    let calls = 400;
    let main: Vec<Insn> = (0..calls).flat_map(|n| [mov(1, 0), insn(0x85, 0, 1, 0, 2 * (calls - n))]).collect();
    let callee = [
        &[insn(0x55, 1, 0, 3, 0), insn(0x7a, 10, 0, -8, 1), mov(0, 0), EXIT][..],
        &[mov(0, 0)].repeat(50_000),
        &[EXIT],
    ]
    .concat();
    program(ProgType::SCHED_CLS, [&main[..], &[mov(0, 0), EXIT], &callee].concat())
}

/// A straight line of stores: behind each, other slots of the stack are still needed.
fn many_stores() -> Program {
    repeated(&[], &[insn(0x7a, 10, 0, -8, 1)], 300_000, &[mov(0, 0), EXIT])
}

/// What is known of its instructions before any is followed would be too much.
fn many_instructions() -> Program {
    repeated(&[], &[mov(0, 0)], 900_000, &[EXIT])
}

fn checked(program: &Program, memory: usize, log: LogLevel) -> Report {
    let kernel = kernel(1);
    check(program, &Env { memory, log, ..Env::new(&kernel, &BTreeMap::new()) })
}

/// What a check of it takes, rounded up to a quarter of a megabyte.
fn just_enough(program: &Program) -> usize {
    let enough = |most: &usize| !checked(program, *most, LogLevel::default()).exceeded;
    (1..256).map(|n| n * MB / 4).find(enough).expect("64 MB are enough")
}

#[test]
fn what_takes_too_much_is_refused_before_it_does() {
    let most = 24 * MB;
    let shapes = [
        ("states", many_states(100_000)),
        ("slots", many_slots()),
        ("references", many_references()),
        ("chains", many_chains()),
        ("stores", many_stores()),
        ("instructions", many_instructions()),
    ];
    for (name, program) in &shapes {
        let (report, held) = held(|| checked(program, most, LogLevel::default()));
        let Verdict::Refused { reason, .. } = &report.verdict else { panic!("{name}: {:?}", report.verdict) };
        assert!(reason.starts_with("it takes more than 24 MB"), "{name}: {reason}");
        assert!(report.exceeded, "{name}");
        assert!(held < most + MB, "{name}: {} MB", held / MB);
    }
}

#[test]
fn what_takes_less_has_its_verdict() {
    let program = many_states(10_000);
    assert_eq!(checked(&program, Env::MEMORY, LogLevel::default()).verdict, Verdict::Accept);
    let report = checked(&program, 4 * MB, LogLevel::default());
    assert!(report.exceeded && matches!(report.verdict, Verdict::Refused { .. }));
    // What is asked for besides counts, too.
    let (kernel, maps) = (kernel(1), BTreeMap::new());
    let env = Env { memory: just_enough(&program), ..Env::new(&kernel, &maps) };
    assert!(check_with_facts(&program, &env).0.exceeded && check_with_work(&program, &env).0.exceeded);
    assert!(check_with_facts(&program, &Env::new(&kernel, &maps)).1.is_some());
}

/// A rejection that needs nearly all the memory is explained within it, if by fewer steps.
#[test]
fn a_rejection_is_explained_within_its_memory() {
    let program = repeated(&[], &[mov(1, 1), insn(0x15, 1, 0, 0, 0)], 10_000, &[EXIT]);
    let (kernel, maps) = (kernel(1), BTreeMap::new());
    let env = Env { memory: just_enough(&program), ..Env::new(&kernel, &maps) };
    let report = check(&program, &env);
    let why = explain(&program, &env, &report).expect("it is rejected");
    assert!(matches!(&report.verdict, Verdict::Reject(why) if why.message == "R0 !read_ok\n"));
    assert!(why.message.contains("without a return value"), "{}", why.message);
}

/// The end of a log is what its reader wants.
#[test]
fn a_long_log_loses_its_beginning() {
    let body = [insn(0x85, 0, 0, 0, 7), insn(0xbf, 6, 0, 0, 0), insn(0x57, 6, 0, 0, 0x7fff)];
    let report = checked(&repeated(&[], &body, 100_000, &[mov(0, 0), EXIT]), Env::MEMORY, LogLevel::ALL);
    assert_eq!(report.verdict, Verdict::Accept);
    let first = report.log.lines().next().unwrap_or_default();
    assert!(first.ends_with("bytes of log before this are left out)"), "{first}");
    let last = report.log.lines().last().unwrap_or_default();
    assert!(last.starts_with("processed 300002 insns"), "{last}");
    assert!(report.log.len() < 17 * MB && report.log.len() > 7 * MB, "{} bytes", report.log.len());
}
