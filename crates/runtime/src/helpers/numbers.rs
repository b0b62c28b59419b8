//! Time, randomness, where a program runs, checksums.

use super::Cx;
use crate::{Args, Bind, csum, world::ClockId};
use alveary_abi::Version;
use alveary_abi::negative::EINVAL;

pub(super) const ALL: &[Bind] = crate::helpers![super::AnyFamily;
    KTIME_GET_NS => ktime_get_ns,
    KTIME_GET_BOOT_NS => ktime_get_boot_ns,
    KTIME_GET_COARSE_NS => ktime_get_ns,
    KTIME_GET_TAI_NS => ktime_get_tai_ns,
    JIFFIES64 => jiffies64,
    GET_PRANDOM_U32 => get_prandom_u32,
    GET_SMP_PROCESSOR_ID => get_smp_processor_id,
    GET_NUMA_NODE_ID => get_numa_node_id,
    CSUM_DIFF => csum_diff,
];

/// Since this version `bpf_csum_diff` folds its sum into 16 bits on every machine.
pub(crate) const CSUM_DIFF_FOLDS: Version = Version(6, 13);

fn ktime_get_ns(cx: &Cx<'_>, _: &Args<'_>) -> i64 {
    cx.vcpu().time(ClockId::Monotonic) as i64
}

fn ktime_get_boot_ns(cx: &Cx<'_>, _: &Args<'_>) -> i64 {
    cx.vcpu().time(ClockId::Boot) as i64
}

fn ktime_get_tai_ns(cx: &Cx<'_>, _: &Args<'_>) -> i64 {
    cx.vcpu().time(ClockId::Tai) as i64
}

/// Ticks of `CONFIG_HZ`. Linux starts five minutes before the 32-bit counter wraps.
fn jiffies64(cx: &Cx<'_>, _: &Args<'_>) -> i64 {
    let hz = cx.vcpu().runtime().kernel().kconfig.get("CONFIG_HZ").and_then(|hz| hz.parse().ok()).unwrap_or(250u32);
    let start = 0u32.wrapping_sub(hz.wrapping_mul(300));
    let ticks = u128::from(cx.vcpu().time(ClockId::Monotonic)) * u128::from(hz) / 1_000_000_000;
    (u64::from(start) + ticks as u64) as i64
}

fn get_prandom_u32(cx: &Cx<'_>, _: &Args<'_>) -> i64 {
    cx.random().into()
}

fn get_smp_processor_id(cx: &Cx<'_>, _: &Args<'_>) -> i64 {
    cx.cpu().into()
}

/// All memory is one node.
fn get_numa_node_id(_: &Cx<'_>, _: &Args<'_>) -> i64 {
    0
}

/// The sum of `to` less that of `from`, and a seed.
fn csum_diff(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let (from, to) = (args.bytes(0), args.bytes(2));
    if !from.len().is_multiple_of(4) || !to.len().is_multiple_of(4) {
        return EINVAL;
    }
    let sum = csum::diff(&from, &to, args.scalar(4) as u32);
    let folded = cx.vcpu().runtime().kernel().profile.version >= CSUM_DIFF_FOLDS;
    if folded { (!csum::fold(sum)).into() } else { sum.into() }
}
