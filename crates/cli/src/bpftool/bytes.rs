//! Values without types: bytes, as text and as JSON, and bytes that users type.

use super::{
    json::{Byte, Json},
    usage,
    words::Words,
};
use crate::{failure::Failure, table};
use std::io;

/// Bytes in hexadecimal, with blanks between them: 16 on a line, in two halves.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len() * 3 + bytes.len() / 8);
    for (at, byte) in bytes.iter().enumerate() {
        text.extend_from_slice(match at % 16 {
            _ if at == 0 => b"",
            0 => b"\n",
            8 => b"  ",
            _ => b" ",
        });
        text.extend_from_slice(&digits(*byte));
    }
    String::from_utf8(text).expect("digits and blanks are text")
}

/// Bytes as a list of texts: `["0x01","0x00"]`.
pub(crate) fn json(bytes: &[u8], json: &mut Json<'_>) -> io::Result<()> {
    json.array(|json| bytes.iter().try_for_each(|byte| json.value(Byte(*byte))))
}

/// A byte in hexadecimal.
pub(super) fn digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)])
}

/// A byte in C's notation.
pub(crate) fn one(word: &str) -> Option<u8> {
    super::words::number(word).and_then(|n| n.try_into().ok())
}

/// Takes `count` bytes, each a word: in C's notation, or all in hexadecimal behind `hex`.
pub(crate) fn take(words: &mut Words<'_>, what: &str, count: usize) -> Result<Vec<u8>, Failure> {
    let hexadecimal = words.is("hex");
    let mut bytes = Vec::with_capacity(count.min(1 << 16));
    while bytes.len() < count {
        let Some(word) = words.peek() else { break };
        let byte = if hexadecimal { u8::from_str_radix(word.trim_start_matches("0x"), 16).ok() } else { one(word) };
        let Some(byte) = byte else {
            return Err(usage(format!("`{word}` is no byte of the {what}"))
                .expected(format!("{count} bytes, {} of them are there", bytes.len()))
                .help("each byte is a word: `key 1 0 0 0`, or `key hex 01 00 00 00`")
                .into());
        };
        words.take();
        bytes.push(byte);
    }
    if bytes.len() < count {
        return Err(usage(format!("the {what} is too short"))
            .expected(table::count(count as u64, "byte", "bytes"))
            .found(table::count(bytes.len() as u64, "byte", "bytes"))
            .into());
    }
    Ok(bytes)
}
