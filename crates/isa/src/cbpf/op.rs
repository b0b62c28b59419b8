//! What a classic instruction means. Code numbers are those of `bpf_check_classic`'s list: no other is accepted.

use super::{SKF_AD_OFF, SockFilter};
use crate::Width;

/// The second operand of arithmetic and comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The constant.
    K(u32),
    /// The index register.
    X,
}

/// Arithmetic on the accumulator, 32 bits wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the instructions' own")]
pub enum AluOp {
    Add,
    Sub,
    Mul,
    /// By an X of zero: the filter returns 0.
    Div,
    Or,
    And,
    Lsh,
    Rsh,
    /// By an X of zero: the filter returns 0.
    Mod,
    Xor,
}

/// Comparisons of the accumulator, unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the instructions' own")]
pub enum Cmp {
    Eq,
    Gt,
    Ge,
    /// A & operand is not zero.
    Set,
}

/// What Linux gives in place of packet bytes at offsets from [`SKF_AD_OFF`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are linux/filter.h's")]
#[repr(u8)]
pub enum Ancillary {
    /// The EtherType.
    Protocol = 0,
    /// For whom the packet is: `PACKET_HOST` 0, `PACKET_OUTGOING` 4 …
    PktType = 4,
    IfIndex = 8,
    /// A netlink attribute of type X from offset A.
    NlAttr = 12,
    NlAttrNest = 16,
    Mark = 20,
    Queue = 24,
    /// `ARPHRD_…` of the device.
    HaType = 28,
    RxHash = 32,
    Cpu = 36,
    /// Not a load: A ^= X.
    AluXorX = 40,
    VlanTag = 44,
    VlanTagPresent = 48,
    /// Where the payload begins.
    PayOffset = 52,
    Random = 56,
    VlanTpid = 60,
}

impl Ancillary {
    /// All, with libpcap's names.
    pub const NAMES: [(Ancillary, &'static str); 16] = [
        (Ancillary::Protocol, "proto"),
        (Ancillary::PktType, "type"),
        (Ancillary::IfIndex, "ifidx"),
        (Ancillary::NlAttr, "nla"),
        (Ancillary::NlAttrNest, "nlan"),
        (Ancillary::Mark, "mark"),
        (Ancillary::Queue, "queue"),
        (Ancillary::HaType, "hatype"),
        (Ancillary::RxHash, "rxhash"),
        (Ancillary::Cpu, "cpu"),
        (Ancillary::AluXorX, "xor_x"),
        (Ancillary::VlanTag, "vlan_tci"),
        (Ancillary::VlanTagPresent, "vlanp"),
        (Ancillary::PayOffset, "poff"),
        (Ancillary::Random, "random"),
        (Ancillary::VlanTpid, "vlan_tpid"),
    ];

    /// What stands at this offset of an absolute load.
    #[must_use]
    pub fn at(k: u32) -> Option<Ancillary> {
        let off = k.wrapping_sub(SKF_AD_OFF as u32);
        Ancillary::NAMES.iter().map(|row| row.0).find(|ancillary| *ancillary as u32 == off)
    }

    /// libpcap's name, as in `ld [ifidx]`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Ancillary::NAMES.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// A classic instruction, decoded. A is the accumulator, X the index register, M the scratch memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant's line says what its fields are")]
pub enum Op {
    /// A = the `width` bytes at `k`, in network order; `k` as a signed number may be negative.
    LoadAbs { width: Width, k: u32 },
    /// A = the `width` bytes at X + `k`.
    LoadInd { width: Width, k: u32 },
    /// A = what Linux knows of the packet.
    LoadAncillary(Ancillary),
    /// A = the packet's length.
    LoadLen,
    /// A = `k`.
    LoadImm(u32),
    /// A = M\[`k`\].
    LoadMem(u32),
    /// X = the packet's length.
    LoadXLen,
    /// X = `k`.
    LoadXImm(u32),
    /// X = M\[`k`\].
    LoadXMem(u32),
    /// X = 4 * (the byte at `k` & 15): the length of an IPv4 header.
    LoadXHeader { k: u32 },
    /// M\[`k`\] = A.
    Store(u32),
    /// M\[`k`\] = X.
    StoreX(u32),
    /// A = A op operand.
    Alu { op: AluOp, src: Source },
    /// A = -A.
    Neg,
    /// Skips `k` instructions.
    Ja { k: u32 },
    /// Skips `jt` instructions if the comparison holds, else `jf`.
    Jmp { cmp: Cmp, src: Source, jt: u8, jf: u8 },
    /// Returns `k`.
    RetK(u32),
    /// Returns A.
    RetA,
    /// X = A.
    Tax,
    /// A = X.
    Txa,
}

const ALU: [(u16, AluOp); 10] = [
    (0x00, AluOp::Add),
    (0x10, AluOp::Sub),
    (0x20, AluOp::Mul),
    (0x30, AluOp::Div),
    (0x40, AluOp::Or),
    (0x50, AluOp::And),
    (0x60, AluOp::Lsh),
    (0x70, AluOp::Rsh),
    (0x90, AluOp::Mod),
    (0xa0, AluOp::Xor),
];

const CMPS: [(u16, Cmp); 4] = [(0x10, Cmp::Eq), (0x20, Cmp::Gt), (0x30, Cmp::Ge), (0x40, Cmp::Set)];

impl SockFilter {
    /// What it means; nothing if no such code exists. Values are not looked at: [`super::Filter::new`] does that.
    #[must_use]
    pub fn op(self) -> Option<Op> {
        let SockFilter { code, jt, jf, k } = self;
        let src = if code & 8 == 0 { Source::K(k) } else { Source::X };
        Some(match code {
            0x00 => Op::LoadImm(k),
            0x01 => Op::LoadXImm(k),
            0x02 => Op::Store(k),
            0x03 => Op::StoreX(k),
            0x06 => Op::RetK(k),
            0x16 => Op::RetA,
            0x07 => Op::Tax,
            0x87 => Op::Txa,
            0x05 => Op::Ja { k },
            0x84 => Op::Neg,
            0x60 => Op::LoadMem(k),
            0x61 => Op::LoadXMem(k),
            0x80 => Op::LoadLen,
            0x81 => Op::LoadXLen,
            0xb1 => Op::LoadXHeader { k },
            0x20 | 0x28 | 0x30 => match Ancillary::at(k) {
                Some(ancillary) => Op::LoadAncillary(ancillary),
                None => Op::LoadAbs { width: crate::opcode::width(code as u8), k },
            },
            0x40 | 0x48 | 0x50 => Op::LoadInd { width: crate::opcode::width(code as u8), k },
            _ => match (code & 7, code >> 8) {
                (4, 0) => Op::Alu { op: ALU.iter().find(|row| row.0 == code & 0xf0)?.1, src },
                (5, 0) => Op::Jmp { cmp: CMPS.iter().find(|row| row.0 == code & 0xf0)?.1, src, jt, jf },
                _ => return None,
            },
        })
    }
}
