//! The shapes of the rows.

use alveary_isa::Width;
use std::{borrow::Cow, fmt};

/// A kernel version: `Version(6, 18)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16, pub u16);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// `enum bpf_prog_type`. Numbers from [`ProgType::FIRST_OWN`] on are embedders' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgType(pub u32);

/// `enum bpf_attach_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachType(pub u32);

/// `enum bpf_map_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MapType(pub u32);

/// `enum bpf_func_id`. Numbers from [`HelperId::FIRST_OWN`] on are embedders' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HelperId(pub u32);

impl HelperId {
    /// The first number that no kernel will use and an embedder may.
    pub const FIRST_OWN: HelperId = HelperId(0x1_0000);
}

/// A set of program types: bit n is type n. Embedders' types share the top bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgSet(pub u64);

impl ProgSet {
    /// Every program type.
    pub const ALL: ProgSet = ProgSet(u64::MAX);

    /// The set of the given types.
    #[must_use]
    pub const fn of(types: &[ProgType]) -> ProgSet {
        let mut bits = 0;
        let mut i = 0;
        while i < types.len() {
            bits |= Self::bit(types[i]);
            i += 1;
        }
        ProgSet(bits)
    }

    /// Both sets.
    #[must_use]
    pub const fn or(self, other: ProgSet) -> ProgSet {
        ProgSet(self.0 | other.0)
    }

    /// Whether `ty` is in the set.
    #[must_use]
    pub const fn has(self, ty: ProgType) -> bool {
        self.0 & Self::bit(ty) != 0
    }

    const fn bit(ty: ProgType) -> u64 {
        1 << if ty.0 < 63 { ty.0 } else { 63 }
    }
}

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
    /// A key of the map in the first argument.
    MapKey,
    /// A value of the map in the first argument.
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
        /// The address must be a multiple of the (fixed) size.
        aligned: bool,
    },
    /// Size of the memory in the argument before.
    Size {
        /// Zero is allowed (`ARG_CONST_SIZE_OR_ZERO`).
        zero_ok: bool,
    },
    /// Size of the memory that is given back; a constant (`ARG_CONST_ALLOC_SIZE_OR_ZERO`).
    AllocSize,
    /// Memory that came from an allocating helper (`ARG_PTR_TO_RINGBUF_MEM`).
    AllocMem,
    /// A function of the program, called back with these arguments.
    Callback {
        /// What the function is called with.
        args: &'static [CallbackArg],
    },
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
        /// Name of its struct.
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
    /// The pointer that the program handed in for its callback.
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
    /// A value of the map in the first argument, or NULL.
    MapValueOrNull,
    /// A value of the map in the first argument (`RET_PTR_TO_MAP_VALUE`).
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
    };
}

/// Who may use a row, and on which kernels.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// Program types.
    pub progs: ProgSet,
    /// If given, the expected attach type must be one of these.
    pub attach: Option<&'static [AttachType]>,
    /// First kernel that has it.
    pub since: Version,
    /// First kernel that has it no more.
    pub until: Option<Version>,
}

impl Scope {
    /// A scope without attach types and without an end.
    #[must_use]
    pub const fn of(progs: ProgSet, since: Version) -> Scope {
        Scope { progs, attach: None, since, until: None }
    }

    /// Whether a program of type `ty`, with expected attach type `at`, on kernel `v` is inside.
    #[must_use]
    pub fn admits(&self, ty: ProgType, at: Option<AttachType>, v: Version) -> bool {
        self.progs.has(ty)
            && v >= self.since
            && self.until.is_none_or(|u| v < u)
            && self.attach.is_none_or(|l| at.is_some_and(|a| l.contains(&a)))
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
}

/// Everything about a helper but its body.
#[derive(Clone, Copy, Debug)]
pub struct Helper {
    /// Its number.
    pub id: HelperId,
    /// Its name without `bpf_`.
    pub name: &'static str,
    /// Only programs under a GPL-compatible licence may call it.
    pub gpl: bool,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    /// First kernel that has it.
    pub since: Version,
    /// Its prototypes; the first one whose scope admits the program counts.
    pub protos: &'static [Proto],
}

impl Helper {
    /// The prototype for a program of this type on this kernel.
    #[must_use]
    pub fn proto(&self, ty: ProgType, at: Option<AttachType>, v: Version) -> Option<&'static Proto> {
        self.protos.iter().find(|p| p.scope.admits(ty, at, v))
    }
}

/// What a program may do to a context field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Access {
    Read,
    Write,
    ReadWrite,
}

/// What a load of a context field gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A number.
    Scalar,
    /// Pointer to the first byte of the packet.
    PacketStart,
    /// Pointer to the metadata before the packet.
    PacketMeta,
    /// Pointer behind the last byte of the packet.
    PacketEnd,
    /// Pointer to a socket (`__sk_buff.sk`), or NULL.
    SockCommonOrNull,
    /// Pointer to a full socket.
    Socket,
    /// Pointer to a `struct bpf_flow_keys`.
    FlowKeys,
    /// Pointer to a kernel object by BTF name.
    Btf(&'static str),
}

/// One field of a context as programs see it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in the UAPI struct.
    pub name: &'static str,
    /// Offset in bytes in the UAPI struct.
    pub off: u16,
    /// Size of one element in bytes.
    pub width: Width,
    /// Number of elements (`cb[5]`), 1 for a plain field.
    pub count: u16,
    /// What may be done to it, and by whom (types not named in any scope may not touch it).
    pub access: &'static [(ProgSet, Access)],
    /// A read may be narrower than the field.
    pub narrow: bool,
    /// What a load gives.
    pub kind: FieldKind,
    /// First kernel that has it.
    pub since: Version,
}

/// A context struct of the UAPI.
#[derive(Clone, Copy, Debug)]
pub struct CtxLayout {
    /// Name of the UAPI struct (`xdp_md`).
    pub name: &'static str,
    /// Size in bytes.
    pub size: u16,
    /// Its fields by offset.
    pub fields: &'static [Field],
}

impl CtxLayout {
    /// The field that holds the byte at `off`.
    #[must_use]
    pub fn at(&self, off: u16) -> Option<&'static Field> {
        self.fields
            .iter()
            .find(|f| off >= f.off && u32::from(off) < u32::from(f.off) + f.width as u32 * u32::from(f.count))
    }
}

/// A way to write a program's type in a section name.
#[derive(Clone, Copy, Debug)]
pub struct SectionName {
    /// The name, or the part of it before the `/` (`xdp`, `kprobe`).
    pub prefix: &'static str,
    /// What follows.
    pub rest: SectionRest,
    /// The program type.
    pub ty: ProgType,
    /// The expected attach type that it implies.
    pub attach: Option<AttachType>,
    /// `BPF_F_SLEEPABLE` is implied (`lsm.s`).
    pub sleepable: bool,
    /// `BPF_F_XDP_HAS_FRAGS` is implied (`xdp.frags`).
    pub frags: bool,
    /// An old spelling (`classifier`) that is still read.
    pub legacy: bool,
}

/// What follows a section name's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionRest {
    /// Nothing may.
    Exact,
    /// `/target` may (`xdp/whatever`, `tp/syscalls/…`).
    Optional,
    /// `/target` must.
    Required,
}

/// Return values that a program type may give (for the verifier).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetRule {
    /// Expected attach types that it is for; none: all others.
    pub attach: Option<&'static [AttachType]>,
    /// Smallest value.
    pub min: i32,
    /// Largest value.
    pub max: i32,
}

/// A program type.
#[derive(Clone, Copy, Debug)]
pub struct ProgTypeRow {
    /// Its number.
    pub ty: ProgType,
    /// Its name as bpftool and libbpf write it (`sched_cls`).
    pub name: &'static str,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    /// The context that programs see; `None` where it is described by BTF or another way.
    pub ctx: Option<&'static CtxLayout>,
    /// Its expected attach types.
    pub attach: &'static [AttachType],
    /// Packet bytes may be written directly.
    pub direct_packet_write: bool,
    /// Which return values are allowed.
    pub ret: &'static [RetRule],
    /// Names of return values.
    pub verdicts: &'static [(i64, &'static str)],
    /// First kernel that has it.
    pub since: Version,
}

/// An attach type.
#[derive(Clone, Copy, Debug)]
pub struct AttachTypeRow {
    /// Its number.
    pub ty: AttachType,
    /// Its name as bpftool writes it (`cgroup_inet_ingress`).
    pub name: &'static str,
    /// First kernel that has it.
    pub since: Version,
}

/// A map type.
#[derive(Clone, Copy, Debug)]
pub struct MapTypeRow {
    /// Its number.
    pub ty: MapType,
    /// Its name as bpftool writes it (`lru_percpu_hash`).
    pub name: &'static str,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    /// Each CPU has a value of its own.
    pub per_cpu: bool,
    /// The helpers that take it as their map; `None`: the generic element helpers.
    pub helpers: &'static [HelperId],
    /// First kernel that has it.
    pub since: Version,
}

/// What a map is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapDef {
    /// Type.
    pub ty: MapType,
    /// Size of a key in bytes.
    pub key_size: u32,
    /// Size of a value in bytes, of one CPU.
    pub value_size: u32,
    /// Most entries it may hold; for ring buffers its size in bytes.
    pub max_entries: u32,
    /// `BPF_F_…` for `BPF_MAP_CREATE`.
    pub flags: u32,
    /// `map_extra`: bloom filter hashes, arena address.
    pub extra: u64,
    /// Parts of the value that only helpers may touch.
    pub special: Vec<Special>,
}

/// A part of a value that only helpers may touch: maps do not copy over it, the verifier lets nobody near it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Special {
    /// Offset in the value.
    pub off: u32,
    /// What it is.
    pub kind: SpecialKind,
}

/// Kinds of [`Special`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub enum SpecialKind {
    SpinLock,
    Timer,
    Workqueue,
    Kptr,
    ListHead,
    ListNode,
    RbRoot,
    RbNode,
    Refcount,
}

/// The rows that a profile knows: Linux's, and an embedder's behind them.
///
/// Cheap to clone while nothing is added.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Tables {
    pub helpers: Cow<'static, [&'static Helper]>,
    pub prog_types: Cow<'static, [ProgTypeRow]>,
    pub attach_types: Cow<'static, [AttachTypeRow]>,
    pub map_types: Cow<'static, [MapTypeRow]>,
    pub sections: Cow<'static, [SectionName]>,
}

/// Limits that a kernel sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Instructions that the verifier may process.
    pub insns: u32,
    /// Branches that may wait to be processed.
    pub jumps: u32,
    /// Bytes of stack of all frames together.
    pub stack: u32,
    /// Frames.
    pub frames: u32,
    /// Subprograms.
    pub subprogs: u32,
    /// Maps that one program may use.
    pub maps: u32,
    /// Tail calls in a row.
    pub tail_calls: u32,
}

/// A kernel as a value: what it accepts.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its version.
    pub version: Version,
    /// What it knows.
    pub tables: Tables,
    /// Its limits.
    pub limits: Limits,
}
