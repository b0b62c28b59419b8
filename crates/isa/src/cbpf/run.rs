//! Runs a filter over a packet: the plain meaning of classic BPF, as an oracle for its translation.

use super::op::AluOp;
use super::{Ancillary, Cmp, Filter, MEM_WORDS, Op, SKF_LL_OFF, SKF_NET_OFF, Source};
use crate::Width;

/// A packet as a filter sees it.
#[derive(Clone, Copy)]
pub struct Packet<'a> {
    /// Its bytes, from where the filter's offset 0 is.
    pub data: &'a [u8],
    /// Its length; more than `data` if that was cut.
    pub len: u32,
    /// Where the network header begins, for offsets from [`SKF_NET_OFF`].
    pub network: usize,
    /// What Linux knows of it; nothing: the load fails and the filter returns 0.
    pub ancillary: &'a dyn Fn(Ancillary) -> Option<u32>,
}

/// What the filter returns: how many bytes of the packet it accepts. A load outside the packet returns 0, as does a
/// division by an X of zero. Always ends, because a [`Filter`] only jumps forward.
#[must_use]
pub fn run(filter: &Filter, packet: &Packet<'_>) -> u32 {
    Machine { packet, a: 0, x: 0, memory: [0; MEM_WORDS] }.run(filter.ops()).unwrap_or(0)
}

struct Machine<'a> {
    packet: &'a Packet<'a>,
    a: u32,
    x: u32,
    memory: [u32; MEM_WORDS],
}

impl Machine<'_> {
    fn run(&mut self, ops: &[Op]) -> Option<u32> {
        let mut at = 0;
        loop {
            let op = *ops.get(at)?;
            at += 1;
            match op {
                Op::LoadAbs { width, k } => self.a = self.load(width, i64::from(k as i32))?,
                Op::LoadInd { width, k } => self.a = self.load(width, i64::from(self.x.wrapping_add(k) as i32))?,
                Op::LoadAncillary(Ancillary::AluXorX) => self.a ^= self.x,
                Op::LoadAncillary(ancillary) => self.a = (self.packet.ancillary)(ancillary)?,
                Op::LoadLen => self.a = self.packet.len,
                Op::LoadImm(k) => self.a = k,
                Op::LoadMem(cell) => self.a = *self.memory.get(cell as usize)?,
                Op::LoadXLen => self.x = self.packet.len,
                Op::LoadXImm(k) => self.x = k,
                Op::LoadXMem(cell) => self.x = *self.memory.get(cell as usize)?,
                Op::LoadXHeader { k } => self.x = 4 * (self.load(Width::B1, i64::from(k as i32))? & 15),
                Op::Store(cell) => *self.memory.get_mut(cell as usize)? = self.a,
                Op::StoreX(cell) => *self.memory.get_mut(cell as usize)? = self.x,
                Op::Alu { op, src } => self.a = alu(op, self.a, self.operand(src))?,
                Op::Neg => self.a = self.a.wrapping_neg(),
                Op::Ja { k } => at += k as usize,
                Op::Jmp { cmp, src, jt, jf } => {
                    at += usize::from(if holds(cmp, self.a, self.operand(src)) { jt } else { jf });
                }
                Op::RetK(k) => return Some(k),
                Op::RetA => return Some(self.a),
                Op::Tax => self.x = self.a,
                Op::Txa => self.a = self.x,
            }
        }
    }

    fn operand(&self, src: Source) -> u32 {
        match src {
            Source::K(k) => k,
            Source::X => self.x,
        }
    }

    /// Big-endian bytes at an offset; negative ones count from the network or link-layer header.
    fn load(&self, width: Width, at: i64) -> Option<u32> {
        let (net, link) = (i64::from(SKF_NET_OFF), i64::from(SKF_LL_OFF));
        let at = if at >= 0 {
            at
        } else if at >= net {
            at - net + i64::try_from(self.packet.network).ok()?
        } else if at >= link {
            at - link
        } else {
            return None;
        };
        let start = usize::try_from(at).ok()?;
        let bytes = self.packet.data.get(start..start.checked_add(width.bytes())?)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }
}

fn alu(op: AluOp, a: u32, b: u32) -> Option<u32> {
    Some(match op {
        AluOp::Add => a.wrapping_add(b),
        AluOp::Sub => a.wrapping_sub(b),
        AluOp::Mul => a.wrapping_mul(b),
        AluOp::Div => a.checked_div(b)?,
        AluOp::Mod => a.checked_rem(b)?,
        AluOp::Or => a | b,
        AluOp::And => a & b,
        AluOp::Xor => a ^ b,
        AluOp::Lsh => a.wrapping_shl(b),
        AluOp::Rsh => a.wrapping_shr(b),
    })
}

fn holds(cmp: Cmp, a: u32, b: u32) -> bool {
    match cmp {
        Cmp::Eq => a == b,
        Cmp::Gt => a > b,
        Cmp::Ge => a >= b,
        Cmp::Set => a & b != 0,
    }
}
