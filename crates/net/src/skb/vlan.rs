//! VLAN tags: the outermost stands beside the packet, as hardware would give it, others inside.

use super::{ETH_HLEN, ETH_P_8021AD, ETH_P_8021Q, MAX_LEN, SkBuff, Skb, ethernet};
use alveary_abi::negative::ENOMEM;
use alveary_runtime::{Args, Cx};

/// Bytes of a tag.
const VLAN_HLEN: usize = 4;
/// Bytes of the two addresses before it.
const ADDRESSES: usize = 12;

fn is_vlan(protocol: u16) -> bool {
    matches!(protocol, ETH_P_8021Q | ETH_P_8021AD)
}

pub(super) fn push(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let ctx = cx.ctx();
    let asked = u16::from_be(args.scalar(1) as u16);
    let proto = if is_vlan(asked) { asked } else { ETH_P_8021Q };
    if ctx.fields.vlan_present.get() != 0 {
        // The kernel's limit is its memory.
        if ctx.len() + VLAN_HLEN > MAX_LEN {
            return ENOMEM;
        }
        insert(ctx);
    }
    hold(ctx, proto, args.scalar(2) as u16);
    0
}

pub(super) fn pop(cx: &Cx<'_, Skb>, _: &Args<'_>) -> i64 {
    let ctx = cx.ctx();
    if ctx.fields.vlan_present.get() != 0 {
        ctx.fields.vlan_present.set(0);
        ctx.fields.vlan_proto.set(0);
        ctx.fields.vlan_tci.set(0);
    } else if !is_vlan(ctx.protocol()) {
        return 0;
    } else if remove(ctx).is_none() {
        return ENOMEM;
    }
    // The next one, if there is one, is now the outermost.
    let proto = ctx.protocol();
    if !is_vlan(proto) {
        return 0;
    }
    match remove(ctx) {
        Some(tci) => {
            hold(ctx, proto, tci);
            0
        }
        None => ENOMEM,
    }
}

fn hold(ctx: &SkBuff, proto: u16, tci: u16) {
    ctx.fields.vlan_present.set(1);
    ctx.fields.vlan_proto.set(proto.to_be());
    ctx.fields.vlan_tci.set(tci);
}

/// Puts the tag that stands beside the packet into it.
fn insert(ctx: &SkBuff) {
    let (proto, tci) = (ctx.fields.vlan_proto.get(), ctx.fields.vlan_tci.get());
    ctx.push(VLAN_HLEN);
    let start = ctx.start();
    ctx.memory.shift(start + VLAN_HLEN, start, ADDRESSES.min(ctx.len() - VLAN_HLEN));
    ctx.memory.put(start + ADDRESSES, &proto.to_ne_bytes());
    ctx.memory.put(start + ADDRESSES + 2, &tci.to_be_bytes());
    let mut headers = ctx.headers.get();
    headers.mac -= VLAN_HLEN;
    headers.net -= VLAN_HLEN;
    ctx.headers.set(headers);
    ctx.fields.protocol.set(proto);
}

/// Takes the outermost tag out of the packet; `None` if it is too short to have one.
fn remove(ctx: &SkBuff) -> Option<u16> {
    ctx.at(0, (ETH_HLEN + VLAN_HLEN) as u64)?;
    let start = ctx.start();
    let word = |at: usize| {
        let mut bytes = [0; 2];
        ctx.memory.get(start + at, &mut bytes);
        u16::from_be_bytes(bytes)
    };
    let (tci, ty) = (word(ETH_HLEN), word(ETH_HLEN + 2));
    let payload = ctx.at((ETH_HLEN + VLAN_HLEN) as u64, 2).map(|_| word(ETH_HLEN + VLAN_HLEN));
    ctx.memory.shift(start, start + VLAN_HLEN, ADDRESSES);
    ctx.pull(VLAN_HLEN);
    ctx.fields.protocol.set(ethernet(ty, payload).to_be());
    let mut headers = ctx.headers.get();
    headers.mac += VLAN_HLEN;
    headers.net = headers.net.max(ctx.start() + ETH_HLEN);
    ctx.headers.set(headers);
    Some(tci)
}
