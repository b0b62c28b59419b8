//! Any program before the verifier, for any kernel, type and rights.

use crate::budget::within;
use crate::kernel_types::kernel_types;
use crate::program::{self, Piece, lay_out, small};
use alveary_abi::{Limits, Profile, ProgType, Tables, Version, flags};
use alveary_btf::Btf;
use alveary_isa::{CmpOp, Endian, Insn, Inst, Operand, Reg, Wide, Width, encode};
use alveary_object::{Options, read, resolve};
use alveary_spec::{Kernel, MapSpec, Program};
use alveary_testing::{Generator, map_names, maps, program};
use alveary_verifier::{Caps, Env, LogLevel, Report, Verdict, check, check_with_facts, explain};
use arbitrary::{Result, Unstructured};
use std::{collections::BTreeMap, sync::Arc};

/// What a verification and its explanation may hold at once.
const MOST: usize = 256 << 20;
/// Instructions that a verification may process, and branches that may wait.
const LIMITS: Limits = Limits { insns: 20_000, jumps: 1024, ..Limits::LINUX };
/// Programs of one object.
const PROGRAMS: usize = 8;
/// Helpers that there are, and some numbers that are none.
const HELPERS: i32 = 215;
/// Flags of the load that the verifier knows.
const FLAGS: [u32; 4] =
    [flags::BPF_F_STRICT_ALIGNMENT, flags::BPF_F_ANY_ALIGNMENT, flags::BPF_F_TEST_STATE_FREQ, flags::BPF_F_SLEEPABLE];

thread_local! {
    /// Kernels to be asked about: making their tables takes longer than most verifications.
    static KERNELS: Vec<Kernel> = [(5, 4, 0), (5, 10, 0), (5, 15, 0), (6, 1, 192), (6, 12, 74), (6, 12, 117), (6, 18, 44)]
        .map(|(major, minor, level)| Profile::new(Version(major, minor), LIMITS, Tables::linux()).at_level(level))
        .map(|profile| Kernel { cpus: 2, ..Kernel::of(profile) })
        .into();
    static GENERATOR: Generator = Generator::new(&GENERATED, |_, _| true);
    static MAPS: BTreeMap<String, MapSpec> = maps();
}

/// Types that programs are generated for.
const GENERATED: [ProgType; 5] =
    [ProgType::XDP, ProgType::SCHED_CLS, ProgType::SCHED_ACT, ProgType::SOCKET_FILTER, ProgType::CGROUP_SKB];

/// Types whose programs may read objects of the kernel.
const TRACING: [ProgType; 5] =
    [ProgType::RAW_TRACEPOINT, ProgType::KPROBE, ProgType::TRACEPOINT, ProgType::PERF_EVENT, ProgType::SCHED_CLS];

/// The first byte says what the rest is: slots, what a program is made from, the seed of a generated program and what is
/// changed in it, an object, or a kernel's types and a program that walks through them. The four behind it choose kernel,
/// type, rights and flags, and log.
///
/// A verification ends within its limits and its share of memory, says the same whatever is logged or learnt, names
/// instructions that are there, and can be explained.
pub fn verify(bytes: &[u8]) {
    let Some((&[kind, kernel, ty, may, log], rest)) = bytes.split_first_chunk() else { return };
    let asked = Asked { kernel, ty: ProgType(u32::from(ty % 34)), may, log };
    match kind % 5 {
        0 => {
            let (slots, _) = rest.as_chunks::<8>();
            asked.about(slots.iter().map(|slot| Insn::from_bytes(*slot, Endian::Little)).collect());
        }
        1 => {
            if let Ok(insns) = pieces(&mut Unstructured::new(rest)) {
                asked.about(insns);
            }
        }
        2 => {
            if let Ok(program) = changed(&mut Unstructured::new(rest)) {
                asked.with_kernel(|kernel| MAPS.with(|maps| asked.judge(kernel, &program, maps)));
            }
        }
        3 => asked.about_object(rest),
        _ => {
            let mut u = Unstructured::new(rest);
            if let (Ok(Some(types)), Ok(insns)) = (kernel_types(&mut u), walks(&mut u)) {
                let ty = TRACING[usize::from(ty) % TRACING.len()];
                Asked { ty, ..asked }.about_walk(insns, types);
            }
        }
    }
}

/// Instructions that load from the current task, from what its members point to, and from structs behind maps.
fn walks(u: &mut Unstructured<'_>) -> Result<Vec<Insn>> {
    const BASES: [program::Base; 4] = [(Reg(6), 0..=80), (Reg(7), 0..=80), (Reg(0), 0..=80), (Reg(8), 0..=32)];
    const CURRENT: i32 = 158;
    // Helpers that take a task, a file, or somewhere to write to.
    const TAKERS: [i32; 8] = [16, 112, 113, 156, 157, 175, 180, 191];
    let idx = u.int_in_range(0..=map_names().len() as u32 - 1)?;
    let mut function = vec![Piece::Inst(Inst::MapIdx { dst: Reg(8), idx })];
    if u.ratio(7, 8)? {
        function.push(Piece::Inst(Inst::CallHelper { id: CURRENT }));
        function.extend([6, 7].map(|dst| program::copy(Reg(dst), Reg(0))));
    }
    for _ in 0..u.int_in_range(1..=32)? {
        let (from, to) = (Reg(u.int_in_range(6..=8)?), Reg(u.int_in_range(6..=7)?));
        let off = i16::from(u.int_in_range(0u8..=24)?) * 4;
        match u.int_in_range(0..=7)? {
            0..=2 => {
                let dst = *u.choose(&[Reg(0), to])?;
                function.push(Piece::Inst(Inst::Load { width: Width::B8, signed: false, dst, src: from, off }));
            }
            3 => {
                let over = u.int_in_range(1..=3)?;
                let (op, src) = (CmpOp::Eq, Operand::Imm(0));
                function.push(Piece::Jump(Inst::Jmp { wide: Wide::W64, op, dst: from, src, off: 0 }, over));
            }
            4 => {
                function.extend([program::copy(Reg(1), from), program::set(Reg(2), small(u)?)]);
                function.extend([program::set(Reg(3), small(u)?), program::set(Reg(4), 0), program::set(Reg(5), 0)]);
                function.push(Piece::Inst(Inst::CallHelper { id: *u.choose(&TAKERS)? }));
            }
            5 => function.push(program::copy(to, from)),
            _ => function.push(program::plain(u, &BASES)?),
        }
    }
    function.extend([program::set(Reg(0), 0), Piece::Inst(Inst::Exit)]);
    Ok(lay_out(&[function]).0)
}

/// Up to three functions of instructions of which most decode.
fn pieces(u: &mut Unstructured<'_>) -> Result<Vec<Insn>> {
    const BASES: [program::Base; 4] = [(Reg(1), 0..=80), (Reg(6), 0..=80), (Reg(0), 0..=32), (Reg::FP, -64..=-8)];
    let mut functions = Vec::new();
    for _ in 0..u.int_in_range(1..=3)? {
        let mut function = Vec::new();
        for _ in 0..u.int_in_range(1..=32)? {
            function.push(match u.int_in_range(0..=7)? {
                0 => Piece::Inst(Inst::CallHelper { id: u.int_in_range(0..=HELPERS)? }),
                1 => {
                    let (dst, idx) = (Reg(u.int_in_range(0..=5)?), u.int_in_range(0..=map_names().len() as u32)?);
                    Piece::Inst(Inst::MapIdx { dst, idx })
                }
                2 => program::copy(Reg(u.int_in_range(0..=9)?), Reg(u.int_in_range(0..=10)?)),
                3 => program::set(Reg(u.int_in_range(0..=9)?), small(u)?),
                _ => program::plain(u, &BASES)?,
            });
        }
        function.push(Piece::Inst(Inst::Exit));
        functions.push(function);
    }
    Ok(lay_out(&functions).0)
}

/// A generated program with a few slots changed.
fn changed(u: &mut Unstructured<'_>) -> Result<Program> {
    let seed: u32 = u.arbitrary()?;
    let mut program = GENERATOR.with(|generator| generator.program(seed.into())).program;
    let slots = program.insns.len();
    for _ in 0..u.int_in_range(0..=6)? {
        let at = u.int_in_range(0..=slots - 1)?;
        let insn = &mut program.insns[at];
        match u.int_in_range(0..=5)? {
            0 => insn.imm = small(u)?,
            1 => insn.off = u.arbitrary()?,
            2 => insn.dst = Reg(u.int_in_range(0..=11)?),
            3 => insn.src = Reg(u.int_in_range(0..=11)?),
            4 => insn.op = u.arbitrary()?,
            _ => *insn = encode(&Inst::Ja { off: u.int_in_range(-2..=2)?, long: false }).as_slice()[0],
        }
    }
    Ok(program)
}

/// What is asked about.
struct Asked {
    kernel: u8,
    ty: ProgType,
    may: u8,
    log: u8,
}

impl Asked {
    fn about(&self, insns: Vec<Insn>) {
        let program = Program { maps: map_names(), ..program(self.ty, insns) };
        self.with_kernel(|kernel| MAPS.with(|maps| self.judge(kernel, &program, maps)));
    }

    fn about_walk(&self, insns: Vec<Insn>, types: Btf) {
        let program = Program { maps: map_names(), ..program(self.ty, insns) };
        self.with_kernel(|kernel| {
            let kernel = Kernel { btf: Some(Arc::new(types)), ..kernel.clone() };
            MAPS.with(|maps| self.judge(&kernel, &program, maps));
        });
    }

    fn about_object(&self, bytes: &[u8]) {
        let Ok(spec) = read(bytes) else { return };
        self.with_kernel(|kernel| {
            let Ok(resolved) = resolve(&spec, kernel, &Options::default()) else { return };
            resolved.programs.iter().take(PROGRAMS).for_each(|program| self.judge(kernel, program, &resolved.maps));
        });
    }

    fn with_kernel<R>(&self, work: impl FnOnce(&Kernel) -> R) -> R {
        KERNELS.with(|kernels| work(&kernels[usize::from(self.kernel) % kernels.len()]))
    }

    fn judge(&self, kernel: &Kernel, program: &Program, maps: &BTreeMap<String, MapSpec>) {
        let bit = |n: u8| self.may >> n & 1 == 0;
        let mut program = program.clone();
        let wanted = FLAGS.iter().enumerate().filter(|(n, _)| !bit(*n as u8 + 3));
        program.flags |= wanted.fold(0, |flags, (_, flag)| flags | flag);
        let caps = Caps { bpf: bit(0), perfmon: bit(1), net_admin: bit(2) };
        let log = [LogLevel::default(), LogLevel::ALL][usize::from(self.log & 1)];
        let env = Env { caps, ..Env::new(kernel, maps) };
        let report = within(MOST, "a verification", || check(&program, &Env { log, ..env }));
        whole(&program, &report);
        if let Some(why) = within(MOST, "an explanation", || explain(&program, &env, &report)) {
            assert!(!why.message.is_empty() && !why.to_string().is_empty());
        }
        let (again, facts) = within(2 * MOST, "facts", || check_with_facts(&program, &env));
        assert_eq!((&again.verdict, again.stats), (&report.verdict, report.stats));
        assert_eq!(facts.is_some(), again.verdict == Verdict::Accept);
    }
}

/// What a report names is there, and its figures are within the limits.
fn whole(program: &Program, report: &Report) {
    let slots = program.insns.len() as u32;
    match &report.verdict {
        Verdict::Accept => assert!(slots > 0),
        Verdict::Reject(why) => assert!(why.insn.is_none_or(|insn| insn <= slots), "{why:?} of {slots}"),
        Verdict::Refused { reason, .. } => assert!(!reason.is_empty()),
    }
    assert!(report.stats.insns_processed <= LIMITS.insns + 1, "{:?}", report.stats);
}
