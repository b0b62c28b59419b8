//! Helpers that run program code: tail calls, loops, walks over maps.

use super::Cx;
use crate::{Args, Bind, LoadedMap, Prog};
use alveary_abi::negative::{E2BIG, EINVAL, ENOENT};
use alveary_maps::{Held, Layout};
use std::{any::Any, sync::Arc};

pub(super) const ALL: &[Bind] = crate::helpers![super::AnyFamily;
    TAIL_CALL => tail_call,
    LOOP => repeat,
    FOR_EACH_MAP_ELEM => for_each,
];

/// `BPF_MAX_LOOPS`.
const MAX_LOOPS: u32 = 8 << 20;

fn tail_call(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let map = args.map(1);
    let index = (args.scalar(2) as u32).to_ne_bytes();
    let held: Option<Arc<dyn Held>> = map.map.slots().and_then(|slots| slots.get(&index));
    let Some(Ok(next)) = held.map(|held| (held as Arc<dyn Any + Send + Sync>).downcast::<Prog>()) else {
        return ENOENT;
    };
    let prog = cx.prog();
    let same = next.family.id == prog.family.id && next.program.ty == prog.program.ty;
    // Another runtime has other CPUs, and the objects in its maps go away when its CPUs have left them.
    if same && Arc::ptr_eq(&next.domain, &prog.domain) && cx.vcpu().tail_call(next) { 0 } else { ENOENT }
}

fn repeat(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let (count, function, data) = (args.scalar(0) as u32, args.function(1), args.scalar(2));
    if args.scalar(3) != 0 {
        return EINVAL;
    }
    if count > MAX_LOOPS {
        return E2BIG;
    }
    for i in 0..count {
        match cx.callback(function, [i.into(), data, 0, 0, 0]) {
            Some(0) => {}
            _ => return i64::from(i) + 1,
        }
    }
    count.into()
}

fn for_each(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let (map, function, data) = (args.map(0), args.function(1), args.scalar(2));
    if args.scalar(3) != 0 {
        return EINVAL;
    }
    let mut seen = 0;
    for key in keys(map) {
        let Some(value) = map.map.lookup(cx.cpu(), &key) else { continue };
        seen += 1;
        let call = |at: u64| cx.callback(function, [cx.map_word(map), at, value.addr as u64, data, 0]);
        match cx.vcpu().lend(&key, call) {
            Some(0) => {}
            _ => break,
        }
    }
    seen
}

/// The keys of a map. Those of an array are counted off: it may have billions, and none can be deleted. Others are taken
/// before the first callback, which may delete what the walk stands on.
fn keys(map: &LoadedMap) -> Box<dyn Iterator<Item = Vec<u8>>> {
    if let Layout::Array { max, .. } = map.map.layout() {
        return Box::new((0..max).map(|index| index.to_ne_bytes().to_vec()));
    }
    let mut keys = Vec::new();
    let mut key = vec![0; map.spec.def.key_size as usize];
    let mut next = map.map.next_key(None, &mut key);
    while next.is_ok() && keys.len() < map.spec.def.max_entries as usize {
        keys.push(key.clone());
        let after = key.clone();
        next = map.map.next_key(Some(&after), &mut key);
    }
    Box::new(keys.into_iter())
}
