//! What programs of an SRv6 endpoint (End.BPF) do with a packet: write into its SRH, make that longer or shorter, take
//! one of Linux's own actions.

use super::{SkBuff, Skb, lwt, room};
use crate::seg6::{FIXED, Found, SEGMENT, Spent, Srh, find, header, set_payload_len};
use alveary_abi::negative::{EBADMSG, EFAULT, EINVAL, ENOMEM};
use alveary_runtime::{Args, Cx};
use std::net::Ipv6Addr;

/// Longest packet that is made: the longest IPv6 packet. The kernel's limit is its memory.
const MOST: usize = 40 + 0xffff;

/// Actions that are taken (`SEG6_LOCAL_ACTION_…`).
const END_X: u32 = 2;
const END_T: u32 = 3;
const END_DT6: u32 = 7;
const END_B6: u32 = 9;
const END_B6_ENCAP: u32 = 10;

/// Where the parts of the packet's SRH are that programs may change.
struct Places {
    /// The header.
    srh: usize,
    /// Behind it, as long as the program made it.
    end: usize,
    /// Bytes of its segments.
    segments: usize,
}

impl Places {
    fn of(ctx: &SkBuff) -> Option<Places> {
        let state = &ctx.routed.srh;
        let at = state.at()?;
        // A routing header that was never checked may lack the byte that says how many segments there are.
        let last_entry = Srh::read(&ctx, at).map_or(0, |srh| srh.last_entry);
        let segments = (usize::from(last_entry) + 1) * SEGMENT;
        Some(Places { srh: at, end: at + FIXED + usize::from(state.len.get()), segments })
    }
}

/// Flags, tag and TLVs, and, as in Linux, the last 8 bytes of the segments.
pub(super) fn store_bytes(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    const FLAGS: usize = 5;
    let (ctx, offset, from) = (cx.ctx(), args.scalar(1) as u32 as usize, args.bytes(2));
    let Some(places) = Places::of(ctx) else { return EINVAL };
    let end = offset + from.len();
    if offset >= places.srh + places.segments && end <= places.end {
        ctx.routed.srh.valid.set(false);
    } else if offset < places.srh + FLAGS || end > places.srh + FIXED {
        return EFAULT;
    }
    let Some(place) = ctx.at(offset as u64, from.len() as u64) else { return EFAULT };
    let Some(srh) = routing_header(ctx) else { return EINVAL };
    ctx.routed.srh.set_at(Some(srh));
    ctx.memory.put(place, &from);
    0
}

/// Opens room inside or behind the TLVs, or takes bytes of them out.
pub(super) fn adjust_srh(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (ctx, offset, by) = (cx.ctx(), args.scalar(1) as u32 as usize, args.scalar(2) as i32);
    let Some(places) = Places::of(ctx) else { return EINVAL };
    let tlvs = places.srh + FIXED + places.segments;
    let len = by.unsigned_abs() as usize;
    if offset < tlvs || offset > places.end || (by < 0 && offset + len > places.end) {
        return EFAULT;
    }
    if by > 0 && ctx.len() + len > MOST {
        return ENOMEM;
    }
    let moved = if by > 0 { room::insert(ctx, offset, len) } else { room::remove(ctx, offset, len) };
    if let Err(error) = moved {
        return error;
    }
    set_payload_len(&mut &*ctx);
    let Some(srh) = routing_header(ctx) else { return EINVAL };
    let state = &ctx.routed.srh;
    state.set_at(Some(srh));
    state.len.set(state.len.get().wrapping_add_signed(by as i16));
    state.valid.set(false);
    0
}

pub(super) fn action(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (ctx, action, parameter) = (cx.ctx(), args.scalar(1) as u32, args.bytes(2));
    let checked = match action {
        END_X | END_T | END_DT6 => ctx.has_valid_srh(),
        END_B6 | END_B6_ENCAP => ctx.routed.srh.at().is_none() || ctx.has_valid_srh(),
        _ => return EINVAL,
    };
    if !checked {
        return EBADMSG;
    }
    match action {
        END_X => match <[u8; 16]>::try_from(&*parameter) {
            Ok(next_hop) => lwt::look_up(cx, Some(Ipv6Addr::from(next_hop)), 0),
            Err(_) => EINVAL,
        },
        END_T | END_DT6 => match <[u8; 4]>::try_from(&*parameter) {
            Ok(_) if action == END_DT6 && !decapsulate(ctx) => EBADMSG,
            Ok(table) => lwt::look_up(cx, None, u32::from_ne_bytes(table)),
            Err(_) => EINVAL,
        },
        _ => {
            let mode = if action == END_B6 { lwt::SEG6_INLINE } else { lwt::SEG6 };
            let pushed = lwt::push_segments(cx, mode, &parameter);
            if pushed == 0 {
                renew(ctx);
            }
            pushed
        }
    }
}

/// Takes what stands before the inner IPv6 packet away; says whether there is one.
fn decapsulate(ctx: &SkBuff) -> bool {
    let Ok(inner) = find(ctx, Some(header::IPV6), Spent::Counts) else { return false };
    if room::remove(ctx, 0, inner.at).is_err() {
        return false;
    }
    let mut headers = ctx.headers.get();
    headers.transport = Some(headers.net);
    ctx.headers.set(headers);
    ctx.encapsulated.set(false);
    renew(ctx);
    true
}

/// The packet begins elsewhere: its SRH is another. It is believed unseen, as Linux does.
fn renew(ctx: &SkBuff) {
    use crate::seg6::Octets;
    let state = &ctx.routed.srh;
    state.set_at(routing_header(ctx));
    if let Some(at) = state.at() {
        state.len.set(u16::from(ctx.octet(at + 1).unwrap_or(0)) * 8);
        state.valid.set(true);
    }
}

/// The first routing header of any type, used up or not.
fn routing_header(ctx: &SkBuff) -> Option<usize> {
    find(ctx, Some(header::ROUTING), Spent::Counts).ok().map(|Found { at, .. }| at)
}
