//! Conformance groups: which instructions an implementation of RFC 9669 has (section 2.4).

use crate::{AluOp, Inst, Wide, Width};

/// A conformance group of RFC 9669, or one of the additions that it leaves to platforms.
///
/// As in the RFC, `base64` includes `base32`, and every other `…64` its `…32`: an instruction's own group is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConformanceGroup {
    /// All that is in no other group, at 32 bits.
    Base32,
    /// 64-bit arithmetic, comparisons, loads and stores.
    Base64,
    /// 32-bit atomic operations.
    Atomic32,
    /// 64-bit atomic operations.
    Atomic64,
    /// 32-bit multiplication, division and remainder.
    Divmul32,
    /// 64-bit multiplication, division and remainder.
    Divmul64,
    /// Legacy packet loads.
    Packet,
    /// Linux's additions: load-acquire, store-release, `may_goto`, `addr_space_cast`, `gotox`.
    Linux,
    /// clang's call through a register.
    Callx,
}

impl ConformanceGroup {
    /// The groups that this crate decodes and encodes, and that Alveary's engine runs.
    pub const IMPLEMENTED: [ConformanceGroup; 9] = [
        ConformanceGroup::Base32,
        ConformanceGroup::Base64,
        ConformanceGroup::Atomic32,
        ConformanceGroup::Atomic64,
        ConformanceGroup::Divmul32,
        ConformanceGroup::Divmul64,
        ConformanceGroup::Packet,
        ConformanceGroup::Linux,
        ConformanceGroup::Callx,
    ];

    /// The name in the RFC's registry; for additions the name of who added them.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ConformanceGroup::Base32 => "base32",
            ConformanceGroup::Base64 => "base64",
            ConformanceGroup::Atomic32 => "atomic32",
            ConformanceGroup::Atomic64 => "atomic64",
            ConformanceGroup::Divmul32 => "divmul32",
            ConformanceGroup::Divmul64 => "divmul64",
            ConformanceGroup::Packet => "packet",
            ConformanceGroup::Linux => "linux",
            ConformanceGroup::Callx => "callx",
        }
    }
}

impl Inst {
    /// The group that the instruction belongs to.
    #[must_use]
    pub const fn group(&self) -> ConformanceGroup {
        use ConformanceGroup::*;
        match self {
            Inst::Alu { wide, op: AluOp::Mul | AluOp::Div | AluOp::SDiv | AluOp::Mod | AluOp::SMod, .. } => {
                match wide {
                    Wide::W32 => Divmul32,
                    Wide::W64 => Divmul64,
                }
            }
            Inst::Alu { wide, .. } | Inst::Neg { wide, .. } | Inst::MovSx { wide, .. } | Inst::Jmp { wide, .. } => {
                match wide {
                    Wide::W32 => Base32,
                    Wide::W64 => Base64,
                }
            }
            Inst::Swap { bits: 64, .. } => Base64,
            Inst::Load { signed: true, .. } => Base64,
            Inst::Load { width: Width::B8, .. } | Inst::Store { width: Width::B8, .. } => Base64,
            Inst::Swap { .. } | Inst::Load { .. } | Inst::Store { .. } => Base32,
            Inst::LoadImm64 { .. }
            | Inst::MapFd { .. }
            | Inst::MapValueFd { .. }
            | Inst::VarAddr { .. }
            | Inst::FuncAddr { .. }
            | Inst::MapIdx { .. }
            | Inst::MapValueIdx { .. } => Base64,
            Inst::Atomic { width: Width::B8, .. } => Atomic64,
            Inst::Atomic { .. } => Atomic32,
            Inst::LoadAbs { .. } | Inst::LoadInd { .. } => Packet,
            Inst::Ja { .. }
            | Inst::CallHelper { .. }
            | Inst::CallLocal { .. }
            | Inst::CallKfunc { .. }
            | Inst::Exit => Base32,
            Inst::AddrSpaceCast { .. }
            | Inst::LoadAcquire { .. }
            | Inst::StoreRelease { .. }
            | Inst::MayGoto { .. }
            | Inst::GotoX { .. } => Linux,
            Inst::CallX { .. } => Callx,
        }
    }
}
