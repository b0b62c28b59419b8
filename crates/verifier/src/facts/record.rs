//! What the exploration sees of pointers, calls and branches: kept if every path agrees, widened where that has a
//! meaning, else dropped.
//!
//! Knows nothing of the ranges of numbers: what a path knows of those need not hold for paths that were cut short.

use super::{Access, Argument, Base, Call, Fact, MapRef, Pointer};
use crate::{
    program::Prepared,
    scalar::Scalar,
    state::{Kind, Reg},
    verifier::Verifier,
};
use alveary_abi::MapType;
use alveary_isa::{AluOp, AtomicOp, Inst, Operand};

/// What was seen so far. Of some things that is nothing, something, or several things that do not agree.
#[derive(Clone, Debug, PartialEq)]
enum Seen<T> {
    Nothing,
    This(T),
    Several,
}

impl<T> Seen<T> {
    /// Takes one more in; `join` says what two have in common.
    fn add(&mut self, new: Option<T>, join: impl FnOnce(&T, &T) -> Option<T>) {
        *self = match (&*self, new) {
            (Seen::Nothing, Some(new)) => Seen::This(new),
            (Seen::This(old), Some(new)) => join(old, &new).map_or(Seen::Several, Seen::This),
            _ => Seen::Several,
        };
    }

    fn agreed(self) -> Option<T> {
        if let Seen::This(seen) = self { Some(seen) } else { None }
    }
}

/// What was seen of one instruction.
#[derive(Clone, Debug)]
struct Row {
    reached: bool,
    falls_through: bool,
    jumps: bool,
    access: Seen<Access>,
    pointer: Seen<Pointer>,
    args: Vec<Seen<Pointer>>,
    key: Seen<u64>,
}

const UNSEEN: Row = Row {
    reached: false,
    falls_through: false,
    jumps: false,
    access: Seen::Nothing,
    pointer: Seen::Nothing,
    args: Vec::new(),
    key: Seen::Nothing,
};

/// What was seen of all of them.
#[derive(Debug)]
pub(crate) struct Recorder {
    rows: Vec<Row>,
    /// The first instruction that was seen to read the kernel's own memory.
    pub(super) kernel_memory: Option<u32>,
}

impl Recorder {
    pub(crate) fn new(len: usize) -> Recorder {
        Recorder { rows: vec![UNSEEN; len], kernel_memory: None }
    }

    /// Bytes that it may come to take, with what of it facts keep.
    pub(super) fn bytes(program: &Prepared<'_>) -> usize {
        let calls = (0..program.len()).filter(|at| matches!(program.inst(*at), Some(Inst::CallHelper { .. }))).count();
        let each = size_of::<Call>() + 5 * (size_of::<Seen<Pointer>>() + size_of::<Argument>());
        program.program.insns.len() * size_of::<Row>() + calls * each
    }

    /// Facts without the ranges of numbers: those of arguments are left open.
    pub(super) fn into_facts(self) -> Vec<Fact> {
        self.rows.into_iter().map(Row::into_fact).collect()
    }
}

impl Row {
    fn into_fact(self) -> Fact {
        let argument = |seen: Seen<Pointer>| seen.agreed().map_or(Argument::Number(Scalar::UNKNOWN), Argument::Pointer);
        let call = (!self.args.is_empty() || self.key != Seen::Nothing)
            .then(|| Box::new(Call { args: self.args.into_iter().map(argument).collect(), key: self.key.agreed() }));
        Fact {
            reached: self.reached,
            falls_through: self.falls_through,
            jumps: self.jumps,
            access: self.access.agreed(),
            pointer: self.pointer.agreed(),
            call,
            ..Fact::DEAD
        }
    }
}

fn hull(a: (i64, i64), b: (i64, i64)) -> (i64, i64) {
    (a.0.min(b.0), a.1.max(b.1))
}

fn join_accesses(a: &Access, b: &Access) -> Option<Access> {
    (a.base == b.base).then(|| Access { base: a.base, offset: hull(a.offset, b.offset) })
}

fn join_pointers(a: &Pointer, b: &Pointer) -> Option<Pointer> {
    (a.base == b.base).then(|| Pointer {
        base: a.base,
        offset: hull(a.offset, b.offset),
        or_null: a.or_null || b.or_null,
    })
}

impl Verifier<'_> {
    fn row(&mut self) -> Option<&mut Row> {
        let insn = self.insn as usize;
        self.recorder.as_mut()?.rows.get_mut(insn)
    }

    /// The path is at an instruction.
    pub(crate) fn record_reached(&mut self) {
        if let Some(row) = self.row() {
            row.reached = true;
        }
    }

    /// A path goes on behind a conditional jump, or takes it.
    pub(crate) fn record_ways(&mut self, falls_through: bool, jumps: bool) {
        if let Some(row) = self.row() {
            row.falls_through |= falls_through;
            row.jumps |= jumps;
        }
    }

    /// An access through a pointer, which was found to be allowed.
    pub(crate) fn record_access(&mut self, through: &Reg, off: i64) {
        if self.recorder.is_none() {
            return;
        }
        let access = pointer(&self.program, through, self.cur.depth)
            .map(|pointer| Access { base: pointer.base, offset: moved(pointer.offset, off) });
        if let Some(row) = self.row() {
            row.access.add(access, join_accesses);
        }
    }

    /// A load of what only the kernel has.
    pub(crate) fn record_kernel_memory(&mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.kernel_memory.get_or_insert(self.insn);
        }
    }

    /// What the instruction at `insn` has left in the register that it writes.
    pub(crate) fn record_result(&mut self, insn: u32) {
        if self.recorder.is_none() {
            return;
        }
        let Some(dst) = self.program.inst(insn).and_then(written) else { return };
        let pointer = pointer(&self.program, self.reg(dst), self.cur.depth);
        if let Some(row) = self.recorder.as_mut().and_then(|recorder| recorder.rows.get_mut(insn as usize)) {
            row.pointer.add(pointer, join_pointers);
        }
    }

    /// The arguments of a call that were found to be what the helper takes, and the key that is looked up.
    pub(crate) fn record_call(&mut self, args: usize, key: Option<u64>) {
        if self.recorder.is_none() {
            return;
        }
        let depth = self.cur.depth;
        let found: Vec<_> = (0..args).map(|n| pointer(&self.program, self.reg(n as u8 + 1), depth)).collect();
        let Some(row) = self.row() else { return };
        row.args.resize(args, Seen::Nothing);
        for (seen, new) in row.args.iter_mut().zip(found) {
            seen.add(new, join_pointers);
        }
        // Entries that are known have numbers of 32 bits, whatever the register was that the key was stored from.
        let key = key.map(|key| u64::from(key as u32));
        row.key.add(key, |a, b| (a == b).then_some(*a));
    }
}

fn moved(offset: (i64, i64), by: i64) -> (i64, i64) {
    (offset.0.saturating_add(by), offset.1.saturating_add(by))
}

/// What a register points to, seen from frame `depth`. Of a number: nothing.
fn pointer(program: &Prepared<'_>, reg: &Reg, depth: usize) -> Option<Pointer> {
    let map = || map_ref(program, reg.extra);
    let base = match reg.ty.kind {
        Kind::Uninit | Kind::Scalar => return None,
        Kind::Ctx => Base::Context,
        Kind::MapPtr => Base::Map(map()?),
        Kind::MapValue => value_of(program, reg.extra)?,
        Kind::MapKey => Base::Key(map()?),
        Kind::Stack if reg.frame as usize == depth => Base::Frame,
        Kind::Stack => Base::OuterFrame,
        Kind::PacketMeta => Base::PacketMeta,
        Kind::Packet => Base::Packet,
        Kind::PacketEnd => Base::PacketEnd,
        Kind::Mem => Base::Memory(reg.extra),
        Kind::Func => Base::Function(reg.extra),
        Kind::FlowKeys
        | Kind::Socket
        | Kind::SockCommon
        | Kind::TcpSock
        | Kind::XdpSock
        | Kind::TpBuffer
        | Kind::Buf
        | Kind::Dynptr
        | Kind::Object => Base::Object(reg.ty.kind.name()),
    };
    let range = reg.val.wide;
    let offset = moved((range.smin, range.smax), reg.off.into());
    Some(Pointer { base, offset, or_null: reg.ty.maybe_null() })
}

/// What a value of a map is: in most maps memory, in some the address of an object.
fn value_of(program: &Prepared<'_>, index: u32) -> Option<Base> {
    let map = &program.maps[index as usize];
    Some(match (map.ty, map.inner, map_ref(program, index)?) {
        (_, Some(_), MapRef::Own(outer)) => Base::Map(MapRef::In(outer)),
        (MapType::XSKMAP, ..) => Base::Object(Kind::XdpSock.name()),
        (MapType::SOCKMAP | MapType::SOCKHASH, ..) => Base::Object(Kind::Socket.name()),
        (.., map) => Base::Value(map),
    })
}

/// A map of [`Prepared::maps`]: behind the program's own stand those that are their values.
fn map_ref(program: &Prepared<'_>, index: u32) -> Option<MapRef> {
    if (index as usize) < program.program.maps.len() {
        return u16::try_from(index).ok().map(MapRef::Own);
    }
    let outer = program.maps.iter().position(|map| map.inner == Some(index))?;
    u16::try_from(outer).ok().map(MapRef::In)
}

/// The register whose new value is the instruction's result.
pub(super) fn written(inst: Inst) -> Option<u8> {
    match inst {
        Inst::Alu { dst, .. }
        | Inst::Neg { dst, .. }
        | Inst::MovSx { dst, .. }
        | Inst::Swap { dst, .. }
        | Inst::AddrSpaceCast { dst, .. }
        | Inst::LoadImm64 { dst, .. }
        | Inst::MapFd { dst, .. }
        | Inst::MapValueFd { dst, .. }
        | Inst::VarAddr { dst, .. }
        | Inst::FuncAddr { dst, .. }
        | Inst::MapIdx { dst, .. }
        | Inst::MapValueIdx { dst, .. }
        | Inst::Load { dst, .. }
        | Inst::LoadAcquire { dst, .. } => Some(dst.0),
        Inst::Atomic { op, src, .. } => match op {
            AtomicOp::Cmpxchg => Some(0),
            AtomicOp::Xchg => Some(src.0),
            AtomicOp::Add { fetch } | AtomicOp::Or { fetch } | AtomicOp::And { fetch } | AtomicOp::Xor { fetch } => {
                fetch.then_some(src.0)
            }
        },
        Inst::LoadAbs { .. }
        | Inst::LoadInd { .. }
        | Inst::CallHelper { .. }
        | Inst::CallLocal { .. }
        | Inst::CallKfunc { .. }
        | Inst::CallX { .. } => Some(0),
        Inst::Store { .. }
        | Inst::StoreRelease { .. }
        | Inst::Ja { .. }
        | Inst::MayGoto { .. }
        | Inst::GotoX { .. }
        | Inst::Jmp { .. }
        | Inst::Exit => None,
    }
}

/// The register that a division or modulo divides by.
pub(super) fn divisor(inst: Inst) -> Option<u8> {
    match inst {
        Inst::Alu { op: AluOp::Div | AluOp::SDiv | AluOp::Mod | AluOp::SMod, src: Operand::Reg(src), .. } => {
            Some(src.0)
        }
        _ => None,
    }
}
