//! Text: printing, formatting, numbers in words, comparing.

use super::Cx;
use crate::{Args, Bind, TraceLine, format::format, world::ClockId};
use alveary_abi::negative::{EINVAL, ERANGE};

pub(super) const ALL: &[Bind] = crate::helpers![super::AnyFamily;
    TRACE_PRINTK => trace_printk,
    TRACE_VPRINTK => trace_vprintk,
    SNPRINTF => snprintf,
    STRTOL => strtol,
    STRTOUL => strtoul,
    STRNCMP => strncmp,
];

/// Longest line of `bpf_trace_printk`.
const LINE: usize = 1023;
/// Most arguments of the helpers that take them as an array.
const MAX_VARARGS: usize = 12;

fn trace_printk(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    print(cx, &args.bytes(0), &[args.scalar(2), args.scalar(3), args.scalar(4)])
}

fn trace_vprintk(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    match numbers(args, 2) {
        Some(values) => print(cx, &args.bytes(0), &values),
        None => EINVAL,
    }
}

/// Arguments that stand as 64-bit numbers in the memory that argument `i` is, whose size is the next one.
fn numbers(args: &Args<'_>, i: usize) -> Option<Vec<u64>> {
    let bytes = args.bytes(i);
    let (words, rest) = bytes.as_chunks::<8>();
    let there = args.mem(i).is_some() || args.scalar(i + 1) == 0;
    let fits = there && rest.is_empty() && words.len() <= MAX_VARARGS;
    fits.then(|| words.iter().map(|w| u64::from_ne_bytes(*w)).collect())
}

fn print(cx: &Cx<'_>, text: &[u8], values: &[u64]) -> i64 {
    let Some(end) = text.iter().position(|b| *b == 0) else { return EINVAL };
    let Ok(mut line) = format(&text[..end], values, &|addr, len| cx.peek(addr, len)) else { return EINVAL };
    line.truncate(LINE);
    let printed = line.len() as i64;
    let world = cx.world();
    cx.vcpu().runtime().trace().push(TraceLine {
        cpu: cx.cpu(),
        time: cx.vcpu().time(ClockId::Monotonic),
        tid: world.tid,
        comm: world.comm,
        text: line,
    });
    printed
}

fn snprintf(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let Some(values) = numbers(args, 3) else { return EINVAL };
    let Ok(mut text) = format(&constant(cx, args.scalar(2)), &values, &|addr, len| cx.peek(addr, len)) else {
        return EINVAL;
    };
    text.push(0);
    let len = text.len();
    if let Some(out) = args.mem(0).filter(|out| !out.is_empty()) {
        text.truncate(out.len());
        if let Some(last) = text.last_mut() {
            *last = 0;
        }
        out.put(0, &text);
    }
    len as i64
}

/// A constant string, without its NUL.
fn constant(cx: &Cx<'_>, addr: u64) -> Vec<u8> {
    let bytes = (addr..).map_while(|at| cx.peek(at, 1).map(|b| b[0]));
    bytes.take_while(|b| *b != 0).collect()
}

fn strncmp(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let (a, mut b) = (args.bytes(0), constant(cx, args.scalar(2)));
    b.push(0);
    for (i, x) in a.iter().enumerate() {
        let y = b.get(i).copied().unwrap_or(0);
        if x != &y {
            return if *x < y { -1 } else { 1 };
        }
        if *x == 0 {
            break;
        }
    }
    0
}

fn strtol(_: &Cx<'_>, args: &Args<'_>) -> i64 {
    let signed = parse(&args.bytes(0), args.scalar(2)).and_then(|n| {
        let value = if n.negative { (n.magnitude as i64).wrapping_neg() } else { n.magnitude as i64 };
        // Zero counts as neither.
        let fits = n.magnitude <= i64::MAX as u64 || (n.negative && n.magnitude == 1 << 63);
        if fits { Ok((value as u64, n.consumed)) } else { Err(ERANGE) }
    });
    give(args, signed)
}

fn strtoul(_: &Cx<'_>, args: &Args<'_>) -> i64 {
    let unsigned = parse(&args.bytes(0), args.scalar(2))
        .and_then(|n| if n.negative { Err(EINVAL) } else { Ok((n.magnitude, n.consumed)) });
    give(args, unsigned)
}

fn give(args: &Args<'_>, parsed: Result<(u64, usize), i64>) -> i64 {
    let (value, r) = match parsed {
        Ok((value, consumed)) => (value, consumed as i64),
        Err(e) => (0, e),
    };
    if let Some(out) = args.mem(3) {
        out.put(0, &value.to_ne_bytes());
    }
    r
}

struct Number {
    negative: bool,
    magnitude: u64,
    consumed: usize,
}

/// A number in text: spaces, a sign, a prefix if the base is 0 or 16, digits.
fn parse(text: &[u8], flags: u64) -> Result<Number, i64> {
    if !matches!(flags, 0 | 8 | 10 | 16) {
        return Err(EINVAL);
    }
    let space = |b: &u8| b.is_ascii_whitespace() || *b == 11;
    let mut at = text.iter().take_while(|b| space(b)).count();
    let negative = text.get(at) == Some(&b'-');
    at += usize::from(negative);
    // The kernel looks at 63 characters.
    let digits = &text[at..text.len().min(at + 63)];
    if digits.is_empty() {
        return Err(EINVAL);
    }
    let hex =
        digits.len() > 2 && digits[0] == b'0' && digits[1].eq_ignore_ascii_case(&b'x') && digits[2].is_ascii_hexdigit();
    let base = match flags {
        0 if hex => 16,
        0 if digits[0] == b'0' => 8,
        0 => 10,
        base => base as u32,
    };
    let prefix = if base == 16 && digits[0] == b'0' && digits.get(1).is_some_and(|b| b.eq_ignore_ascii_case(&b'x')) {
        2
    } else {
        0
    };
    let mut magnitude = 0u64;
    let mut count = 0;
    for digit in digits[prefix..].iter().map_while(|b| (*b as char).to_digit(base)) {
        let next = magnitude.checked_mul(base.into()).and_then(|m| m.checked_add(digit.into()));
        magnitude = next.ok_or(ERANGE)?;
        count += 1;
    }
    if count == 0 {
        return Err(EINVAL);
    }
    Ok(Number { negative, magnitude, consumed: at + prefix + count })
}
