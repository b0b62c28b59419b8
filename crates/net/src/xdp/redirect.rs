//! Redirection by XDP programs: recorded, not done. The last one before the program returns counts.

use super::Xdp;
use crate::{Redirect, Way};
use alveary_abi::MapType;
use alveary_abi::flags::{BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS};
use alveary_runtime::{Args, Cx, LoadedMap};

const XDP_ABORTED: i64 = 0;
const XDP_REDIRECT: i64 = 4;
/// What a program gets when the map has no such entry: the low bits of the flags.
const ACTION_MASK: u64 = 3;

pub(super) fn redirect(cx: &Cx<'_, Xdp>, args: &Args<'_>) -> i64 {
    if args.scalar(1) != 0 {
        return XDP_ABORTED;
    }
    cx.ctx().redirect.replace(Some(Redirect::Device { ifindex: args.scalar(0) as u32, way: Way::Egress }));
    XDP_REDIRECT
}

pub(super) fn redirect_map(cx: &Cx<'_, Xdp>, args: &Args<'_>) -> i64 {
    let (map, key, flags) = (args.map(0), args.scalar(1) as u32, args.scalar(2));
    let broadcasts = matches!(map.spec.def.ty, MapType::DEVMAP | MapType::DEVMAP_HASH);
    let known = ACTION_MASK | if broadcasts { BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS } else { 0 };
    if flags & !known != 0 {
        return XDP_ABORTED;
    }
    let broadcast = flags & BPF_F_BROADCAST != 0;
    let value = entry(map, key);
    if value.is_none() && !broadcast {
        cx.ctx().redirect.replace(None);
        return (flags & ACTION_MASK) as i64;
    }
    cx.ctx().redirect.replace(Some(Redirect::Map {
        map: map.spec.name.as_str().into(),
        ty: map.spec.def.ty,
        key,
        value: value.filter(|_| !broadcast),
        exclude_ingress: flags & BPF_F_EXCLUDE_INGRESS != 0,
    }));
    XDP_REDIRECT
}

/// The first word of an entry.
fn entry(map: &LoadedMap, key: u32) -> Option<u32> {
    // A number, or a number and a program.
    let mut value = [0; 8];
    map.map.read(&key.to_ne_bytes(), value.get_mut(..map.map.user_value_size())?).ok()?;
    let word = value.first_chunk::<4>().map(|w| u32::from_ne_bytes(*w))?;
    // A slot that was never set reads as zero: no device, no queue.
    (word != 0 || map.spec.def.ty == MapType::XSKMAP).then_some(word)
}
