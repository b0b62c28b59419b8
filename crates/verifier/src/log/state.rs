//! Registers and stack slots in the kernel's notation.

use crate::{
    program::Map,
    scalar::{Id, Printed, print_snum, print_unum},
    state::{ADD_CONST, Byte, Kind, Reg, State},
};
use alveary_btf::Btf;
use std::fmt::{self, Display, Write};

/// What registers point to has names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) maps: &'a [Map],
    /// The kernel's types, if they are known.
    pub(crate) types: Option<&'a Btf>,
}

/// Prints those registers and slots of a frame that the masks name.
pub(super) fn print(
    out: &mut String,
    state: &State,
    number: usize,
    masks: (u32, u64),
    known: (Names<'_>, bool),
) -> fmt::Result {
    let frame = state.frame(number);
    if frame.number != 0 {
        write!(out, " frame{}:", frame.number)?;
    }
    for (n, reg) in frame.regs.iter().enumerate().filter(|(n, _)| masks.0 >> n & 1 != 0) {
        if reg.ty.kind != Kind::Uninit {
            write!(out, " R{n}=")?;
            print_reg(out, reg, frame.number, known)?;
        }
    }
    for (n, slot) in frame.stack.iter().enumerate().filter(|(n, _)| masks.1 >> (n & 63) & 1 != 0) {
        if slot.bytes.iter().all(|byte| *byte == Byte::Invalid) {
            continue;
        }
        write!(out, " fp{}=", -8 * (n as i64 + 1))?;
        let spilled = slot.is_spill();
        let shown = if spilled { slot.bytes.iter().take_while(|b| **b != Byte::Spill).count() } else { 8 };
        for byte in &slot.bytes[..shown] {
            out.push(match byte {
                Byte::Invalid => '?',
                Byte::Spill => 'r',
                Byte::Misc => 'm',
                Byte::Zero => '0',
            });
        }
        if spilled {
            print_reg(out, &slot.reg, frame.number, known)?;
        }
    }
    if !state.refs.is_empty() {
        let ids: Vec<String> = state.refs.iter().map(|r| r.id.to_string()).collect();
        write!(out, " refs={}", ids.join(","))?;
    }
    out.push_str(if frame.in_callback { " cb" } else { "" });
    out.push_str(if frame.in_async_callback { " async_cb" } else { "" });
    out.push('\n');
    Ok(())
}

fn print_reg(out: &mut String, reg: &Reg, frame: u8, (names, precise): (Names<'_>, bool)) -> fmt::Result {
    if reg.is_scalar() {
        let distance = (reg.id & ADD_CONST != 0).then_some(reg.off);
        let id = Id { id: reg.id & !ADD_CONST, distance };
        return write!(out, "{}", Printed { scalar: &reg.val, id, precise: reg.precise || precise });
    }
    write!(out, "{}", reg.ty)?;
    if let (Some(ty), Some(types)) = (reg.object_type(), names.types) {
        out.push_str(types.name(ty));
    }
    if reg.ty.kind == Kind::Stack {
        if reg.frame != frame {
            write!(out, "[{}]", reg.frame)?;
        }
        if let Some(value) = reg.val.value() {
            return print_snum(out, value as i64 + i64::from(reg.off));
        }
    }
    out.push('(');
    let mut list = List { out, separator: "" };
    if reg.id != 0 {
        list.item(format_args!("id={}", reg.id))?;
    }
    if reg.ref_id != 0 {
        list.item(format_args!("ref_obj_id={}", reg.ref_id))?;
    }
    if let Some(map) = names.maps.get(reg.extra as usize).filter(|_| reg.ty.has_map()) {
        if !map.name.is_empty() {
            list.item(format_args!("map={}", map.name))?;
        }
        list.item(format_args!("ks={},vs={}", map.key_size, map.value_size))?;
    }
    if reg.off != 0 {
        list.item(format_args!("off="))?;
        print_snum(list.out, reg.off.into())?;
    }
    if reg.ty.is_packet_or_end() && reg.ty.kind != Kind::PacketEnd {
        list.item(format_args!("r="))?;
        print_unum(list.out, i64::from(reg.range()) as u64)?;
    }
    if reg.ty.kind == Kind::Mem {
        list.item(format_args!("sz="))?;
        print_unum(list.out, reg.extra.into())?;
    }
    match reg.val.value() {
        Some(0) => {}
        Some(value) => {
            list.item(format_args!("imm="))?;
            print_snum(list.out, value as i64)?;
        }
        None => reg.val.print_ranges(list.out, list.separator)?,
    }
    out.push(')');
    Ok(())
}

/// Things with commas between them.
struct List<'a> {
    out: &'a mut String,
    separator: &'static str,
}

impl List<'_> {
    fn item(&mut self, words: fmt::Arguments<'_>) -> fmt::Result {
        self.out.push_str(self.separator);
        self.separator = ",";
        self.out.write_fmt(words)
    }
}

/// A set of registers as the log lists it (`r1,r6`).
pub(crate) struct ListedRegs(pub(crate) u32);

impl Display for ListedRegs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for n in (0..32).filter(|n| self.0 >> n & 1 != 0) {
            write!(f, "{separator}r{n}")?;
            separator = ",";
        }
        Ok(())
    }
}

/// A set of stack slots as the log lists it (`-8,-16`).
pub(crate) struct ListedSlots(pub(crate) u64);

impl Display for ListedSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for n in (0..64).filter(|n| self.0 >> n & 1 != 0) {
            write!(f, "{separator}{}", -(n + 1) * 8)?;
            separator = ",";
        }
        Ok(())
    }
}
