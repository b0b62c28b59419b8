//! What the disassembler writes, the assembler reads back; and the three dialects, each by an example.

mod common;

use alveary_isa::asm::assemble;
use alveary_isa::disasm::{Names, Notation, Style};
use alveary_isa::{AluOp, AtomicOp, CmpOp, Inst, Operand, Reg, Swap, Wide, Width, encode};
use common::{Draw, SHAPES, inst};

#[test]
fn generated_instructions_survive_the_text() {
    let mut draw = Draw::new(11);
    for round in 0..600 {
        let insts: Vec<Inst> = (0..100).map(|n| inst(&mut draw, (round + n) % SHAPES)).collect();
        let text: String = insts.iter().map(|inst| format!("{inst}\n")).collect();
        let (assembly, errors) = assemble(&text, &|_| None);
        assert_eq!(errors, [], "{text}");
        let slots: Vec<_> = insts.iter().flat_map(|inst| encode(inst).to_vec()).collect();
        let raw = assembly.into_raw().expect("no symbols");
        assert_eq!(raw, slots, "{text}");
    }
}

#[test]
fn three_dialects() {
    let (r1, r2) = (Reg::R1, Reg::R2);
    #[rustfmt::skip]
    let rows = [
        (Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst: r1, src: Operand::Imm(-10) }, "r1 += -10", "r1 += -0xa", "r1 += -10"),
        (Inst::Alu { wide: Wide::W32, op: AluOp::SDiv, dst: r1, src: Operand::Reg(r2) }, "w1 s/= w2", "w1 s/= w2", "w1 s/= w2"),
        (Inst::Load { width: Width::B4, signed: false, dst: r1, src: r2, off: 16 }, "r1 = *(u32 *)(r2 + 16)", "w1 = *(u32 *)(r2 + 0x10)", "r1 = *(u32 *)(r2 +16)"),
        (Inst::Store { width: Width::B8, dst: Reg::FP, off: -8, src: Operand::Imm(16) }, "*(u64 *)(r10 - 8) = 16", "*(u64 *)(r10 - 0x8) = 0x10", "*(u64 *)(r10 -8) = 16"),
        (Inst::Jmp { wide: Wide::W32, op: CmpOp::SGt, dst: r1, src: Operand::Imm(16), off: -16 }, "if w1 s> 16 goto -16", "if w1 s> 0x10 goto -0x10", "if w1 s> 0x10 goto pc-16"),
        (Inst::Ja { off: 16, long: true }, "gotol +16", "gotol +0x10", "gotol pc+16"),
        (Inst::MayGoto { off: 1 }, "may_goto +1", "may_goto +0x1", "may_goto pc+1"),
        (Inst::Atomic { width: Width::B4, op: AtomicOp::Cmpxchg, dst: r1, src: r2, off: 8 }, "w0 = cmpxchg32_32(r1 + 8, w0, w2)", "w0 = cmpxchg32_32(r1 + 0x8, w0, w2)", "r0 = atomic_cmpxchg((u32 *)(r1 +8), r0, r2)"),
        (Inst::Atomic { width: Width::B8, op: AtomicOp::And { fetch: true }, dst: r1, src: r2, off: 8 }, "r2 = atomic_fetch_and((u64 *)(r1 + 8), r2)", "r2 = atomic_fetch_and((u64 *)(r1 + 0x8), r2)", "r2 = atomic64_fetch_and((u64 *)(r1 +8), r2)"),
        (Inst::LoadAcquire { width: Width::B8, dst: r1, src: r2, off: 8 }, "r1 = load_acquire((u64 *)(r2 + 8))", "r1 = load_acquire((u64 *)(r2 + 0x8))", "r1 = load_acquire((u64 *)(r2 +8))"),
        (Inst::StoreRelease { width: Width::B4, dst: r1, src: r2, off: 8 }, "store_release((u32 *)(r1 + 8), w2)", "store_release((u32 *)(r1 + 0x8), w2)", "store_release((u32 *)(r1 +8), r2)"),
        (Inst::Swap { kind: Swap::ToBe, bits: 16, dst: r1 }, "r1 = be16 r1", "r1 = be16 r1", "r1 = be16 r1"),
        (Inst::LoadImm64 { dst: r1, value: 0xfedc_ba98_7654_3210 }, "r1 = 0xfedcba9876543210 ll", "r1 = -0x123456789abcdf0 ll", "r1 = 0xfedcba9876543210"),
        (Inst::MapValueIdx { dst: r1, idx: 2, off: 8 }, "r1 = map_val(map_by_idx(2)) + 8", "r1 = 0x800000002 ll", "r1 = 0x800000002"),
        (Inst::LoadInd { width: Width::B2, src: r1, imm: 20 }, "r0 = *(u16 *)skb[r1 + 20]", "r0 = *(u16 *)skb[r1 + 0x14]", "r0 = *(u16 *)skb[r1 + 20]"),
        (Inst::CallHelper { id: 16 }, "call 16", "call 0x10", "call unknown#16"),
        (Inst::CallLocal { rel: 16 }, "call pc+16", "call 0x10", "call pc+16"),
        (Inst::CallKfunc { btf_id: 16, off: 3 }, "call kernel-function#16@3", "call 0x10", "call kernel-function#16"),
        (Inst::CallX { dst: r1, in_imm: true }, "callx imm(r1)", "callx r1", "callx r1"),
        (Inst::AddrSpaceCast { dst: r1, src: r2, to: 1, from: 0 }, "r1 = addr_space_cast(r2, 1, 0)", "r1 = addr_space_cast(r2, 0x1, 0x0)", "r1 = addr_space_cast(r2, 1, 0)"),
    ];
    for (inst, plain, llvm, kernel) in rows {
        for (style, expected) in [(Style::Plain, plain), (Style::Llvm, llvm), (Style::Kernel, kernel)] {
            assert_eq!(Notation { style, names: &() }.text(0, inst).to_string(), expected, "{style:?}");
        }
    }
}

struct Program;

impl Names for Program {
    fn helper(&self, id: i32) -> Option<&str> {
        (id == 1).then_some("bpf_map_lookup_elem")
    }

    fn kfunc(&self, btf_id: i32, _: i16) -> Option<&str> {
        (btf_id == 9).then_some("bpf_cast_to_kern_ctx")
    }

    fn address(&self, at: usize) -> Option<&str> {
        (at == 0).then_some("counters")
    }

    fn label(&self, at: usize) -> Option<&str> {
        (at == 4).then_some("out")
    }
}

#[test]
fn names_replace_numbers() {
    #[rustfmt::skip]
    let rows = [
        (0, Inst::MapIdx { dst: Reg::R1, idx: 0 }, "r1 = counters ll"),
        (0, Inst::MapValueIdx { dst: Reg::R1, idx: 0, off: 8 }, "r1 = counters + 8 ll"),
        (1, Inst::CallHelper { id: 1 }, "call bpf_map_lookup_elem#1"),
        (1, Inst::CallHelper { id: 2 }, "call 2"),
        (2, Inst::CallKfunc { btf_id: 9, off: 0 }, "call kernel-function bpf_cast_to_kern_ctx#9"),
        (3, Inst::Ja { off: 0, long: false }, "goto out"),
        (5, Inst::Jmp { wide: Wide::W64, op: CmpOp::Eq, dst: Reg::R1, src: Operand::Imm(0), off: -2 }, "if r1 == 0 goto out"),
        (9, Inst::CallLocal { rel: -6 }, "call out"),
        (9, Inst::FuncAddr { dst: Reg::R1, rel: -6 }, "r1 = out ll"),
        (0, Inst::Ja { off: -5, long: false }, "goto -5"),
    ];
    let notation = Notation { style: Style::Plain, names: &Program };
    for (at, inst, expected) in rows {
        assert_eq!(notation.text(at, inst).to_string(), expected);
    }
}
