//! The networking families of the user-space kernel: XDP; classifiers, actions, socket filters, lightweight tunnels and
//! SRv6 endpoints over a socket buffer. Segment routing ([`seg6`]), a router of it ([`router`]), networks of routers in
//! virtual time ([`network`]); finding the ways of such a network ([`discovery`]).
//!
//! Contexts, packet memory, packet helpers, verdicts. Pure: no sockets, no files, no devices; what a helper must know
//! of the world around a packet it asks a [`Host`]. Linux's behaviour is followed call by call
//! (`net/core/filter.c`, `net/core/lwt_bpf.c`, `net/ipv6/seg6_local.c`, and `net/bpf/test_run.c` for what a fresh packet
//! looks like); the tests `kernel` and `routes` hold both against each other.

pub mod discovery;
mod host;
pub mod icmpv6;
mod memory;
pub mod network;
mod routed;
pub mod router;
pub mod seg6;
mod skb;
mod verdict;
mod xdp;

pub use host::{Host, Net, NoHost};
pub use skb::{Arrival, Dropped, Lookup, Sent, SkBuff, Skb, Start};
pub use verdict::{Redirect, Verdict, Way};
pub use xdp::{Xdp, XdpBuff};

use alveary_abi::flags::BPF_F_CTXLEN_MASK;
use alveary_abi::negative::{EFAULT, EINVAL};
use alveary_runtime::{Args, perf_output};

/// `bpf_perf_event_output` with as many of the packet's bytes behind it as the upper half of the flags says.
fn event_output(args: &Args<'_>, cpu: u32, packet: usize, append: impl FnOnce(usize, &mut Vec<u8>)) -> i64 {
    let flags = args.scalar(2);
    if flags & !(BPF_F_CTXLEN_MASK | 0xffff_ffff) != 0 {
        return EINVAL;
    }
    let len = ((flags & BPF_F_CTXLEN_MASK) >> 32) as usize;
    if len > packet {
        return EFAULT;
    }
    let mut bytes = Vec::new();
    append(len, &mut bytes);
    perf_output(cpu, args, &[&args.bytes(3), &bytes])
}
