//! The notation of the helper tables: short names for what their rows are made of.
//!
//! ```text
//! helper(26, "skb_load_bytes", (4, 5))
//!     .doc("Copies bytes of the packet …")
//!     .protos(&[takes(&[CTX, Any, fill(3), SIZE]).by(SKB)]),
//! ```

use crate::{Arg, CallbackArg, DynptrKind, Helper, HelperId, MemAccess, MemSize, ProgSet, ProgType as P, Proto};

// Rows.

pub(super) const fn helper(id: u32, name: &'static str, since: (u16, u16)) -> Helper {
    Helper::new(HelperId(id), name).since(since.0, since.1)
}

/// A prototype that every program type with the base helpers may call.
pub(super) const fn takes(args: &[Arg]) -> Proto {
    Proto::takes(args).by(BASE)
}

// Arguments. The sizes' positions count from 0.

pub(super) const CTX: Arg = Arg::Ctx { or_null: false };
pub(super) const CTX_OR_NULL: Arg = Arg::Ctx { or_null: true };
pub(super) const VALUE: Arg = Arg::MapValue { access: MemAccess::Read, or_null: false };
pub(super) const VALUE_OR_NULL: Arg = Arg::MapValue { access: MemAccess::Read, or_null: true };
pub(super) const VALUE_TO_FILL: Arg = Arg::MapValue { access: MemAccess::Write, or_null: false };
pub(super) const SIZE: Arg = Arg::Size { zero_ok: false };
pub(super) const SIZE_OR_ZERO: Arg = Arg::Size { zero_ok: true };
pub(super) const SOCK_COMMON: Arg = Arg::SockCommon { or_null: false };
pub(super) const SOCK_COMMON_OR_NULL: Arg = Arg::SockCommon { or_null: true };
pub(super) const SOCKET_OR_NULL: Arg = Arg::Socket { or_null: true };

/// Memory that is read, as long as argument `size` says.
pub(super) const fn read(size: u8) -> Arg {
    memory(MemAccess::Read, MemSize::Arg(size), false)
}

pub(super) const fn read_or_null(size: u8) -> Arg {
    memory(MemAccess::Read, MemSize::Arg(size), true)
}

/// Memory that is written, as long as argument `size` says.
pub(super) const fn fill(size: u8) -> Arg {
    memory(MemAccess::Write, MemSize::Arg(size), false)
}

/// Memory that is written, maybe in part, and thus has to be initialised.
pub(super) const fn update(size: u8) -> Arg {
    memory(MemAccess::ReadWrite, MemSize::Arg(size), false)
}

pub(super) const fn update_or_null(size: u8) -> Arg {
    memory(MemAccess::ReadWrite, MemSize::Arg(size), true)
}

/// So many bytes that are read.
pub(super) const fn read_fixed(bytes: u32) -> Arg {
    memory(MemAccess::Read, MemSize::Fixed(bytes), false)
}

/// A number of so many bytes, aligned, that is written.
pub(super) const fn fill_number(bytes: u32) -> Arg {
    Arg::Mem { access: MemAccess::Write, size: MemSize::Fixed(bytes), or_null: false, aligned: true }
}

/// A number of so many bytes, aligned, that is read and written.
pub(super) const fn update_number(bytes: u32) -> Arg {
    Arg::Mem { access: MemAccess::ReadWrite, size: MemSize::Fixed(bytes), or_null: false, aligned: true }
}

const fn memory(access: MemAccess, size: MemSize, or_null: bool) -> Arg {
    Arg::Mem { access, size, or_null, aligned: false }
}

/// A kernel object.
pub(super) const fn object(name: &'static str) -> Arg {
    Arg::Btf { name, or_null: false, per_cpu: false }
}

pub(super) const fn object_or_null(name: &'static str) -> Arg {
    Arg::Btf { name, or_null: true, per_cpu: false }
}

/// A kernel object of the type that the value holds.
pub(super) const KPTR_OR_NULL: Arg = Arg::Btf { name: "", or_null: true, per_cpu: false };

/// A per-CPU variable of the kernel.
pub(super) const PER_CPU_VARIABLE: Arg = Arg::Btf { name: "", or_null: false, per_cpu: true };

/// A dynptr that was made before.
pub(super) const fn dynptr(kind: DynptrKind) -> Arg {
    Arg::Dynptr { kind, uninit: false, read_only: false }
}

/// A dynptr that is made by the call.
pub(super) const fn dynptr_made(kind: DynptrKind) -> Arg {
    Arg::Dynptr { kind, uninit: true, read_only: false }
}

/// Any dynptr; the call leaves the dynptr itself as it is.
pub(super) const DYNPTR_TO_READ: Arg = Arg::Dynptr { kind: DynptrKind::Any, uninit: false, read_only: true };

/// A function that is called back during the call.
pub(super) const fn calls(args: &'static [CallbackArg]) -> Arg {
    Arg::Callback { args, later: false }
}

/// A function that is called back after the program has ended.
pub(super) const fn calls_later(args: &'static [CallbackArg]) -> Arg {
    Arg::Callback { args, later: true }
}

// Sets of program types that share their helpers.

pub(super) const fn of(types: &[P]) -> ProgSet {
    ProgSet::of(types)
}

/// Those with the base helpers: all but infrared decoders, which have a few of them.
pub(super) const BASE: ProgSet = ProgSet::ALL.without(of(&[P::LIRC_MODE2]));

/// Those that observe the kernel.
pub(super) const TRACE: ProgSet = of(&[P::KPROBE, P::PERF_EVENT, P::TRACEPOINT]).or(RAW_TRACE);

/// Those that see a trace point's or function's bare arguments.
pub(super) const RAW_TRACE: ProgSet = of(&[P::RAW_TRACEPOINT, P::RAW_TRACEPOINT_WRITABLE]).or(BTF_TRACE);

/// Those whose context is typed by BTF.
pub(super) const BTF_TRACE: ProgSet = of(&[P::TRACING, P::LSM, P::SYSCALL]);

/// The classifier and action of tc.
pub(super) const TC: ProgSet = of(&[P::SCHED_CLS, P::SCHED_ACT]);

/// Those that see a packet on its way out and may rewrite it.
pub(super) const TC_XMIT: ProgSet = TC.or(of(&[P::LWT_XMIT]));

/// tc and lightweight tunnels.
pub(super) const TC_LWT: ProgSet = TC.or(of(&[P::LWT_IN, P::LWT_OUT, P::LWT_XMIT, P::LWT_SEG6LOCAL]));

/// Those whose context is an skb.
pub(super) const SKB: ProgSet = TC_LWT.or(of(&[P::SOCKET_FILTER, P::CGROUP_SKB, P::SK_SKB]));

/// Those that belong to control groups and run for system calls.
pub(super) const CGROUP: ProgSet =
    of(&[P::CGROUP_DEVICE, P::CGROUP_SOCK, P::CGROUP_SOCK_ADDR, P::CGROUP_SOCKOPT, P::CGROUP_SYSCTL]);

/// Those that may cast sockets to their kinds.
pub(super) const SOCKET_CASTS: ProgSet =
    SKB.or(BTF_TRACE).or(of(&[P::XDP, P::CGROUP_SOCK_ADDR, P::SOCK_OPS, P::SK_MSG, P::FLOW_DISSECTOR, P::SK_LOOKUP]));

/// Those that always run on behalf of the current task.
pub(super) const TASK_CONTEXT: ProgSet = TRACE.or(CGROUP).or(of(&[P::SK_MSG]));
