//! Several rounds of a loop at once, as pass `lanes` has found that they can run: scalars hold what the first of them has,
//! vectors what each has that goes its own way.

use super::lift::{Lifter, PLAIN, WITHOUT_VECTORS};
use super::pass::lanes::{LANES, Round, Value as Kind};
use super::round::Place;
use alveary_isa::{AluOp, Inst, Operand, Reg, Wide, Width};
use cranelift_codegen::ir::types::{I8, I8X16, I16, I32, I32X4, I64, I64X2};
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, SourceLoc, Value};
use cranelift_codegen::isa::TargetIsa;
use std::collections::HashMap;
use std::ops::Range;

/// Whether a machine has such vectors: lanes stand in memory as in registers, and multiply.
pub(super) fn are_made_for(isa: &dyn TargetIsa) -> bool {
    let multiplies = || isa.isa_flags().iter().any(|flag| flag.name == "has_sse41" && flag.as_bool() == Some(true));
    isa.name() != WITHOUT_VECTORS && isa.endianness() == Endianness::Little && (isa.name() != "x64" || multiplies())
}

impl Lifter<'_> {
    /// Loads what is the same in all rounds; what goes up is then what it was, all else is written before it is read.
    pub(super) fn in_front(&mut self, body: Range<u32>, round: &Round) {
        let widths = self.widths.clone();
        let activation = self.activation;
        let before: Vec<(Place, Value)> = round.rises.iter().map(|&(place, _)| (place, self.value_of(place))).collect();
        for (slot, inst) in self.plan.insts_at(body) {
            self.to.set_srcloc(SourceLoc::new(slot));
            let Some(&kind) = round.results.get(&slot) else { continue };
            if !matches!(kind, Kind::Lanes | Kind::Sum) && !self.is_store_to_memory(&inst) {
                self.inst(slot, inst);
                if let (Inst::Load { dst, .. }, true) = (inst, round.loads.contains(&slot)) {
                    let (loaded, value) = (self.to.declare_var(I64), self.get(dst));
                    self.to.def_var(loaded, value);
                    self.loaded.insert(slot, loaded);
                }
            }
            self.widths.step(self.plan, self.graph, &self.places, activation, slot, inst);
            self.forget(slot, inst);
        }
        before.into_iter().for_each(|(place, value)| self.set_place(place, value));
        for &(slot, ..) in &round.sums {
            let nothing = self.to.func.dfg.constants.insert(vec![0; 16].into());
            let (sum, nothing) = (self.to.declare_var(I32X4), self.to.ins().vconst(I32X4, nothing));
            self.to.def_var(sum, nothing);
            self.summed.insert(slot, sum);
        }
        self.widths = widths;
    }

    /// Several rounds.
    pub(super) fn at_once(&mut self, body: Range<u32>, round: &Round) {
        let activation = self.activation;
        let mut held = Held { vectors: HashMap::new(), steps: round.rises.iter().copied().collect() };
        for (slot, inst) in self.plan.insts_at(body) {
            self.to.set_srcloc(SourceLoc::new(slot));
            // What was asked in each round is decided.
            let Some(&kind) = round.results.get(&slot) else { continue };
            if let (Kind::Sum, Inst::Alu { op, src, .. }, Some(&sum)) = (kind, inst, self.summed.get(&slot)) {
                let (so_far, more) = (self.to.use_var(sum), self.vector_of(&held, src));
                let now = self.joined(op, so_far, more);
                self.to.def_var(sum, now);
            } else if self.is_store_to_memory(&inst) {
                self.store_all(&held, &inst, kind);
            } else if let Some(place) = self.place_written(slot, &inst) {
                let vector = (kind == Kind::Lanes).then(|| self.in_lanes(&held, inst));
                match (vector, self.loaded.get(&slot).filter(|_| round.loads.contains(&slot))) {
                    (Some(_), _) => {}
                    (None, Some(&loaded)) => {
                        let value = self.to.use_var(loaded);
                        self.set_place(place, value);
                    }
                    (None, None) => self.inst(slot, inst),
                }
                held.put(place, kind, vector);
            }
            self.widths.step(self.plan, self.graph, &self.places, activation, slot, inst);
            self.forget(slot, inst);
        }
        for &(place, by) in &round.rises {
            let value = self.value_of(place);
            let risen = self.sum(value, by * (LANES as i64 - 1));
            self.set_place(place, risen);
        }
    }

    /// Adds the lanes of sums to what their registers held before the loop.
    pub(super) fn behind(&mut self, round: &Round) {
        for (slot, reg, op) in &round.sums {
            let Some(&sum) = self.summed.get(slot) else { continue };
            let (all, before) = (self.to.use_var(sum), self.get(*reg));
            let mut sum = self.to.ins().ireduce(I32, before);
            for lane in 0..LANES as u8 {
                let part = self.to.ins().extractlane(all, lane);
                sum = self.joined(*op, sum, part);
            }
            let sum = self.to.ins().uextend(I64, sum);
            self.set(*reg, sum);
        }
    }

    /// What is summed, and more of it.
    fn joined(&mut self, op: AluOp, sum: Value, more: Value) -> Value {
        match op {
            AluOp::Add => self.to.ins().iadd(sum, more),
            AluOp::Xor => self.to.ins().bxor(sum, more),
            AluOp::Or => self.to.ins().bor(sum, more),
            _ => unreachable!("the pass lets nothing else be summed"),
        }
    }

    /// What an instruction leaves, in lanes.
    fn in_lanes(&mut self, held: &Held, inst: Inst) -> Value {
        match inst {
            Inst::Alu { op, dst, src, .. } => self.alu_in_lanes(held, op, dst, src),
            Inst::Load { width, src, off, .. } => match self.own_word(&inst) {
                Some(number) => self.vector_at(held, Place::Word(number)),
                None => {
                    let (base, off) = self.place(&inst, src, off);
                    self.load_side_by_side(width, base, off)
                }
            },
            Inst::Store { src, .. } => self.vector_of(held, src),
            _ => unreachable!("the pass lets nothing else into lanes"),
        }
    }

    fn alu_in_lanes(&mut self, held: &Held, op: AluOp, dst: Reg, src: Operand) -> Value {
        if op == AluOp::Mov {
            return self.vector_of(held, src);
        }
        let x = self.vector_at(held, Place::Register(dst));
        if let (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Operand::Imm(amount)) = (op, src) {
            let amount = self.to.ins().iconst(I32, i64::from(amount));
            return match op {
                AluOp::Lsh => self.to.ins().ishl(x, amount),
                AluOp::Rsh => self.to.ins().ushr(x, amount),
                _ => self.to.ins().sshr(x, amount),
            };
        }
        let y = self.vector_of(held, src);
        match op {
            AluOp::Add => self.to.ins().iadd(x, y),
            AluOp::Sub => self.to.ins().isub(x, y),
            AluOp::Mul => self.to.ins().imul(x, y),
            AluOp::And => self.to.ins().band(x, y),
            AluOp::Or => self.to.ins().bor(x, y),
            AluOp::Xor => self.to.ins().bxor(x, y),
            _ => unreachable!("the pass lets nothing else into lanes"),
        }
    }

    fn vector_of(&mut self, held: &Held, src: Operand) -> Value {
        match src {
            Operand::Reg(reg) => self.vector_at(held, Place::Register(reg)),
            Operand::Imm(imm) => {
                let number = self.to.ins().iconst(I32, i64::from(imm as u32));
                self.to.ins().splat(I32X4, number)
            }
        }
    }

    /// The lower halves of what a place holds in each round.
    fn vector_at(&mut self, held: &Held, place: Place) -> Value {
        if let Some(&vector) = held.vectors.get(&place) {
            return vector;
        }
        let first = self.value_of(place);
        let first = self.to.ins().ireduce(I32, first);
        let all = self.to.ins().splat(I32X4, first);
        match held.steps.get(&place) {
            Some(&by) => {
                let more = (0..LANES as u32).flat_map(|lane| lane.wrapping_mul(by as u32).to_le_bytes());
                let more = self.to.func.dfg.constants.insert(more.collect::<Vec<u8>>().into());
                let more = self.to.ins().vconst(I32X4, more);
                self.to.ins().iadd(all, more)
            }
            None => all,
        }
    }

    /// Numbers that stand side by side, one in each lane.
    fn load_side_by_side(&mut self, width: Width, base: Value, off: i32) -> Value {
        match width {
            Width::B1 => {
                let bytes = self.to.ins().load(I32, PLAIN, base, off);
                let bytes = self.to.ins().scalar_to_vector(I32X4, bytes);
                let little = MemFlagsData::new().with_endianness(Endianness::Little);
                let bytes = self.to.ins().bitcast(I8X16, little, bytes);
                if self.isa.name() == "x64" {
                    // A byte, and three from beyond the vector, which are zero.
                    let places = (0..LANES as u8).flat_map(|lane| [lane, 0x80, 0x80, 0x80]);
                    let places = self.to.func.dfg.constants.insert(places.collect::<Vec<u8>>().into());
                    let places = self.to.ins().vconst(I8X16, places);
                    let spread = self.to.ins().x86_pshufb(bytes, places);
                    return self.to.ins().bitcast(I32X4, little, spread);
                }
                let halves = self.to.ins().uwiden_low(bytes);
                self.to.ins().uwiden_low(halves)
            }
            Width::B2 => self.to.ins().uload16x4(PLAIN, base, off),
            Width::B4 | Width::B8 => self.to.ins().load(I32X4, PLAIN, base, off),
        }
    }

    /// Stores side by side what each round stores.
    fn store_all(&mut self, held: &Held, inst: &Inst, kind: Kind) {
        let Inst::Store { width, dst, off, src } = *inst else { return };
        let (base, off) = self.place(inst, dst, off);
        if kind != Kind::Same {
            let vector = self.vector_of(held, src);
            self.to.ins().store(PLAIN, vector, base, off);
            return;
        }
        let value = self.operand(Wide::W64, src);
        let (part, repeated) = match width {
            Width::B1 => (I8, 0x0101_0101),
            Width::B2 => (I16, 0x0001_0001_0001_0001),
            Width::B4 | Width::B8 => {
                let (lanes, value) = match width {
                    Width::B8 => (I64X2, value),
                    _ => (I32X4, self.to.ins().ireduce(I32, value)),
                };
                let all = self.to.ins().splat(lanes, value);
                self.to.ins().store(PLAIN, all, base, off);
                if width == Width::B8 {
                    let end = self.to.ins().iadd_imm_s(base, 16);
                    self.to.ins().store(PLAIN, all, end, off);
                }
                return;
            }
        };
        let value = self.to.ins().ireduce(part, value);
        let value = self.to.ins().uextend(I64, value);
        let all = self.to.ins().imul_imm_u(value, repeated);
        match width {
            Width::B1 => self.to.ins().istore32(PLAIN, all, base, off),
            _ => self.to.ins().store(PLAIN, all, base, off),
        };
    }

    fn is_store_to_memory(&self, inst: &Inst) -> bool {
        matches!(inst, Inst::Store { .. }) && self.own_word(inst).is_none()
    }

    /// The register or word that an instruction writes.
    fn place_written(&self, slot: u32, inst: &Inst) -> Option<Place> {
        if let (Inst::Store { .. }, Some(number)) = (inst, self.own_word(inst)) {
            return Some(Place::Word(number));
        }
        let written = self.plan.registers(slot, inst).1;
        (written != 0).then(|| Place::Register(Reg(written.trailing_zeros() as u8)))
    }

    fn value_of(&mut self, place: Place) -> Value {
        match place {
            Place::Register(reg) => self.get(reg),
            Place::Word(number) => self.to.use_var(self.word(number)),
        }
    }

    fn set_place(&mut self, place: Place, value: Value) {
        match place {
            Place::Register(reg) => self.set(reg, value),
            Place::Word(number) => self.to.def_var(self.word(number), value),
        }
    }
}

/// What places hold that is not the same in all rounds.
struct Held {
    vectors: HashMap<Place, Value>,
    /// By how much they go up in each round; they hold what the first has.
    steps: HashMap<Place, i64>,
}

impl Held {
    fn put(&mut self, place: Place, kind: Kind, vector: Option<Value>) {
        self.vectors.remove(&place);
        self.steps.remove(&place);
        if let Some(vector) = vector {
            self.vectors.insert(place, vector);
        } else if let Kind::Steps { by, .. } = kind {
            self.steps.insert(place, by);
        }
    }
}
