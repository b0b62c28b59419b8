//! What an engine is given.

use crate::HelperFn;
use alveary_isa::Insn;

/// A program for an engine. Addresses are symbols, so that one `Code` can be linked now, compiled ahead of time, or cached.
#[derive(Clone, Debug, Default, Hash)]
pub struct Code {
    /// Instructions, possibly with the two hidden registers. A helper call's `imm` is an index into `calls`.
    pub insns: Vec<Insn>,
    /// Functions by start; the first is the entry.
    pub funcs: Vec<Func>,
    /// Which `ld_imm64` (slot) gets which address; sorted by slot.
    pub syms: Vec<(u32, Sym)>,
    /// Helpers that are called.
    pub calls: Vec<Call>,
    /// What is known of each slot; empty, or one for each.
    pub known: Vec<Known>,
    /// The calls that look a key up in a known map, sorted by slot: what an engine may do by itself.
    pub lookups: Vec<Lookup>,
    /// What helpers do, at the calls of which an engine may do it by itself; sorted by slot.
    pub bodies: Vec<(u32, Body)>,
    /// The slot of the object's program that each slot comes from; empty: itself.
    pub origin: Vec<u32>,
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Func {
    /// Its first slot.
    pub start: u32,
    /// Bytes of its stack frame (0–512) that it may read before it writes them: these are zero then.
    pub stack: u16,
}

/// An address that is not known before linking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sym {
    /// The word that names a map to helpers.
    Map(u16),
    /// An address in a map's only value.
    MapValue(u16, u32),
    /// An address in a map's memory, by its offset.
    Memory(u16, u64),
    /// The word that names function n of this code to [`crate::Env::callback`].
    Func(u16),
}

/// A helper as it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// How many arguments it reads.
    pub args: u8,
    /// Whether it gives something back.
    pub returns: bool,
    /// What the owner knows it by (the helper's number); handed to [`crate::Checks::call`].
    pub tag: u32,
}

/// The verifier's facts in the engine's words. They are trusted: only the lowering of verified programs writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Known {
    /// The least and the most that the written register holds then, read unsigned.
    pub range: (u64, u64),
    /// The written register holds a pointer, which is not NULL.
    pub not_null: bool,
    /// A division or modulo never divides by zero.
    pub divisor_not_zero: bool,
    /// What a load, store or atomic operation accesses.
    pub memory: Memory,
}

/// What an access is to. Of two accesses to different ones neither sees what the other wrote, unless one is to
/// [`Memory::Any`]; two maps are different, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Memory {
    /// Nothing is known.
    #[default]
    Any,
    /// The context, or what its fields lead to.
    Context,
    /// The stack frame of the running function.
    Frame,
    /// The stack frame of a function that called it.
    OuterFrame,
    /// The packet and its metadata.
    Packet,
    /// Values of the map of this number.
    Value(u16),
    /// The [`crate::Env`].
    Environment,
}

impl Known {
    /// Nothing.
    pub const NOTHING: Known =
        Known { range: (0, u64::MAX), not_null: false, divisor_not_zero: false, memory: Memory::Any };

    /// The upper half of the result is zero.
    #[must_use]
    pub const fn fits32(&self) -> bool {
        self.range.1 <= u32::MAX as u64
    }

    /// The result, if it is always the same.
    #[must_use]
    pub const fn constant(&self) -> Option<u64> {
        if self.range.0 == self.range.1 { Some(self.range.0) } else { None }
    }
}

impl Default for Known {
    fn default() -> Known {
        Known::NOTHING
    }
}

/// A lookup by a helper in a map that is known, with a key of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lookup {
    /// Slot of the call.
    pub slot: u32,
    /// The map, by its number.
    pub map: u16,
    /// Bytes of a key.
    pub key_size: u32,
    /// Where its entries stand.
    pub table: Table,
}

/// What a helper does at one of its calls, if it is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// It takes a number from the generator whose state is [`crate::Env::rng`], SplitMix64: the state grows by
    /// [`Body::RANDOM_STEP`], is mixed by [`Body::RANDOM_MIXING`] and [`Body::RANDOM_LAST`], and the number is the upper half.
    Random,
    /// It adds r5 and the words of 32 bits at r3, and takes those at r1 away: one's complement sums of 32 bits.
    Checksum {
        /// Bytes at r1, a multiple of four.
        from: u8,
        /// Bytes at r3, a multiple of four.
        to: u8,
        /// The sum is folded into 16 bits.
        folded: bool,
    },
    /// It puts a checksum of 16 bits in the packet right, after what stands in r3 became what stands in r4, and gives 0.
    /// Where it is in the packet is in the lower half of r2. If it is not there, or at an odd place, the helper says what
    /// happens.
    Replaced {
        /// As in [`Body::PacketBytes`].
        start: u16,
        /// As in [`Body::PacketBytes`].
        end: u16,
        /// Bytes that changed: 2 or 4.
        size: u8,
        /// The last place that r2 may name.
        last: u32,
        /// What a sum of nothing is: all bits of 16, or of 32.
        narrow: bool,
        /// The bit of r5 that says that 0 means no checksum: it stays, and none becomes 0. 0: there is none.
        zero_means_none: u8,
    },
    /// It copies bytes from the packet to r3 or the other way, and gives 0. Where they begin in the packet is in the lower
    /// half of r2. If they are not there, the helper says what happens.
    PacketBytes {
        /// Where in the context, to which r1 points, the packet's first byte has its address.
        start: u16,
        /// Where the byte behind its last one has.
        end: u16,
        /// How many are copied.
        size: u8,
        /// The last place that r2 may name.
        last: u32,
        /// From r3 to the packet.
        to_packet: bool,
    },
}

impl Body {
    /// What the generator's state grows by for each number.
    pub const RANDOM_STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    /// How the state is mixed: it is combined with itself, shifted to the right (exclusive or), then multiplied, twice.
    pub const RANDOM_MIXING: [(u8, u64); 2] = [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)];
    /// Combined with itself once more, shifted so far.
    pub const RANDOM_LAST: u8 = 31;
    /// The most bytes of one place that an engine adds or copies by itself.
    pub const MOST: u8 = 64;
}

/// Where a map's entries stand: offsets from its memory ([`Sym::Memory`]). The owner's documentation of its maps says
/// how they are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the words are those of the owner's layouts, where they are explained")]
pub enum Table {
    Array {
        data: u64,
        stride: u32,
        max: u32,
        cpu_stride: u64,
    },
    Hash {
        buckets: u64,
        mask: u32,
        slots: u64,
        slot: u32,
        next: u32,
        key: u32,
        values: u64,
        value_stride: u32,
        cpu_stride: u64,
        seed: u64,
        used: u32,
    },
    Trie {
        version: u64,
        root: u64,
        nodes: u64,
        node: u32,
        child: u32,
        bits: u32,
        prefix: u32,
        value: u32,
    },
}

/// Gives symbols their addresses.
///
/// # Safety
/// Every address must stay valid for as long as the image that was linked with it. A helper must be sound to call
/// from the image's own mode: in checked mode with every argument list that [`crate::Checks::call`] lets through,
/// in trusted mode with those that the proof allows.
pub unsafe trait Link {
    /// The word that names map `map` to helpers.
    fn map(&self, map: u16) -> u64;
    /// The address `off` bytes into the only value of map `map`.
    fn map_value(&self, map: u16, off: u32) -> u64;
    /// The address `off` bytes into the memory of map `map`.
    fn memory(&self, map: u16, off: u64) -> u64;
    /// The body behind `calls[call]`.
    fn helper(&self, call: u16) -> HelperFn;
}
