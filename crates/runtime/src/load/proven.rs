//! What facts allow: each rule with the fact that makes it sound.
//!
//! | rule | fact |
//! |---|---|
//! | what is never reached is left out (pass `dead`) | no path comes there |
//! | a jump that always goes one way is no condition (`dead`, too) | the other way is never taken |
//! | a field of the context is loaded from where it stands | the pointer is the context's, by every path, at a constant offset |
//! | a lookup in an array is a comparison and an address (pass `array`) | the map is the same one by every path, the key has its size |
//! | … or an address alone | the key is the same number |
//! | the CPU's number, and virtual time, are loaded | the helper is the runtime's own |
//! | what a helper does that copies or adds few bytes is told to the engine | how many they are |
//! | what accesses an object that does not exist here stops the run | no such pointer but NULL is ever made |

use super::{
    Sites, body,
    emit::{Line, Lines},
    field, lookup,
    lower::{plain, stop},
    refuse,
};
use crate::{LoadedMap, context::Context};
use alveary_abi::{HelperId, MapType};
use alveary_diag::Diagnostic;
use alveary_isa::{Inst, Reg, decode};
use alveary_verifier::{
    Verified,
    facts::{Access, Base, Fact, MapRef},
};
use alveary_vm::{Body, Env, Known, Lookup, Memory, Pass, Passes};
use std::collections::BTreeSet;

/// Lowers a proven program.
pub(crate) struct Proven<'a> {
    pub(super) verified: &'a Verified,
    pub(super) context: &'a Context,
    /// Programs see virtual time.
    pub(super) virtual_time: bool,
    passes: Passes,
    /// It is lowered for a library: there is no running CPU, and helpers are someone else's.
    library: bool,
    /// A store or atomic operation may be one to the context.
    writes_context: bool,
    /// Calls that stay calls.
    pub(super) lookups: Vec<Lookup>,
    /// What the helpers do that such calls are of.
    pub(super) bodies: Vec<(u32, Body)>,
    /// Where jumps lead that stay although they never go there (without pass `dead`).
    led_to: BTreeSet<usize>,
}

impl<'a> Proven<'a> {
    pub(crate) fn new(verified: &'a Verified, context: &'a Context, virtual_time: bool, passes: Passes) -> Proven<'a> {
        Proven {
            verified,
            context,
            virtual_time,
            passes,
            library: false,
            writes_context: false,
            lookups: Vec::new(),
            bodies: Vec::new(),
            led_to: if passes.has(Pass::Dead) { BTreeSet::new() } else { targets(verified) },
        }
    }

    pub(crate) fn for_library(self) -> Proven<'a> {
        Proven { library: true, ..self }
    }

    /// Whether nothing of what was lowered writes to the context, nor is handed it: `sites` are the program's calls.
    pub(super) fn leaves_context(&self, sites: &Sites<'_>) -> bool {
        !self.writes_context && sites.found.iter().all(|site| site.leaves_context(sites.common_family))
    }

    /// What stands for one instruction.
    pub(super) fn replace(
        &mut self,
        sites: &mut Sites<'_>,
        lines: &Lines,
        inst: Inst,
        at: usize,
    ) -> Result<Vec<Line>, Diagnostic> {
        let fact = self.verified.facts().at(at as u32);
        let dead = self.passes.has(Pass::Dead);
        if !fact.reached {
            return Ok(unreached(sites, lines, at, self.led_to.contains(&at)));
        }
        match inst {
            Inst::Jmp { .. } => Ok(jump(inst, fact, at, dead)),
            Inst::CallHelper { .. } => self.call(sites, lines, inst, fact, at),
            Inst::Load { .. } | Inst::Store { .. } | Inst::Atomic { .. } => self.access(sites, inst, fact, at),
            _ => Ok(with_fact(plain(sites, inst, at)?, fact)),
        }
    }

    /// A load, store or atomic operation.
    fn access(&mut self, sites: &mut Sites<'_>, inst: Inst, fact: &Fact, at: usize) -> Result<Vec<Line>, Diagnostic> {
        let may_be_context = fact.access.is_none_or(|access| access.base == Base::Context);
        self.writes_context |= may_be_context && !matches!(inst, Inst::Load { .. });
        let Some(Access { base, offset }) = fact.access else { return Ok(with_fact(plain(sites, inst, at)?, fact)) };
        match base {
            Base::Context => {
                let off = u64::try_from(offset.0).ok().filter(|_| offset.0 == offset.1);
                let code = off.and_then(|off| self.field(inst, off));
                let code = code.ok_or_else(|| refuse::field_unknown(sites.program, at, offset.0))?;
                let jumps = code.iter().any(|inst| matches!(inst, Inst::Jmp { .. }));
                let result = if jumps { Known::NOTHING } else { known(fact) };
                let last = code.len().saturating_sub(1);
                // What comes before the last one leaves something else in the register.
                let known = |at| if at == last { result } else { Known::NOTHING };
                let line = |(at, inst)| Line::new(inst).knowing(Known { memory: Memory::Context, ..known(at) });
                Ok(code.into_iter().enumerate().map(line).collect())
            }
            Base::Object(_) => Ok(stop()),
            _ => Ok(with_fact(plain(sites, inst, at)?, fact)),
        }
    }

    /// An access to a field of the context.
    fn field(&self, inst: Inst, off: u64) -> Option<Vec<Inst>> {
        match inst {
            Inst::Load { width, signed, dst, src, .. } => {
                field::load(&self.context.load(off, width)?, width, signed, dst, src)
            }
            Inst::Store { width, dst, src, .. } => field::store(&self.context.store(off, width)?, width, dst, src),
            _ => None,
        }
    }

    /// A call of a helper.
    fn call(
        &mut self,
        sites: &mut Sites<'_>,
        lines: &Lines,
        inst: Inst,
        fact: &Fact,
        at: usize,
    ) -> Result<Vec<Line>, Diagnostic> {
        let code = plain(sites, inst, at)?;
        let Some(helper) = sites.runtimes_own(inst) else { return Ok(with_fact(code, fact)) };
        if helper == HelperId::MAP_LOOKUP_ELEM
            && let Some((map, number)) = looked_up(sites, fact)
        {
            let key = fact.call.as_ref().and_then(|call| call.key);
            let needs_cpu = self.library && map.spec.def.ty == MapType::PERCPU_ARRAY;
            if let Some(inlined) =
                lookup::array(map, number, key).filter(|_| !needs_cpu && self.passes.has(Pass::Array))
            {
                return Ok(inlined);
            }
            let slot = lines.next();
            let key_size = map.spec.def.key_size;
            self.lookups.extend(lookup::table(map).map(|table| Lookup { slot, map: number, key_size, table }));
        }
        if self.library {
            return Ok(with_fact(code, fact));
        }
        if let Some(body) = fact.call.as_ref().and_then(|call| body::of(sites, helper, &call.args)) {
            self.bodies.push((lines.next(), body));
        }
        let from_environment = match helper {
            HelperId::GET_SMP_PROCESSOR_ID => Some(Env::CPU),
            HelperId::KTIME_GET_NS | HelperId::KTIME_GET_BOOT_NS if self.virtual_time => Some(Env::NOW),
            _ => None,
        };
        Ok(match from_environment {
            Some(off) => vec![lookup::environment(Reg::R0, off)],
            None => with_fact(code, fact),
        })
    }
}

/// The map that is looked up, if it is always the same one of the program's own.
fn looked_up<'a>(sites: &Sites<'a>, fact: &Fact) -> Option<(&'a LoadedMap, u16)> {
    let number = fact.call.as_ref()?.args.first()?.map()?;
    Some((sites.maps.get(usize::from(number))?, number))
}

/// Where the jumps lead that are reached.
fn targets(verified: &Verified) -> BTreeSet<usize> {
    let insns = &verified.program().insns;
    let mut targets = BTreeSet::new();
    let mut at = 0;
    while let Ok(inst) = decode(insns, at) {
        if let Inst::Jmp { off, .. } = inst
            && verified.facts().at(at as u32).reached
        {
            targets.extend(usize::try_from(at as i64 + 1 + i64::from(off)));
        }
        at += inst.slots();
    }
    targets
}

/// What stands for an instruction that is never reached: nothing, unless the code before it could go on into it, a
/// function begins with it, or jumps still lead there.
fn unreached(sites: &Sites<'_>, lines: &Lines, at: usize, led_to: bool) -> Vec<Line> {
    let mut code = Vec::new();
    if led_to || lines.is_open() || sites.program.subprogs.iter().any(|(start, _)| *start as usize == at) {
        code = stop();
        code.push(Line::new(Inst::Exit));
    }
    code
}

/// A jump; `dead`: without the way that it never goes.
fn jump(inst: Inst, fact: &Fact, at: usize, dead: bool) -> Vec<Line> {
    let Inst::Jmp { off, .. } = inst else { return vec![Line::new(inst)] };
    let to = u32::try_from(at as i64 + 1 + i64::from(off)).ok();
    match (fact.falls_through, fact.jumps) {
        (true, true) => vec![Line::jump(inst, to)],
        (true, false) | (false, true) if !dead => vec![Line::jump(inst, to)],
        (true, false) => Vec::new(),
        (false, true) => vec![Line::jump(Inst::Ja { off: off.into(), long: false }, to)],
        (false, false) => stop(),
    }
}

/// The last of some lines is the one that the fact is about.
fn with_fact(mut lines: Vec<Line>, fact: &Fact) -> Vec<Line> {
    if let Some(last) = lines.pop() {
        lines.push(last.knowing(known(fact)));
    }
    lines
}

/// A fact in the engine's words.
fn known(fact: &Fact) -> Known {
    let range = fact.result.wide;
    let memory = match fact.access {
        Some(Access { base, .. }) => match base {
            Base::Context => Memory::Context,
            Base::Frame => Memory::Frame,
            Base::OuterFrame => Memory::OuterFrame,
            Base::Packet | Base::PacketMeta => Memory::Packet,
            Base::Value(MapRef::Own(map)) => Memory::Value(map),
            _ => Memory::Any,
        },
        None => Memory::Any,
    };
    Known {
        range: (range.umin, range.umax),
        not_null: fact.pointer.is_some_and(|pointer| !pointer.or_null),
        divisor_not_zero: fact.divisor_not_zero,
        memory,
    }
}
