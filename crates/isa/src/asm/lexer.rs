//! Text to tokens. Knows which signs exist, not what they mean.

use super::AsmError;
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word: letters, digits, `_`, `.`, `$`; or `%` and a word.
    Word,
    /// A number without its sign.
    Number(u64),
    /// An operator or bracket.
    Sign(&'static str),
    /// `"…"`, only in directives.
    Text,
    /// What is no token; its error is reported already.
    Bad,
    /// The end of a line.
    End,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) bytes: Range<u32>,
}

/// Longest first, so that the first that matches is the right one.
const SIGNS: [&str; 44] = [
    "s>>=", "s>=", "s<=", "s/=", "s%=", "<<=", ">>=", "s>", "s<", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "==",
    "!=", ">=", "<=", "=", ">", "<", "&", "|", "^", "+", "-", "*", "/", "%", "(", ")", "[", "]", "{", "}", ",", ":",
    "#", "@", "!", "~",
];

/// Reads all of `text`; what is no token is an error and a [`Kind::Bad`]. Texts over 4 GiB are refused.
pub(super) fn lex(text: &str, errors: &mut Vec<AsmError>) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    if u32::try_from(text.len()).is_err() {
        errors.push(error(0..0, "the text is too long", "less than 4 GiB", String::new()));
        return tokens;
    }
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let adjacent = tokens.last().is_some_and(|token| token.bytes.end as usize == at && token.kind == Kind::Word);
        let (kind, len) = next(rest, adjacent);
        let bytes = at as u32..(at + len) as u32;
        at += len;
        match kind {
            Found::Token(kind) => tokens.push(Token { kind, bytes: bytes.clone() }),
            Found::Skip => continue,
            Found::BadNumber | Found::Unknown => tokens.push(Token { kind: Kind::Bad, bytes: bytes.clone() }),
        }
        match kind {
            Found::Token(_) | Found::Skip => {}
            Found::BadNumber => errors.push(error(
                bytes,
                "not a number",
                "decimal or 0x… of at most 64 bits",
                format!("`{}`", &rest[..len]),
            )),
            Found::Unknown => {
                errors.push(error(bytes, "unexpected character", "", format!("`{}`", &rest[..len])));
            }
        }
    }
    tokens
}

#[derive(Clone, Copy)]
enum Found {
    Token(Kind),
    Skip,
    BadNumber,
    Unknown,
}

fn next(rest: &str, after_word: bool) -> (Found, usize) {
    let bytes = rest.as_bytes();
    let span = |accept: fn(u8) -> bool| bytes.iter().position(|&b| !accept(b)).unwrap_or(bytes.len());
    let to_line_end = || bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len());
    let second = bytes.get(1).copied().unwrap_or(0);
    match bytes[0] {
        b'\n' => (Found::Token(Kind::End), 1),
        b' ' | b'\t' | b'\r' => (Found::Skip, 1),
        // `name#5` is a helper with its number; any other `#` begins a comment.
        b'#' if after_word && (second.is_ascii_digit() || second == b'-') => (Found::Token(Kind::Sign("#")), 1),
        b';' | b'#' => (Found::Skip, to_line_end()),
        b'/' if second == b'/' => (Found::Skip, to_line_end()),
        b'"' => {
            let line = &bytes[..to_line_end()];
            match line[1..].iter().position(|&b| b == b'"') {
                Some(end) => (Found::Token(Kind::Text), end + 2),
                None => (Found::Unknown, 1),
            }
        }
        b'0'..=b'9' => {
            let len = span(|b| b.is_ascii_alphanumeric() || b == b'_');
            match number(&rest[..len]) {
                Some(value) => (Found::Token(Kind::Number(value)), len),
                None => (Found::BadNumber, len),
            }
        }
        first => {
            if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                let register = first == b'%' && second.is_ascii_alphabetic();
                if !register {
                    return (Found::Token(Kind::Sign(sign)), sign.len());
                }
            }
            let skip = usize::from(first == b'%');
            let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$') || b >= 0x80;
            let len = skip + bytes[skip..].iter().position(|&b| !word(b)).unwrap_or(bytes.len() - skip);
            if len > skip {
                (Found::Token(Kind::Word), len)
            } else {
                (Found::Unknown, rest.chars().next().map_or(1, char::len_utf8))
            }
        }
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

fn error(bytes: Range<u32>, message: &str, expected: &str, found: String) -> AsmError {
    AsmError { bytes, message: message.into(), expected: expected.into(), found, help: String::new() }
}
