//! Checksums in headers, kept right while the program changes what they cover.

use super::{Checksum, SkBuff, Skb};
use crate::errno::{EACCES, EFAULT, EINVAL, ENOTSUPP};
use alveary_runtime::{
    Args, Cx,
    csum::{add, fold, sub},
};

const FIELD_MASK: u64 = 0xf;
const PSEUDO_HDR: u64 = 1 << 4;
const MARK_MANGLED_0: u64 = 1 << 5;
const MARK_ENFORCE: u64 = 1 << 6;
/// Since Linux 6.16.
const IPV6: u64 = 1 << 7;

/// The place of a checksum field.
fn field(ctx: &SkBuff, offset: u32) -> Option<usize> {
    let aligned = offset <= 0xffff && offset.is_multiple_of(2);
    ctx.at(offset.into(), 2).filter(|_| aligned)
}

fn get(ctx: &SkBuff, at: usize) -> u16 {
    let mut bytes = [0; 2];
    ctx.memory.get(at, &mut bytes);
    u16::from_ne_bytes(bytes)
}

/// The field after `from` became `to`, both of `flags & FIELD_MASK` bytes; with 0, `to` is a difference.
fn replaced(old: u16, from: u64, to: u64, size: u64) -> Option<u16> {
    let sum = !u32::from(old);
    match size {
        0 if from != 0 => None,
        0 => Some(fold(add(to as u32, sum))),
        2 => Some(fold(add(sub(sum, (from as u16).into()), (to as u16).into()))),
        4 => Some(fold(add(sub(sum, from as u32), to as u32))),
        _ => None,
    }
}

/// `csum_replace2`, whose arithmetic has 16 bits.
fn replaced16(old: u16, from: u16, to: u16) -> u16 {
    let add16 = |a: u16, b: u16| {
        let (sum, carry) = a.overflowing_add(b);
        sum + u16::from(carry)
    };
    !add16(add16(!old, !from), to)
}

pub(super) fn l3_replace(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (ctx, from, to, flags) = (cx.ctx(), args.scalar(2), args.scalar(3), args.scalar(4));
    if flags & !FIELD_MASK != 0 {
        return EINVAL;
    }
    let Some(at) = field(ctx, args.scalar(1) as u32) else { return EFAULT };
    let old = get(ctx, at);
    let new = if flags == 2 { Some(replaced16(old, from as u16, to as u16)) } else { replaced(old, from, to, flags) };
    match new {
        Some(new) => {
            ctx.memory.put(at, &new.to_ne_bytes());
            0
        }
        None => EINVAL,
    }
}

/// A pseudo header matters only where hardware sums the rest, which it does not do here.
pub(super) fn l4_replace(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (ctx, from, to, flags) = (cx.ctx(), args.scalar(2), args.scalar(3), args.scalar(4));
    if flags & !(FIELD_MASK | PSEUDO_HDR | MARK_MANGLED_0 | MARK_ENFORCE | IPV6) != 0 {
        return EINVAL;
    }
    let Some(at) = field(ctx, args.scalar(1) as u32) else { return EFAULT };
    let old = get(ctx, at);
    let zero_means_none = flags & MARK_MANGLED_0 != 0;
    if zero_means_none && flags & MARK_ENFORCE == 0 && old == 0 {
        return 0;
    }
    match replaced(old, from, to, flags & FIELD_MASK) {
        Some(new) => {
            let new = if zero_means_none && new == 0 { 0xffff } else { new };
            ctx.memory.put(at, &new.to_ne_bytes());
            0
        }
        None => EINVAL,
    }
}

/// There is no sum of the whole packet (`CHECKSUM_COMPLETE`).
pub(super) fn update(_: &Cx<'_, Skb>, _: &Args<'_>) -> i64 {
    ENOTSUPP
}

pub(super) fn level(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    const QUERY: u64 = 0;
    const INC: u64 = 1;
    const DEC: u64 = 2;
    const RESET: u64 = 3;
    /// `SKB_MAX_CSUM_LEVEL`.
    const MAX: u8 = 3;
    let state = &cx.ctx().checksum;
    let new = match (args.scalar(1), state.get()) {
        (QUERY, Checksum::Unnecessary(level)) => return level.into(),
        (QUERY, Checksum::None) => return EACCES,
        (INC, Checksum::Unnecessary(level)) => Checksum::Unnecessary((level + 1).min(MAX)),
        (INC, Checksum::None) => Checksum::Unnecessary(0),
        (DEC, Checksum::Unnecessary(level)) => level.checked_sub(1).map_or(Checksum::None, Checksum::Unnecessary),
        (DEC | RESET, _) => Checksum::None,
        _ => return EINVAL,
    };
    state.set(new);
    0
}
