//! What was known until something changed it: numbers on the stack of which a part is written over, packets that a helper
//! moves. Reckless programs go on as if it still held.

use super::{
    function::{CTX, Maker},
    state::{Holds, SLOTS, Slot},
};
use crate::instructions::WIDTHS;
use alveary_isa::{AluOp, Inst, Operand, Reg, Wide, Width};

impl Maker<'_> {
    /// One or the other.
    pub(super) fn stale(&mut self) {
        let can_move = self.around.packet.is_some() && !self.in_loop && !self.held && self.state.of(CTX) == Holds::Ctx;
        if can_move && self.busy & 0x3f == 0 && self.draw.chance(1, 3) {
            self.moved_packet()
        } else {
            self.overwritten()
        }
    }

    /// Whether the program goes on as if nothing had changed.
    fn believes(&mut self) -> bool {
        self.reckless() && self.draw.chance(1, 2)
    }

    /// A small number goes to the stack, bytes of it are written over, it comes back and is used as an offset.
    fn overwritten(&mut self) {
        let number = self.number();
        let index = self.free();
        self.keep(index);
        self.copy(index, number);
        let limit = self.draw.of(&[2, 8, 16, 32, 64]);
        let check = self.bound(index, limit);
        let slot = self.draw.below(SLOTS as u64) as usize;
        let off = -8 * (slot as i32 + 1);
        self.code.push(Inst::Store { width: Width::B8, dst: Reg::FP, off: off as i16, src: Operand::Reg(index) });
        self.state.stack[slot] = Slot::Whole(self.state.of(index));
        let known = self.state.number(index).unwrap_or_default();
        self.write_over(off);
        self.state.stack[slot] = Slot::Bytes;
        let (width, dst) = (self.draw.of(&WIDTHS), self.free());
        self.code.push(Inst::Load { width, signed: false, dst, src: Reg::FP, off: off as i16 });
        self.loaded(dst, width, false);
        if self.believes() {
            let part = self.part(known, 0, width, false);
            self.state.set(dst, Holds::Number(part));
        }
        self.keep(dst);
        self.access_at(dst);
        self.close(check);
    }

    /// Writes to bytes of the slot at `off`: at a constant place, or at one that is a number.
    fn write_over(&mut self, off: i32) {
        let number = self.holding(|h| matches!(h, Holds::Number(_)));
        let src = match number {
            Some(reg) if self.draw.chance(1, 2) => Operand::Reg(reg),
            _ => Operand::Imm(self.draw.of(&[1, -1, 7, 0, 0x40])),
        };
        let width = self.draw.of(&WIDTHS[..3]);
        let steps = 8 / width.bytes() as i32;
        let within = self.draw.below(steps as u64) as i32 * width.bytes() as i32;
        if self.draw.chance(1, 2) {
            return self.code.push(Inst::Store { width, dst: Reg::FP, off: (off + within) as i16, src });
        }
        let (address, by) = (self.free(), self.number());
        self.keep(address);
        self.copy(address, by);
        self.alu(Wide::W64, AluOp::And, address, Operand::Imm((steps - 1) * width.bytes() as i32));
        self.code.push(Inst::Alu { wide: Wide::W64, op: AluOp::Add, dst: address, src: Operand::Reg(Reg::FP) });
        self.state.set(address, Holds::Nothing);
        let src = match src {
            Operand::Reg(reg) if reg == address => Operand::Imm(-1),
            src => src,
        };
        self.code.push(Inst::Store { width, dst: address, off: off as i16, src });
    }

    /// Some of the packet is proven, a helper moves it, and it is used.
    fn moved_packet(&mut self) {
        let movers: Vec<usize> =
            (0..self.around.helpers.len()).filter(|n| self.around.helpers[*n].proto.effects.changes_packet).collect();
        let kept = [Reg(7), Reg(8), Reg(9)].into_iter().find(|reg| !self.is_busy(*reg));
        let (Some(kept), false) = (kept, movers.is_empty()) else { return self.overwritten() };
        let Some((from, size)) = self.proven_packet() else { return self.overwritten() };
        self.copy(kept, from);
        self.keep(kept);
        self.busy &= !0x3f;
        let mover = self.draw.of(&movers);
        self.call(mover);
        if self.believes() {
            self.state.set(kept, Holds::Packet { proven: size });
            self.use_packet(kept, size);
            self.state.set(kept, Holds::Nothing);
        }
    }
}
