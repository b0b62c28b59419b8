//! Values by their types, as bpftool writes them: members by name, arrays of characters as text, enumerators by name.
//! What differs from bpftool, and why, is in docs/btf.md.

use super::{
    json::{Json, Verbatim},
    prototype::prototype,
    select,
};
use crate::failure::Failure;
use alveary_btf::{Btf, Enum, Int, Type, TypeId};
use alveary_diag::Diagnostic;
use alveary_linux::sys::{self, MapInfo, Object, ProgParts};
use std::{io, os::fd::AsFd, sync::Arc};

#[cfg(test)]
mod tests;

/// Types inside types, at most: what the kernel accepts is far below.
const DEEPEST: u32 = 64;

/// The types that the kernel keeps under this id; a module's stand on the kernel's own.
pub(crate) fn types(id: u32) -> Result<Arc<Btf>, Failure> {
    types_over(id, None)
}

/// The types that the kernel keeps under this id, which continue those of `base`.
pub(crate) fn types_over(id: u32, base: Option<Arc<Btf>>) -> Result<Arc<Btf>, Failure> {
    let info = sys::btf_info(sys::open_id(Object::Btf, id, 0, None)?.as_fd(), true)?;
    let base = match base {
        None if info.kernel && info.name != VMLINUX => Some(vmlinux()?),
        base => base,
    };
    let named = |why: Diagnostic| why.in_file(format!("BTF {id}"));
    Ok(Arc::new(Btf::read_owned(info.bytes, base).map_err(named)?))
}

/// The types in which a kernel interface counts the type of its map's value: the kernel's, or a module's.
pub(crate) fn of_interface(map: &MapInfo) -> Result<Arc<Btf>, Failure> {
    match map.btf_vmlinux_id {
        // Before Linux 6.9, which does not say it: they are the kernel's.
        0 => vmlinux(),
        id => types(id),
    }
}

/// What the kernel calls its own types.
const VMLINUX: &str = "vmlinux";

/// The kernel's own types.
pub(crate) fn vmlinux() -> Result<Arc<Btf>, Failure> {
    let path = std::path::Path::new(crate::types::KERNEL);
    crate::types::open(path, None).map(Arc::new)
}

/// How values are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Typed<'a> {
    pub(crate) btf: &'a Btf,
    /// For people: wide numbers without quotes, addresses in hexadecimal.
    pub(crate) plain: bool,
    /// Pointers to functions are ids of programs, as in kernel interfaces.
    pub(crate) programs: bool,
}

impl Typed<'_> {
    /// Writes the value of type `ty` at the start of `bytes`.
    pub(crate) fn value(self, ty: TypeId, bytes: &[u8], json: &mut Json<'_>) -> io::Result<()> {
        self.at(ty, 0, bytes, DEEPEST, json)
    }

    /// `bit` (below 8) is where an integer begins, as old compilers write bit fields.
    fn at(self, ty: TypeId, bit: u32, bytes: &[u8], depth: u32, json: &mut Json<'_>) -> io::Result<()> {
        let Some(depth) = depth.checked_sub(1) else { return json.value("(nested too deep)") };
        match self.btf.resolved(ty) {
            Type::Int(int) => self.int(int, bit, bytes, json),
            Type::Ptr(to) => self.pointer(to, unsigned(bytes, 8), json),
            Type::Enum(e) | Type::Enum64(e) => self.enumerator(e, bytes, json),
            Type::Float { size, .. } => self.float(size, bytes, json),
            Type::Struct(s) | Type::Union(s) => json.object(|json| {
                for member in s.members() {
                    json.name(member.name)?;
                    let rest = bytes.get(member.bit_offset as usize / 8..).unwrap_or_default();
                    match member.bits {
                        Some(bits) => self.wide(bit_field(rest, member.bit_offset % 8, bits.into()), json)?,
                        None => self.at(member.ty, member.bit_offset % 8, rest, depth, json)?,
                    }
                }
                Ok(())
            }),
            Type::Array(array) => {
                if let Some(text) = self.text(array.element, array.len, bytes) {
                    return json.value(text);
                }
                let size = self.btf.size_of(array.element).unwrap_or(0) as usize;
                json.array(|json| {
                    (0..array.len as usize).try_for_each(|i| {
                        let element = bytes.get(i.saturating_mul(size)..).unwrap_or_default();
                        self.at(array.element, 0, element, depth, json)
                    })
                })
            }
            Type::Var { name, ty, .. } => json.object(|json| {
                json.name(name)?;
                self.at(ty, 0, bytes, depth, json)
            }),
            Type::DataSec(section) => json.object(|json| {
                json.name(self.btf.name(ty))?;
                json.array(|json| {
                    section.vars().try_for_each(|var| {
                        self.at(var.ty, 0, bytes.get(var.offset as usize..).unwrap_or_default(), depth, json)
                    })
                })
            }),
            _ => json.value("(unsupported-kind)"),
        }
    }

    fn pointer(self, to: TypeId, value: u64, json: &mut Json<'_>) -> io::Result<()> {
        let function = || self.programs.then(|| matches!(self.btf.resolved(to), Type::FuncProto(_))).filter(|is| *is);
        match function().and_then(|_| prototype(self.btf, to)) {
            Some(prototype) if value == 0 => json.value(&format!("{prototype} 0")),
            Some(prototype) => json.value(&format!("{prototype} {}", program(value as u32))),
            // As C's library writes them.
            None if self.plain && value == 0 => json.value("(nil)"),
            None if self.plain => json.value(Verbatim(format_args!("\"{value:#x}\""))),
            None => json.value(value),
        }
    }

    fn int(self, int: Int<'_>, bit: u32, bytes: &[u8], json: &mut Json<'_>) -> io::Result<()> {
        let (offset, bits) = (u32::from(int.offset), u32::from(int.bits));
        if bit != 0 || offset != 0 || !matches!(bits, 8 | 16 | 32 | 64) {
            let from = bytes.get(((bit + offset) / 8) as usize..).unwrap_or_default();
            return self.wide(bit_field(from, (bit + offset) % 8, bits), json);
        }
        let value = unsigned(bytes, bits as usize / 8);
        if int.bool {
            json.value(value != 0)
        } else if int.char {
            match value as u8 as char {
                c @ (' '..='~') => json.value(c.encode_utf8(&mut [0; 4]) as &str),
                _ if self.plain => json.value(Verbatim(format_args!("{:#x}", value as u8))),
                _ => json.value(Verbatim(format_args!("\"\\u00{:02x}\"", value as u8))),
            }
        } else if int.signed {
            json.value((value << (64 - bits)) as i64 >> (64 - bits))
        } else {
            json.value(value)
        }
    }

    /// A bit field, or a number of 128 bits: in hexadecimal.
    fn wide(self, value: u128, json: &mut Json<'_>) -> io::Result<()> {
        if self.plain {
            json.value(Verbatim(format_args!("{value:#x}")))
        } else {
            json.value(Verbatim(format_args!("\"{value:#x}\"")))
        }
    }

    /// A number with a point; what JSON has no number for is text.
    fn float(self, size: u32, bytes: &[u8], json: &mut Json<'_>) -> io::Result<()> {
        let raw = unsigned(bytes, size.min(8) as usize);
        let (short, long) = (f32::from_bits(raw as u32), f64::from_bits(raw));
        match size {
            4 if short.is_finite() => json.value(Verbatim(format_args!("{short}"))),
            4 => json.value(&short.to_string()),
            8 if long.is_finite() => json.value(Verbatim(format_args!("{long}"))),
            8 => json.value(&long.to_string()),
            _ => self.wide(bit_field(bytes, 0, size.saturating_mul(8)), json),
        }
    }

    fn enumerator(self, e: Enum<'_>, bytes: &[u8], json: &mut Json<'_>) -> io::Result<()> {
        let size = (e.size as usize).min(8);
        let bits = 64 - 8 * size as u32;
        let raw = unsigned(bytes, size);
        let signed = (raw << bits) as i64 >> bits;
        // Enumerators are compared by their bits: how wide the number is decides, not whether it has a sign.
        match e.values().find(|v| (v.value as u64) << bits == raw << bits) {
            Some(found) => json.value(found.name),
            None if e.signed() => json.value(signed),
            None => json.value(raw),
        }
    }

    /// An array of characters that ends in a zero and has none but printable ones before it.
    fn text(self, element: TypeId, len: u32, bytes: &[u8]) -> Option<&str> {
        let bare = self.without_qualifiers(element);
        // A name for `char` hides it, as from bpftool.
        let Some(Type::Int(int)) = bare else { return None };
        if int.size != 1 || !(int.char || int.name == "char") {
            return None;
        }
        let bytes = bytes.get(..len as usize).unwrap_or(bytes);
        let text = &bytes[..bytes.iter().position(|b| *b == 0)?];
        text.iter().all(|b| (0x20..0x7f).contains(b)).then(|| std::str::from_utf8(text).ok()).flatten()
    }

    /// The type behind `const`, `volatile` and `restrict`; typedefs stay.
    fn without_qualifiers(&self, mut ty: TypeId) -> Option<Type<'_>> {
        for _ in 0..DEEPEST {
            match self.btf.ty(ty)? {
                Type::Const(inner) | Type::Volatile(inner) | Type::Restrict(inner) => ty = inner,
                bare => return Some(bare),
            }
        }
        None
    }
}

/// A program by its function's name, if it has one, and its id.
fn program(id: u32) -> String {
    let name = sys::open_id(Object::Prog, id, 0, None).ok().and_then(|fd| {
        let info = sys::prog_info(fd.as_fd(), ProgParts::default()).ok()?;
        Some(select::full_name(fd.as_fd(), &info)).filter(|name| !name.is_empty())
    });
    let name = name.map(|name| format!("{name}/")).unwrap_or_default();
    format!("{name}prog_id:{id}")
}

/// The number of `size` bytes at the start; bytes that are missing are 0.
fn unsigned(bytes: &[u8], size: usize) -> u64 {
    let mut word = [0; 8];
    let from = &bytes[..bytes.len().min(size).min(8)];
    word[..from.len()].copy_from_slice(from);
    u64::from_le_bytes(word)
}

/// The number of `bits` bits that begins `offset` bits from the start.
fn bit_field(bytes: &[u8], offset: u32, bits: u32) -> u128 {
    let mut words = [0; 16];
    let from = &bytes[..bytes.len().min(16)];
    words[..from.len()].copy_from_slice(from);
    let value = u128::from_le_bytes(words) >> offset;
    if bits < 128 { value & ((1 << bits) - 1) } else { value }
}
