//! Redirection by classifiers: recorded, not done. Copies are kept beside the packet.

use super::{Sent, Skb};
use crate::{Redirect, Way};
use alveary_abi::flags::BPF_F_INGRESS;
use alveary_abi::negative::{EINVAL, ENOBUFS};
use alveary_runtime::{Args, Cx};

const TC_ACT_SHOT: i64 = 2;
const TC_ACT_REDIRECT: i64 = 7;
/// Copies that are kept of one packet: further ones are lost, as on a device whose queue is full.
const MOST_COPIES: usize = 1024;
/// `sizeof(struct bpf_redir_neigh)`.
const NEIGHBOUR_LEN: u32 = 20;

fn way(flags: u64) -> Option<Way> {
    match flags {
        0 => Some(Way::Egress),
        BPF_F_INGRESS => Some(Way::Ingress),
        _ => None,
    }
}

fn record(cx: &Cx<'_, Skb>, ifindex: u64, way: Option<Way>) -> i64 {
    let Some(way) = way else { return TC_ACT_SHOT };
    cx.ctx().redirect.replace(Some(Redirect::Device { ifindex: ifindex as u32, way }));
    TC_ACT_REDIRECT
}

pub(super) fn redirect(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    record(cx, args.scalar(0), way(args.scalar(1)))
}

pub(super) fn redirect_peer(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    record(cx, args.scalar(0), (args.scalar(1) == 0).then_some(Way::Peer))
}

pub(super) fn redirect_neigh(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (len, flags) = (args.scalar(2) as u32, args.scalar(3));
    record(cx, args.scalar(0), (flags == 0 && (len == 0 || len >= NEIGHBOUR_LEN)).then_some(Way::Neighbour))
}

pub(super) fn clone_redirect(cx: &Cx<'_, Skb>, args: &Args<'_>) -> i64 {
    let (ctx, ifindex) = (cx.ctx(), args.scalar(1) as u32);
    match way(args.scalar(2)).filter(|_| cx.state().host.has_device(ifindex)) {
        Some(_) if ctx.copies.borrow().len() >= MOST_COPIES => ENOBUFS,
        Some(way) => {
            ctx.copies.borrow_mut().push(Sent { to: Redirect::Device { ifindex, way }, bytes: ctx.to_vec() });
            0
        }
        None => EINVAL,
    }
}
