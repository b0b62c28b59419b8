//! Bytes to values, by type: what a map dump shows.

use crate::{Btf, Int, Type, TypeId, bits, layout::DEPTH};
use alveary_isa::Endian;
use std::fmt;

/// A value, read by its type. Prints itself as C initialisers do (`{.a = 1, .b = {…}}`); the alternate form (`{:#}`)
/// takes a line for each member.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Int(i128),
    /// An unsigned number of 128 bits that is too large for the other.
    Wide(u128),
    /// A floating-point number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// An array of characters that holds printable text.
    Str(String),
    /// Bytes that no type explains.
    Bytes(Vec<u8>),
    /// An array.
    Array(Vec<Value>),
    /// A struct or a union; members of anonymous ones stand among the others.
    Struct(Vec<(String, Value)>),
    /// A number that has a name.
    Enum {
        /// The name.
        name: String,
        /// The number.
        value: i128,
    },
    /// An address.
    Ptr(u64),
}

impl Btf {
    /// The value of type `ty` in `bytes`. Where bytes are missing, or types make no sense, what is left is
    /// [`Value::Bytes`]. A struct that ends in a flexible array takes as many elements as bytes are there.
    #[must_use]
    pub fn value(&self, ty: TypeId, bytes: &[u8]) -> Value {
        // Unions show the same bytes several times; types made by an attacker could do so without end.
        let mut reader = Reader { btf: self, nodes: 1024 + 64 * bytes.len() };
        reader.value(ty, bytes, 0)
    }
}

struct Reader<'a> {
    btf: &'a Btf,
    /// How many values may still be made.
    nodes: usize,
}

impl Reader<'_> {
    fn value(&mut self, ty: TypeId, bytes: &[u8], depth: u32) -> Value {
        let value = if depth <= DEPTH && self.nodes > 0 { self.typed(ty, bytes, depth) } else { None };
        value.unwrap_or_else(|| self.raw(bytes))
    }

    /// Bytes as they are, while the budget lasts.
    fn raw(&mut self, bytes: &[u8]) -> Value {
        let len = bytes.len().min(self.nodes);
        self.nodes -= len;
        Value::Bytes(bytes[..len].to_vec())
    }

    /// `None` if type and bytes do not go together.
    fn typed(&mut self, ty: TypeId, bytes: &[u8], depth: u32) -> Option<Value> {
        self.nodes -= 1;
        let endian = self.btf.endian();
        let int = |size: u32, signed| bits::read(bytes, 0, size.checked_mul(8).filter(|b| *b <= 128)?, signed, endian);
        Some(match self.btf.resolved(ty) {
            Type::Int(t) => {
                let bits = u32::from(t.bits).clamp(1, 128);
                bits::read(bytes, self.low_bits(t.size, t.offset.into(), bits), bits, t.signed, endian)
                    .map(|n| number(n, t))?
            }
            Type::Enum(t) | Type::Enum64(t) => named(t, int(t.size, t.signed())?),
            Type::Ptr(_) => Value::Ptr(int(8, false)? as u64),
            Type::Float { size, .. } => match (size, int(size, false)?) {
                (4, n) => Value::Float(f32::from_bits(n as u32).into()),
                (8, n) => Value::Float(f64::from_bits(n as u64)),
                _ => return None,
            },
            Type::Array(t) => self.array(t.element, t.len, bytes, depth),
            Type::Struct(t) | Type::Union(t) => {
                let mut fields = Vec::new();
                for member in t.members() {
                    if self.nodes == 0 {
                        break;
                    }
                    let value = match member.bits {
                        Some(bits) => self.bit_field(member.ty, member.bit_offset, bits.into(), bytes),
                        None => self.member(member.ty, member.bit_offset, bytes, depth),
                    };
                    match value {
                        Value::Struct(inner) if member.name.is_empty() => fields.extend(inner),
                        value => fields.push((member.name.to_owned(), value)),
                    }
                }
                Value::Struct(fields)
            }
            Type::DataSec(t) => {
                let mut fields = Vec::new();
                for var in t.vars() {
                    let (from, to) = (var.offset as usize, var.offset as usize + var.size as usize);
                    let Some(Type::Var { name, ty, .. }) = self.btf.ty(var.ty) else { continue };
                    let Some(part) = bytes.get(from..to) else { continue };
                    fields.push((name.to_owned(), self.value(ty, part, depth + 1)));
                }
                Value::Struct(fields)
            }
            Type::Var { ty, .. } => self.value(ty, bytes, depth + 1),
            _ => return None,
        })
    }

    /// A member that is not a bit field. (Old compilers write bit fields as integers of few bits at a bit offset.)
    fn member(&mut self, ty: TypeId, bit_offset: u32, bytes: &[u8], depth: u32) -> Value {
        if let Type::Int(t) = self.btf.resolved(ty)
            && (!bit_offset.is_multiple_of(8) || u32::from(t.bits) < t.size.saturating_mul(8))
        {
            return self.bit_field(ty, bit_offset.saturating_add(t.offset.into()), t.bits.into(), bytes);
        }
        let rest = bytes.get(bit_offset as usize / 8..).unwrap_or_default();
        // A flexible array has no size and takes what is left.
        let flexible = matches!(self.btf.resolved(ty), Type::Array(t) if t.len == 0);
        match self.btf.size_of(ty) {
            Some(size) if !flexible => {
                let part = rest.get(..size as usize).unwrap_or(rest);
                self.value(ty, part, depth + 1)
            }
            _ => self.value(ty, rest, depth + 1),
        }
    }

    fn bit_field(&mut self, ty: TypeId, offset: u32, width: u32, bytes: &[u8]) -> Value {
        self.nodes = self.nodes.saturating_sub(1);
        let endian = self.btf.endian();
        let read = |signed| bits::read(bytes, offset, width.min(128), signed, endian);
        match self.btf.resolved(ty) {
            Type::Int(t) => read(t.signed).map(|n| number(n, t)),
            Type::Enum(t) | Type::Enum64(t) => read(t.signed()).map(|n| named(t, n)),
            _ => read(false).map(Value::Int),
        }
        .unwrap_or(Value::Bytes(Vec::new()))
    }

    fn array(&mut self, element: TypeId, len: u32, bytes: &[u8], depth: u32) -> Value {
        let size = self.btf.size_of(element).unwrap_or(0) as usize;
        if size == 0 {
            return Value::Array(Vec::new());
        }
        if self.is_char(element) && len != 0 {
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            let (text, rest) = bytes.split_at(end);
            let printable = text.iter().all(|b| (0x20..0x7f).contains(b) || matches!(b, b'\n' | b'\t'));
            if printable && rest.iter().all(|b| *b == 0) {
                self.nodes = self.nodes.saturating_sub(text.len());
                return Value::Str(String::from_utf8_lossy(text).into_owned());
            }
        }
        let len = if len == 0 { usize::MAX } else { len as usize };
        let mut elements = Vec::new();
        for part in bytes.chunks_exact(size).take(len) {
            if self.nodes == 0 {
                break;
            }
            elements.push(self.value(element, part, depth + 1));
        }
        Value::Array(elements)
    }

    fn is_char(&self, ty: TypeId) -> bool {
        matches!(self.btf.resolved(ty), Type::Int(t) if t.size == 1 && (t.char || t.name == "char"))
    }

    /// Where a number of `width` bits begins that stands in the low bits of an integer of `size` bytes.
    fn low_bits(&self, size: u32, offset: u32, width: u32) -> u32 {
        match self.btf.endian() {
            Endian::Little => offset,
            Endian::Big => size.saturating_mul(8).saturating_sub(offset + width),
        }
    }
}

fn number(n: i128, of: Int<'_>) -> Value {
    match (of.bool, n) {
        (true, 0) => Value::Bool(false),
        (true, 1) => Value::Bool(true),
        // Read into 128 bits with a sign.
        _ if n < 0 && !of.signed => Value::Wide(n as u128),
        _ => Value::Int(n),
    }
}

fn named(t: crate::Enum<'_>, n: i128) -> Value {
    match t.values().find(|v| v.value == n) {
        Some(v) => Value::Enum { name: v.name.to_owned(), value: n },
        None => Value::Int(n),
    }
}

impl Value {
    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        match self {
            Value::Int(n) => write!(f, "{n}"),
            Value::Wide(n) => write!(f, "{n}"),
            Value::Float(x) => write!(f, "{x}"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Str(s) => write!(f, "{s:?}"),
            Value::Enum { name, .. } => f.write_str(name),
            Value::Ptr(p) => write!(f, "{p:#x}"),
            Value::Bytes(bytes) => {
                f.write_str("hex:")?;
                bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
            Value::Array(elements) => {
                f.write_str("[")?;
                for (i, element) in elements.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { ", " })?;
                    element.write(f, indent)?;
                }
                f.write_str("]")
            }
            Value::Struct(fields) => {
                let lines = f.alternate() && !fields.is_empty();
                f.write_str("{")?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    match (lines, i) {
                        (true, _) => write!(f, "\n{:1$}", "", 4 * (indent + 1))?,
                        (false, 0) => {}
                        (false, _) => f.write_str(" ")?,
                    }
                    if !name.is_empty() {
                        write!(f, ".{name} = ")?;
                    }
                    value.write(f, indent + 1)?;
                    if lines || i + 1 < fields.len() {
                        f.write_str(",")?;
                    }
                }
                if lines {
                    write!(f, "\n{:1$}", "", 4 * indent)?;
                }
                f.write_str("}")
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}
