//! Format strings as `bpf_trace_printk` and `bpf_snprintf` read them (kernel/bpf/helpers.c, `bpf_bprintf_prepare`).
//! What a conversion prints is the kernel's `vsnprintf`. Knows nothing of helpers: memory comes from a closure.

use crate::Bytes;

/// `EINVAL`: a conversion that is not allowed, too few arguments, or a byte that cannot be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadFormat;

/// How many bytes of a string `%s` reads at most.
const MAX_STRING: usize = 512;

/// One conversion: `%-08llx`.
#[derive(Default)]
struct Conversion {
    zero: bool,
    plus: bool,
    left: bool,
    space: bool,
    width: usize,
    long: bool,
}

/// Formats. `peek` reads memory that the program may read.
pub(crate) fn format(
    text: &[u8],
    args: &[u64],
    peek: &dyn Fn(u64, usize) -> Option<Bytes>,
) -> Result<Vec<u8>, BadFormat> {
    let mut out = Vec::with_capacity(text.len());
    let mut args = args.iter().copied();
    let mut i = 0;
    let at = |i: usize| text.get(i).copied().unwrap_or(0);
    while let Some(&c) = text.get(i) {
        i += 1;
        if c.is_ascii() && !(c.is_ascii_graphic() || c == b' ' || (9..=13).contains(&c)) {
            return Err(BadFormat);
        }
        if c != b'%' {
            out.push(c);
            continue;
        }
        if at(i) == b'%' {
            out.push(b'%');
            i += 1;
            continue;
        }
        let value = args.next().ok_or(BadFormat)?;
        let mut how = Conversion::default();
        loop {
            match at(i) {
                b'0' => how.zero = true,
                b'+' => how.plus = true,
                b'-' => how.left = true,
                b' ' => how.space = true,
                _ => break,
            }
            i += 1;
        }
        while at(i).is_ascii_digit() {
            how.width = (how.width * 10 + usize::from(at(i) - b'0')).min(i16::MAX as usize);
            i += 1;
        }
        match at(i) {
            b'p' => i += pointer(&mut out, &how, value, [at(i + 1), at(i + 2)], peek)?,
            b's' => {
                if !ends_conversion(at(i + 1)) {
                    return Err(BadFormat);
                }
                string(&mut out, &how, value, peek);
            }
            b'c' => how.pad(&mut out, &[value as u8]),
            _ => {
                for _ in 0..2 {
                    if at(i) == b'l' {
                        how.long = true;
                        i += 1;
                    }
                }
                how.number(&mut out, at(i), value)?;
            }
        }
        i += 1;
    }
    Ok(out)
}

fn ends_conversion(c: u8) -> bool {
    c == 0 || c.is_ascii_whitespace() || c == 11 || c.is_ascii_punctuation()
}

fn string(out: &mut Vec<u8>, how: &Conversion, addr: u64, peek: &dyn Fn(u64, usize) -> Option<Bytes>) {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_STRING {
        match peek(addr.wrapping_add(bytes.len() as u64), 1).map(|b| b[0]) {
            Some(0) | None => break,
            Some(b) => bytes.push(b),
        }
    }
    how.pad(out, &bytes);
}

/// `%p…`: gives back how many bytes of the format follow the `p`.
fn pointer(
    out: &mut Vec<u8>,
    how: &Conversion,
    value: u64,
    next: [u8; 2],
    peek: &dyn Fn(u64, usize) -> Option<Bytes>,
) -> Result<usize, BadFormat> {
    let hex = |out: &mut Vec<u8>| {
        let text = format!("{value:016x}");
        how.pad(out, text.as_bytes());
    };
    match next {
        [b'k' | b'u', b's'] => string(out, how, value, peek),
        [kind @ (b'i' | b'I'), b'4'] => how.pad(out, ipv4(kind, &memory::<4>(value, peek)).as_bytes()),
        [kind @ (b'i' | b'I'), b'6'] => how.pad(out, ipv6(kind, &memory::<16>(value, peek)).as_bytes()),
        [b'K' | b'x' | b's' | b'S' | b'B', _] => {
            hex(out);
            return Ok(1);
        }
        [c, _] if ends_conversion(c) => {
            hex(out);
            return Ok(0);
        }
        _ => return Err(BadFormat),
    }
    Ok(2)
}

/// Bytes at an address; zeroes if they may not be read, as the kernel prints them.
fn memory<const N: usize>(addr: u64, peek: &dyn Fn(u64, usize) -> Option<Bytes>) -> [u8; N] {
    let mut out = [0; N];
    if let Some(bytes) = peek(addr, N) {
        out.copy_from_slice(&bytes);
    }
    out
}

fn ipv4(kind: u8, a: &[u8; 4]) -> String {
    if kind == b'I' {
        std::net::Ipv4Addr::from(*a).to_string()
    } else {
        format!("{:03}.{:03}.{:03}.{:03}", a[0], a[1], a[2], a[3])
    }
}

fn ipv6(kind: u8, a: &[u8; 16]) -> String {
    let words = a.as_chunks::<2>().0.iter().map(|w| format!("{:04x}", u16::from_be_bytes(*w)));
    words.collect::<Vec<_>>().join(if kind == b'I' { ":" } else { "" })
}

impl Conversion {
    fn pad(&self, out: &mut Vec<u8>, text: &[u8]) {
        let fill = self.width.saturating_sub(text.len());
        if self.left {
            out.extend_from_slice(text);
            out.resize(out.len() + fill, b' ');
        } else {
            out.resize(out.len() + fill, b' ');
            out.extend_from_slice(text);
        }
    }

    fn number(&self, out: &mut Vec<u8>, kind: u8, value: u64) -> Result<(), BadFormat> {
        let unsigned = if self.long { value } else { u64::from(value as u32) };
        let signed = if self.long { value as i64 } else { i64::from(value as i32) };
        let (sign, digits) = match kind {
            b'd' | b'i' => {
                let sign = match (signed < 0, self.plus, self.space) {
                    (true, ..) => "-",
                    (_, true, _) => "+",
                    (_, _, true) => " ",
                    _ => "",
                };
                (sign, signed.unsigned_abs().to_string())
            }
            b'u' => ("", unsigned.to_string()),
            b'x' => ("", format!("{unsigned:x}")),
            b'X' => ("", format!("{unsigned:X}")),
            _ => return Err(BadFormat),
        };
        if self.zero && !self.left {
            out.extend_from_slice(sign.as_bytes());
            out.resize(out.len() + self.width.saturating_sub(sign.len() + digits.len()), b'0');
            out.extend_from_slice(digits.as_bytes());
        } else {
            self.pad(out, format!("{sign}{digits}").as_bytes());
        }
        Ok(())
    }
}
