//! Linux's map types.
//!
//! Source: `kernel/bpf/verifier.c` (`check_map_func_compatibility`) and the maps' operations for which helper takes
//! which map.

use crate::{HelperId as H, MapType as M, MapTypeRow, Version};

/// Every map type of `enum bpf_map_type` but `UNSPEC`, by number.
pub(crate) static MAP_TYPES: &[MapTypeRow] = &[
    row(M::HASH, "hash", (3, 19)).doc("Values by key, found by hashing.").helpers(TIMED),
    row(M::ARRAY, "array", (3, 19)).doc("Values by index, all of them there from the start.").helpers(TIMED),
    row(M::PROG_ARRAY, "prog_array", (4, 2)).doc("Programs by index, for tail calls.").helpers(&[H::TAIL_CALL]),
    row(M::PERF_EVENT_ARRAY, "perf_event_array", (4, 3))
        .doc("Perf events by index (usually CPU): counters to read, or buffers that programs write to.")
        .helpers(&[H::PERF_EVENT_READ, H::PERF_EVENT_OUTPUT, H::PERF_EVENT_READ_VALUE, H::SKB_OUTPUT, H::XDP_OUTPUT]),
    row(M::PERCPU_HASH, "percpu_hash", (4, 6)).doc("A hash with a value for each CPU.").per_cpu().helpers(PERCPU),
    row(M::PERCPU_ARRAY, "percpu_array", (4, 6)).doc("An array with a value for each CPU.").per_cpu().helpers(PERCPU),
    row(M::STACK_TRACE, "stack_trace", (4, 6))
        .doc("Call stacks by the number that bpf_get_stackid gave them.")
        .helpers(&[H::GET_STACKID]),
    row(M::CGROUP_ARRAY, "cgroup_array", (4, 8))
        .doc("Control groups by index, to ask whether a packet or task is inside.")
        .helpers(&[H::SKB_UNDER_CGROUP, H::CURRENT_TASK_UNDER_CGROUP]),
    row(M::LRU_HASH, "lru_hash", (4, 10))
        .doc("A hash that makes room by dropping entries which were not used for long.")
        .helpers(TIMED),
    row(M::LRU_PERCPU_HASH, "lru_percpu_hash", (4, 10))
        .doc("An LRU hash with a value for each CPU.")
        .per_cpu()
        .helpers(PERCPU),
    row(M::LPM_TRIE, "lpm_trie", (4, 11))
        .doc("Values by prefix; a lookup finds the longest one that fits.")
        .helpers(ELEMENTS),
    row(M::ARRAY_OF_MAPS, "array_of_maps", (4, 12)).doc("Maps by index.").helpers(&[H::MAP_LOOKUP_ELEM]),
    row(M::HASH_OF_MAPS, "hash_of_maps", (4, 12)).doc("Maps by key.").helpers(&[H::MAP_LOOKUP_ELEM]),
    row(M::DEVMAP, "devmap", (4, 14))
        .doc("Network devices by index, to redirect frames to.")
        .helpers(&[H::REDIRECT_MAP, H::MAP_LOOKUP_ELEM]),
    row(M::SOCKMAP, "sockmap", (4, 14))
        .doc("Sockets by index, to redirect messages to or pick for a connection.")
        .helpers(&[
            H::SK_REDIRECT_MAP,
            H::SOCK_MAP_UPDATE,
            H::MSG_REDIRECT_MAP,
            H::SK_SELECT_REUSEPORT,
            H::MAP_LOOKUP_ELEM,
            H::MAP_UPDATE_ELEM,
            H::MAP_DELETE_ELEM,
        ]),
    row(M::CPUMAP, "cpumap", (4, 15)).doc("CPUs by number, to hand frames over to.").helpers(&[H::REDIRECT_MAP]),
    row(M::XSKMAP, "xskmap", (4, 18))
        .doc("AF_XDP sockets by index, to redirect frames to.")
        .helpers(&[H::REDIRECT_MAP, H::MAP_LOOKUP_ELEM]),
    row(M::SOCKHASH, "sockhash", (4, 18))
        .doc("Sockets by key, to redirect messages to or pick for a connection.")
        .helpers(&[
            H::SK_REDIRECT_HASH,
            H::SOCK_HASH_UPDATE,
            H::MSG_REDIRECT_HASH,
            H::SK_SELECT_REUSEPORT,
            H::MAP_LOOKUP_ELEM,
            H::MAP_UPDATE_ELEM,
            H::MAP_DELETE_ELEM,
        ]),
    row(M::CGROUP_STORAGE, "cgroup_storage", (4, 19))
        .doc("A value for each control group that the program is attached to (old; cgrp_storage is the new way).")
        .helpers(&[H::GET_LOCAL_STORAGE]),
    row(M::REUSEPORT_SOCKARRAY, "reuseport_sockarray", (4, 19))
        .doc("Sockets of SO_REUSEPORT groups by index.")
        .helpers(&[H::SK_SELECT_REUSEPORT]),
    row(M::PERCPU_CGROUP_STORAGE, "percpu_cgroup_storage", (4, 20))
        .doc("A cgroup_storage with a value for each CPU.")
        .per_cpu()
        .helpers(&[H::GET_LOCAL_STORAGE]),
    row(M::QUEUE, "queue", (4, 20)).doc("Values, first in first out.").helpers(QUEUE),
    row(M::STACK, "stack", (4, 20)).doc("Values, last in first out.").helpers(QUEUE),
    row(M::SK_STORAGE, "sk_storage", (5, 2))
        .doc("A value for each socket, gone with it.")
        .helpers(&[H::SK_STORAGE_GET, H::SK_STORAGE_DELETE]),
    row(M::DEVMAP_HASH, "devmap_hash", (5, 4))
        .doc("Network devices by key, to redirect frames to.")
        .helpers(&[H::REDIRECT_MAP, H::MAP_LOOKUP_ELEM]),
    row(M::STRUCT_OPS, "struct_ops", (5, 6)).doc("A kernel interface's table of functions.").helpers(ELEMENTS),
    row(M::RINGBUF, "ringbuf", (5, 8))
        .doc("One buffer for all CPUs that programs write records to and user space reads, in order.")
        .helpers(&[H::RINGBUF_OUTPUT, H::RINGBUF_RESERVE, H::RINGBUF_QUERY, H::RINGBUF_RESERVE_DYNPTR]),
    row(M::INODE_STORAGE, "inode_storage", (5, 10))
        .doc("A value for each inode, gone with it.")
        .helpers(&[H::INODE_STORAGE_GET, H::INODE_STORAGE_DELETE]),
    row(M::TASK_STORAGE, "task_storage", (5, 11))
        .doc("A value for each task, gone with it.")
        .helpers(&[H::TASK_STORAGE_GET, H::TASK_STORAGE_DELETE]),
    row(M::BLOOM_FILTER, "bloom_filter", (5, 16))
        .doc("A set that may say yes by mistake but never no.")
        .helpers(&[H::MAP_PEEK_ELEM, H::MAP_PUSH_ELEM]),
    row(M::USER_RINGBUF, "user_ringbuf", (6, 1))
        .doc("A buffer that user space writes records to and programs drain.")
        .helpers(&[H::USER_RINGBUF_DRAIN]),
    row(M::CGRP_STORAGE, "cgrp_storage", (6, 2))
        .doc("A value for each control group, gone with it.")
        .helpers(&[H::CGRP_STORAGE_GET, H::CGRP_STORAGE_DELETE]),
    row(M::ARENA, "arena", (6, 9))
        .doc("Sparse memory of up to 4 GiB that programs and user space share, pointers included.")
        .helpers(ELEMENTS),
];

/// What any map may be given to, unless its type says otherwise (for some it then fails when run).
const ELEMENTS: &[H] = &[H::MAP_LOOKUP_ELEM, H::MAP_UPDATE_ELEM, H::MAP_DELETE_ELEM];

/// Walked by a callback, and its values may hold timers.
const TIMED: &[H] = &[H::MAP_LOOKUP_ELEM, H::MAP_UPDATE_ELEM, H::MAP_DELETE_ELEM, H::FOR_EACH_MAP_ELEM, H::TIMER_INIT];

const PERCPU: &[H] =
    &[H::MAP_LOOKUP_ELEM, H::MAP_UPDATE_ELEM, H::MAP_DELETE_ELEM, H::FOR_EACH_MAP_ELEM, H::MAP_LOOKUP_PERCPU_ELEM];

const QUEUE: &[H] = &[H::MAP_PUSH_ELEM, H::MAP_POP_ELEM, H::MAP_PEEK_ELEM];

// The table's notation.

const fn row(ty: M, name: &'static str, since: (u16, u16)) -> MapTypeRow {
    MapTypeRow { ty, name, doc: "", per_cpu: false, helpers: &[], since: Version(since.0, since.1) }
}

impl MapTypeRow {
    const fn doc(self, doc: &'static str) -> MapTypeRow {
        MapTypeRow { doc, ..self }
    }

    const fn per_cpu(self) -> MapTypeRow {
        MapTypeRow { per_cpu: true, ..self }
    }

    const fn helpers(self, helpers: &'static [H]) -> MapTypeRow {
        MapTypeRow { helpers, ..self }
    }
}
