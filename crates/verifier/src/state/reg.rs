//! What is known of one register, or of one slot of the stack that holds a spilled register.
//!
//! Knows nothing of programs or of how a register came to be what it is.

use crate::scalar::Scalar;
use alveary_btf::TypeId;
use std::fmt;

/// What a register holds, without the [`Flags`] that qualify it (the kernel's `enum bpf_reg_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Uninit,
    Scalar,
    Ctx,
    MapPtr,
    MapValue,
    MapKey,
    Stack,
    PacketMeta,
    Packet,
    PacketEnd,
    FlowKeys,
    Socket,
    SockCommon,
    TcpSock,
    XdpSock,
    TpBuffer,
    Mem,
    Buf,
    Func,
    /// A dynptr that was lent, not made.
    Dynptr,
    /// An object of the kernel, whose type is known.
    Object,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Uninit => "?",
            Kind::Scalar => "scalar",
            Kind::Ctx => "ctx",
            Kind::MapPtr => "map_ptr",
            Kind::MapValue => "map_value",
            Kind::MapKey => "map_key",
            Kind::Stack => "fp",
            Kind::PacketMeta => "pkt_meta",
            Kind::Packet => "pkt",
            Kind::PacketEnd => "pkt_end",
            Kind::FlowKeys => "flow_keys",
            Kind::Socket => "sock",
            Kind::SockCommon => "sock_common",
            Kind::TcpSock => "tcp_sock",
            Kind::XdpSock => "xdp_sock",
            Kind::TpBuffer => "tp_buffer",
            Kind::Mem => "mem",
            Kind::Buf => "buf",
            Kind::Func => "func",
            Kind::Dynptr => "dynptr_ptr",
            Kind::Object => "ptr_",
        }
    }
}

/// What qualifies a [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u8);

impl Flags {
    pub(crate) const NONE: Flags = Flags(0);
    pub(crate) const MAYBE_NULL: Flags = Flags(1);
    pub(crate) const READ_ONLY: Flags = Flags(2);
    pub(crate) const RINGBUF: Flags = Flags(4);
    /// The kernel vouches for it: it is there, and stays there as long as the program runs.
    pub(crate) const TRUSTED: Flags = Flags(8);
    /// It may point anywhere: loads are caught.
    pub(crate) const UNTRUSTED: Flags = Flags(16);
    /// It stays there as long as nothing is waited for.
    pub(crate) const RCU: Flags = Flags(32);
    /// It is one for each CPU.
    pub(crate) const PER_CPU: Flags = Flags(64);
    /// It is a process's.
    pub(crate) const USER: Flags = Flags(128);

    pub(crate) const fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

/// Kind and flags: what the kernel calls the register's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) kind: Kind,
    pub(crate) flags: Flags,
}

impl Type {
    pub(crate) const UNINIT: Type = Type::of(Kind::Uninit);
    pub(crate) const SCALAR: Type = Type::of(Kind::Scalar);

    pub(crate) const fn of(kind: Kind) -> Type {
        Type { kind, flags: Flags::NONE }
    }

    pub(crate) const fn with(self, flags: Flags) -> Type {
        Type { flags: self.flags.with(flags), ..self }
    }

    pub(crate) const fn without(self, flags: Flags) -> Type {
        Type { flags: self.flags.without(flags), ..self }
    }

    pub(crate) const fn or_null(self) -> Type {
        self.with(Flags::MAYBE_NULL)
    }

    pub(crate) const fn maybe_null(self) -> bool {
        self.flags.has(Flags::MAYBE_NULL)
    }

    pub(crate) const fn read_only(self) -> bool {
        self.flags.has(Flags::READ_ONLY)
    }

    /// Whether the kind is a pointer into the packet or the metadata before it.
    pub(crate) const fn is_packet(self) -> bool {
        matches!(self.kind, Kind::Packet | Kind::PacketMeta)
    }

    pub(crate) const fn is_packet_or_end(self) -> bool {
        matches!(self.kind, Kind::Packet | Kind::PacketMeta | Kind::PacketEnd)
    }

    pub(crate) const fn untrusted(self) -> bool {
        self.flags.has(Flags::UNTRUSTED)
    }

    /// Whether it is memory that may lie anywhere, so that nobody asks how much there is.
    pub(crate) fn is_anywhere(self) -> bool {
        self.kind == Kind::Mem && self.untrusted()
    }

    pub(crate) const fn is_socket(self) -> bool {
        matches!(self.kind, Kind::Socket | Kind::SockCommon | Kind::TcpSock | Kind::XdpSock)
    }

    pub(crate) const fn has_map(self) -> bool {
        matches!(self.kind, Kind::MapPtr | Kind::MapValue | Kind::MapKey)
    }
}

/// As the kernel's log writes it (`map_value_or_null`).
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.read_only() {
            f.write_str("rdonly_")?;
        }
        for (flag, name) in [
            (Flags::RINGBUF, "ringbuf_"),
            (Flags::USER, "user_"),
            (Flags::PER_CPU, "percpu_"),
            (Flags::RCU, "rcu_"),
            (Flags::UNTRUSTED, "untrusted_"),
            (Flags::TRUSTED, "trusted_"),
        ] {
            f.write_str(if self.flags.has(flag) { name } else { "" })?;
        }
        f.write_str(self.kind.name())?;
        f.write_str(match self.kind {
            _ if !self.maybe_null() => "",
            Kind::Object => "or_null_",
            _ => "_or_null",
        })
    }
}

/// In [`Reg::id`]: the scalar is another one of that id plus the constant in [`Reg::off`], added in 64 bits.
pub(crate) const ADD_CONST_64: u32 = 1 << 31;
/// The same, added in 32 bits.
pub(crate) const ADD_CONST_32: u32 = 1 << 30;
/// Either.
pub(crate) const ADD_CONST: u32 = ADD_CONST_64 | ADD_CONST_32;

/// Ranges of packet pointers that say how they lie to the packet's end.
pub(crate) const AT_PACKET_END: i32 = -1;
pub(crate) const BEYOND_PACKET_END: i32 = -2;

/// A register's or spilled slot's state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reg {
    pub(crate) ty: Type,
    /// Of a scalar: what it is worth matters to some later check.
    pub(crate) precise: bool,
    /// Of a pointer to the stack: the frame that it points into.
    pub(crate) frame: u8,
    /// The constant part of a pointer's offset; of a linked scalar, how much it is above its id.
    pub(crate) off: i32,
    /// What the kind needs: the map, the packet range that is known, the size of memory, the subprogram, the type.
    pub(crate) extra: u32,
    /// Which element an inner map was found in, for timers; which dynptr memory is of.
    pub(crate) map_uid: u32,
    /// The number, or the variable part of a pointer's offset.
    pub(crate) val: Scalar,
    pub(crate) id: u32,
    /// The acquired reference that it belongs to; 0: none.
    pub(crate) ref_id: u32,
}

impl Reg {
    pub(crate) const UNINIT: Reg = Reg {
        ty: Type::UNINIT,
        precise: false,
        frame: 0,
        off: 0,
        extra: 0,
        map_uid: 0,
        val: Scalar::UNKNOWN,
        id: 0,
        ref_id: 0,
    };

    pub(crate) const UNKNOWN: Reg = Reg { ty: Type::SCALAR, ..Reg::UNINIT };

    /// A pointer to memory that may lie anywhere: loads are caught.
    pub(crate) const ANYWHERE: Reg = Reg {
        ty: Type::of(Kind::Mem).with(Flags::READ_ONLY).with(Flags::UNTRUSTED),
        val: Scalar::known(0),
        ..Reg::UNINIT
    };

    /// A known number.
    pub(crate) fn known(value: u64) -> Reg {
        Reg { val: Scalar::known(value), ..Reg::UNKNOWN }
    }

    /// A pointer of this type, to the start of what it points to.
    pub(crate) fn pointer(ty: Type) -> Reg {
        Reg { ty, val: Scalar::known(0), ..Reg::UNINIT }
    }

    /// A pointer to memory of this size.
    pub(crate) fn memory(size: u32, flags: Flags) -> Reg {
        Reg { extra: size, ..Reg::pointer(Type::of(Kind::Mem).with(flags)) }
    }

    /// A pointer to an object of the kernel.
    pub(crate) fn object(to: TypeId, flags: Flags) -> Reg {
        Reg { extra: to.0, ..Reg::pointer(Type::of(Kind::Object).with(flags)) }
    }

    /// The type of the object that it points to, in the kernel's types.
    pub(crate) fn object_type(&self) -> Option<TypeId> {
        (self.ty.kind == Kind::Object).then_some(TypeId(self.extra))
    }

    /// Whether the kernel vouches for the object that it points to.
    pub(crate) fn is_trusted(&self) -> bool {
        self.ref_id != 0 || self.ty.flags == Flags::TRUSTED
    }

    pub(crate) fn map_pointer(ty: Type, map: u32) -> Reg {
        Reg { extra: map, ..Reg::pointer(ty) }
    }

    pub(crate) fn is_scalar(&self) -> bool {
        self.ty.kind == Kind::Scalar
    }

    /// A pointer, in the eyes of someone who may not learn addresses.
    pub(crate) fn is_pointer(&self) -> bool {
        !self.is_scalar()
    }

    /// The scalar 0.
    pub(crate) fn is_null(&self) -> bool {
        self.is_scalar() && self.val.value() == Some(0)
    }

    /// How far the packet is known to reach behind the pointer's base; negative: how it lies to the end.
    pub(crate) fn range(&self) -> i32 {
        self.extra as i32
    }

    pub(crate) fn set_range(&mut self, range: i32) {
        self.extra = range as u32;
    }

    /// The scalar's link to others is gone.
    pub(crate) fn unlink(&mut self) {
        self.id = 0;
        self.off = 0;
    }

    /// How many low bits the unsigned value may have set.
    pub(crate) fn width(&self) -> u32 {
        64 - self.val.wide.umax.leading_zeros()
    }

    /// What it is, is no longer known; how precise it has to be, is.
    pub(crate) fn forget(&mut self, precise: bool) {
        *self = Reg { precise, ..Reg::UNKNOWN };
    }

    /// All but identities is the same.
    pub(crate) fn same_content(&self, other: &Reg) -> bool {
        self.ty == other.ty
            && self.off == other.off
            && self.extra == other.extra
            && self.map_uid == other.map_uid
            && self.val == other.val
    }

    /// Whether the pointer cannot be NULL, as far as branch decisions rely on that.
    pub(crate) fn not_null(&self) -> bool {
        use crate::limits::MAX_VAR_OFF;
        if self.ty.maybe_null() || self.val.wide.smin <= -MAX_VAR_OFF || self.val.wide.smax >= MAX_VAR_OFF {
            return false;
        }
        match self.ty.kind {
            Kind::Socket
            | Kind::TcpSock
            | Kind::XdpSock
            | Kind::Buf
            | Kind::MapValue
            | Kind::MapKey
            | Kind::SockCommon
            | Kind::MapPtr => true,
            Kind::Mem => !self.ty.untrusted(),
            Kind::Object => self.is_trusted(),
            _ => false,
        }
    }

    /// Whether it can be spilled to the stack as what it is.
    pub(crate) fn spillable(&self) -> bool {
        !matches!(self.ty.kind, Kind::Uninit | Kind::Scalar | Kind::TpBuffer | Kind::Dynptr)
    }
}
