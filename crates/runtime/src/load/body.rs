//! What helpers do that an engine may do by itself, where the proof says that the arguments are right for it.
//!
//! Sound because of what the rows say of these helpers, whose bodies are the runtime's own or a family's, which promises
//! to do as they say; and because the fields `data` and `data_end` are the ends of bytes that the packet has in one piece:
//! what is between them is what a copy gets.

use super::Sites;
use crate::{Step, helpers};
use alveary_abi::HelperId;
use alveary_abi::flags::{BPF_F_HDR_FIELD_MASK, BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR};
use alveary_isa::Width;
use alveary_verifier::facts::{Argument, Pointer};
use alveary_vm::Body;

/// The last offset that `bpf_xdp_load_bytes` takes, and that of `bpf_skb_load_bytes`.
const LAST_OF_XDP: u32 = 0xffff;
const LAST_OF_SKB: u32 = i32::MAX as u32;
/// The last at which a checksum is put right.
const LAST_OF_CHECKSUM: u32 = 0xffff;

/// What a call of a helper does, if an engine can do it.
pub(super) fn of(sites: &Sites<'_>, helper: HelperId, args: &[Argument]) -> Option<Body> {
    match helper {
        HelperId::GET_PRANDOM_U32 => Some(Body::Random),
        HelperId::CSUM_DIFF => checksum(sites, args),
        HelperId::XDP_LOAD_BYTES => packet_bytes(sites, args, LAST_OF_XDP, false),
        HelperId::XDP_STORE_BYTES => packet_bytes(sites, args, LAST_OF_XDP, true),
        HelperId::SKB_LOAD_BYTES => packet_bytes(sites, args, LAST_OF_SKB, false),
        // Without flags.
        HelperId::SKB_STORE_BYTES if args.get(4)?.constant()? == 0 => packet_bytes(sites, args, LAST_OF_SKB, true),
        HelperId::L3_CSUM_REPLACE => replaced(sites, args, true),
        HelperId::L4_CSUM_REPLACE => replaced(sites, args, false),
        _ => None,
    }
}

/// Both helpers say in the flags how many bytes changed; one knows of checksums that need not be there.
fn replaced(sites: &Sites<'_>, args: &[Argument], of_network: bool) -> Option<Body> {
    let [_, _, _, _, Argument::Number(flags)] = args else { return None };
    let bits = flags.bits;
    let may_be = bits.ones | bits.unknown;
    let asked = if of_network { 0 } else { BPF_F_MARK_MANGLED_0 };
    // Of the size all bits are known; no other flag may be there that changes what is done.
    let allowed = BPF_F_HDR_FIELD_MASK | if of_network { 0 } else { asked | BPF_F_PSEUDO_HDR };
    if may_be & !allowed != 0 || bits.unknown & BPF_F_HDR_FIELD_MASK != 0 {
        return None;
    }
    let size = u8::try_from(bits.ones & BPF_F_HDR_FIELD_MASK).ok().filter(|size| matches!(size, 2 | 4))?;
    Some(Body::Replaced {
        start: place(sites, "data")?,
        end: place(sites, "data_end")?,
        size,
        last: LAST_OF_CHECKSUM,
        narrow: of_network && size == 2,
        zero_means_none: u8::try_from(may_be & asked).ok()?,
    })
}

fn checksum(sites: &Sites<'_>, args: &[Argument]) -> Option<Body> {
    let [from, from_size, to, to_size, _] = args else { return None };
    let words = |memory, size: &Argument| size_at(memory, size).filter(|size| size.is_multiple_of(4));
    let folded = sites.profile.version >= helpers::CSUM_DIFF_FOLDS;
    Some(Body::Checksum { from: words(from, from_size)?, to: words(to, to_size)?, folded })
}

fn packet_bytes(sites: &Sites<'_>, args: &[Argument], last: u32, to_packet: bool) -> Option<Body> {
    let [_, _, memory, size, ..] = args else { return None };
    let size = size_at(memory, size).filter(|size| *size > 0)?;
    Some(Body::PacketBytes { start: place(sites, "data")?, end: place(sites, "data_end")?, size, last, to_packet })
}

/// Where a field of the context stands that is an address.
fn place(sites: &Sites<'_>, field: &str) -> Option<u16> {
    match sites.family.backing(field)?.load {
        &[Step::Load(Width::B8, off)] => Some(off),
        _ => None,
    }
}

/// How many bytes are at a pointer, if that is always the same, and few.
fn size_at(memory: &Argument, size: &Argument) -> Option<u8> {
    let size = u8::try_from(size.constant()?).ok().filter(|size| *size <= Body::MOST)?;
    let there = matches!(memory, Argument::Pointer(Pointer { or_null: false, .. }));
    (there || size == 0).then_some(size)
}
