//! Headers that tunnels' programs put on packets: SRv6 headers where packets come in, IP headers where they leave, too.

use super::{Checksum, ETH_P_IP, ETH_P_IPV6, SkBuff, Skb, routed::Lookup};
use crate::seg6::{self, IPV6_LEN, Inner, List, Octets, Room, Srh, Unable};
use alveary_abi::ProgType;
use alveary_abi::negative::{EBADMSG, EINVAL, EMSGSIZE, ENOENT};
use alveary_runtime::{
    Args, Cx,
    csum::{fold, partial},
};
use std::net::Ipv6Addr;

/// `enum bpf_lwt_encap_mode`.
pub(super) const SEG6: u32 = 0;
pub(super) const SEG6_INLINE: u32 = 1;
const IP: u32 = 2;

/// Longest IP header that is put on a packet (`LWT_BPF_MAX_HEADROOM`).
const MOST: usize = 256;
const IPV4_LEN: usize = 20;
const UDP: u8 = 17;
const UDP_LEN: usize = 8;

pub(super) fn push_encap(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (mode, header) = (args.scalar(1) as u32, args.bytes(2));
    match mode {
        SEG6 | SEG6_INLINE if cx.prog().program().ty == ProgType::LWT_IN => push_segments(cx, mode, &header),
        IP => push_ip(cx.ctx(), &header),
        _ => EINVAL,
    }
}

/// Puts an SRv6 header on the packet and looks for the way to its first segment.
pub(super) fn push_segments(cx: &Cx<'_, Skb>, mode: u32, srh: &[u8]) -> i64 {
    let (mut ctx, host) = (cx.ctx(), &cx.state().host);
    if Srh::check(srh, 0, srh.len(), List::Full).is_err() {
        return EINVAL;
    }
    let (six, before) = (ctx.protocol() == ETH_P_IPV6, ctx.len());
    let pushed = match mode {
        SEG6_INLINE if !six => return EBADMSG,
        SEG6_INLINE => seg6::insert(&mut ctx, srh, host.keys()),
        _ => {
            ctx.encapsulated.set(true);
            let inner = if six { Inner::six(&ctx) } else { Inner::other(seg6::header::IPV6) };
            seg6::encapsulate(&mut ctx, srh, inner, host.keys(), |to| host.tunnel_source(to))
        }
    };
    match pushed {
        Ok(()) => {
            let mut headers = ctx.headers.get();
            headers.transport = Some(headers.net + IPV6_LEN);
            ctx.headers.set(headers);
            look_up(cx, None, 0)
        }
        Err(why) => {
            // What an endpoint's program takes for the SRH is still the old one, behind what was pushed.
            let srh = &ctx.routed.srh;
            srh.set_at(srh.at().map(|at| at + ctx.len() - before));
            match why {
                Unable::NoKey => ENOENT,
                Unable::TooLong => EMSGSIZE,
                Unable::NoHmac | Unable::Short => EINVAL,
            }
        }
    }
}

/// Looks for the way to the packet's destination, or by a next hop.
pub(super) fn look_up(cx: &Cx<'_, Skb>, next_hop: Option<Ipv6Addr>, table: u32) -> i64 {
    const DESTINATION: usize = 24;
    let ctx = cx.ctx();
    let destination = Ipv6Addr::from(ctx.array::<16>(DESTINATION).unwrap_or_default());
    let lookup = Lookup { destination, next_hop, table };
    ctx.routed.ask(lookup);
    cx.state().host.route(&lookup)
}

/// Puts an IP header, and what follows it, before the packet.
fn push_ip(ctx: &SkBuff, header: &[u8]) -> i64 {
    let Some((protocol, len)) = outer(header) else { return EINVAL };
    let mut packet = ctx;
    packet.open(0, header.len());
    packet.write(0, header);
    ctx.encapsulated.set(true);
    ctx.checksum.set(Checksum::None);
    ctx.clear_hash();
    if next_header(protocol, header) == UDP {
        let mut headers = ctx.headers.get();
        headers.transport = Some(headers.net + len);
        ctx.headers.set(headers);
    }
    ctx.become_protocol(protocol);
    if protocol == ETH_P_IP && header[10..12] == [0, 0] {
        packet.write(10, &fold(partial(&header[..len], 0)).to_ne_bytes());
    }
    0
}

/// What a header is, and the length of its first part; `None` if it is not all there.
fn outer(header: &[u8]) -> Option<(u16, usize)> {
    let [first, ..] = *header else { return None };
    let (protocol, len) = match first >> 4 {
        4 => (ETH_P_IP, usize::from(first & 15) * 4),
        6 => (ETH_P_IPV6, IPV6_LEN),
        _ => return None,
    };
    let fits = (IPV4_LEN..=MOST).contains(&header.len()) && header.len() >= len;
    let tunnel = fits && next_header(protocol, header) == UDP;
    (fits && (!tunnel || header.len() >= len + UDP_LEN)).then_some((protocol, len))
}

fn next_header(protocol: u16, header: &[u8]) -> u8 {
    header[if protocol == ETH_P_IP { 9 } else { 6 }]
}
