//! Facts held against runs: whatever is said of an instruction has to be so each time that it runs.

use alveary_isa::{AtomicOp, Inst, Operand, Reg, Wide, decode};
use alveary_maps::Layout;
use alveary_runtime::{LoadedMap, Watched};
use alveary_spec::Program;
use alveary_verifier::{
    Facts,
    facts::{Access, Argument, Base, Fact, MapRef, Pointer},
    scalar::Scalar,
};
use std::{collections::BTreeMap, sync::Arc};

/// Instructions of one program that are looked at: what is in a long loop is so soon, or never.
const MOST: u64 = 20_000;

/// Holds the facts of one program against its runs.
pub(crate) struct Holder {
    program: Arc<Program>,
    facts: Facts,
    /// Address of the context in this run.
    context: Option<u64>,
    /// Where packet and metadata begin, as the program has loaded it last.
    data: Option<u64>,
    meta: Option<u64>,
    /// The instruction that ran last in each frame, by frame pointer.
    last: BTreeMap<u64, u32>,
    /// Instructions that were looked at.
    seen: u64,
    /// Facts that were held.
    pub(crate) held: u64,
    /// The first that was not so, in words.
    pub(crate) broken: Option<String>,
}

impl Holder {
    pub(crate) fn new(program: Arc<Program>, facts: Facts) -> Holder {
        let (context, data, meta, last) = (None, None, None, BTreeMap::new());
        Holder { program, facts, context, data, meta, last, seen: 0, held: 0, broken: None }
    }

    /// A run begins.
    pub(crate) fn begin(&mut self) {
        (self.context, self.data, self.meta) = (None, None, None);
        self.last.clear();
    }

    /// An instruction is about to run.
    pub(crate) fn step(&mut self, now: &Watched<'_>) {
        if !Arc::ptr_eq(now.prog().program(), &self.program) {
            // A program that was tail-called; it was held when it was its turn.
            self.last.clear();
            return;
        }
        self.seen += 1;
        if self.seen > MOST {
            return;
        }
        let (at, registers) = (now.insn(), now.registers());
        let frame = registers[10];
        self.context.get_or_insert(registers[1]);
        // Frames further down are no longer in use.
        self.last = self.last.split_off(&frame);
        let before = self.last.insert(frame, at);
        let Some(inst) = self.inst(at) else { return };
        if before == Some(at) && matches!(inst, Inst::LoadAbs { .. } | Inst::LoadInd { .. }) {
            // One of several instructions that stand for it.
            return;
        }
        if let Some((before, earlier)) = before.and_then(|before| Some((before, self.inst(before)?))) {
            self.check_way(before, earlier, at);
            if at == before + earlier.slots() as u32 {
                self.check_result(now, before, earlier);
            }
        }
        self.check_here(now, at, inst);
        if inst == Inst::Exit {
            self.last.remove(&frame);
        }
    }

    fn inst(&self, at: u32) -> Option<Inst> {
        decode(&self.program.insns, at as usize).ok()
    }

    fn hold(&mut self, at: u32, is_so: bool, what: impl FnOnce() -> String) {
        self.held += 1;
        if !is_so && self.broken.is_none() {
            self.broken = Some(format!("instruction {at}: {}", what()));
        }
    }

    /// The way that a conditional jump went.
    fn check_way(&mut self, before: u32, inst: Inst, at: u32) {
        let off = match inst {
            Inst::Jmp { off, .. } | Inst::MayGoto { off } => i64::from(off),
            _ => return,
        };
        let fact = self.facts.at(before).clone();
        let (next, target) = (before + 1, i64::from(before) + 1 + off);
        let open = at == next && fact.falls_through || i64::from(at) == target && fact.jumps;
        self.hold(before, open, || format!("went to {at}, but {fact:?}"));
    }

    /// What an instruction has left in the register that it writes.
    fn check_result(&mut self, now: &Watched<'_>, before: u32, inst: Inst) {
        let Some(dst) = written(inst) else { return };
        let value = now.registers()[usize::from(dst)];
        let Fact { result, pointer, access, .. } = *self.facts.at(before);
        if let (Some(Access { base: Base::Context, .. }), Some(pointer)) = (access, pointer) {
            match pointer.base {
                Base::Packet => self.data = Some(value),
                Base::PacketMeta => self.meta = Some(value),
                _ => {}
            }
        }
        self.check_number(before, "result", value, &result);
        if let Some(pointer) = pointer {
            self.check_pointer(now, before, value, pointer);
        }
    }

    /// What is said of an instruction itself, and of what it works on.
    fn check_here(&mut self, now: &Watched<'_>, at: u32, inst: Inst) {
        let fact = self.facts.at(at).clone();
        let registers = now.registers();
        self.hold(at, fact.reached, || "it is reached".to_owned());
        if let Some(entry) = self.facts.entry(at).copied() {
            for (n, known) in entry.iter().enumerate() {
                self.check_number(at, &format!("r{n} before"), registers[n], known);
            }
        }
        if let (Some(Access { base, offset }), Some((pointer, off))) = (fact.access, through(inst)) {
            let addr = registers[usize::from(pointer.0)].wrapping_add(off as i64 as u64);
            self.check_pointer(now, at, addr, Pointer { base, offset, or_null: false });
        }
        if let (true, Inst::Alu { wide, src: Operand::Reg(src), .. }) = (fact.divisor_not_zero, inst) {
            let by = registers[usize::from(src.0)];
            let by = if wide == Wide::W32 { u64::from(by as u32) } else { by };
            self.hold(at, by != 0, || "the divisor is zero".to_owned());
        }
        if let Some(call) = &fact.call {
            for (n, arg) in call.args.iter().enumerate() {
                let value = registers[n + 1];
                match arg {
                    Argument::Number(known) => self.check_number(at, &format!("argument {}", n + 1), value, known),
                    Argument::Pointer(pointer) => self.check_pointer(now, at, value, *pointer),
                }
            }
            if let Some(key) = call.key {
                let found = now
                    .peek(registers[2], 4)
                    .map(|bytes| u64::from(u32::from_le_bytes(*bytes.first_chunk().unwrap_or(&[0; 4]))));
                self.hold(at, found == Some(key), || format!("the key is {found:?}, not {key}"));
            }
        }
    }

    fn check_number(&mut self, at: u32, what: &str, value: u64, known: &Scalar) {
        self.hold(at, known.contains(value), || format!("{what} is {value:#x}, not one of {known:?}"));
    }

    fn check_pointer(&mut self, now: &Watched<'_>, at: u32, value: u64, pointer: Pointer) {
        let null = pointer.or_null && value == 0;
        let is_so = null || self.points(now, value, pointer.base, pointer.offset);
        self.hold(at, is_so, || format!("{value:#x} is no {pointer:?}, frame {:#x}", now.registers()[10]));
    }

    /// Whether an address is one of these.
    fn points(&self, now: &Watched<'_>, addr: u64, base: Base, (least, most): (i64, i64)) -> bool {
        let from = |start: u64| (least..=most).contains(&(addr.wrapping_sub(start) as i64));
        let frame = now.registers()[10];
        match base {
            Base::Context => self.context.is_some_and(from),
            Base::Frame => from(frame),
            Base::OuterFrame => (1..8).any(|n| from(frame + n * 512)),
            Base::Packet => self.data.is_none_or(from),
            Base::PacketMeta => self.meta.is_none_or(from),
            Base::PacketEnd => now.memory().any(|region| region.addr + region.len == addr) || now.memory().count() == 0,
            Base::Value(MapRef::Own(map)) => {
                let map = &now.prog().maps()[usize::from(map)];
                (0..=now.cpu()).any(|cpu| in_value(map, cpu, addr, (least, most)))
            }
            Base::Map(MapRef::Own(map)) => std::ptr::from_ref(&now.prog().maps()[usize::from(map)]) as u64 == addr,
            Base::Function(n) => addr == 1 << 63 | u64::from(n),
            Base::Key(_) | Base::Value(MapRef::In(_)) | Base::Map(MapRef::In(_)) | Base::Memory(_) => addr != 0,
            Base::Object(_) => false,
        }
    }
}

/// Whether an address lies at one of these distances from the start of a value of a map.
fn in_value(map: &LoadedMap, cpu: u32, addr: u64, (least, most): (i64, i64)) -> bool {
    let (start, stride, max, cpu_stride) = match map.map.layout() {
        Layout::Array { data, stride, max, cpu_stride, .. } => (data, stride, max, cpu_stride),
        Layout::Hash { values, value_stride, max, cpu_stride, .. } => (values, value_stride, max, cpu_stride),
        Layout::Trie { nodes, node, value, max, .. } => (nodes + u64::from(value), node, max, 0),
        Layout::Values { data, stride, max } => (data, stride, max, 0),
        // Only the map knows where they are.
        Layout::Opaque | Layout::Words { .. } => return addr != 0,
    };
    let first = map.map.base() as u64 + start + u64::from(cpu) * cpu_stride;
    let far = addr.wrapping_sub(first) as i64;
    let stride = i64::from(stride.max(1));
    // Numbers of entries from whose start it may be counted.
    let (low, high) = ((far - most).div_euclid(stride), (far - least).div_euclid(stride));
    (low..=high).any(|entry| (0..i64::from(max)).contains(&entry) && (least..=most).contains(&(far - entry * stride)))
}

/// The register that a load, store or atomic operation goes through, and the offset.
fn through(inst: Inst) -> Option<(Reg, i16)> {
    match inst {
        Inst::Load { src, off, .. } | Inst::LoadAcquire { src, off, .. } => Some((src, off)),
        Inst::Store { dst, off, .. } | Inst::Atomic { dst, off, .. } | Inst::StoreRelease { dst, off, .. } => {
            Some((dst, off))
        }
        _ => None,
    }
}

/// The register that an instruction writes.
fn written(inst: Inst) -> Option<u8> {
    let fetches = |op, src: Reg| match op {
        AtomicOp::Cmpxchg => Some(0),
        AtomicOp::Xchg => Some(src.0),
        AtomicOp::Add { fetch } | AtomicOp::Or { fetch } | AtomicOp::And { fetch } | AtomicOp::Xor { fetch } => {
            fetch.then_some(src.0)
        }
    };
    match inst {
        Inst::Alu { dst, .. }
        | Inst::Neg { dst, .. }
        | Inst::MovSx { dst, .. }
        | Inst::Swap { dst, .. }
        | Inst::LoadImm64 { dst, .. }
        | Inst::FuncAddr { dst, .. }
        | Inst::MapIdx { dst, .. }
        | Inst::MapValueIdx { dst, .. }
        | Inst::Load { dst, .. }
        | Inst::LoadAcquire { dst, .. } => Some(dst.0),
        Inst::Atomic { op, src, .. } => fetches(op, src),
        Inst::LoadAbs { .. } | Inst::LoadInd { .. } | Inst::CallHelper { .. } | Inst::CallLocal { .. } => Some(0),
        _ => None,
    }
}
