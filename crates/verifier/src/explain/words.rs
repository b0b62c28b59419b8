//! Registers and numbers in plain words.

use super::Story;
use crate::{
    scalar::Scalar,
    state::{AT_PACKET_END, BEYOND_PACKET_END, Flags, Kind, Reg},
};
use alveary_abi::Arg;
use alveary_isa::{AtomicOp, Inst, Operand};

/// The registers that an instruction reads.
pub(super) fn read_by(story: &Story<'_>, insn: u32) -> Vec<u8> {
    let operand = |src: Operand| match src {
        Operand::Reg(src) => Some(src.0),
        Operand::Imm(_) => None,
    };
    match story.program().inst(insn) {
        Some(Inst::Alu { op: alveary_isa::AluOp::Mov, src, .. }) => operand(src).into_iter().collect(),
        Some(Inst::Alu { dst, src, .. } | Inst::Jmp { dst, src, .. } | Inst::Store { dst, src, .. }) => {
            [Some(dst.0), operand(src)].into_iter().flatten().collect()
        }
        Some(Inst::Neg { dst, .. } | Inst::Swap { dst, .. }) => vec![dst.0],
        Some(Inst::MovSx { src, .. } | Inst::Load { src, .. } | Inst::LoadAcquire { src, .. }) => vec![src.0],
        Some(Inst::StoreRelease { dst, src, .. }) => vec![dst.0, src.0],
        Some(Inst::Atomic { op, dst, src, .. }) => {
            let compared = (op == AtomicOp::Cmpxchg).then_some(0);
            [Some(dst.0), Some(src.0), compared].into_iter().flatten().collect()
        }
        Some(Inst::CallHelper { .. }) => {
            let proto = story.helper_at(insn).and_then(|(_, proto)| proto);
            let count = proto.map_or(0, |proto| proto.args.iter().take_while(|arg| **arg != Arg::None).count());
            (1..=count as u8).collect()
        }
        Some(Inst::Exit) => vec![0],
        _ => Vec::new(),
    }
}

/// What is known of a register.
pub(super) fn describe(story: &Story<'_>, reg: &Reg) -> String {
    let offset = offset(reg);
    let map = || match story.map_name(reg) {
        Some(name) => format!("map `{name}`"),
        None => "a map".to_owned(),
    };
    let sized = |what: &str, size: u32| format!("{what} of {}", bytes(size.into()));
    let mut text = match reg.ty.kind {
        Kind::Uninit => return "nothing was written to it".to_owned(),
        Kind::Scalar => return number(&reg.val),
        Kind::Ctx => format!("the context{offset}"),
        Kind::MapPtr => map(),
        Kind::MapValue => {
            let size = story.program().maps.get(reg.extra as usize).map_or(0, |map| map.value_size);
            format!("a value of {} ({}){offset}", map(), bytes(size.into()))
        }
        Kind::MapKey => format!("a key of {}{offset}", map()),
        Kind::Stack => match reg.val.value() {
            Some(value) => format!("the stack at {}", frame_offset(i64::from(reg.off) + value as i64)),
            None => format!("the stack{offset}"),
        },
        Kind::Packet => format!("the packet{offset}, {}", proven(reg)),
        Kind::PacketMeta => format!("the packet's metadata{offset}, {}", proven(reg)),
        Kind::PacketEnd => format!("the packet's end{offset}"),
        Kind::FlowKeys => format!("flow keys{offset}"),
        Kind::Socket => format!("a socket{offset}"),
        Kind::SockCommon => format!("a socket's common part{offset}"),
        Kind::TcpSock => format!("a TCP socket{offset}"),
        Kind::XdpSock => format!("an AF_XDP socket{offset}"),
        Kind::TpBuffer => format!("the tracepoint's buffer{offset}"),
        Kind::Mem if reg.ty.flags.has(Flags::RINGBUF) => format!("{}{offset}", sized("ring buffer memory", reg.extra)),
        Kind::Mem if reg.ty.untrusted() => format!("memory of the kernel{offset}"),
        Kind::Mem => format!("{}{offset}", sized("memory", reg.extra)),
        Kind::Buf => format!("a buffer{offset}"),
        Kind::Func => "a function".to_owned(),
        Kind::Dynptr => format!("a dynptr that was lent{offset}"),
        Kind::Object => format!("{}{offset}", object(story, reg)),
    };
    if reg.ty.read_only() {
        text.push_str(", only to be read");
    }
    if reg.ty.maybe_null() {
        text.push_str(", or NULL");
    }
    text
}

/// What kind of thing a register is, without numbers: `a pointer into the packet`.
pub(super) fn kind(story: &Story<'_>, reg: &Reg) -> String {
    let text = match reg.ty.kind {
        Kind::Uninit => "nothing",
        Kind::Scalar if reg.is_null() => "NULL",
        Kind::Scalar => "a number",
        Kind::Ctx => "the context",
        Kind::MapPtr => "a map",
        Kind::MapValue => {
            let name = story.map_name(reg).map_or_else(|| "a map".to_owned(), |name| format!("map `{name}`"));
            let null = if reg.ty.maybe_null() { " or NULL" } else { "" };
            return format!("a value of {name}{null}");
        }
        Kind::MapKey => "a map's key",
        Kind::Stack => "a pointer to the stack",
        Kind::Packet => "a pointer into the packet",
        Kind::PacketMeta => "a pointer into the packet's metadata",
        Kind::PacketEnd => "the packet's end",
        Kind::FlowKeys => "a pointer to flow keys",
        Kind::Socket | Kind::SockCommon => "a socket",
        Kind::TcpSock => "a TCP socket",
        Kind::XdpSock => "an AF_XDP socket",
        Kind::TpBuffer => "a tracepoint's buffer",
        Kind::Mem if reg.ty.flags.has(Flags::RINGBUF) => "ring buffer memory",
        Kind::Mem => "memory",
        Kind::Buf => "a buffer",
        Kind::Func => "a function",
        Kind::Dynptr => "a dynptr that was lent",
        Kind::Object => &object(story, reg),
    };
    if reg.ty.maybe_null() { format!("{text} or NULL") } else { text.to_owned() }
}

/// `the kernel's struct file`, and whose it is.
fn object(story: &Story<'_>, reg: &Reg) -> String {
    let name = story.object_name(reg).map_or_else(|| "an object".to_owned(), |name| format!("struct {name}"));
    let whose = if reg.ty.flags.has(Flags::USER) { "a process's" } else { "the kernel's" };
    let each = if reg.ty.flags.has(Flags::PER_CPU) { ", of which each CPU has one" } else { "" };
    format!("{whose} {name}{each}")
}

/// ` + 14 + (0 to 60)`: how far a pointer is from what it points to.
pub(super) fn offset(reg: &Reg) -> String {
    let mut text = String::new();
    let known = reg.val.value().map(|value| i64::from(reg.off).wrapping_add(value as i64));
    let constant = known.unwrap_or(reg.off.into());
    if constant != 0 {
        let sign = if constant < 0 { '-' } else { '+' };
        text.push_str(&format!(" {sign} {}", constant.unsigned_abs()));
    }
    if known.is_none() {
        text.push_str(&format!(" + ({})", range(&reg.val)));
    }
    text
}

/// An offset from the frame pointer: `r10 - 8`.
pub(super) fn frame_offset(at: i64) -> String {
    match at {
        0 => "r10".to_owned(),
        at if at < 0 => format!("r10 - {}", at.unsigned_abs()),
        at => format!("r10 + {at}"),
    }
}

fn proven(reg: &Reg) -> String {
    match reg.range() {
        0 => "nothing proven".to_owned(),
        BEYOND_PACKET_END => "beyond the packet's end".to_owned(),
        AT_PACKET_END => "at the packet's end or beyond".to_owned(),
        range if reg.id == 0 => format!("{} proven", bytes(range.into())),
        range => format!("{} proven from where it was moved to", bytes(range.into())),
    }
}

/// A number in plain words: `the number 5`, `a number from 0 to 60`.
pub(super) fn number(val: &Scalar) -> String {
    let wide = val.wide;
    match val.value() {
        Some(value) => format!("the number {}", constant(value)),
        None if any(val) => "any number".to_owned(),
        None if wide.smin == i64::MIN && wide.umax == u64::MAX => {
            format!("a number of at most {}, which may be negative", wide.smax)
        }
        None if wide.smin < 0 && wide.smax == i64::MAX => format!("a number of at least {}", wide.smin),
        None => format!("a number from {}", range(val)),
    }
}

/// Whether next to nothing is known of a number.
pub(super) fn any(val: &Scalar) -> bool {
    const HUGE: i64 = 1 << 62;
    let wide = val.wide;
    wide.umax > 1 << 63 && wide.smin < -HUGE && wide.smax > HUGE
}

/// The limits of a number: `0 to 60`.
pub(super) fn range(val: &Scalar) -> String {
    let wide = val.wide;
    match val.value() {
        Some(value) => constant(value),
        None if any(val) => "any number".to_owned(),
        None if wide.smin >= 0 || wide.umax < u64::MAX && wide.smin == i64::MIN => {
            format!("{} to {}", constant(wide.umin), constant(wide.umax))
        }
        None if wide.smin == i64::MIN => format!("{} and below", wide.smax),
        None if wide.smax == i64::MAX => format!("{} and above", wide.smin),
        None => format!("{} to {}", wide.smin, wide.smax),
    }
}

/// A constant; those that take more than 40 bits in hexadecimal.
pub(super) fn constant(value: u64) -> String {
    let signed = value as i64;
    match signed {
        0..=0xff_ffff_ffff => value.to_string(),
        -0x8000_0000..0 => signed.to_string(),
        _ => format!("{value:#x}"),
    }
}

/// `1 byte`, `4 bytes`.
pub(super) fn bytes(count: i64) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}
