//! What a map is made from.

use crate::MapType;

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
