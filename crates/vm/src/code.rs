//! What an engine is given.

use crate::HelperFn;
use alveary_isa::Insn;

/// A program for an engine. Addresses are symbols, so that one `Code` can be linked now, compiled ahead of time, or cached.
#[derive(Clone, Debug, Default)]
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
    /// The slot of the object's program that each slot comes from; empty: itself.
    pub origin: Vec<u32>,
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Func {
    /// Its first slot.
    pub start: u32,
    /// Bytes of stack that it uses (0–512).
    pub stack: u16,
}

/// An address that is not known before linking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sym {
    /// The word that names a map to helpers.
    Map(u16),
    /// An address in a map's only value.
    MapValue(u16, u32),
    /// The word that names function n of this code to [`crate::Env::callback`].
    Func(u16),
}

/// A helper as it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// How many arguments it reads.
    pub args: u8,
    /// Whether it gives something back.
    pub returns: bool,
    /// What the owner knows it by (the helper's number); handed to [`crate::Checks::call`].
    pub tag: u32,
}

/// The verifier's facts in the engine's words. They are trusted: only the lowering of verified programs writes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The 64-bit result fits in 32 bits.
    pub fits32: bool,
    /// The pointer is not NULL.
    pub non_null: bool,
    /// The result is this constant.
    pub constant: Option<u64>,
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
    /// The body behind `calls[call]`.
    fn helper(&self, call: u16) -> HelperFn;
}
