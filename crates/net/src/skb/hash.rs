//! The flow hash. The kernel's is keyed with a random number at boot; ours is the same for the same flow each time, and
//! the same for both directions, as the kernel's.

use super::{ETH_P_8021AD, ETH_P_8021Q, ETH_P_IP, ETH_P_IPV6, SkBuff, Skb};
use alveary_runtime::{Args, Cx};

impl SkBuff {
    /// The hash is no longer that of the packet.
    pub(super) fn clear_hash(&self) {
        self.fields.hash.set(0);
        self.hashed.set(false);
    }
}

pub(super) fn recalc(cx: &Cx<'_, Skb>, _: &Args<'_>) -> i64 {
    let ctx = cx.ctx();
    if !ctx.hashed.replace(true) {
        let mut packet = Vec::new();
        let net = ctx.headers.get().net.min(ctx.end());
        ctx.append(net, ctx.end() - net, &mut packet);
        ctx.fields.hash.set(flow_hash(ctx.protocol(), &packet));
    }
    ctx.fields.hash.get().into()
}

pub(super) fn set(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    cx.ctx().fields.hash.set(args.scalar(1) as u32);
    cx.ctx().hashed.set(true);
    0
}

pub(super) fn invalidate(cx: &Cx<'_, Skb>, _: &Args<'_>) -> i64 {
    cx.ctx().clear_hash();
    0
}

/// FNV-1a over addresses, ports and protocols, the lesser end first; never 0.
fn flow_hash(mut protocol: u16, mut packet: &[u8]) -> u32 {
    while let (ETH_P_8021Q | ETH_P_8021AD, [_, _, high, low, rest @ ..]) = (protocol, packet) {
        protocol = u16::from_be_bytes([*high, *low]);
        packet = rest;
    }
    let (addresses, next, header) = match (protocol, packet) {
        (ETH_P_IP, [first, ..]) if packet.len() >= 20 => (&packet[12..20], packet[9], usize::from(first & 15) * 4),
        (ETH_P_IPV6, _) if packet.len() >= 40 => (&packet[8..40], packet[6], 40),
        _ => (&[][..], 0, 0),
    };
    // Fragments have no ports.
    let whole =
        protocol != ETH_P_IP || packet.get(6..8).is_some_and(|f| u16::from_be_bytes([f[0], f[1]]) & 0x3fff == 0);
    let has_ports = matches!(next, 6 | 17 | 33 | 132 | 136) && whole;
    let ports = packet.get(header..header + 4).filter(|_| has_ports).unwrap_or(&[]);
    let (from, to) = addresses.split_at(addresses.len() / 2);
    let (from_port, to_port) = ports.split_at(ports.len() / 2);
    let (a, b) = ((from, from_port), (to, to_port));
    let (a, b) = if a <= b { (a, b) } else { (b, a) };
    let words = [a.0, a.1, b.0, b.1, &[next], &protocol.to_be_bytes()];
    let hash =
        words.iter().flat_map(|w| w.iter()).fold(0x811c_9dc5u32, |h, b| (h ^ u32::from(*b)).wrapping_mul(0x0100_0193));
    hash.max(1)
}
