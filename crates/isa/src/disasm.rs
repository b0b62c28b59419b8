//! From instructions to text: the notation that the kernel's log and llvm-objdump share, one instruction a line.
//!
//! Knows names only through [`Names`]; which helper is called 1 is the caller's to say.

use crate::opcode::{alu_sign, cmp_sign};
use crate::{AtomicOp, Inst, Operand, Reg, Swap, Wide, Width};
use std::fmt::{self, Display, Formatter};

/// Which of the three dialects of the notation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Style {
    /// Decimal, and nothing is lost: [`assemble`](crate::asm::assemble) reads every line back as the same instruction.
    #[default]
    Plain,
    /// `llvm-objdump -d`: hexadecimal, 32-bit registers in narrow loads and stores. Loses the kind of call and constant.
    Llvm,
    /// The kernel's verifier log: `(r1 +4)`, `goto pc+3`. Loses the module of a kernel function, the kind of constant.
    Kernel,
}

/// Gives names to what instructions hold as numbers. Each method may know nothing.
pub trait Names {
    /// The helper with this number.
    fn helper(&self, id: i32) -> Option<&str> {
        let _ = id;
        None
    }

    /// The kernel function with this BTF id, in the kernel (`off` = 0) or a module.
    fn kfunc(&self, btf_id: i32, off: i16) -> Option<&str> {
        let _ = (btf_id, off);
        None
    }

    /// What the `ld_imm64` at slot `at` takes the address of: a map, a variable, a function.
    fn address(&self, at: usize) -> Option<&str> {
        let _ = at;
        None
    }

    /// The label or function at slot `at`, for jumps and calls that go there.
    fn label(&self, at: usize) -> Option<&str> {
        let _ = at;
        None
    }
}

/// No names: numbers as they are.
impl Names for () {}

/// How instructions are written.
#[derive(Clone, Copy)]
pub struct Notation<'a> {
    /// The dialect.
    pub style: Style,
    /// Where names come from.
    pub names: &'a dyn Names,
}

impl Default for Notation<'_> {
    fn default() -> Self {
        Notation { style: Style::Plain, names: &() }
    }
}

impl<'a> Notation<'a> {
    /// The text of the instruction at slot `at`. Only names depend on `at`.
    #[must_use]
    pub fn text(self, at: usize, inst: Inst) -> impl Display + 'a {
        Text { notation: self, at, inst }
    }
}

/// [`Style::Plain`], without names.
impl Display for Inst {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Text { notation: Notation::default(), at: 0, inst: *self }.fmt(f)
    }
}

struct Text<'a> {
    notation: Notation<'a>,
    at: usize,
    inst: Inst,
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let style = self.notation.style;
        let number = |value: i32| Number { style, value: i64::from(value) };
        let pointer = |sign, width, base, off| Pointer { style, sign, width, base, off };
        match self.inst {
            Inst::Alu { wide, op, dst, src } => {
                write!(f, "{} {} {}", Sized(wide, dst), alu_sign(op), Second { style, wide, src })
            }
            Inst::Neg { wide, dst } => write!(f, "{0} = -{0}", Sized(wide, dst)),
            Inst::MovSx { wide, bits, dst, src } => write!(f, "{} = (s{bits}){}", Sized(wide, dst), Sized(wide, src)),
            Inst::Swap { kind, bits, dst } => {
                let kind = match kind {
                    Swap::ToLe => "le",
                    Swap::ToBe => "be",
                    Swap::Bswap => "bswap",
                };
                write!(f, "{dst} = {kind}{bits} {dst}")
            }
            Inst::AddrSpaceCast { dst, src, to, from } => {
                write!(f, "{dst} = addr_space_cast({src}, {}, {})", number(to.into()), number(from.into()))
            }
            Inst::LoadImm64 { dst, .. }
            | Inst::MapFd { dst, .. }
            | Inst::MapValueFd { dst, .. }
            | Inst::VarAddr { dst, .. }
            | Inst::FuncAddr { dst, .. }
            | Inst::MapIdx { dst, .. }
            | Inst::MapValueIdx { dst, .. } => {
                write!(f, "{dst} = ")?;
                self.constant(f)
            }
            Inst::Load { width, signed, dst, src, off } => {
                let sign = if signed { 's' } else { 'u' };
                let dst = self.narrow(width, signed, dst);
                write!(f, "{dst} = *{}", pointer(sign, width, src, off))
            }
            Inst::Store { width, dst, off, src: Operand::Reg(src) } => {
                write!(f, "*{} = {}", pointer('u', width, dst, off), self.narrow(width, false, src))
            }
            Inst::Store { width, dst, off, src: Operand::Imm(imm) } => {
                write!(f, "*{} = {}", pointer('u', width, dst, off), number(imm))
            }
            Inst::Atomic { width, op, dst, src, off } => self.atomic(f, width, op, src, pointer('u', width, dst, off)),
            Inst::LoadAcquire { width, dst, src, off } => {
                write!(f, "{} = load_acquire({})", self.atomic_reg(width, dst), pointer('u', width, src, off))
            }
            Inst::StoreRelease { width, dst, src, off } => {
                write!(f, "store_release({}, {})", pointer('u', width, dst, off), self.atomic_reg(width, src))
            }
            Inst::LoadAbs { width, imm } => write!(f, "r0 = *({} *)skb[{}]", Type('u', width), number(imm)),
            Inst::LoadInd { width, src, imm: 0 } if style != Style::Kernel => {
                write!(f, "r0 = *({} *)skb[{src}]", Type('u', width))
            }
            Inst::LoadInd { width, src, imm } => {
                write!(f, "r0 = *({} *)skb[{src} + {}]", Type('u', width), number(imm))
            }
            Inst::Ja { off, long } => {
                write!(f, "{} {}", if long { "gotol" } else { "goto" }, self.target(off))
            }
            Inst::MayGoto { off } => write!(f, "may_goto {}", self.target(off.into())),
            Inst::GotoX { dst } => write!(f, "gotox {dst}"),
            Inst::Jmp { wide, op, dst, src, off } => {
                let (dst, sign, target) = (Sized(wide, dst), cmp_sign(op), self.target(off.into()));
                match src {
                    Operand::Imm(imm) if style == Style::Kernel => write!(f, "if {dst} {sign} {imm:#x} goto {target}"),
                    _ => write!(f, "if {dst} {sign} {} goto {target}", Second { style, wide, src }),
                }
            }
            Inst::CallHelper { id } => match self.notation.names.helper(id) {
                Some(name) => write!(f, "call {name}#{id}"),
                None if style == Style::Kernel => write!(f, "call unknown#{id}"),
                None => write!(f, "call {}", number(id)),
            },
            Inst::CallLocal { rel } => match (self.label(rel), style) {
                (Some(name), _) => write!(f, "call {name}"),
                (None, Style::Llvm) => write!(f, "call {}", number(rel)),
                (None, _) => write!(f, "call pc{rel:+}"),
            },
            Inst::CallKfunc { btf_id, off } => match (self.notation.names.kfunc(btf_id, off), style) {
                (_, Style::Llvm) => write!(f, "call {}", number(btf_id)),
                (name, Style::Kernel) => write!(f, "call {}#{btf_id}", name.unwrap_or("kernel-function")),
                (name, Style::Plain) => {
                    f.write_str("call kernel-function")?;
                    if let Some(name) = name {
                        write!(f, " {name}")?;
                    }
                    write!(f, "#{btf_id}")?;
                    if off != 0 { write!(f, "@{off}") } else { Ok(()) }
                }
            },
            Inst::CallX { dst, in_imm: true } if style == Style::Plain => write!(f, "callx imm({dst})"),
            Inst::CallX { dst, .. } => write!(f, "callx {dst}"),
            Inst::Exit => f.write_str("exit"),
        }
    }
}

impl Text<'_> {
    /// The right side of an `ld_imm64`, in the words of RFC 9669's table.
    fn constant(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let plain = self.notation.style == Style::Plain;
        let suffix = if self.notation.style == Style::Kernel { "" } else { " ll" };
        let (low, offset) = match self.inst {
            Inst::MapFd { fd, .. } => (fd as u32, 0),
            Inst::MapValueFd { fd, off, .. } => (fd as u32, off),
            Inst::VarAddr { btf_id, btf_fd, .. } => (btf_id, btf_fd as u32),
            Inst::FuncAddr { rel, .. } => (rel as u32, 0),
            Inst::MapIdx { idx, .. } => (idx, 0),
            Inst::MapValueIdx { idx, off, .. } => (idx, off),
            Inst::LoadImm64 { value, .. } => (value as u32, (value >> 32) as u32),
            _ => (0, 0),
        };
        let name = match self.inst {
            Inst::FuncAddr { rel, .. } => self.notation.names.address(self.at).or_else(|| self.label(rel)),
            _ => self.notation.names.address(self.at),
        };
        match (name, self.inst) {
            (Some(name), Inst::MapValueFd { off, .. } | Inst::MapValueIdx { off, .. }) if off != 0 => {
                return write!(f, "{name} + {off}{suffix}");
            }
            (Some(name), _) => return write!(f, "{name}{suffix}"),
            _ => {}
        }
        match self.inst {
            Inst::MapFd { fd, .. } if plain => write!(f, "map_by_fd({fd})"),
            Inst::MapValueFd { fd, off, .. } if plain => write!(f, "map_val(map_by_fd({fd})) + {off}"),
            Inst::VarAddr { btf_id, btf_fd: 0, .. } if plain => write!(f, "var_addr({btf_id})"),
            Inst::VarAddr { btf_id, btf_fd, .. } if plain => write!(f, "var_addr({btf_id}, {btf_fd})"),
            Inst::FuncAddr { rel, .. } if plain => write!(f, "code_addr({rel:+})"),
            Inst::MapIdx { idx, .. } if plain => write!(f, "map_by_idx({idx})"),
            Inst::MapValueIdx { idx, off, .. } if plain => write!(f, "map_val(map_by_idx({idx})) + {off}"),
            _ => {
                let value = u64::from(offset) << 32 | u64::from(low);
                match (self.notation.style, value as i64) {
                    (Style::Llvm, signed @ ..0) => write!(f, "-{:#x} ll", signed.unsigned_abs()),
                    _ => write!(f, "{value:#x}{suffix}"),
                }
            }
        }
    }

    fn atomic(&self, f: &mut Formatter<'_>, width: Width, op: AtomicOp, src: Reg, pointer: Pointer) -> fmt::Result {
        let reg = self.atomic_reg(width, src);
        let r0 = self.atomic_reg(width, Reg::R0);
        let (name, fetch, sign) = match op {
            AtomicOp::Add { fetch } => ("add", fetch, "+="),
            AtomicOp::Or { fetch } => ("or", fetch, "|="),
            AtomicOp::And { fetch } => ("and", fetch, "&="),
            AtomicOp::Xor { fetch } => ("xor", fetch, "^="),
            AtomicOp::Xchg => ("xchg", true, ""),
            AtomicOp::Cmpxchg => ("cmpxchg", true, ""),
        };
        if !fetch {
            return write!(f, "lock *{pointer} {sign} {reg}");
        }
        let size = if width == Width::B8 { "64" } else { "" };
        let suffix = if width == Width::B8 { "_64" } else { "32_32" };
        let address = Address { style: pointer.style, base: pointer.base, off: pointer.off };
        match (op, self.notation.style) {
            (AtomicOp::Cmpxchg, Style::Kernel) => write!(f, "r0 = atomic{size}_cmpxchg({pointer}, r0, {reg})"),
            (AtomicOp::Xchg, Style::Kernel) => write!(f, "{reg} = atomic{size}_xchg({pointer}, {reg})"),
            (_, Style::Kernel) => write!(f, "{reg} = atomic{size}_fetch_{name}({pointer}, {reg})"),
            (AtomicOp::Cmpxchg, _) => write!(f, "{r0} = cmpxchg{suffix}({address}, {r0}, {reg})"),
            (AtomicOp::Xchg, _) => write!(f, "{reg} = xchg{suffix}({address}, {reg})"),
            _ => write!(f, "{reg} = atomic_fetch_{name}({pointer}, {reg})"),
        }
    }

    /// The register of an atomic access: llvm writes its low half where the access is narrow, the kernel does not.
    fn atomic_reg(&self, width: Width, reg: Reg) -> Sized {
        Sized(if width == Width::B8 || self.notation.style == Style::Kernel { Wide::W64 } else { Wide::W32 }, reg)
    }

    /// The register of a plain load or store: only llvm-objdump writes its low half.
    fn narrow(&self, width: Width, signed: bool, reg: Reg) -> Sized {
        let low = self.notation.style == Style::Llvm && width != Width::B8 && !signed;
        Sized(if low { Wide::W32 } else { Wide::W64 }, reg)
    }

    /// The name of the slot that is `rel` after the next one.
    fn label(&self, rel: i32) -> Option<&str> {
        let slot = i64::try_from(self.at).ok()? + 1 + i64::from(rel);
        self.notation.names.label(usize::try_from(slot).ok()?)
    }

    fn target(&self, rel: i32) -> Target<'_> {
        Target { style: self.notation.style, name: self.label(rel), rel }
    }
}

/// A register by the name of its width.
struct Sized(Wide, Reg);

impl Display for Sized {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.0 == Wide::W64 { 'r' } else { 'w' }, self.1.0)
    }
}

struct Second {
    style: Style,
    wide: Wide,
    src: Operand,
}

impl Display for Second {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.src {
            Operand::Reg(reg) => Sized(self.wide, reg).fmt(f),
            Operand::Imm(imm) => Number { style: self.style, value: imm.into() }.fmt(f),
        }
    }
}

struct Number {
    style: Style,
    value: i64,
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.style {
            Style::Llvm if self.value < 0 => write!(f, "-{:#x}", self.value.unsigned_abs()),
            Style::Llvm => write!(f, "{:#x}", self.value),
            Style::Plain | Style::Kernel => write!(f, "{}", self.value),
        }
    }
}

/// `u32`, `s8` …
struct Type(char, Width);

impl Display for Type {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0, self.1.bytes() * 8)
    }
}

/// `r1 + 4`.
struct Address {
    style: Style,
    base: Reg,
    off: i16,
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (style, base, off) = (self.style, self.base, self.off);
        if style == Style::Kernel {
            return write!(f, "{base} {off:+}");
        }
        let sign = if off < 0 { '-' } else { '+' };
        write!(f, "{base} {sign} {}", Number { style, value: off.unsigned_abs().into() })
    }
}

/// `(u32 *)(r1 + 4)`.
struct Pointer {
    style: Style,
    sign: char,
    width: Width,
    base: Reg,
    off: i16,
}

impl Display for Pointer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let address = Address { style: self.style, base: self.base, off: self.off };
        write!(f, "({} *)({address})", Type(self.sign, self.width))
    }
}

/// Where a jump goes.
struct Target<'a> {
    style: Style,
    name: Option<&'a str>,
    rel: i32,
}

impl Display for Target<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.name, self.style) {
            (Some(name), _) => f.write_str(name),
            (None, Style::Plain) => write!(f, "{:+}", self.rel),
            (None, Style::Kernel) => write!(f, "pc{:+}", self.rel),
            (None, Style::Llvm) => {
                let sign = if self.rel < 0 { '-' } else { '+' };
                write!(f, "{sign}{:#x}", self.rel.unsigned_abs())
            }
        }
    }
}
