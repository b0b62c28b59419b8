//! Text to bytes, by type: how a person writes a key or a value.
//!
//! Integers (`80`, `0x50`, `-1`, `'a'`), names of enumerations, `a.b.c.d`, IPv6 and MAC addresses where the size
//! fits, `a.b.c.d/len` for LPM keys, `"text"` for characters, `hex:…` for anything, `{field = …, …}`, `[…, …]`.
//! What [`crate::Value`] prints is read back.

use crate::{Btf, Member, Type, TypeId, bits, layout::DEPTH, literal};
use alveary_diag::{Diagnostic, Place, did_you_mean};
use alveary_isa::Endian;
use std::ops::Range;

/// The largest value that is written as text.
const LARGEST: u32 = 1 << 24;
/// Members looked at while a name is searched in anonymous structs and unions.
const SEARCHED: u32 = 1 << 16;

/// A part of a text that a person wrote.
#[derive(Clone, Debug)]
pub struct Snippet<'a> {
    /// What the text is called (`--map`, a file name).
    pub file: &'a str,
    /// The whole text.
    pub text: &'a str,
    /// The bytes of it that are meant.
    pub bytes: Range<usize>,
}

impl<'a> Snippet<'a> {
    /// The whole of a text.
    #[must_use]
    pub fn whole(file: &'a str, text: &'a str) -> Self {
        Snippet { file, text, bytes: 0..text.len() }
    }
}

impl Btf {
    /// The bytes of a value of type `ty` that is written as text, in the byte order of the target.
    ///
    /// # Errors
    /// Which part of the text is not a value of its type.
    pub fn parse_value(&self, ty: TypeId, from: &Snippet<'_>) -> Result<Vec<u8>, Diagnostic> {
        let mut parser = Parser::new(from, Some(self), self.endian());
        let size = self.size_of(ty).filter(|size| *size <= LARGEST);
        let Some(size) = size else {
            return Err(parser.problem(from.bytes.clone(), "values of this type cannot be written", self.c_name(ty)));
        };
        parser.whole(Some(ty), size)
    }
}

/// The bytes of a value of `size` bytes of which no type is known: a number, an address or bytes in hex.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_plain(size: u32, endian: Endian, from: &Snippet<'_>) -> Result<Vec<u8>, Diagnostic> {
    Parser::new(from, None, endian).whole(None, size)
}

struct Parser<'a> {
    from: &'a Snippet<'a>,
    text: &'a str,
    at: usize,
    btf: Option<&'a Btf>,
    endian: Endian,
}

impl<'a> Parser<'a> {
    fn new(from: &'a Snippet<'a>, btf: Option<&'a Btf>, endian: Endian) -> Self {
        let text = from.text.get(..from.bytes.end).unwrap_or(from.text);
        Parser { from, text, at: from.bytes.start.min(text.len()), btf, endian }
    }

    fn whole(&mut self, ty: Option<TypeId>, size: u32) -> Result<Vec<u8>, Diagnostic> {
        let mut out = vec![0; size.min(LARGEST) as usize];
        self.value(ty, &mut out, 0)?;
        self.blank();
        if self.at < self.text.len() {
            return Err(self.problem(self.at..self.text.len(), "there is more text than one value", "the end"));
        }
        Ok(out)
    }

    fn value(&mut self, ty: Option<TypeId>, out: &mut [u8], depth: u32) -> Result<(), Diagnostic> {
        self.blank();
        if depth > DEPTH {
            return Err(self.problem(self.at..self.at, "types are nested too deeply", "fewer levels"));
        }
        let resolved = match (self.btf, ty) {
            (Some(btf), Some(ty)) => btf.resolved(ty),
            _ => Type::Void,
        };
        match (self.rest().chars().next(), resolved) {
            (Some('{'), Type::Struct(_) | Type::Union(_)) => self.fields(ty.unwrap_or_default(), out, depth),
            (Some('[' | '{'), Type::Array(t)) => self.elements(t.element, out, depth),
            (Some('"'), Type::Array(_) | Type::Void) => self.quoted(ty, out),
            _ => {
                let word = self.word();
                self.literal(word, ty, resolved, out, depth)
            }
        }
    }

    /// `{.name = value, …}`; dots may be left out. Members that are not named are zero.
    fn fields(&mut self, ty: TypeId, out: &mut [u8], depth: u32) -> Result<(), Diagnostic> {
        self.at += 1;
        let mut given: Vec<&str> = Vec::new();
        while !self.takes('}') {
            self.takes('.');
            let name = self.word();
            let Some((member, offset)) = self.member(ty, &self.text[name.clone()]) else {
                return Err(self.no_such_member(ty, name));
            };
            if given.contains(&&self.text[name.clone()]) {
                return Err(self.problem(name, "a member that is given twice", "each member once"));
            }
            given.push(&self.text[name.clone()]);
            if !self.takes('=') {
                return Err(self.problem(self.here(), "a member's name without a value", "`=`"));
            }
            let wide = self.btf.and_then(|b| b.size_of(member.ty)).unwrap_or(0);
            let start = (offset / 8) as usize;
            match (member.bits, out.get_mut(start..start + wide as usize)) {
                (Some(bits), _) => self.bit_field(member.ty, offset, bits.into(), out)?,
                (None, Some(part)) => self.value(Some(member.ty), part, depth + 1)?,
                (None, None) => return Err(self.problem(name, "a member outside of its struct", "sound types")),
            }
            if !self.takes(',') && !self.rest().starts_with('}') {
                return Err(self.problem(self.here(), "a struct that does not end", "`,` or `}`"));
            }
        }
        Ok(())
    }

    fn bit_field(&mut self, ty: TypeId, offset: u32, width: u32, out: &mut [u8]) -> Result<(), Diagnostic> {
        self.blank();
        let word = self.word();
        let (signed, named) = match self.btf.map_or(Type::Void, |b| b.resolved(ty)) {
            Type::Int(t) => (t.signed, None),
            Type::Enum(t) | Type::Enum64(t) => (t.signed(), Some(t)),
            _ => (false, None),
        };
        let text = &self.text[word.clone()];
        let number = named.and_then(|t| t.values().find(|v| v.name == text)).map(|v| v.value);
        match number.or_else(|| truth(text)).or_else(|| literal::integer(text)) {
            Some(n)
                if literal::fits(n, width, signed, is_hex(text)) && bits::write(out, offset, width, n, self.endian) =>
            {
                Ok(())
            }
            _ => Err(self.problem(word, "this is no value for the bit field", format!("a number of {width} bits"))),
        }
    }

    /// `[value, …]`. Elements that are not written are zero.
    fn elements(&mut self, element: TypeId, out: &mut [u8], depth: u32) -> Result<(), Diagnostic> {
        let close = if self.rest().starts_with('[') { ']' } else { '}' };
        self.at += 1;
        let size = self.btf.and_then(|b| b.size_of(element)).unwrap_or(0).max(1) as usize;
        let room = out.len() / size;
        let mut parts = out.chunks_exact_mut(size);
        while !self.takes(close) {
            let Some(part) = parts.next() else {
                return Err(self.problem(self.here(), "more elements than the array has", format!("at most {room}")));
            };
            self.value(Some(element), part, depth + 1)?;
            if !self.takes(',') && !self.rest().starts_with(close) {
                return Err(self.problem(self.here(), "an array that does not end", format!("`,` or `{close}`")));
            }
        }
        Ok(())
    }

    /// `"text"`, with `\n`, `\t`, `\"`, `\\` and `\0`.
    fn quoted(&mut self, ty: Option<TypeId>, out: &mut [u8]) -> Result<(), Diagnostic> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        let mut chars = self.rest().char_indices();
        loop {
            match chars.next() {
                Some((i, '"')) => {
                    self.at += i + 1;
                    break;
                }
                Some((_, '\\')) => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, '0')) => text.push('\0'),
                    Some((_, c)) => text.push(c),
                    None => continue,
                },
                Some((_, c)) => text.push(c),
                None => return Err(self.problem(start..self.text.len(), "a text that does not end", "`\"`")),
            }
        }
        let what = self.wanted(ty, out.len());
        match out.get_mut(..text.len()) {
            Some(to) => to.copy_from_slice(text.as_bytes()),
            None => return Err(self.problem(start..self.at, "the text is too long", what)),
        }
        Ok(())
    }

    fn literal(
        &mut self,
        word: Range<usize>,
        ty: Option<TypeId>,
        resolved: Type<'_>,
        out: &mut [u8],
        depth: u32,
    ) -> Result<(), Diagnostic> {
        let text = &self.text[word.clone()];
        let size = out.len();
        let wanted = self.wanted(ty, size);
        if let Some(digits) = text.strip_prefix("hex:") {
            return match literal::hex(digits) {
                Some(bytes) if bytes.len() == size => {
                    out.copy_from_slice(&bytes);
                    Ok(())
                }
                Some(bytes) => Err(self
                    .problem(word, "the wrong number of bytes", format!("{size} bytes for {wanted}"))
                    .found(format!("{} bytes", bytes.len()))),
                None => Err(self.problem(word, "these are no bytes in hex", format!("{} hex digits", 2 * size))),
            };
        }
        // Foreign types may claim any size: of these only can a number be written.
        let holds_number = size <= 16 && size.is_power_of_two();
        let number = literal::integer(text).filter(|_| holds_number);
        let number = match resolved {
            Type::Int(t) => number.or_else(|| truth(text).filter(|_| t.bool)).map(|n| (n, t.signed)),
            Type::Enum(t) | Type::Enum64(t) if holds_number => {
                let named = t.values().find(|v| v.name == text).map(|v| v.value);
                if named.is_none() && number.is_none() {
                    let problem = self.problem(word, "this is no name of the enumeration", wanted);
                    let near = did_you_mean(text, t.values().map(|v| v.name));
                    return Err(near.into_iter().fold(problem, |p, n| p.help(format!("did you mean `{n}`?"))));
                }
                named.or(number).map(|n| (n, t.signed()))
            }
            Type::Ptr(_) => number.map(|n| (n, false)),
            Type::Float { .. } => {
                let bits = text.parse::<f64>().ok().and_then(|x| match size {
                    4 => Some(i128::from((x as f32).to_bits())),
                    8 => Some(i128::from(x.to_bits())),
                    _ => None,
                });
                bits.map(|n| (n, false))
            }
            Type::Void => number.map(|n| (n, n < 0)),
            _ => None,
        };
        if let Some((n, signed)) = number {
            if matches!(resolved, Type::Int(t) if t.bool) && !matches!(n, 0 | 1) {
                return Err(self.problem(word, "the number does not fit", format!("{wanted}: 0, 1, true or false")));
            }
            let bits = 8 * size as u32;
            return if literal::fits(n, bits, signed, is_hex(text)) && bits::write(out, 0, bits, n, self.endian) {
                Ok(())
            } else {
                let (least, most) = if signed { (-1i128 << (bits - 1), bits - 1) } else { (0, bits) };
                let range = format!("{wanted}: {least} to {}", (1i128 << most) - 1);
                Err(self.problem(word, "the number does not fit", range))
            };
        }
        let composite = matches!(resolved, Type::Array(_) | Type::Struct(_) | Type::Union(_) | Type::Void);
        let bytes = literal::address(text, size)
            .or_else(|| literal::prefix(text, size, self.endian).filter(|_| self.is_prefix_key(resolved)))
            .or_else(|| literal::hex(text.strip_prefix("0x")?).filter(|b| composite && b.len() == size));
        if let Some(bytes) = bytes {
            out.copy_from_slice(&bytes);
            return Ok(());
        }
        match resolved {
            // A struct of one member may be written as that member.
            Type::Struct(t) if t.members().len() == 1 && !text.is_empty() => {
                let member = t.members().next().filter(|m| m.bits.is_none() && m.bit_offset == 0);
                let len = member.and_then(|m| self.btf?.size_of(m.ty)).filter(|len| *len as usize == size);
                if let (Some(member), Some(_), Some(btf)) = (member, len, self.btf)
                    && depth < DEPTH
                {
                    return self.literal(word, Some(member.ty), btf.resolved(member.ty), out, depth + 1);
                }
                Err(self.problem(word, "this is no value of the type", wanted))
            }
            // A word for an array of characters.
            Type::Array(t) if self.is_byte(t.element) && !text.is_empty() && text.len() <= size && !is_hex(text) => {
                out[..text.len()].copy_from_slice(text.as_bytes());
                Ok(())
            }
            _ => {
                let wanted = if self.is_prefix_key(resolved) { prefix_wanted(size) } else { None }.unwrap_or(wanted);
                Err(self.problem(word, "this is no value of the type", wanted))
            }
        }
    }

    /// Whether an LPM key may be written as a prefix: its first word is a number, the prefix's length.
    fn is_prefix_key(&self, resolved: Type<'_>) -> bool {
        let Some(btf) = self.btf else { return true };
        let mut resolved = resolved;
        for _ in 0..DEPTH {
            match resolved {
                Type::Struct(t) | Type::Union(t) => {
                    let Some(first) = t.members().next() else { return false };
                    resolved = btf.resolved(first.ty);
                }
                Type::Int(t) => return t.size == 4,
                _ => return false,
            }
        }
        false
    }

    fn is_byte(&self, ty: TypeId) -> bool {
        matches!(self.btf.map(|b| b.resolved(ty)), Some(Type::Int(t)) if t.char || t.name == "char")
    }

    /// A member by name, those of anonymous members too, and its first bit.
    fn member(&self, ty: TypeId, name: &str) -> Option<(Member<'a>, u32)> {
        let btf = self.btf?;
        let mut open = vec![(ty, 0u32)];
        let mut left = SEARCHED;
        while let Some((ty, base)) = open.pop() {
            let (Type::Struct(t) | Type::Union(t)) = btf.resolved(ty) else { continue };
            for member in t.members() {
                left = left.checked_sub(1)?;
                let offset = base.checked_add(member.bit_offset)?;
                if member.name == name {
                    return Some((member, offset));
                }
                if member.name.is_empty() {
                    open.push((member.ty, offset));
                }
            }
        }
        None
    }

    fn no_such_member(&self, ty: TypeId, name: Range<usize>) -> Diagnostic {
        let Some(btf) = self.btf else { return self.problem(name, "no types are known", "bytes in hex") };
        let names: Vec<&str> = match btf.resolved(ty) {
            Type::Struct(t) | Type::Union(t) => t.members().map(|m| m.name).filter(|n| !n.is_empty()).collect(),
            _ => Vec::new(),
        };
        let text = &self.text[name.clone()];
        let problem = self.problem(name, "no member of this name", format!("a member of {}", btf.c_name(ty)));
        match did_you_mean(text, names.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.note(format!("its members: {}", names.join(", "))),
        }
    }

    /// The type as a person knows it.
    fn wanted(&self, ty: Option<TypeId>, size: usize) -> String {
        match (self.btf, ty) {
            (Some(btf), Some(ty)) => btf.c_name(ty),
            _ => format!("a value of {size} bytes"),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn blank(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn takes(&mut self, c: char) -> bool {
        self.blank();
        let found = self.rest().starts_with(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    /// The next word: up to a blank or to what separates values.
    fn word(&mut self) -> Range<usize> {
        self.blank();
        let start = self.at;
        let rest = self.rest();
        let quoted = rest.starts_with('\'').then(|| rest[1..].find('\'').map(|i| i + 2)).flatten();
        let end = |c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']' | '=' | '{' | '[');
        self.at += quoted.unwrap_or_else(|| rest.find(end).unwrap_or(rest.len()));
        start..self.at
    }

    fn here(&self) -> Range<usize> {
        let len = self.rest().chars().next().map_or(0, char::len_utf8);
        self.at..self.at + len
    }

    fn problem(&self, bytes: Range<usize>, message: &'static str, expected: impl Into<String>) -> Diagnostic {
        let found = self.text.get(bytes.clone()).unwrap_or_default().trim();
        let found = if found.is_empty() { "nothing".to_owned() } else { format!("`{found}`") };
        let place = Place::Text {
            file: self.from.file.into(),
            text: self.from.text.into(),
            bytes: bytes.start as u32..bytes.end as u32,
        };
        Diagnostic::new("value", message, place).expected(expected).found(found)
    }
}

/// What may stand for an LPM key of `size` bytes.
fn prefix_wanted(size: usize) -> Option<String> {
    match size {
        8 => Some("an IPv4 prefix of at most 32 bits, such as 10.0.0.0/8 or 10.0.0.1/32".into()),
        20 => Some("an IPv6 prefix of at most 128 bits, such as 2001:db8::/32 or ::1/128".into()),
        _ => None,
    }
}

fn truth(text: &str) -> Option<i128> {
    match text {
        "true" => Some(1),
        "false" => Some(0),
        _ => None,
    }
}

fn is_hex(text: &str) -> bool {
    text.starts_with("0x") || text.starts_with("0X")
}
