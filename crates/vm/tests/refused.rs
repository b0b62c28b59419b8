//! Code that is refused, and by which slot.

mod support;

use alveary_isa::{Insn, Inst, Reg, Width};
use alveary_vm::{BadCodeKind, Code, Env, Exit, Func, Image, Sym};
use support::*;

fn refused(code: &Code) -> (u32, BadCodeKind) {
    let error = Image::checked(code, &Owner(vec![])).expect_err("the code is bad");
    assert!(error.to_string().starts_with(&format!("instruction {}: ", error.insn)), "{error}");
    (error.insn, error.why)
}

fn code(insts: &[Inst], starts: &[u32]) -> Code {
    Owner(vec![]).code(insts, starts)
}

#[test]
fn jumps_land_on_instructions_of_their_own_function() {
    use BadCodeKind::*;
    let wide = Inst::LoadImm64 { dst: r(1), value: 1 };
    for (insts, starts, slot, why) in [
        (&[mov(0, 0), ja(1), EXIT][..], &[0][..], 1, JumpOutside { target: 3 }),
        (&[jeq(0, 0, -2), EXIT], &[0], 0, JumpOutside { target: -1 }),
        (&[ja(1), wide, EXIT, EXIT], &[0, 4], 0, JumpIntoConstant { target: 2 }),
        (&[ja(1), EXIT, EXIT], &[0, 2], 0, JumpOutside { target: 2 }),
        (&[Inst::MayGoto { off: 7 }, EXIT], &[0], 0, JumpOutside { target: 8 }),
        (&[Inst::Ja { off: i32::MAX, long: true }, EXIT], &[0], 0, JumpOutside { target: 1 + i64::from(i32::MAX) }),
        (&[EXIT, call_local(1), EXIT, EXIT], &[0], 1, NoFunction { target: 3 }),
        (&[call_local(-2), EXIT], &[0], 0, NoFunction { target: -1 }),
        (&[Inst::FuncAddr { dst: r(1), rel: 1 }, EXIT], &[0], 0, NoFunction { target: 2 }),
        (&[mov(0, 0)], &[0], 0, FallsOffTheEnd),
        (&[mov(0, 0), jeq(0, 0, -1)], &[0], 1, FallsOffTheEnd),
        (&[ja(0), wide], &[0], 1, FallsOffTheEnd),
        (&[mov(0, 0), EXIT, EXIT], &[0, 1], 0, FallsOffTheEnd),
        (&[wide, EXIT], &[0, 1], 1, MisplacedFunction),
        (&[EXIT], &[0, 1], 1, MisplacedFunction),
        (&[EXIT, EXIT], &[0, 1, 1], 1, MisplacedFunction),
        (&[EXIT, EXIT], &[1], 1, MisplacedFunction),
        (&[EXIT], &[], 0, MisplacedFunction),
        (&[], &[0], 0, Empty),
        (&[call(0), EXIT], &[0], 0, NoHelper { call: 0 }),
        (&[call(-1), EXIT], &[0], 0, NoHelper { call: -1 }),
    ] {
        assert_eq!(refused(&code(insts, starts)), (slot, why), "{insts:?} {starts:?}");
    }
}

#[test]
fn what_is_not_run_is_named() {
    use BadCodeKind::*;
    let cast = Inst::AddrSpaceCast { dst: r(1), src: r(2), to: 1, from: 0 };
    let unsupported = |inst| match refused(&code(&[mov(0, 0), inst, EXIT], &[0])) {
        (1, Unsupported(name)) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(unsupported(cast), "addr_space_cast");
    assert_eq!(unsupported(Inst::GotoX { dst: r(1) }), "gotox without a jump table");
    assert_eq!(unsupported(Inst::CallKfunc { btf_id: 3, off: 0 }), "a call of a kernel function");
    assert!(unsupported(Inst::LoadAbs { width: Width::B2, imm: 12 }).contains("packet load"));
    assert_eq!(refused(&code(&[Inst::MapIdx { dst: r(1), idx: 0 }, EXIT], &[0])), (0, NoSymbol));
    assert_eq!(refused(&code(&[movr(10, 1), EXIT], &[0])), (0, WritesReadOnly { register: 10 }));
    assert_eq!(refused(&code(&[load(Width::B8, 10, 1, 0), EXIT], &[0])), (0, WritesReadOnly { register: 10 }));
    assert_eq!(refused(&code(&[mov(12, 1), EXIT], &[0])), (0, WritesReadOnly { register: 12 }));
    let fetch = alveary_isa::AtomicOp::Xchg;
    let exchange = Inst::Atomic { width: Width::B8, op: fetch, dst: r(1), src: Reg::FP, off: 0 };
    assert_eq!(refused(&code(&[exchange, EXIT], &[0])), (0, WritesReadOnly { register: 10 }));
    let mut undefined = code(&[mov(0, 0), EXIT, EXIT], &[0]);
    undefined.insns[1] = Insn { op: 0xff, ..Insn::default() };
    undefined.origin = vec![4, 5, 6];
    assert!(matches!(refused(&undefined), (5, Undefined(_))));
}

#[test]
fn symbols_get_their_addresses_and_stand_in_order() {
    let map = Inst::MapIdx { dst: r(0), idx: 0 };
    let value = Inst::MapValueIdx { dst: r(1), idx: 0, off: 0 };
    let sum = Inst::Alu {
        wide: alveary_isa::Wide::W64,
        op: alveary_isa::AluOp::Add,
        dst: r(0),
        src: alveary_isa::Operand::Reg(r(1)),
    };
    let mut program = code(&[map, value, sum, EXIT], &[0]);
    program.syms = vec![(0, Sym::Map(3)), (2, Sym::MapValue(1, 8))];
    let owner = Owner(vec![]);
    let image = Image::checked(&program, &owner).expect("well-formed");
    assert_eq!(image.run(&Env::new(), 0, [0; 5], None), Ok(Exit::Return(0x1003 + 0x2108)));
    for (syms, slot) in [
        (vec![(2, Sym::Map(0)), (0, Sym::Map(0))], 0),
        (vec![(0, Sym::Map(0)), (2, Sym::Map(0)), (4, Sym::Map(0))], 4),
        (vec![(0, Sym::Map(0)), (2, Sym::Map(0)), (u32::MAX, Sym::Map(0))], u32::MAX),
    ] {
        let bad = Code { syms, ..program.clone() };
        let (insn, why) = refused(&bad);
        assert!((insn, why) == (slot, BadCodeKind::MisplacedSymbol) || why == BadCodeKind::NoSymbol, "{insn} {why:?}");
    }
}

#[test]
fn any_slots_are_run_or_refused_but_never_a_panic() {
    let mut state: u64 = 3;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    for _ in 0..2_000 {
        let insns = (0..1 + random() % 12).map(|_| {
            let bytes = (u64::from(random()) << 32 | u64::from(random())).to_le_bytes();
            Insn::from_bytes(bytes, alveary_isa::Endian::Little)
        });
        let insns = insns.collect();
        let funcs = (0..1 + random() % 3).map(|n| Func { start: n * (random() % 5), stack: 0 }).collect();
        let syms = (0..random() % 3).map(|_| (random() % 12, Sym::Func(random() as u16 % 3))).collect();
        let code = Code { insns, funcs, syms, ..Code::default() };
        if let Ok(image) = Image::checked(&code, &Owner(vec![])) {
            let env = Env::new();
            env.fuel.set(1_000);
            let _ = image.run(&env, 0, [0; 5], None);
        }
    }
}
