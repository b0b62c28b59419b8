//! What bpf(2) asks before a program is verified: sizes, rights to types of programs and maps, attach types. It refuses
//! without a message.
//!
//! Knows nothing of what a program does; what rights mean to its instructions is said where they are judged.

use crate::{
    limits::MAX_USER_INSNS,
    stop::{Check, Stop},
    verifier::Verifier,
};
use alveary_abi::{
    AttachType as A, Errno, MapType as M, ProgSet, ProgType as P,
    rights::{NETWORK_MAPS, NETWORK_PROGS, OBSERVING_PROGS},
};

/// Types that anyone may load, where the kernel lets ordinary users load programs at all.
const ANYONE: ProgSet = ProgSet::of(&[P::SOCKET_FILTER, P::CGROUP_SKB]);

/// Types whose attach type says what they may do: it must be one of theirs.
const ATTACHED: ProgSet = ProgSet::of(&[
    P::CGROUP_SOCK,
    P::CGROUP_SOCK_ADDR,
    P::CGROUP_SKB,
    P::CGROUP_SOCKOPT,
    P::SK_LOOKUP,
    P::SK_REUSEPORT,
    P::NETFILTER,
]);

/// Types of maps that ask for `CAP_BPF`.
const SPECIAL_MAPS: &[M] = &[
    M::SK_STORAGE,
    M::INODE_STORAGE,
    M::TASK_STORAGE,
    M::CGRP_STORAGE,
    M::BLOOM_FILTER,
    M::LPM_TRIE,
    M::REUSEPORT_SOCKARRAY,
    M::STACK_TRACE,
    M::QUEUE,
    M::STACK,
    M::LRU_HASH,
    M::LRU_PERCPU_HASH,
    M::STRUCT_OPS,
    M::CPUMAP,
    M::ARENA,
];

/// In the kernel's order: maps are made first.
pub(crate) fn check(v: &mut Verifier<'_>) -> Check {
    let (program, caps) = (v.program.program, v.env.caps);
    let name = |ty: M| v.profile.map_type(ty).map_or("unknown", |row| row.name);
    for map in &v.program.maps {
        let missing = if !caps.bpf && SPECIAL_MAPS.contains(&map.ty) {
            "CAP_BPF"
        } else if !caps.net_admin && NETWORK_MAPS.contains(&map.ty) {
            "CAP_NET_ADMIN"
        } else {
            continue;
        };
        let note = format!("its map `{}` cannot be made: the type {} asks for {missing}", map.name, name(map.ty));
        return refuse(v, Errno::EPERM, note);
    }
    let most = if caps.bpf { v.profile.limits.insns as usize } else { MAX_USER_INSNS };
    if program.insns.is_empty() || program.insns.len() > most {
        return refuse(v, Errno::E2BIG, format!("it has {} slots, and may have 1 to {most}", program.insns.len()));
    }
    let missing = if !caps.bpf && !ANYONE.has(program.ty) {
        "CAP_BPF"
    } else if !caps.net_admin && NETWORK_PROGS.has(program.ty) {
        "CAP_NET_ADMIN"
    } else if !caps.perfmon && OBSERVING_PROGS.has(program.ty) {
        "CAP_PERFMON"
    } else {
        return check_attach_type(v);
    };
    refuse(v, Errno::EPERM, format!("programs of this type ask for {missing}"))
}

fn check_attach_type(v: &mut Verifier<'_>) -> Check {
    let ty = v.program.program.ty;
    let Some(row) = v.profile.prog_type(ty).filter(|_| ATTACHED.has(ty)) else { return Ok(()) };
    // What bpf(2) takes none for.
    let expected = v.program.expected.unwrap_or(A::CGROUP_INET_INGRESS);
    if row.attach.contains(&expected) {
        return Ok(());
    }
    refuse(v, Errno::EINVAL, format!("{} programs are not loaded for this attach type", row.name))
}

fn refuse(v: &mut Verifier<'_>, errno: Errno, note: String) -> Check {
    v.note = Some(note);
    Err(Stop::Rejected(errno))
}
