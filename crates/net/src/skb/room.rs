//! Making packets longer and shorter: at the tail, at the head, between the headers.

use super::{Checksum, ETH_P_IP, ETH_P_IPV6, MAX_LEN, SkBuff, Skb};
use alveary_abi::flags::{
    BPF_F_ADJ_ROOM_DECAP_L3_IPV4, BPF_F_ADJ_ROOM_DECAP_L3_IPV6, BPF_F_ADJ_ROOM_ENCAP_L2_ETH,
    BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6, BPF_F_ADJ_ROOM_ENCAP_L4_GRE,
    BPF_F_ADJ_ROOM_ENCAP_L4_UDP, BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_ADJ_ROOM_NO_CSUM_RESET,
};
use alveary_abi::negative::{EALREADY, EFAULT, EINVAL, ENOMEM, ENOTSUPP};
use alveary_runtime::{Args, Cx};

const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;

pub(super) fn change_tail(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (ctx, len, flags) = (cx.ctx(), args.scalar(1) as u32 as usize, args.scalar(2));
    let transport = ctx.headers.get().transport.map(|t| t as i64 - ctx.start() as i64);
    let least = transport.filter(|t| *t > 0).unwrap_or_else(|| ctx.net_offset().max(0));
    if flags != 0 || len > MAX_LEN || (len as i64) < least {
        return EINVAL;
    }
    if ctx.encapsulated.get() {
        return ENOTSUPP;
    }
    ctx.resize(len);
    0
}

pub(super) fn change_head(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (ctx, room, flags) = (cx.ctx(), args.scalar(1) as u32 as usize, args.scalar(2));
    if flags != 0 || ctx.len() + room > MAX_LEN {
        return EINVAL;
    }
    ctx.push(room);
    ctx.memory.fill(ctx.start(), room);
    let mut headers = ctx.headers.get();
    headers.mac = ctx.start();
    ctx.headers.set(headers);
    0
}

pub(super) fn change_proto(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (ctx, to, flags) = (cx.ctx(), u16::from_be(args.scalar(1) as u16), args.scalar(2));
    if flags != 0 {
        return EINVAL;
    }
    let off = ctx.mac_len();
    let done = match (ctx.protocol(), to) {
        (ETH_P_IP, ETH_P_IPV6) => insert(ctx, off, IPV6_LEN - IPV4_LEN),
        (ETH_P_IPV6, ETH_P_IP) => remove(ctx, off, IPV6_LEN - IPV4_LEN),
        _ => Err(ENOTSUPP),
    };
    match done {
        Ok(()) => {
            ctx.fields.protocol.set(to.to_be());
            ctx.clear_hash();
            0
        }
        Err(e) => e,
    }
}

const ENCAP_L2_SHIFT: u32 = 56;
const ENCAP: u64 = BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
const DECAP: u64 = BPF_F_ADJ_ROOM_DECAP_L3_IPV4 | BPF_F_ADJ_ROOM_DECAP_L3_IPV6;
const KNOWN: u64 = BPF_F_ADJ_ROOM_FIXED_GSO
    | ENCAP
    | BPF_F_ADJ_ROOM_ENCAP_L4_GRE
    | BPF_F_ADJ_ROOM_ENCAP_L4_UDP
    | BPF_F_ADJ_ROOM_NO_CSUM_RESET
    | BPF_F_ADJ_ROOM_ENCAP_L2_ETH
    | DECAP
    | 0xff << ENCAP_L2_SHIFT;

pub(super) fn adjust(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    match adjust_room(cx.ctx(), args.scalar(1) as i32, args.scalar(2) as u32, args.scalar(3)) {
        Ok(()) => 0,
        Err(e) => e,
    }
}

fn adjust_room(ctx: &SkBuff, by: i32, mode: u32, flags: u64) -> Result<(), i64> {
    const NET: u32 = 0;
    const MAC: u32 = 1;
    let (shrink, len) = (by < 0, by.unsigned_abs() as usize);
    if flags & !KNOWN != 0 {
        return Err(EINVAL);
    }
    if len > 0xfff {
        return Err(EFAULT);
    }
    let network = match ctx.protocol() {
        ETH_P_IP => IPV4_LEN,
        ETH_P_IPV6 => IPV6_LEN,
        _ => return Err(ENOTSUPP),
    };
    let off = match mode {
        NET => ctx.mac_len() + network,
        MAC => ctx.mac_len(),
        _ => return Err(ENOTSUPP),
    };
    let least = match flags & DECAP {
        0 => network,
        _ if !shrink => return Err(EINVAL),
        BPF_F_ADJ_ROOM_DECAP_L3_IPV4 => IPV4_LEN,
        BPF_F_ADJ_ROOM_DECAP_L3_IPV6 => IPV6_LEN,
        _ => return Err(EINVAL),
    };
    let now = ctx.len() as i64 - ctx.net_offset();
    let too_short = shrink && (len as i64 >= now || now - (len as i64) < least as i64);
    if too_short || (!shrink && ctx.len() + len > MAX_LEN) {
        return Err(ENOTSUPP);
    }
    if shrink { shorten(ctx, off, len, flags) } else { lengthen(ctx, off, len, flags) }?;
    if flags & BPF_F_ADJ_ROOM_NO_CSUM_RESET == 0 {
        ctx.checksum.set(Checksum::None);
    }
    Ok(())
}

fn shorten(ctx: &SkBuff, off: usize, len: usize, flags: u64) -> Result<(), i64> {
    if flags & !(BPF_F_ADJ_ROOM_FIXED_GSO | DECAP | BPF_F_ADJ_ROOM_NO_CSUM_RESET) != 0 {
        return Err(EINVAL);
    }
    remove(ctx, off, len)?;
    match (ctx.protocol(), flags & DECAP) {
        (ETH_P_IP, BPF_F_ADJ_ROOM_DECAP_L3_IPV6) => ctx.fields.protocol.set(ETH_P_IPV6.to_be()),
        (ETH_P_IPV6, BPF_F_ADJ_ROOM_DECAP_L3_IPV4) => ctx.fields.protocol.set(ETH_P_IP.to_be()),
        _ => {}
    }
    Ok(())
}

fn lengthen(ctx: &SkBuff, off: usize, len: usize, flags: u64) -> Result<(), i64> {
    let encapsulates = flags & ENCAP != 0;
    let inner_mac = (flags >> ENCAP_L2_SHIFT) as usize;
    let mac_len = ctx.mac_len();
    if encapsulates {
        let both = |mask: u64| flags & mask == mask;
        if both(ENCAP)
            || both(BPF_F_ADJ_ROOM_ENCAP_L4_GRE | BPF_F_ADJ_ROOM_ENCAP_L4_UDP)
            || (flags & BPF_F_ADJ_ROOM_ENCAP_L2_ETH != 0 && inner_mac < super::ETH_HLEN)
        {
            return Err(EINVAL);
        }
        if ctx.encapsulated.get() {
            return Err(EALREADY);
        }
        if inner_mac > len {
            return Err(EINVAL);
        }
    }
    insert(ctx, off, len)?;
    if encapsulates {
        ctx.encapsulated.set(true);
        let mut headers = ctx.headers.get();
        headers.net = ctx.start() + mac_len;
        let outer =
            if flags & BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 != 0 { (ETH_P_IPV6, IPV6_LEN) } else { (ETH_P_IP, IPV4_LEN) };
        if flags & (BPF_F_ADJ_ROOM_ENCAP_L4_GRE | BPF_F_ADJ_ROOM_ENCAP_L4_UDP) != 0 {
            headers.transport = Some(headers.net + outer.1);
        }
        ctx.headers.set(headers);
        ctx.fields.protocol.set(outer.0.to_be());
    }
    Ok(())
}

/// Puts `len` zeroes at `off`: what stands before them moves towards the front, headers with it, also a link header that
/// is not part of the program's packet.
pub(super) fn insert(ctx: &SkBuff, off: usize, len: usize) -> Result<(), i64> {
    if off > ctx.len() {
        return Err(ENOMEM);
    }
    let before = ctx.start() - ctx.front();
    ctx.push(len);
    let start = ctx.start();
    let front = start - before;
    ctx.memory.shift(front + len, front, before + off);
    ctx.memory.fill(start + off, len);
    move_headers(ctx, |place| place - len);
    Ok(())
}

/// Takes `len` bytes out at `off`: what stands before them moves towards the back, headers with it.
pub(super) fn remove(ctx: &SkBuff, off: usize, len: usize) -> Result<(), i64> {
    if off + len > ctx.len() {
        return Err(ENOMEM);
    }
    let (front, start) = (ctx.front(), ctx.start());
    ctx.memory.shift(front, front + len, start - front + off);
    ctx.pull(len);
    move_headers(ctx, |place| place + len);
    Ok(())
}

/// Moves the link and network headers; a transport header that is not known from the network header goes with it.
fn move_headers(ctx: &SkBuff, to: impl Fn(usize) -> usize) {
    let mut headers = ctx.headers.get();
    if headers.transport == Some(headers.net) {
        headers.transport = Some(to(headers.net));
    }
    headers.mac = to(headers.mac);
    headers.net = to(headers.net);
    ctx.headers.set(headers);
}
