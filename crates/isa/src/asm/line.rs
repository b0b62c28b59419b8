//! A cursor over the tokens of one line: the words that all three spellings are made of (registers, numbers,
//! addresses, targets). Knows no instruction.

use super::lexer::{Kind, Token};
use super::resolve::Target;
use super::{AsmError, Parsed};
use crate::{Reg, Wide};
use std::ops::Range;

pub(super) struct Line<'a> {
    source: &'a str,
    tokens: &'a [Token],
    at: usize,
}

/// A number as written: sign and magnitude, and whether it may be meant as bits.
#[derive(Clone)]
pub(super) struct Number {
    pub(super) value: i128,
    hex: bool,
    pub(super) bytes: Range<u32>,
}

impl<'a> Line<'a> {
    pub(super) fn new(source: &'a str, tokens: &'a [Token]) -> Line<'a> {
        Line { source, tokens, at: 0 }
    }

    /// Where the line's first token begins.
    pub(super) fn start(&self) -> u32 {
        self.tokens.first().map_or(0, |token| token.bytes.start)
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn nth(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + ahead)
    }

    /// The word `ahead` tokens from here.
    pub(super) fn peek_word(&self, ahead: usize) -> Option<&'a str> {
        self.nth(ahead).filter(|token| token.kind == Kind::Word).map(|token| token.text(self.source))
    }

    pub(super) fn peek_sign(&self, ahead: usize) -> Option<&'static str> {
        match self.nth(ahead)?.kind {
            Kind::Sign(sign) => Some(sign),
            _ => None,
        }
    }

    pub(super) fn skip(&mut self, tokens: usize) {
        self.at += tokens;
    }

    /// Skips the rest of the line.
    pub(super) fn skip_rest(&mut self) {
        self.at = self.tokens.len();
    }

    /// The bytes of the next token, or of the end of the line.
    pub(super) fn here(&self) -> Range<u32> {
        match (self.nth(0), self.tokens.last()) {
            (Some(token), _) => token.bytes.clone(),
            (None, Some(last)) => last.bytes.end..last.bytes.end,
            (None, None) => 0..0,
        }
    }

    /// An error at the next token.
    pub(super) fn error(&self, message: &str, expected: &str) -> Box<AsmError> {
        let found = match self.nth(0) {
            Some(token) => format!("`{}`", token.text(self.source)),
            None => "the end of the line".into(),
        };
        Box::new(AsmError {
            bytes: self.here(),
            message: message.into(),
            expected: expected.into(),
            found,
            help: String::new(),
        })
    }

    pub(super) fn end(&self) -> Parsed<()> {
        if self.is_done() { Ok(()) } else { Err(self.error("too much on the line", "the end of the line")) }
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let taken = self.peek_sign(0) == Some(sign);
        self.at += usize::from(taken);
        taken
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let taken = self.peek_word(0) == Some(word);
        self.at += usize::from(taken);
        taken
    }

    pub(super) fn sign(&mut self, sign: &str) -> Parsed<()> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.error("incomplete statement", &format!("`{sign}`"))) }
    }

    pub(super) fn word(&mut self, expected: &str) -> Parsed<&'a str> {
        let word = self.peek_word(0).ok_or_else(|| self.error("incomplete statement", expected))?;
        self.at += 1;
        Ok(word)
    }

    /// A section's or symbol's name: a word, or `"…"`.
    pub(super) fn name(&mut self, expected: &str) -> Parsed<&'a str> {
        if let Some(Token { kind: Kind::Text, .. }) = self.nth(0) {
            let text = self.nth(0).map_or("", |token| token.text(self.source));
            self.at += 1;
            return Ok(text.trim_matches('"'));
        }
        // `tracepoint/syscalls/sys_enter` is several tokens without space between them.
        let start = self.here();
        let mut end = start.end;
        self.word(expected)?;
        while let Some(token) = self.nth(0).filter(|token| token.bytes.start == end) {
            if !matches!(token.kind, Kind::Word | Kind::Number(_) | Kind::Sign("/" | "-" | "+" | ":" | "@" | "*")) {
                break;
            }
            end = token.bytes.end;
            self.at += 1;
        }
        Ok(self.source.get(start.start as usize..end as usize).unwrap_or(""))
    }

    /// Whether a register comes next: its width and number.
    pub(super) fn peek_register(&self, ahead: usize) -> Option<(Wide, u8)> {
        let word = self.peek_word(ahead)?;
        let word = word.strip_prefix('%').unwrap_or(word);
        let (wide, number) = match (word.strip_prefix('r'), word.strip_prefix('w')) {
            (Some(number), _) => (Wide::W64, number),
            (_, Some(number)) => (Wide::W32, number),
            _ => return None,
        };
        let plain = number.len() == 1 || !number.starts_with('0');
        if plain && number.bytes().all(|b| b.is_ascii_digit()) { Some((wide, number.parse().ok()?)) } else { None }
    }

    pub(super) fn any_register(&mut self) -> Parsed<(Wide, Reg)> {
        match self.peek_register(0) {
            Some((wide, number @ 0..=10)) => {
                self.at += 1;
                Ok((wide, Reg(number)))
            }
            Some(_) => Err(self.error("no such register", "r0 to r10, or w0 to w10")),
            None => Err(self.error("not a register", "r0 to r10, or w0 to w10")),
        }
    }

    pub(super) fn register(&mut self, wide: Wide) -> Parsed<Reg> {
        let before = self.at;
        let (found, reg) = self.any_register()?;
        if found == wide {
            return Ok(reg);
        }
        self.at = before;
        Err(self.error(
            "register of the wrong width",
            if wide == Wide::W64 { "a 64-bit register (r…)" } else { "a 32-bit register (w…)" },
        ))
    }

    pub(super) fn peek_number(&self, ahead: usize) -> bool {
        let sign = usize::from(matches!(self.peek_sign(ahead), Some("+" | "-")));
        matches!(self.nth(ahead + sign), Some(Token { kind: Kind::Number(_), .. }))
    }

    pub(super) fn number(&mut self) -> Parsed<Number> {
        let start = self.here().start;
        let negative = self.peek_sign(0) == Some("-");
        self.at += usize::from(matches!(self.peek_sign(0), Some("+" | "-")));
        let Some(token @ &Token { kind: Kind::Number(value), .. }) = self.nth(0) else {
            return Err(self.error("not a number", "a number"));
        };
        self.at += 1;
        let hex = token.text(self.source).starts_with("0x");
        let value = i128::from(value);
        Ok(Number { value: if negative { -value } else { value }, hex, bytes: start..token.bytes.end })
    }

    /// `12:`, as before an instruction of a listing.
    pub(super) fn take_slot_number(&mut self) -> Option<Number> {
        let &Token { kind: Kind::Number(value), ref bytes } = self.nth(0)? else { return None };
        if self.peek_sign(1) != Some(":") {
            return None;
        }
        self.at += 2;
        Some(Number { value: value.into(), hex: false, bytes: bytes.clone() })
    }

    /// 32 bits: signed, or any 32 bits in hexadecimal.
    pub(super) fn imm(&mut self) -> Parsed<i32> {
        let number = self.number()?;
        number.bits32("a number of 32 bits: -2147483648 to 2147483647, or 0x0 to 0xffffffff")
    }

    /// `+ 4`, `-8`, or nothing if `]` or `)` comes next.
    fn offset(&mut self) -> Parsed<i16> {
        if matches!(self.peek_sign(0), Some(")" | "]" | ",")) {
            return Ok(0);
        }
        if !matches!(self.peek_sign(0), Some("+" | "-")) {
            return Err(self.error("incomplete address", "`+` or `-` and an offset"));
        }
        // llvm also writes `r1 + -8`.
        if self.peek_sign(0) == Some("+") && self.peek_sign(1) == Some("-") {
            self.at += 1;
        }
        let number = self.number()?;
        i16::try_from(number.value).map_err(|_| number.error("an offset of 16 bits: -32768 to 32767"))
    }

    /// `r1 + 4`.
    pub(super) fn address(&mut self) -> Parsed<(Reg, i16)> {
        Ok((self.register(Wide::W64)?, self.offset()?))
    }

    /// Where a jump or call goes: `+3`, `pc+3` or a name.
    pub(super) fn target(&mut self) -> Parsed<Target> {
        let bytes = self.here();
        let from_pc = self.peek_word(0) == Some("pc") && matches!(self.peek_sign(1), Some("+" | "-"));
        self.at += usize::from(from_pc);
        if matches!(self.peek_sign(0), Some("+" | "-")) {
            let number = self.number()?;
            let rel = i32::try_from(number.value).map_err(|_| number.error("a distance of 32 bits"))?;
            return Ok(Target::Relative { rel, bytes: number.bytes });
        }
        match self.peek_word(0) {
            Some(name) if self.peek_register(0).is_none() => {
                self.at += 1;
                Ok(Target::Name { name: name.into(), bytes })
            }
            _ => Err(self.error("not a jump target", "a label, or a distance with its sign: +3")),
        }
    }
}

impl Number {
    /// 32 bits, signed or as hexadecimal bits.
    pub(super) fn bits32(&self, expected: &str) -> Parsed<i32> {
        match (i32::try_from(self.value), u32::try_from(self.value)) {
            (Ok(value), _) => Ok(value),
            (_, Ok(bits)) if self.hex => Ok(bits as i32),
            _ => Err(self.error(expected)),
        }
    }

    /// 32 bits, signed or unsigned.
    pub(super) fn bits_any32(&self) -> Parsed<u32> {
        match (u32::try_from(self.value), i32::try_from(self.value)) {
            (Ok(value), _) => Ok(value),
            (_, Ok(value)) => Ok(value as u32),
            _ => Err(self.error("a number of 32 bits")),
        }
    }

    /// 64 bits, signed or unsigned.
    pub(super) fn bits64(&self) -> Parsed<u64> {
        match (u64::try_from(self.value), i64::try_from(self.value)) {
            (Ok(value), _) => Ok(value),
            (_, Ok(value)) => Ok(value as u64),
            _ => Err(self.error("a number of 64 bits")),
        }
    }

    pub(super) fn error(&self, expected: &str) -> Box<AsmError> {
        Box::new(AsmError {
            bytes: self.bytes.clone(),
            message: "number out of range".into(),
            expected: expected.into(),
            found: self.value.to_string(),
            help: String::new(),
        })
    }
}
