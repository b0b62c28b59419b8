//! The legacy packet loads (`BPF_ABS`, `BPF_IND`): lowered to a call of a helper that no program can name.

use alveary_abi::{Arg, Helper, HelperId, ProgSet, ProgType, Proto};

/// The row behind [`alveary_isa::Inst::LoadAbs`] and [`alveary_isa::Inst::LoadInd`]: the packet's bytes at r2, r3 of
/// them (1, 2 or 4), as a number in host order. Its body calls [`crate::Cx::leave`] with 0 if they are not there.
///
/// A family whose programs may use these loads binds it ([`crate::helpers!`]).
pub static LOAD: Helper = Helper::new(HelperId(u32::MAX), "legacy_load")
    .doc("Loads packet bytes for the instructions BPF_ABS and BPF_IND.")
    .protos(&[Proto::takes(&[Arg::Ctx { or_null: false }, Arg::Any, Arg::Any]).by(ProgSet::of(&[
        ProgType::SOCKET_FILTER,
        ProgType::SCHED_CLS,
        ProgType::SCHED_ACT,
    ]))]);
