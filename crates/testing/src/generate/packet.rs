//! The packet: its bounds, offsets into it that are numbers, and the older way to read it. Fields that are written.

use super::{
    function::{CTX, Maker},
    state::Holds,
};
use alveary_isa::{AluOp, CmpOp, Inst, Operand, Reg, Wide, Width};

impl Maker<'_> {
    /// Proves some bytes of the packet, at its start or behind a number, and uses them.
    pub(super) fn packet(&mut self) {
        let Some(fields) = self.around.packet else { return };
        let meta = fields.meta.filter(|_| self.draw.chance(1, 8));
        let from = match meta {
            Some(off) => self.load_pointer(off, Holds::Meta { proven: 0 }),
            None => {
                let known = self.holding(|h| matches!(h, Holds::Packet { .. }));
                match known.filter(|_| self.draw.chance(2, 3)) {
                    Some(reg) => self.keep(reg),
                    None => self.load_pointer(fields.data, Holds::Packet { proven: 0 }),
                }
            }
        };
        let end = match meta {
            Some(_) => self.load_pointer(fields.data, Holds::Packet { proven: 0 }),
            None => match self.holding(|h| h == Holds::PacketEnd) {
                Some(reg) => self.keep(reg),
                None => self.load_pointer(fields.end, Holds::PacketEnd),
            },
        };
        let mut close = None;
        let from = if meta.is_none() && self.draw.chance(1, 3) {
            let index = self.number();
            let limit = self.draw.of(&[16, 60, 64, 256, 1500, 65535]);
            close = self.bound(index, limit);
            if self.draw.chance(1, 5) {
                self.operate(index);
                self.alu(Wide::W64, AluOp::And, index, Operand::Imm(0x7ff));
            }
            let moved = self.free();
            self.keep(moved);
            self.copy(moved, from);
            self.code.push(Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst: moved, src: Operand::Reg(index) });
            self.state.set(moved, Holds::Packet { proven: 0 });
            moved
        } else {
            from
        };
        let size = self.draw.of(&[1, 2, 4, 8, 14, 20, 34, 40, 54, 64]);
        let check = self.prove(from, end, size);
        self.use_packet(from, size);
        self.close(check);
        self.close(close);
    }

    /// Proves some bytes at the packet's start: where it is, and how many.
    pub(super) fn proven_packet(&mut self) -> Option<(Reg, i32)> {
        let fields = self.around.packet?;
        let from = self.load_pointer(fields.data, Holds::Packet { proven: 0 });
        let end = self.load_pointer(fields.end, Holds::PacketEnd);
        let size = self.draw.of(&[1, 8, 14, 34, 64]);
        // Whoever relies on it leaves where it does not hold.
        match self.prove(from, end, size) {
            Some(super::control::Check::Leaves) => Some((from, size)),
            other => {
                self.close(other);
                None
            }
        }
    }

    pub(super) fn load_pointer(&mut self, off: i16, holds: Holds) -> Reg {
        let dst = self.free();
        self.code.push(Inst::Load { width: Width::B4, signed: false, dst, src: CTX, off });
        self.state.set(dst, holds);
        self.keep(dst)
    }

    /// `if from + size > end`, in one of its forms.
    pub(super) fn prove(&mut self, from: Reg, end: Reg, size: i32) -> Option<super::control::Check> {
        let behind = self.free();
        self.keep(behind);
        self.copy(behind, from);
        self.add(behind, size);
        let proven = match self.state.of(from) {
            Holds::Packet { proven } | Holds::Meta { proven } => proven.max(size),
            _ => size,
        };
        // What is proven of one is proven of the other.
        self.state.set(behind, Holds::Nothing);
        let mut bytes = proven;
        let (op, dst, src) = match self.draw.below(8) {
            0..4 => (CmpOp::Gt, behind, end),
            4 | 5 => (CmpOp::Lt, end, behind),
            6 => {
                bytes = proven.max(size + 1);
                (CmpOp::Ge, behind, end)
            }
            _ => {
                bytes = proven.max(size + 1);
                (CmpOp::Le, end, behind)
            }
        };
        let check = if self.wrong() {
            None
        } else {
            let check = self.check(Inst::Jmp { wide: Wide::W64, op, dst, src: Operand::Reg(src), off: 0 });
            Some(check)
        };
        let holds = match self.state.of(from) {
            Holds::Meta { .. } => Holds::Meta { proven: bytes },
            _ => Holds::Packet { proven: bytes },
        };
        self.state.set(from, holds);
        check
    }

    /// Loads and stores of proven bytes, the last of them mostly.
    pub(super) fn use_packet(&mut self, from: Reg, size: i32) {
        let proven = match self.state.of(from) {
            Holds::Packet { proven } | Holds::Meta { proven } => proven,
            _ => size,
        };
        let writable = self.around.packet.is_some_and(|packet| packet.writable);
        for _ in 0..=self.draw.below(2) {
            let width = self.width_in(proven);
            let last = proven - width.bytes() as i32;
            let off = if self.draw.chance(1, 2) { last } else { self.draw.between(0, i64::from(last)) as i32 };
            let off = (off + if self.wrong() { self.draw.of(&[1, 2, -1]) } else { 0 }) as i16;
            if writable && self.draw.chance(1, 3) {
                let src = match self.holding(|h| matches!(h, Holds::Number(_))) {
                    Some(src) if self.draw.chance(2, 3) => Operand::Reg(src),
                    _ => Operand::Imm(self.draw.imm()),
                };
                self.code.push(Inst::Store { width, dst: from, off, src });
            } else {
                let signed = width != Width::B8 && self.draw.chance(1, 8);
                let dst = self.free();
                self.code.push(Inst::Load { width, signed, dst, src: from, off });
                self.loaded(dst, width, signed);
            }
        }
    }

    /// `ld_abs`, `ld_ind`.
    pub(super) fn legacy_load(&mut self) {
        if self.busy & 0x3f != 0 || self.depth > 0 {
            return self.arithmetic();
        }
        // Here it is more than one instruction.
        self.bounded = false;
        let width = self.draw.of(&[Width::B1, Width::B2, Width::B4]);
        let imm = self.draw.of(&[0, 1, 12, 14, 23, 60, 1000, -1, -0x1000, -0x100_000]);
        let src = self.holding(|h| matches!(h, Holds::Number(_)));
        self.code.push(match src {
            Some(src) if self.draw.chance(1, 2) => Inst::LoadInd { width, src, imm },
            _ => Inst::LoadAbs { width, imm },
        });
        self.called();
        self.loaded(Reg(0), width, false);
    }

    /// Writes a field of the context.
    pub(super) fn store_field(&mut self) {
        let (off, width) = self.draw.of(&self.around.writable);
        let src = self.number();
        self.code.push(Inst::Store { width, dst: CTX, off, src: Operand::Reg(src) });
    }
}
