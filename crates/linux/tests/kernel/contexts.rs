//! Context arguments of global functions, which kernels before 6.8 know by the name of a struct alone.

use crate::support::{allowed, insns};
use alveary_abi::ProgType;
use alveary_btf::{Btf, Builder, FuncInfo, Linkage, New, Param, TypeId};
use alveary_isa::Endian;
use alveary_linux::{btf, prog};
use alveary_spec::{ArgTag, Program, Promise};
use std::{os::fd::AsFd, sync::Arc};

/// A program that hands its context to a function which takes a `void *`; `tagged`: as types say it, too.
fn program(ty: ProgType, to: impl Fn(&mut Builder) -> TypeId, tagged: bool) -> Program {
    let mut types = Builder::new(Endian::HOST);
    let int = types.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let to = to(&mut types);
    let pointer = types.add(&New::Ptr(to));
    let proto = types.add(&New::FuncProto { ret: int, params: &[Param { name: "ctx", ty: pointer }] });
    let func = |types: &mut Builder, name| types.add(&New::Func { name, proto, linkage: Linkage::Global });
    let (entry, inner) = (func(&mut types, "entry"), func(&mut types, "inner"));
    if tagged {
        types.add(&New::DeclTag { name: "arg:ctx", ty: inner, component: Some(0) });
    }
    Program {
        name: "entry".into(),
        ty,
        insns: insns("call inner\nexit\ninner: r0 = *(u32 *)(r1 + 8)\nr0 = 0\nexit"),
        subprogs: vec![(0, "entry".into()), (2, "inner".into())],
        funcs: vec![FuncInfo { insn: 0, ty: entry }, FuncInfo { insn: 2, ty: inner }],
        args: vec![(2, ArgTag { arg: 0, promise: Promise::Ctx })],
        license: "GPL".to_owned(),
        btf: Some(Arc::new(types.finish().expect("types"))),
        ..Program::default()
    }
}

fn load(program: &Program) -> Result<(), String> {
    let types: &Btf = program.btf.as_deref().expect("types");
    let types = btf::load(types, None).expect("plain types");
    let from = prog::ProgFrom { btf: Some(types.fd.as_fd()), ..Default::default() };
    prog::load(program, &from).map(drop).map_err(|refused| format!("{}\n{}", refused.why, refused.log))
}

#[test]
fn contexts_are_named_where_tags_are_not_read() {
    if !allowed("contexts_are_named_where_tags_are_not_read") {
        return;
    }
    let void = |_: &mut Builder| TypeId::VOID;
    let registers = |types: &mut Builder| types.add(&New::Struct { name: "pt_regs", size: 168, members: &[] });
    let word = |types: &mut Builder| {
        types.add(&New::Int { name: "u64", size: 8, bits: 64, signed: false, char: false, bool: false })
    };
    for tagged in [false, true] {
        for ty in [ProgType::XDP, ProgType::SCHED_CLS, ProgType::SOCKET_FILTER, ProgType::RAW_TRACEPOINT] {
            assert_eq!(load(&program(ty, void, tagged)), Ok(()), "{ty:?}, tagged: {tagged}");
        }
        assert_eq!(load(&program(ProgType::KPROBE, registers, tagged)), Ok(()), "tagged: {tagged}");
        assert_eq!(load(&program(ProgType::RAW_TRACEPOINT, word, tagged)), Ok(()), "tagged: {tagged}");
    }
    // What the source does not promise is not made up.
    let unpromised = Program { args: Vec::new(), ..program(ProgType::XDP, void, false) };
    let refused = load(&unpromised).expect_err("no kernel takes any pointer");
    assert!(refused.contains("size cannot be determined"), "{refused}");
}
