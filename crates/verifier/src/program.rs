//! A program made ready: decoded, its maps and functions found. Nothing is judged here.

use crate::{env::Caps, speculation::Masking};
use alveary_abi::{AttachType, Helper, HelperId, MapType, Profile, ProgType, Proto, Rule, Special, SpecialKind, flags};
use alveary_btf::{Linkage, Type, TypeId};
use alveary_isa::{AluOp, AtomicOp, Insn, Inst, Swap, decode};
use alveary_spec::{Initial, MapSpec, Program};
use std::collections::BTreeMap;

/// The operation code of the instruction that takes two slots.
const LD_IMM64: u8 = 0x18;
const EXIT: u8 = 0x95;
const JA: u8 = 0x05;
/// Longest name that the kernel keeps.
const NAME: usize = 15;

/// A map as the verifier sees it.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    pub(crate) name: String,
    pub(crate) ty: MapType,
    pub(crate) key_size: u32,
    pub(crate) value_size: u32,
    pub(crate) max_entries: u32,
    pub(crate) flags: u32,
    pub(crate) special: Vec<Special>,
    /// Its value, if that can never change.
    pub(crate) constant: Option<Vec<u8>>,
    /// The map that its values are, in [`Prepared::maps`].
    pub(crate) inner: Option<u32>,
    pub(crate) typed: bool,
}

impl Map {
    fn new(spec: &MapSpec) -> Map {
        let sealed = spec.freeze && spec.def.flags & flags::BPF_F_RDONLY_PROG != 0;
        let constant = match &spec.initial {
            Initial::Bytes(bytes) if sealed => {
                let mut bytes = bytes.clone();
                bytes.resize(spec.def.value_size as usize, 0);
                Some(bytes)
            }
            _ => None,
        };
        Map {
            name: spec.name.chars().take(NAME).collect(),
            ty: spec.def.ty,
            key_size: spec.def.key_size,
            value_size: spec.def.value_size,
            max_entries: spec.def.max_entries,
            flags: spec.def.flags,
            special: spec.def.special.clone(),
            constant,
            inner: None,
            typed: spec.value_type.is_some(),
        }
    }

    /// Where the value holds one of this kind.
    pub(crate) fn special(&self, kind: SpecialKind) -> Option<u32> {
        self.special.iter().find(|special| special.kind == kind).map(|special| special.off)
    }

    /// The number, zero-extended, that stands in its value and never changes.
    pub(crate) fn constant_at(&self, off: i64, size: i64) -> Option<u64> {
        let at = usize::try_from(off).ok().filter(|_| self.has_direct_value())?;
        let bytes = self.constant.as_ref()?.get(at..at.checked_add(size as usize)?)?;
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        Some(u64::from_le_bytes(word))
    }

    /// Whether addresses in its only value can be taken.
    pub(crate) fn has_direct_value(&self) -> bool {
        self.ty == MapType::ARRAY && self.max_entries == 1
    }
}

/// A function of the program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subprog {
    pub(crate) start: u32,
    /// Behind its last slot.
    pub(crate) end: u32,
    pub(crate) name: String,
    /// Its BTF prototype says that it is verified by itself.
    pub(crate) global: bool,
    pub(crate) has_tail_call: bool,
    pub(crate) has_ld_abs: bool,
    /// It, or what it calls, may move packets.
    pub(crate) changes_packet: bool,
    /// It, or what it calls, may sleep.
    pub(crate) may_sleep: bool,
    pub(crate) is_callback: bool,
    pub(crate) is_async_callback: bool,
    /// Bytes of stack that it was seen to use.
    pub(crate) stack_depth: u32,
    /// Its slots that are reached, in an order in which most follow their successors.
    pub(crate) postorder: Vec<u32>,
}

/// A helper that an instruction calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called {
    pub(crate) row: &'static Helper,
    /// The prototype for this program.
    pub(crate) proto: Option<&'static Proto>,
}

/// A variable of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// So many bytes that may be read.
    Memory(u32),
    /// A struct of this type.
    Object(TypeId),
    /// One of this type for each CPU.
    PerCpu(TypeId),
}

/// What goes with each instruction; what few have is kept in [`Prepared`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Aux {
    /// States are compared here.
    pub(crate) prune: bool,
    /// It can be reached otherwise than from the slot before it.
    pub(crate) jump_point: bool,
    /// A checkpoint is always made here.
    pub(crate) checkpoint: bool,
    /// It calls back during the call.
    pub(crate) calls_back: bool,
    /// Registers that it or what follows may read.
    pub(crate) live: u16,
    /// The loop that it is in; 0: none.
    pub(crate) scc: u32,
    /// No mistaken way of the processor comes past a barrier before it, or one behind it.
    pub(crate) barrier: bool,
    pub(crate) barrier_behind: bool,
}

/// The program, decoded.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    pub(crate) program: &'a Program,
    /// Where it is to be attached.
    pub(crate) expected: Option<AttachType>,
    insts: Vec<Option<Inst>>,
    pub(crate) maps: Vec<Map>,
    pub(crate) subprogs: Vec<Subprog>,
    pub(crate) aux: Vec<Aux>,
    /// The helpers that it calls.
    helpers: BTreeMap<i32, Called>,
    /// The variables of the kernel whose addresses instructions take.
    pub(crate) variables: BTreeMap<u32, Variable>,
    /// How sums are masked.
    pub(crate) masks: BTreeMap<u32, Masking>,
    /// The array that each tail call goes through, and whether it is another one on another way.
    pub(crate) tail_arrays: BTreeMap<u32, (u32, bool)>,
    pub(crate) gpl: bool,
}

impl<'a> Prepared<'a> {
    /// How many slots of it are looked at: longer programs are not loaded, whatever their end.
    pub(crate) fn slots(program: &Program, profile: &Profile) -> usize {
        program.insns.len().min(profile.limits.insns as usize + 1)
    }

    pub(crate) fn new(
        program: &'a Program,
        maps: &BTreeMap<String, MapSpec>,
        profile: &Profile,
        caps: Caps,
    ) -> Option<Prepared<'a>> {
        let insns = &program.insns[..Prepared::slots(program, profile)];
        let mut insts = vec![None; insns.len()];
        let mut at = 0;
        while at < insns.len() {
            let inst = decode(insns, at).ok();
            insts[at] = inst.filter(|inst| needs(inst).is_none_or(|rule| profile.has(rule)));
            at += inst.map_or(1, |inst| inst.slots());
        }
        // What bpf(2) makes of none.
        let unnamed = match program.ty {
            ProgType::CGROUP_SOCK => Some(AttachType::CGROUP_INET_SOCK_CREATE),
            ProgType::SK_REUSEPORT => Some(AttachType::SK_REUSEPORT_SELECT),
            _ => None,
        };
        let expected = program.expected.or(unnamed);
        let mut helpers = BTreeMap::new();
        for inst in insts.iter().flatten() {
            if let Inst::CallHelper { id } = *inst
                && !helpers.contains_key(&id)
            {
                helpers.extend(called(profile, program.ty, expected, id, caps).map(|called| (id, called)));
            }
        }
        Some(Prepared {
            program,
            expected,
            aux: vec![Aux::default(); insts.len()],
            insts,
            maps: find_maps(program, maps)?,
            subprogs: Vec::new(),
            helpers,
            variables: BTreeMap::new(),
            masks: BTreeMap::new(),
            tail_arrays: BTreeMap::new(),
            gpl: gpl(&program.license),
        })
    }

    pub(crate) fn len(&self) -> u32 {
        self.insts.len() as u32
    }

    /// Bytes of what few instructions have.
    pub(crate) fn bytes(&self) -> usize {
        self.variables.len() * size_of::<(u32, Variable)>()
            + self.masks.len() * size_of::<(u32, Masking)>()
            + self.tail_arrays.len() * size_of::<(u32, (u32, bool))>()
    }

    pub(crate) fn slot(&self, at: u32) -> Insn {
        self.program.insns[at as usize]
    }

    /// The instruction at a slot; `None` if there is none that the kernel knows, or it is an `ld_imm64`'s second half.
    pub(crate) fn inst(&self, at: u32) -> Option<Inst> {
        self.insts.get(at as usize).copied().flatten()
    }

    /// The helper that the instruction at a slot calls.
    pub(crate) fn helper(&self, at: u32) -> Option<Called> {
        match self.inst(at)? {
            Inst::CallHelper { id } => self.helpers.get(&id).copied(),
            _ => None,
        }
    }

    /// The rule by which a kernel would know the instruction at a slot, where this one does not.
    pub(crate) fn needs(&self, at: u32) -> Option<Rule> {
        let known = decode(&self.program.insns, at as usize).ok()?;
        needs(&known).filter(|_| self.inst(at).is_none())
    }

    /// Whether no instruction begins at a slot where one should.
    pub(crate) fn is_undefined(&self, at: u32) -> bool {
        let second = at > 0 && self.slot(at - 1).op == LD_IMM64;
        self.inst(at).is_none() && !second
    }

    /// How many slots the instruction takes.
    pub(crate) fn width(&self, at: u32) -> u32 {
        if self.program.insns.get(at as usize).is_some_and(|insn| insn.op == LD_IMM64) { 2 } else { 1 }
    }

    /// Index of the function that begins at a slot.
    pub(crate) fn subprog_at(&self, start: u32) -> Option<u32> {
        self.subprogs.binary_search_by_key(&start, |s| s.start).ok().map(|n| n as u32)
    }

    /// Index of the function that a slot is in.
    pub(crate) fn subprog_of(&self, at: u32) -> u32 {
        self.subprogs.partition_point(|s| s.start <= at).saturating_sub(1) as u32
    }

    /// Whether `ld_imm64` and calls name a function, and at which slot it begins.
    pub(crate) fn callee(&self, at: u32) -> Option<i64> {
        match self.inst(at)? {
            Inst::CallLocal { rel } | Inst::FuncAddr { rel, .. } => Some(i64::from(at) + i64::from(rel) + 1),
            _ => None,
        }
    }

    /// The slots that may follow an instruction inside its function: the next one first, then the jump's.
    pub(crate) fn successors(&self, at: u32) -> impl Iterator<Item = u32> + use<> {
        let jump = |off: i64| u32::try_from(i64::from(at) + off + 1).ok();
        let next = Some(at + self.width(at));
        let (first, second) = match self.inst(at) {
            Some(Inst::Exit) => (None, None),
            Some(Inst::Ja { off, .. }) => (None, jump(off.into())),
            Some(Inst::Jmp { off, .. } | Inst::MayGoto { off }) => (next, jump(off.into())),
            // What ends a function ends it, whatever else is wrong with the instruction.
            None if at < self.len() && self.slot(at).op == EXIT => (None, None),
            None if at < self.len() && self.slot(at).op == JA => (None, jump(self.slot(at).off.into())),
            _ => (next, None),
        };
        let len = self.len();
        first.into_iter().chain(second).filter(move |to| *to < len)
    }

    /// The BTF of function `n`, if there is any.
    pub(crate) fn func_type(&self, n: u32) -> Option<TypeId> {
        self.program.funcs.get(n as usize).map(|f| f.ty)
    }

    /// Linkage of function `n` by its BTF.
    pub(crate) fn linkage(&self, n: u32) -> Option<Linkage> {
        match self.program.btf.as_ref()?.ty(self.func_type(n)?)? {
            Type::Func { linkage, .. } => Some(linkage),
            _ => None,
        }
    }
}

/// The rule by which a kernel knows an instruction; none for those that all kernels know.
fn needs(inst: &Inst) -> Option<Rule> {
    match inst {
        Inst::MovSx { .. }
        | Inst::Load { signed: true, .. }
        | Inst::Swap { kind: Swap::Bswap, .. }
        | Inst::Alu { op: AluOp::SDiv | AluOp::SMod, .. } => Some(Rule::Version4),
        Inst::Ja { long: true, .. } => Some(Rule::FarJumps),
        Inst::Atomic { op: AtomicOp::Add { fetch: false }, .. } => None,
        Inst::Atomic { .. } => Some(Rule::Atomics),
        Inst::LoadAcquire { .. } | Inst::StoreRelease { .. } => Some(Rule::AcquireRelease),
        Inst::MayGoto { .. } => Some(Rule::MayGoto),
        Inst::FuncAddr { .. } => Some(Rule::FunctionAddresses),
        _ => None,
    }
}

fn called(profile: &Profile, ty: ProgType, expected: Option<AttachType>, id: i32, caps: Caps) -> Option<Called> {
    let row = profile.helper(HelperId(u32::try_from(id).ok()?))?;
    let proto = row.proto(ty, expected, profile.version).filter(|_| caps.have(row.right));
    Some(Called { row, proto })
}

/// The maps that a program names, and behind them those that are their values. `None` if one is not defined.
fn find_maps(program: &Program, specs: &BTreeMap<String, MapSpec>) -> Option<Vec<Map>> {
    let specs: Vec<&MapSpec> = program.maps.iter().map(|name| specs.get(name)).collect::<Option<_>>()?;
    let mut maps: Vec<Map> = specs.iter().map(|spec| Map::new(spec)).collect();
    for (at, spec) in specs.iter().enumerate() {
        if let Some(inner) = &spec.inner {
            maps[at].inner = Some(maps.len() as u32);
            maps.push(Map { name: String::new(), ..Map::new(inner) });
        }
    }
    Some(maps)
}

/// Whether a licence is compatible with the GPL, as the kernel reads it.
fn gpl(license: &str) -> bool {
    matches!(license, "GPL" | "GPL v2" | "GPL and additional rights" | "Dual BSD/GPL" | "Dual MIT/GPL" | "Dual MPL/GPL")
}
