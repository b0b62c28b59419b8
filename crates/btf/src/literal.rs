//! Single words of the value notation: numbers, addresses, bytes. Knows no types.

use alveary_isa::Endian;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A number: decimal, `0x…`, `0b…`, negative, or a character (`'a'`).
pub(crate) fn integer(text: &str) -> Option<i128> {
    if let Some(c) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        let mut chars = c.chars();
        return match (chars.next()?, chars.as_str()) {
            ('\\', "n") => Some(10),
            ('\\', "t") => Some(9),
            ('\\', "0") => Some(0),
            ('\\', "\\") => Some(i128::from(b'\\')),
            (c, "") => Some(u32::from(c).into()),
            _ => None,
        };
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, &digits[2..]),
        Some("0b" | "0B") => (2, &digits[2..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let number = u128::from_str_radix(digits, radix).ok()?;
    // Above `i128::MAX` only 16-byte unsigned numbers fit, whose bits these are.
    if negative { i128::try_from(number).ok()?.checked_neg() } else { Some(number as i128) }
}

/// Whether a number of `bits` bits can hold `value`. Numbers written in hex are bits: their sign does not matter.
pub(crate) fn fits(value: i128, bits: u32, signed: bool, as_bits: bool) -> bool {
    if bits >= 128 {
        return true;
    }
    let unsigned = 0..1i128 << bits;
    let half = 1i128 << (bits.max(1) - 1);
    let in_signed = (-half..half).contains(&value);
    if signed { in_signed || as_bits && unsigned.contains(&value) } else { unsigned.contains(&value) }
}

/// Bytes in hex, two digits each, without separators or with `:` or spaces between.
pub(crate) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| !matches!(b, b':' | b' '))
        .map(|b| char::from(b).to_digit(16).map(|d| d as u8))
        .collect::<Option<_>>()?;
    digits.len().is_multiple_of(2).then(|| digits.chunks_exact(2).map(|d| d[0] << 4 | d[1]).collect())
}

/// The bytes of an address that takes `size` bytes: IPv4 (4), a MAC (6), IPv6 (16), in network order.
pub(crate) fn address(text: &str, size: usize) -> Option<Vec<u8>> {
    match size {
        4 => Some(text.parse::<Ipv4Addr>().ok()?.octets().to_vec()),
        6 => {
            let mac = text
                .split([':', '-'])
                .map(|part| (part.len() <= 2).then(|| u8::from_str_radix(part, 16).ok()).flatten());
            mac.collect::<Option<Vec<u8>>>().filter(|mac| mac.len() == 6)
        }
        16 => Some(text.parse::<Ipv6Addr>().ok()?.octets().to_vec()),
        _ => None,
    }
}

/// An LPM key of `size` bytes from `address/length`: the length as a word of the target, then the address.
pub(crate) fn prefix(text: &str, size: usize, endian: Endian) -> Option<Vec<u8>> {
    let (addr, len) = text.split_once('/')?;
    let addr = address(addr, size.checked_sub(4).filter(|n| matches!(n, 4 | 16))?)?;
    let len = len.parse::<u32>().ok().filter(|len| *len as usize <= addr.len() * 8)?;
    let mut key = match endian {
        Endian::Little => len.to_le_bytes(),
        Endian::Big => len.to_be_bytes(),
    }
    .to_vec();
    key.extend(addr);
    Some(key)
}
