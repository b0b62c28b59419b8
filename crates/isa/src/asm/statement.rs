//! The notation of the kernel and llvm, one statement a line: labels, directives, `r0 = *(u32 *)(r1 + 4)`.
//! What it does not know is a mnemonic.

use super::line::Line;
use super::resolve::Builder;
use super::{Parsed, mnemonic};
use crate::opcode::{ALU_SIGNS, CMP_SIGNS};
use crate::{AluOp, AtomicOp, CmpOp, Inst, Operand, Reg, Swap, Wide, Width};

/// Directives of compilers' output that say nothing about instructions.
const IGNORED: [&str; 11] =
    [".p2align", ".align", ".type", ".size", ".file", ".loc", ".ident", ".addrsig", ".addrsig_sym", ".local", ".weak"];

/// Names of types, width and sign.
const TYPES: [(&str, Width, bool); 7] = [
    ("u8", Width::B1, false),
    ("u16", Width::B2, false),
    ("u32", Width::B4, false),
    ("u64", Width::B8, false),
    ("s8", Width::B1, true),
    ("s16", Width::B2, true),
    ("s32", Width::B4, true),
];

/// Names of byte swaps.
pub(super) const SWAPS: [(&str, Swap, u8); 9] = [
    ("le16", Swap::ToLe, 16),
    ("le32", Swap::ToLe, 32),
    ("le64", Swap::ToLe, 64),
    ("be16", Swap::ToBe, 16),
    ("be32", Swap::ToBe, 32),
    ("be64", Swap::ToBe, 64),
    ("bswap16", Swap::Bswap, 16),
    ("bswap32", Swap::Bswap, 32),
    ("bswap64", Swap::Bswap, 64),
];

const LOCK_SIGNS: [(&str, AtomicOp); 4] = [
    ("+=", AtomicOp::Add { fetch: false }),
    ("|=", AtomicOp::Or { fetch: false }),
    ("&=", AtomicOp::And { fetch: false }),
    ("^=", AtomicOp::Xor { fetch: false }),
];

/// Fetching atomics as functions: name, operation, and the width if the name has it (else the pointer's type).
const FETCHES: [(&str, AtomicOp, Option<Width>); 16] = [
    ("atomic_fetch_add", AtomicOp::Add { fetch: true }, None),
    ("atomic_fetch_or", AtomicOp::Or { fetch: true }, None),
    ("atomic_fetch_and", AtomicOp::And { fetch: true }, None),
    ("atomic_fetch_xor", AtomicOp::Xor { fetch: true }, None),
    ("atomic64_fetch_add", AtomicOp::Add { fetch: true }, None),
    ("atomic64_fetch_or", AtomicOp::Or { fetch: true }, None),
    ("atomic64_fetch_and", AtomicOp::And { fetch: true }, None),
    ("atomic64_fetch_xor", AtomicOp::Xor { fetch: true }, None),
    ("xchg_64", AtomicOp::Xchg, Some(Width::B8)),
    ("xchg32_32", AtomicOp::Xchg, Some(Width::B4)),
    ("atomic_xchg", AtomicOp::Xchg, None),
    ("atomic64_xchg", AtomicOp::Xchg, None),
    ("cmpxchg_64", AtomicOp::Cmpxchg, Some(Width::B8)),
    ("cmpxchg32_32", AtomicOp::Cmpxchg, Some(Width::B4)),
    ("atomic_cmpxchg", AtomicOp::Cmpxchg, None),
    ("atomic64_cmpxchg", AtomicOp::Cmpxchg, None),
];

pub(super) fn statement(line: &mut Line, builder: &mut Builder) -> Parsed<()> {
    if let Some(number) = line.take_slot_number() {
        builder.check_slot(&number);
    }
    while let (Some(name), Some(":")) = (line.peek_word(0), line.peek_sign(1)) {
        if line.peek_register(0).is_some() {
            return Err(line.error("a register is no label", "another name"));
        }
        builder.label(name, line.here());
        line.skip(2);
    }
    if line.is_done() {
        return Ok(());
    }
    match line.peek_word(0) {
        Some(word) if word.starts_with('.') => directive(line, builder, word),
        Some("if") => branch(line, builder),
        Some("goto") => {
            line.skip(1);
            let target = line.target()?;
            line.end()?;
            builder.push_short(target, |off| Inst::Ja { off: off.into(), long: false })
        }
        Some("gotol") => {
            line.skip(1);
            let target = line.target()?;
            line.end()?;
            builder.push_long(target);
            Ok(())
        }
        Some("may_goto") => {
            line.skip(1);
            let target = line.target()?;
            line.end()?;
            builder.push_short(target, |off| Inst::MayGoto { off })
        }
        Some("call") => call(line, builder),
        Some(_) if line.peek_register(0).is_some() => assignment(line, builder),
        Some("lock") if line.peek_sign(1) != Some("*") => mnemonic::lock(line, builder),
        Some("gotox" | "callx" | "exit" | "lock" | "store_release") => {
            let inst = simple(line)?;
            line.end()?;
            builder.push(inst);
            Ok(())
        }
        Some(_) => mnemonic::statement(line, builder),
        None if line.peek_sign(0) == Some("*") => {
            let inst = store(line)?;
            line.end()?;
            builder.push(inst);
            Ok(())
        }
        None => Err(line.error("not a statement", "an instruction, a label or a directive")),
    }
}

fn directive(line: &mut Line, builder: &mut Builder, word: &str) -> Parsed<()> {
    match word {
        ".text" => builder.section(".text"),
        ".section" => {
            line.skip(1);
            let name = line.name("the section's name")?;
            builder.section(name);
            // Flags and type of the section say nothing about instructions.
            if line.take_sign(",") {
                line.skip_rest();
            }
            return line.end();
        }
        ".globl" | ".global" => {
            line.skip(1);
            let bytes = line.here();
            let name = line.name("the symbol's name")?;
            builder.global(name, bytes);
            return line.end();
        }
        _ if IGNORED.contains(&word) => {}
        _ => {
            let mut error = line.error("unknown directive", ".section, .text or .globl");
            error.help = "the assembler writes instructions only; data comes from C".into();
            return Err(error);
        }
    }
    line.skip_rest();
    Ok(())
}

/// Statements that are one instruction and refer to nothing.
fn simple(line: &mut Line) -> Parsed<Inst> {
    match line.word("an instruction")? {
        "gotox" => Ok(Inst::GotoX { dst: line.register(Wide::W64)? }),
        "callx" if line.take_word("imm") => {
            line.sign("(")?;
            let dst = line.register(Wide::W64)?;
            line.sign(")")?;
            Ok(Inst::CallX { dst, in_imm: dst != Reg::R0 })
        }
        "callx" => Ok(Inst::CallX { dst: line.register(Wide::W64)?, in_imm: false }),
        "lock" => {
            line.sign("*")?;
            let (width, dst, off) = unsigned_pointer(line)?;
            let sign = line.peek_sign(0);
            let Some(&(_, op)) = LOCK_SIGNS.iter().find(|row| Some(row.0) == sign) else {
                return Err(line.error("not an atomic operation", "+=, |=, &= or ^="));
            };
            line.skip(1);
            atomic_width(line, width)?;
            Ok(Inst::Atomic { width, op, dst, src: narrow_register(line, width)?, off })
        }
        "store_release" => {
            line.sign("(")?;
            let (width, dst, off) = unsigned_pointer(line)?;
            line.sign(",")?;
            let src = narrow_register(line, width)?;
            line.sign(")")?;
            Ok(Inst::StoreRelease { width, dst, src, off })
        }
        _ => Ok(Inst::Exit),
    }
}

/// `if r1 > 5 goto +3`.
fn branch(line: &mut Line, builder: &mut Builder) -> Parsed<()> {
    line.skip(1);
    let (wide, dst) = line.any_register()?;
    let sign = line.peek_sign(0);
    let Some(&(_, op)) = CMP_SIGNS.iter().find(|row| Some(row.0) == sign) else {
        return Err(line.error("not a comparison", "==, !=, &, >, >=, <, <=, s>, s>=, s< or s<="));
    };
    line.skip(1);
    let src = operand(line, wide)?;
    if !line.take_word("goto") {
        return Err(line.error("incomplete jump", "`goto`"));
    }
    jump(line, builder, wide, op, dst, src)
}

/// The end of a conditional jump in every notation.
pub(super) fn jump(
    line: &mut Line,
    builder: &mut Builder,
    wide: Wide,
    op: CmpOp,
    dst: Reg,
    src: Operand,
) -> Parsed<()> {
    let target = line.target()?;
    line.end()?;
    builder.push_short(target, |off| Inst::Jmp { wide, op, dst, src, off })
}

/// A helper by number or name, a function by name or distance, a kernel function by BTF id; also the suites' `call local`.
fn call(line: &mut Line, builder: &mut Builder) -> Parsed<()> {
    line.skip(1);
    if line.peek_register(0).is_some() {
        let dst = line.register(Wide::W64)?;
        line.end()?;
        builder.push(Inst::CallX { dst, in_imm: false });
        return Ok(());
    }
    let kind = line.peek_word(0).filter(|_| line.peek_number(1) || line.peek_word(1).is_some());
    let inst = match kind {
        Some("local") => {
            line.skip(1);
            let target = line.target()?;
            line.end()?;
            builder.push_call(target);
            return Ok(());
        }
        Some("helper") => {
            line.skip(1);
            Inst::CallHelper { id: line.imm()? }
        }
        Some("runtime") => {
            line.skip(1);
            Inst::CallKfunc { btf_id: line.imm()?, off: 0 }
        }
        _ if line.peek_word(0) == Some("kernel") && line.peek_sign(1) == Some("-") => kernel_function(line)?,
        _ if line.peek_word(0).is_some() && line.peek_sign(1) == Some("#") => {
            line.skip(2);
            Inst::CallHelper { id: line.imm()? }
        }
        _ if line.peek_number(0) => Inst::CallHelper { id: line.imm()? },
        _ => {
            let target = line.target()?;
            line.end()?;
            builder.push_call(target);
            return Ok(());
        }
    };
    line.end()?;
    builder.push(inst);
    Ok(())
}

/// `kernel-function [name]#id[@off]`.
fn kernel_function(line: &mut Line) -> Parsed<Inst> {
    line.skip(2);
    if !line.take_word("function") {
        return Err(line.error("incomplete call", "`kernel-function#` and a BTF id"));
    }
    if line.peek_word(0).is_some() {
        line.skip(1);
    }
    line.sign("#")?;
    let btf_id = line.imm()?;
    let off = if line.take_sign("@") {
        let number = line.number()?;
        i16::try_from(number.value).map_err(|_| number.error("an index of 16 bits"))?
    } else {
        0
    };
    Ok(Inst::CallKfunc { btf_id, off })
}

/// `*(u32 *)(r1 + 4) = …`.
fn store(line: &mut Line) -> Parsed<Inst> {
    line.sign("*")?;
    let (width, dst, off) = unsigned_pointer(line)?;
    line.sign("=")?;
    let src = if line.peek_register(0).is_some() {
        Operand::Reg(narrow_register(line, width)?)
    } else {
        Operand::Imm(line.imm()?)
    };
    Ok(Inst::Store { width, dst, off, src })
}

/// Everything that begins with a register.
fn assignment(line: &mut Line, builder: &mut Builder) -> Parsed<()> {
    let (wide, dst) = line.any_register()?;
    let sign = line.peek_sign(0);
    let Some(&(_, op)) = ALU_SIGNS.iter().find(|row| Some(row.0) == sign) else {
        return Err(line.error("not an assignment", "=, +=, -=, *=, /=, %=, s/=, s%=, &=, |=, ^=, <<=, >>= or s>>="));
    };
    line.skip(1);
    let inst = match op {
        AluOp::Mov => match value(line, builder, wide, dst)? {
            Some(inst) => inst,
            None => return Ok(()),
        },
        _ => Inst::Alu { wide, op, dst, src: operand(line, wide)? },
    };
    line.end()?;
    builder.push(inst);
    Ok(())
}

/// The right side of `=`. Nothing if it was a symbol's address, which the builder has got then.
fn value(line: &mut Line, builder: &mut Builder, wide: Wide, dst: Reg) -> Parsed<Option<Inst>> {
    if line.peek_register(0).is_some() {
        return Ok(Some(Inst::Alu { wide, op: AluOp::Mov, dst, src: Operand::Reg(line.register(wide)?) }));
    }
    if line.peek_sign(0) == Some("-") && line.peek_register(1).is_some() {
        line.skip(1);
        same_register(line, wide, dst)?;
        return Ok(Some(Inst::Neg { wide, dst }));
    }
    if line.peek_number(0) {
        let number = line.number()?;
        if line.take_word("ll") {
            only_64(line, wide)?;
            return Ok(Some(Inst::LoadImm64 { dst, value: number.bits64()? }));
        }
        let imm = number.bits32("a number of 32 bits").map_err(|mut error| {
            error.help = "a 64-bit constant has `ll` behind it".into();
            error
        })?;
        return Ok(Some(Inst::Alu { wide, op: AluOp::Mov, dst, src: Operand::Imm(imm) }));
    }
    match line.peek_sign(0) {
        Some("(") => return sign_extension(line, wide, dst).map(Some),
        Some("*") => return load(line, wide, dst).map(Some),
        _ => {}
    }
    let Some(word) = line.peek_word(0) else {
        return Err(line.error("not a value", "a register, a number, a load, a function of a register or a symbol"));
    };
    let bytes = line.here();
    if let Some(&(_, kind, bits)) = SWAPS.iter().find(|row| row.0 == word) {
        line.skip(1);
        only_64(line, wide)?;
        same_register(line, wide, dst)?;
        return Ok(Some(Inst::Swap { kind, bits, dst }));
    }
    if let Some(&(_, op, width)) = FETCHES.iter().find(|row| row.0 == word) {
        line.skip(1);
        return fetch(line, wide, dst, op, width).map(Some);
    }
    if line.peek_sign(1) == Some("(") {
        return function(line, wide, dst).map(Some);
    }
    line.skip(1);
    let addend = if line.take_sign("+") { line.imm()? as u32 } else { 0 };
    if !line.take_word("ll") {
        return Err(line.error("not a value", "`ll` after a symbol"));
    }
    only_64(line, wide)?;
    line.end()?;
    builder.push_address(dst, word, addend, bytes);
    Ok(None)
}

/// Values that are written as a call.
fn function(line: &mut Line, wide: Wide, dst: Reg) -> Parsed<Inst> {
    let before = line.error("unknown function", "load_acquire, addr_space_cast, map_by_fd, map_val, code_addr …");
    let name = line.word("a function")?;
    line.sign("(")?;
    let inst = match name {
        "addr_space_cast" => {
            let src = line.register(Wide::W64)?;
            line.sign(",")?;
            let to = address_space(line)?;
            line.sign(",")?;
            Inst::AddrSpaceCast { dst, src, to, from: address_space(line)? }
        }
        "load_acquire" => {
            let (width, src, off) = unsigned_pointer(line)?;
            line.sign(")")?;
            fits(line, wide, width)?;
            return Ok(Inst::LoadAcquire { width, dst, src, off });
        }
        "map_by_fd" => Inst::MapFd { dst, fd: line.imm()? },
        "map_by_idx" => Inst::MapIdx { dst, idx: index(line)? },
        "code_addr" => Inst::FuncAddr { dst, rel: line.imm()? },
        "var_addr" => {
            let btf_id = index(line)?;
            let btf_fd = if line.take_sign(",") { line.imm()? } else { 0 };
            Inst::VarAddr { dst, btf_id, btf_fd }
        }
        "map_val" => map_value(line, dst)?,
        _ => return Err(before),
    };
    if name != "map_val" {
        line.sign(")")?;
    }
    only_64(line, wide)?;
    line.take_word("ll");
    Ok(inst)
}

/// `map_val(map_by_fd(3)) + 8`, after its first bracket.
fn map_value(line: &mut Line, dst: Reg) -> Parsed<Inst> {
    let by_fd = line.take_word("map_by_fd");
    if !by_fd && !line.take_word("map_by_idx") {
        return Err(line.error("not a map", "map_by_fd(…) or map_by_idx(…)"));
    }
    line.sign("(")?;
    let map = line.number()?.bits_any32()?;
    line.sign(")")?;
    line.sign(")")?;
    let off = if line.take_sign("+") { index(line)? } else { 0 };
    Ok(if by_fd { Inst::MapValueFd { dst, fd: map as i32, off } } else { Inst::MapValueIdx { dst, idx: map, off } })
}

/// 32 bits in any spelling.
fn index(line: &mut Line) -> Parsed<u32> {
    line.number()?.bits_any32()
}

fn address_space(line: &mut Line) -> Parsed<u16> {
    let number = line.number()?;
    u16::try_from(number.value).map_err(|_| number.error("an address space: 0 to 65535"))
}

/// `(s8)r2`.
fn sign_extension(line: &mut Line, wide: Wide, dst: Reg) -> Parsed<Inst> {
    line.sign("(")?;
    let bits = match (line.peek_word(0), wide) {
        (Some("s8"), _) => 8,
        (Some("s16"), _) => 16,
        (Some("s32"), Wide::W64) => 32,
        (_, Wide::W64) => return Err(line.error("not a sign extension", "s8, s16 or s32")),
        (_, Wide::W32) => return Err(line.error("not a sign extension", "s8 or s16")),
    };
    line.skip(1);
    line.sign(")")?;
    Ok(Inst::MovSx { wide, bits, dst, src: line.register(wide)? })
}

/// `*(u32 *)(r1 + 4)` or `*(u8 *)skb[…]`.
fn load(line: &mut Line, wide: Wide, dst: Reg) -> Parsed<Inst> {
    line.sign("*")?;
    let (width, signed) = pointer_type(line)?;
    if !line.take_word("skb") {
        line.sign("(")?;
        let (src, off) = line.address()?;
        line.sign(")")?;
        fits(line, wide, if signed { Width::B8 } else { width })?;
        return Ok(Inst::Load { width, signed, dst, src, off });
    }
    if dst != Reg::R0 || signed || width == Width::B8 {
        return Err(line.error("not a packet load", "r0, and u8, u16 or u32"));
    }
    line.sign("[")?;
    let inst = if line.peek_register(0).is_some() {
        let src = line.register(Wide::W64)?;
        // The kernel writes `r3 + -4`.
        if line.peek_sign(0) == Some("+") && line.peek_sign(1) == Some("-") {
            line.skip(1);
        }
        Inst::LoadInd { width, src, imm: if line.peek_sign(0) == Some("]") { 0 } else { line.imm()? } }
    } else {
        Inst::LoadAbs { width, imm: line.imm()? }
    };
    line.sign("]")?;
    Ok(inst)
}

/// `atomic_fetch_add((u64 *)(r1 + 8), r2)`, `xchg_64(r1 + 8, r2)`, after the name.
fn fetch(line: &mut Line, wide: Wide, result: Reg, op: AtomicOp, width: Option<Width>) -> Parsed<Inst> {
    line.sign("(")?;
    let (width, dst, off) = match width {
        Some(width) => {
            let (dst, off) = line.address()?;
            (width, dst, off)
        }
        None => unsigned_pointer(line)?,
    };
    atomic_width(line, width)?;
    fits(line, wide, width)?;
    line.sign(",")?;
    let src = if op == AtomicOp::Cmpxchg {
        if narrow_register(line, width)? != Reg::R0 || result != Reg::R0 {
            return Err(line.error("cmpxchg compares with r0 and returns in r0", "r0 = cmpxchg(…, r0, register)"));
        }
        line.sign(",")?;
        narrow_register(line, width)?
    } else {
        let src = narrow_register(line, width)?;
        if src != result {
            return Err(line.error("a fetch returns in the register that it takes", &format!("r{}", result.0)));
        }
        src
    };
    line.sign(")")?;
    Ok(Inst::Atomic { width, op, dst, src, off })
}

/// `(u32 *)`.
fn pointer_type(line: &mut Line) -> Parsed<(Width, bool)> {
    line.sign("(")?;
    let word = line.peek_word(0);
    let Some(&(_, width, signed)) = TYPES.iter().find(|row| Some(row.0) == word) else {
        return Err(line.error("not a type", "u8, u16, u32, u64, s8, s16 or s32"));
    };
    line.skip(1);
    line.sign("*")?;
    line.sign(")")?;
    Ok((width, signed))
}

/// `(u32 *)(r1 + 4)`.
fn unsigned_pointer(line: &mut Line) -> Parsed<(Width, Reg, i16)> {
    let error = line.error("not a type that can be written here", "u8, u16, u32 or u64");
    let (width, signed) = pointer_type(line)?;
    if signed {
        return Err(error);
    }
    line.sign("(")?;
    let (base, off) = line.address()?;
    line.sign(")")?;
    Ok((width, base, off))
}

pub(super) fn operand(line: &mut Line, wide: Wide) -> Parsed<Operand> {
    if line.peek_register(0).is_some() {
        return Ok(Operand::Reg(line.register(wide)?));
    }
    if line.peek_number(0) {
        return Ok(Operand::Imm(line.imm()?));
    }
    Err(line.error("not an operand", "a register or a number"))
}

/// A register that is read or written `width` wide: its low half may be named if that is enough.
fn narrow_register(line: &mut Line, width: Width) -> Parsed<Reg> {
    if width == Width::B8 { line.register(Wide::W64) } else { Ok(line.any_register()?.1) }
}

fn fits(line: &Line, wide: Wide, width: Width) -> Parsed<()> {
    if wide == Wide::W32 && width == Width::B8 {
        return Err(line.error("64 bits do not fit into a 32-bit register", "a 64-bit register (r…) on the left"));
    }
    Ok(())
}

fn atomic_width(line: &Line, width: Width) -> Parsed<()> {
    if matches!(width, Width::B4 | Width::B8) {
        return Ok(());
    }
    Err(line.error("atomic operations work on 4 or 8 bytes", "u32 or u64"))
}

fn only_64(line: &Line, wide: Wide) -> Parsed<()> {
    if wide == Wide::W64 {
        return Ok(());
    }
    Err(line.error("this value needs a 64-bit register", "r… on the left"))
}

fn same_register(line: &mut Line, wide: Wide, dst: Reg) -> Parsed<()> {
    let error = line.error("the instruction works in place", &format!("register {} again", dst.0));
    if line.register(wide)? == dst { Ok(()) } else { Err(error) }
}
