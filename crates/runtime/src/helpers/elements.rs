//! Elements of maps: look up, update, delete, push, pop, peek, locks.

use super::Cx;
use crate::{Args, Bind};
use alveary_abi::HelperId;
use alveary_abi::negative::EOPNOTSUPP;
use alveary_maps::{Errno, Queue, Value};
use alveary_vm::TrapKind;

pub(super) const ALL: &[Bind] = crate::helpers![super::AnyFamily;
    MAP_LOOKUP_ELEM => lookup,
    MAP_UPDATE_ELEM => update,
    MAP_DELETE_ELEM => delete,
    MAP_LOOKUP_PERCPU_ELEM => lookup_percpu,
    MAP_PUSH_ELEM => push,
    MAP_POP_ELEM => pop,
    MAP_PEEK_ELEM => peek,
    SPIN_LOCK => lock,
    SPIN_UNLOCK => unlock,
];

/// What a program gets for an operation's result.
pub(super) fn result(r: Result<(), Errno>) -> i64 {
    match r {
        Ok(()) => 0,
        Err(e) => -i64::from(e.0),
    }
}

fn address(value: Option<Value>) -> i64 {
    value.map_or(0, |v| v.addr as i64)
}

fn lookup(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let map = args.map(0);
    if map.holds_maps() {
        return cx.vcpu().inner_map(map, &args.key(1)) as i64;
    }
    address(map.map.lookup(cx.cpu(), &args.key(1)))
}

fn lookup_percpu(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let cpu = args.scalar(2);
    if cpu >= u64::from(cx.vcpu().runtime().kernel().cpus) {
        return 0;
    }
    address(args.map(0).map.lookup(cpu as u32, &args.key(1)))
}

fn update(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    result(args.map(0).map.update(cx.cpu(), &args.key(1), &args.bytes(2), args.scalar(3)))
}

fn delete(_: &Cx<'_>, args: &Args<'_>) -> i64 {
    result(args.map(0).map.delete(&args.key(1)))
}

fn queue<'a>(args: &Args<'a>) -> Option<&'a dyn Queue> {
    args.map(0).map.queue()
}

fn push(_: &Cx<'_>, args: &Args<'_>) -> i64 {
    queue(args).map_or(EOPNOTSUPP, |q| result(q.push(&args.bytes(1), args.scalar(2))))
}

fn pop(_: &Cx<'_>, args: &Args<'_>) -> i64 {
    take(args, |queue, out| queue.pop(out))
}

fn peek(_: &Cx<'_>, args: &Args<'_>) -> i64 {
    take(args, |queue, out| queue.peek(out))
}

fn take(args: &Args<'_>, how: impl Fn(&dyn Queue, &mut [u8]) -> Result<(), Errno>) -> i64 {
    let (Some(queue), Some(to)) = (queue(args), args.mem(1)) else { return EOPNOTSUPP };
    let mut value = to.bytes().to_vec();
    let r = how(queue, &mut value);
    // What a bloom filter is asked about may be memory that nobody writes.
    if args.map(0).fills_values() {
        to.put(0, &value);
    }
    result(r)
}

fn lock(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let taken = args.mem(0).is_some_and(|lock| cx.vcpu().held.lock(lock.word()));
    if !taken {
        cx.stop(TrapKind::Helper(HelperId::SPIN_LOCK.0));
    }
    0
}

fn unlock(cx: &Cx<'_>, args: &Args<'_>) -> i64 {
    let released = args.mem(0).is_some_and(|lock| cx.vcpu().held.unlock(lock.word()));
    if !released {
        cx.stop(TrapKind::Helper(HelperId::SPIN_UNLOCK.0));
    }
    0
}
