//! The shape of a helper's row: arguments, what it gives back, what else it does.

use crate::{AttachType, HelperId, ProgType, Scope, Version};

/// How a helper uses the memory behind a pointer argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemAccess {
    /// Reads it; it must be initialised.
    Read,
    /// Reads and writes it; it must be initialised.
    ReadWrite,
    /// Writes all of it; it may be uninitialised (`MEM_UNINIT`).
    Write,
}

/// How long the memory behind a pointer argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemSize {
    /// A fixed number of bytes.
    Fixed(u32),
    /// As many bytes as argument n (from 0) says.
    Arg(u8),
}

/// What a helper takes as one argument (the kernel's `enum bpf_arg_type`, with what belongs to it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// No argument.
    None,
    /// Any initialised value (`ARG_ANYTHING`).
    Any,
    /// The program's context (`ARG_PTR_TO_CTX`).
    Ctx {
        /// NULL is allowed as well.
        or_null: bool,
    },
    /// A map, known when the program is loaded (`ARG_CONST_MAP_PTR`).
    Map,
    /// A key of the map in the map argument before it.
    MapKey,
    /// A value of the map in the map argument before it.
    MapValue {
        /// Read (a new value) or written (a buffer to pop into).
        access: MemAccess,
        /// NULL is allowed as well.
        or_null: bool,
    },
    /// Memory of a known size.
    Mem {
        /// What happens to it.
        access: MemAccess,
        /// Its size.
        size: MemSize,
        /// NULL is allowed as well.
        or_null: bool,
        /// The verifier asks for an address that is a multiple of the (fixed) size (`MEM_ALIGNED`). A body may not rely
        /// on it: memory that a global function was given counts as aligned, and no caller is asked to align it.
        aligned: bool,
    },
    /// Size of the memory in the argument before.
    Size {
        /// Zero is allowed (`ARG_CONST_SIZE_OR_ZERO`).
        zero_ok: bool,
    },
    /// Size of the memory that is given back; known when the program is loaded (`ARG_CONST_ALLOC_SIZE_OR_ZERO`).
    AllocSize,
    /// Memory that came from an allocating helper (`ARG_PTR_TO_RINGBUF_MEM`).
    AllocMem,
    /// A function of the program, called back with these arguments.
    Callback {
        /// What the function is called with.
        args: &'static [CallbackArg],
        /// It is called after the program has ended (by a timer), not during the call.
        later: bool,
    },
    /// A pointer to the program's stack, or NULL, that is passed on to the callback (`ARG_PTR_TO_STACK_OR_NULL`).
    CallbackCtx,
    /// NULL-terminated constant string in a read-only map (`ARG_PTR_TO_CONST_STR`).
    ConstStr,
    /// A `struct bpf_spin_lock` in a map value.
    SpinLock,
    /// A `struct bpf_timer` in a map value.
    Timer,
    /// A kernel pointer kept in a map value (`ARG_KPTR_XCHG_DEST`).
    Kptr,
    /// Any pointer to a socket (`ARG_PTR_TO_BTF_ID_SOCK_COMMON`, `ARG_PTR_TO_SOCK_COMMON`).
    SockCommon {
        /// NULL is allowed as well.
        or_null: bool,
    },
    /// A full socket (`ARG_PTR_TO_SOCKET`).
    Socket {
        /// NULL is allowed as well.
        or_null: bool,
    },
    /// A kernel object by BTF name.
    Btf {
        /// Name of its struct; empty if it is the type that a [`Arg::Kptr`] holds, or any variable's.
        name: &'static str,
        /// NULL is allowed as well.
        or_null: bool,
        /// It must be one of this CPU's (`ARG_PTR_TO_PERCPU_BTF_ID`).
        per_cpu: bool,
    },
    /// A `struct bpf_dynptr` on the stack.
    Dynptr {
        /// What it may point to.
        kind: DynptrKind,
        /// It is made here, thus uninitialised before.
        uninit: bool,
        /// Only read.
        read_only: bool,
    },
}

/// What a dynptr points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum DynptrKind {
    Any,
    Local,
    Ringbuf,
    Skb,
    Xdp,
}

/// What a callback is called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum CallbackArg {
    Scalar,
    /// The pointer that the program handed in as [`Arg::CallbackCtx`].
    CallbackCtx,
    Map,
    MapKey,
    MapValue,
    Btf(&'static str),
    Dynptr,
}

/// What a helper gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// A number (`RET_INTEGER`).
    Scalar,
    /// Nothing.
    Void,
    /// A value of the map in the map argument, or NULL.
    MapValueOrNull,
    /// A value of the map in the map argument (`RET_PTR_TO_MAP_VALUE`).
    MapValue,
    /// Memory of a known size, or NULL.
    MemOrNull {
        /// Its size; with [`MemSize::Arg`] the constant in that argument.
        size: MemSize,
    },
    /// A full socket, or NULL.
    SocketOrNull,
    /// A TCP socket, or NULL.
    TcpSockOrNull,
    /// The common part of a socket, or NULL.
    SockCommonOrNull,
    /// A kernel object by BTF name, or NULL.
    BtfOrNull(&'static str),
    /// A kernel object by BTF name.
    Btf(&'static str),
    /// A kernel object of the type that the [`Arg::Kptr`] argument holds, or NULL.
    KptrOrNull,
    /// A per-CPU kernel variable, or NULL (its type is that of the argument).
    PerCpuVarOrNull,
    /// A per-CPU kernel variable.
    PerCpuVar,
    /// Memory of a dynptr (its data), or NULL.
    DynptrDataOrNull,
}

/// What a call does besides giving a value back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effects {
    /// Packet pointers that were checked before are no longer known to be valid.
    pub changes_packet: bool,
    /// What is given back must be released.
    pub acquires: bool,
    /// The argument (from 0) that is released.
    pub releases: Option<u8>,
    /// Only sleepable programs may call it.
    pub sleeps: bool,
    /// It reads or writes an address that nothing vouches for (`probe_read` and its kin).
    pub raw_address: bool,
    /// It may not be called while a spin lock is held, being a lock operation or worse.
    pub takes_lock: bool,
    /// It gives up the lock.
    pub drops_lock: bool,
    /// It also reads the registers behind its arguments, up to r5, as numbers, which nobody checks (`trace_printk`).
    pub reads_more: bool,
}

impl Effects {
    /// None of them.
    pub const NONE: Effects = Effects {
        changes_packet: false,
        acquires: false,
        releases: None,
        sleeps: false,
        raw_address: false,
        takes_lock: false,
        drops_lock: false,
        reads_more: false,
    };
}

impl Proto {
    /// How many of r1–r5 it reads: those of its arguments, or all.
    #[must_use]
    pub fn reads(&self) -> u8 {
        let args = self.args.iter().position(|arg| *arg == Arg::None);
        args.filter(|_| !self.effects.reads_more).unwrap_or(self.args.len()) as u8
    }
}

/// One prototype of a helper. Some numbers have several, by program type (`perf_event_output`, `redirect` …).
#[derive(Clone, Copy, Debug)]
pub struct Proto {
    /// Who may call it.
    pub scope: Scope,
    /// What it takes in r1–r5.
    pub args: [Arg; 5],
    /// What it gives back in r0.
    pub ret: Ret,
    /// What else it does.
    pub effects: Effects,
    /// Pointers into the packet may be passed as memory, keys and values (`pkt_access`).
    pub packet_memory: bool,
    /// Only programs under a GPL-compatible licence may call it.
    pub gpl: bool,
}

/// What one must be allowed to make use of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Nothing.
    None,
    /// `CAP_BPF`.
    Bpf,
    /// `CAP_BPF` and `CAP_PERFMON`: it tells of the kernel.
    Perfmon,
}

/// Everything about a helper but its body.
#[derive(Clone, Copy, Debug)]
pub struct Helper {
    /// Its number.
    pub id: HelperId,
    /// Its name without `bpf_`.
    pub name: &'static str,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    /// First kernel that has it.
    pub since: Version,
    /// What one must be allowed to load programs with it.
    pub right: Right,
    /// Its prototypes; the first one whose scope admits the program counts.
    pub protos: &'static [Proto],
}

impl Helper {
    /// The prototype for a program of this type on this kernel.
    #[must_use]
    pub fn proto(&self, ty: ProgType, at: Option<AttachType>, v: Version) -> Option<&'static Proto> {
        self.protos.iter().find(|p| v >= self.since && p.scope.admits(ty, at, v))
    }

    /// Whether a program under a licence that is not compatible with the GPL may call none of its prototypes.
    #[must_use]
    pub fn gpl_only(&self) -> bool {
        self.protos.iter().all(|proto| proto.gpl)
    }
}
