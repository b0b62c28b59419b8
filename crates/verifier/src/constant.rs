//! `ld_imm64`: constants, maps, addresses in values, functions; and format strings, which are constants too.

use crate::{
    program::Variable,
    state::{Flags, Kind, Reg, Type},
    stop::{Check, reject},
    verifier::Verifier,
};
use alveary_abi::MapType;
use alveary_btf::Linkage;
use alveary_isa::Inst;

impl Verifier<'_> {
    pub(crate) fn check_constant(&mut self, dst: u8, inst: Inst) -> Check {
        self.check_write(dst)?;
        let reg = match inst {
            Inst::LoadImm64 { value, .. } => Reg::known(value),
            Inst::MapIdx { idx, .. } => Reg::map_pointer(Type::of(Kind::MapPtr), idx),
            Inst::MapValueIdx { idx, off, .. } => {
                if self.program.maps[idx as usize].ty == MapType::ARENA {
                    Reg::UNKNOWN
                } else {
                    Reg { off: off as i32, ..Reg::map_pointer(Type::of(Kind::MapValue), idx) }
                }
            }
            Inst::VarAddr { .. } => match self.program.variables.get(&self.insn).copied() {
                Some(Variable::Object(ty)) => Reg::object(ty, Flags::NONE),
                Some(Variable::PerCpu(ty)) => Reg::object(ty, Flags::PER_CPU),
                Some(Variable::Memory(size)) => Reg::memory(size, Flags::READ_ONLY),
                None => Reg::memory(0, Flags::READ_ONLY),
            },
            _ => self.function_address()?,
        };
        *self.reg_mut(dst) = reg;
        Ok(())
    }

    fn function_address(&mut self) -> Check<Reg> {
        let callee = self.program.callee(self.insn).and_then(|start| u32::try_from(start).ok());
        let subprog = callee.and_then(|start| self.program.subprog_at(start)).unwrap_or_default();
        if self.program.program.funcs.is_empty() || self.program.program.btf.is_none() {
            reject!(self, EINVAL, "missing btf func_info\n");
        }
        if self.program.linkage(subprog) != Some(Linkage::Static) {
            reject!(self, EINVAL, "callback function not static\n");
        }
        if subprog == 0 {
            reject!(self, EINVAL, "callback function cannot be the main program\n");
        }
        Ok(Reg { extra: subprog, ..Reg::pointer(Type::of(Kind::Func)) })
    }

    /// The format of `bpf_snprintf` against the number of its values.
    pub(crate) fn check_format(&mut self, format: u8, size: u8) -> Check {
        let bytes = self.reg(size).val.bits.ones;
        if !bytes.is_multiple_of(8) {
            reject!(self, EINVAL, "");
        }
        let reg = *self.reg(format);
        let text = reg.val.value().and_then(|value| self.text_at(&reg, value));
        if text.and_then(conversions).is_none_or(|count| count > bytes as usize / 8) {
            reject!(self, EINVAL, "Invalid format string\n");
        }
        Ok(())
    }
}

/// How many values a format takes; `None` if it is none that the kernel knows.
fn conversions(text: &[u8]) -> Option<usize> {
    let mut count = 0;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        if !byte.is_ascii_graphic() && !byte.is_ascii_whitespace() {
            return None;
        }
        if byte != b'%' {
            continue;
        }
        if text.get(at) == Some(&b'%') {
            at += 1;
            continue;
        }
        while text.get(at).is_some_and(|b| b"0+-# ".contains(b)) {
            at += 1;
        }
        while text.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        let conversion = *text.get(at)?;
        at += 1;
        match conversion {
            b'p' => {
                const KINDS: [&[u8]; 7] = [b"ks", b"us", b"i4", b"I4", b"i6", b"I6", b"B"];
                let rest = &text[at..];
                if let Some(kind) = KINDS.iter().find(|kind| rest.starts_with(kind)) {
                    at += kind.len();
                } else if rest.first().is_some_and(u8::is_ascii_alphanumeric) {
                    // `%px`, `%ps` and the like; anything else is unknown.
                    if !matches!(rest[0], b'K' | b'x' | b's' | b'S') {
                        return None;
                    }
                    at += 1;
                }
            }
            b's' | b'c' | b'd' | b'i' | b'u' | b'x' | b'X' => {}
            b'l' => {
                if text.get(at) == Some(&b'l') {
                    at += 1;
                }
                if !matches!(text.get(at)?, b'd' | b'i' | b'u' | b'x' | b'X') {
                    return None;
                }
                at += 1;
            }
            _ => return None,
        }
        count += 1;
    }
    Some(count)
}
