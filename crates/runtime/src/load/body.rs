//! What helpers do that an engine may do by itself, where the proof says that the arguments are right for it.
//!
//! Sound because of what the rows say of these helpers, whose bodies are the runtime's own or a family's, which promises
//! to do as they say; and because the fields `data` and `data_end` are the ends of bytes that the packet has in one piece:
//! what is between them is what a copy gets.

use super::Sites;
use crate::{Step, helpers};
use alveary_abi::HelperId;
use alveary_isa::Width;
use alveary_verifier::facts::{Argument, Pointer};
use alveary_vm::Body;

/// The last offset that `bpf_xdp_load_bytes` takes, and that of `bpf_skb_load_bytes`.
const LAST_OF_XDP: u32 = 0xffff;
const LAST_OF_SKB: u32 = i32::MAX as u32;

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
        _ => None,
    }
}

fn checksum(sites: &Sites<'_>, args: &[Argument]) -> Option<Body> {
    let [from, from_size, to, to_size, _] = args else { return None };
    let words = |memory, size: &Argument| size_at(memory, size).filter(|size| size.is_multiple_of(4));
    let folded = sites.profile.version >= helpers::CSUM_DIFF_FOLDS;
    Some(Body::Checksum { from: words(from, from_size)?, to: words(to, to_size)?, folded })
}

fn packet_bytes(sites: &Sites<'_>, args: &[Argument], last: u32, to_packet: bool) -> Option<Body> {
    let [_, _, memory, size, ..] = args else { return None };
    let place = |field| match sites.family.backing(field)?.load {
        &[Step::Load(Width::B8, off)] => Some(off),
        _ => None,
    };
    let size = size_at(memory, size).filter(|size| *size > 0)?;
    Some(Body::PacketBytes { start: place("data")?, end: place("data_end")?, size, last, to_packet })
}

/// How many bytes are at a pointer, if that is always the same, and few.
fn size_at(memory: &Argument, size: &Argument) -> Option<u8> {
    let size = u8::try_from(size.constant()?).ok().filter(|size| *size <= Body::MOST)?;
    let there = matches!(memory, Argument::Pointer(Pointer { or_null: false, .. }));
    (there || size == 0).then_some(size)
}
