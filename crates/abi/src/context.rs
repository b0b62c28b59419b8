//! The shape of a context: the struct that r1 points to when a program starts, as programs see it.

use crate::{AttachType, ProgType, Scope, Version};
use alveary_isa::Width;

/// What a program may do to a context field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Access {
    Read,
    Write,
    ReadWrite,
}

impl Access {
    /// Whether loads are allowed.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Access::Read | Access::ReadWrite)
    }

    /// Whether stores are allowed.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Access::Write | Access::ReadWrite)
    }
}

/// How wide a load or store of a context field may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// As wide as one element, no more and no less.
    Exact,
    /// A load may be narrower than the element; a store may not.
    NarrowLoads,
    /// The same, but a narrower load has to begin where the element does.
    NarrowLoadsAtStart,
    /// A load may be of half the element, or all of it.
    Halves,
    /// A number of two bytes with padding behind it: loads are of the whole element or inside the number.
    PaddedHalf,
    /// 1 to 8 bytes inside the whole array as a load, 4 or 8 as a store (`bpf_sock_addr.user_ip6`).
    WideStores,
    /// 1 to 8 bytes inside the whole array, loads and stores (`__sk_buff.cb`).
    Any,
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
    /// Pointer to a full socket, or NULL.
    SocketOrNull,
    /// Pointer to the buffer that a writable raw tracepoint offers.
    TraceBuffer,
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
    /// How wide loads and stores may be. Every access is aligned to its own size.
    pub sizes: Sizes,
    /// What a load gives.
    pub kind: FieldKind,
    /// What may be done to it, and by whom: the first scope that admits a program counts. Who is in none may not
    /// touch it.
    pub access: &'static [(Scope, Access)],
    /// First kernel that has it.
    pub since: Version,
}

impl Field {
    /// Size in bytes, all elements together.
    #[must_use]
    pub const fn size(&self) -> u16 {
        self.width as u16 * self.count
    }

    /// What a program of this type may do to it on this kernel.
    #[must_use]
    pub fn access(&self, ty: ProgType, attach: Option<AttachType>, kernel: Version) -> Option<Access> {
        self.access.iter().find(|(scope, _)| scope.admits(ty, attach, kernel)).map(|&(_, access)| access)
    }

    /// Whether a load (or a store, if `store`) of `bytes` bytes at offset `off` of the struct has an allowed size and
    /// alignment. Who may do it is [`Field::access`]'s question.
    #[must_use]
    pub fn admits(&self, off: u16, bytes: u16, store: bool) -> bool {
        let width = self.width as u16;
        if !matches!(bytes, 1 | 2 | 4 | 8) || !off.is_multiple_of(bytes) {
            return false;
        }
        let inside =
            off >= self.off && u32::from(off) + u32::from(bytes) <= u32::from(self.off) + u32::from(self.size());
        inside
            && match self.sizes {
                Sizes::Exact => bytes == width,
                Sizes::NarrowLoads | Sizes::NarrowLoadsAtStart | Sizes::Halves | Sizes::PaddedHalf if store => {
                    bytes == width
                }
                Sizes::NarrowLoads => bytes <= width,
                Sizes::NarrowLoadsAtStart => bytes <= width && off == self.off,
                Sizes::Halves => bytes <= width && bytes >= width / 2,
                Sizes::PaddedHalf => bytes == width || off + bytes <= self.off + width / 2,
                Sizes::WideStores => !store || bytes >= width,
                Sizes::Any => true,
            }
    }
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
        let behind = self.fields.partition_point(|field| field.off <= off);
        let field = self.fields[..behind].last()?;
        (off - field.off < field.size()).then_some(field)
    }

    /// The field of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

// The tables' notation: `word("mark", 8).narrow().since(4, 1).by(&[read(ALL)])`.

/// A field of one 32-bit number.
pub(crate) const fn word(name: &'static str, off: u16) -> Field {
    Field {
        name,
        off,
        width: Width::B4,
        count: 1,
        sizes: Sizes::Exact,
        kind: FieldKind::Scalar,
        access: &[],
        since: Version(4, 1),
    }
}

/// A field of one 64-bit number.
pub(crate) const fn long(name: &'static str, off: u16) -> Field {
    Field { width: Width::B8, ..word(name, off) }
}

/// A field of one byte.
pub(crate) const fn byte(name: &'static str, off: u16) -> Field {
    Field { width: Width::B1, ..word(name, off) }
}

impl Field {
    pub(crate) const fn times(self, count: u16) -> Field {
        Field { count, ..self }
    }

    pub(crate) const fn sized(self, sizes: Sizes) -> Field {
        Field { sizes, ..self }
    }

    pub(crate) const fn narrow(self) -> Field {
        self.sized(Sizes::NarrowLoads)
    }

    pub(crate) const fn gives(self, kind: FieldKind) -> Field {
        Field { kind, ..self }
    }

    pub(crate) const fn since(self, major: u16, minor: u16) -> Field {
        Field { since: Version(major, minor), ..self }
    }

    pub(crate) const fn by(self, access: &'static [(Scope, Access)]) -> Field {
        Field { access, ..self }
    }
}
