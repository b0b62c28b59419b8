//! Judges what a checked run does: context fields by abi's rules and the family's backings, helper calls by their row.

use super::{FAMILY_REGIONS, field, special_at};
use crate::{LoadedMap, Prog, Vcpu, load::Site, watch::Watched};
use alveary_abi::{Arg, MemAccess, MemSize, SpecialKind};
use alveary_isa::Width;
use alveary_vm::{Checks, Env, HelperFn, TrapKind};

/// What a checked program gets as the address of its context. No memory is there: only the judge knows it.
pub(crate) const CONTEXT: u64 = 0xffff_c000_0000_0000;

/// The judge of one program's run.
pub(crate) struct Judge<'a> {
    pub(crate) cpu: &'a Vcpu,
    pub(crate) prog: &'a Prog,
}

impl Checks for Judge<'_> {
    fn load(&self, env: &Env, addr: u64, width: Width) -> Result<u64, TrapKind> {
        let off = addr.wrapping_sub(CONTEXT);
        if let (Width::B4, Some((width, at))) = (width, self.prog.context.word(off)) {
            // SAFETY: the batch runs programs of the context's family only, which says that it stands there.
            return Ok(unsafe { field::peek(env.ctx.get() as u64 + u64::from(at), width) });
        }
        let access = self.prog.context.load(off, width).ok_or(TrapKind::Load { addr, width })?;
        // SAFETY: as above.
        Ok(unsafe { field::load(env.ctx.get() as u64, &access, width) })
    }

    fn store(&self, env: &Env, addr: u64, width: Width, value: u64) -> Result<(), TrapKind> {
        let off = addr.wrapping_sub(CONTEXT);
        let access = self.prog.context.store(off, width).ok_or(TrapKind::Store { addr, width })?;
        // SAFETY: as for loads.
        unsafe { field::store(env.ctx.get() as u64, &access, width, value) };
        Ok(())
    }

    /// The row itself is the check: what the verifier proves is held here against the regions, then the same body runs.
    fn call(&self, env: &Env, tag: u32, body: HelperFn, args: [u64; 5]) -> Result<u64, TrapKind> {
        let site = self.prog.sites.get(tag as usize).ok_or(TrapKind::BadCall { target: u64::from(tag) })?;
        for (i, kind) in site.bind.args.iter().enumerate() {
            if matches!(kind, Arg::None) {
                break;
            }
            if !self.allows(env, site, &args, i, kind) || !self.packet_is_allowed(env, site, args[i], kind) {
                return Err(TrapKind::BadArg { tag, arg: i as u8, value: args[i] });
            }
        }
        // SAFETY: `body` is what `Addresses::helper` gave for this site; its arguments were held against the row.
        let value = unsafe { body(env, args[0], args[1], args[2], args[3], args[4]) };
        if site.proto.effects.changes_packet {
            self.cpu.refresh();
        }
        Ok(value)
    }

    fn watches(&self) -> bool {
        self.cpu.is_watched()
    }

    fn step(&self, _: &Env, slot: u32, registers: &[u64; 11]) {
        let insn = self.prog.code.origin.get(slot as usize).copied().unwrap_or(slot);
        self.cpu.tell(&Watched::new(self.cpu, self.prog, insn, registers));
    }
}

/// No helper is given this much memory (`BPF_MAX_VAR_SIZ`): a call counts as one instruction of the budget.
const MAX_SIZE: u64 = 1 << 29;

impl Judge<'_> {
    fn allows(&self, env: &Env, site: &Site, args: &[u64; 5], i: usize, kind: &Arg) -> bool {
        let value = args[i];
        match *kind {
            Arg::None | Arg::Any | Arg::AllocSize | Arg::Callback { .. } | Arg::CallbackCtx => true,
            Arg::Ctx { or_null } => value == CONTEXT || (or_null && value == 0),
            Arg::Map => match self.prog.map_number(value) {
                Some(n) => site.maps[n],
                None => self.cpu.held.inner(value).is_some_and(|(_, outer)| site.inner[outer]),
            },
            Arg::MapKey => {
                self.map(site, args).is_some_and(|map| env.covers(value, map.spec.def.key_size.into(), false))
            }
            Arg::MapValue { access, or_null } => {
                let writes = |map: &LoadedMap| access != MemAccess::Read && map.fills_values();
                let fits = |map: &LoadedMap| env.covers(value, map.value_size() as u64, writes(map));
                (or_null && value == 0) || self.map(site, args).is_some_and(fits)
            }
            Arg::Mem { access, size, or_null, aligned: _ } => {
                let len = match size {
                    MemSize::Fixed(n) => u64::from(n),
                    MemSize::Arg(n) => args.get(usize::from(n)).copied().unwrap_or(u64::MAX),
                };
                // A proven program, too, may give a pointer that turns out to be NULL, with any size: the kernel asks
                // of such a pointer what it asks if it is there. The body then has no memory.
                if value == 0 {
                    return or_null;
                }
                // Nor is alignment asked for: a proven program may hand over what a global function of it was given, and
                // nobody asked for that to be aligned. Bodies copy, from and to any address.
                len == 0 || (len < MAX_SIZE && env.covers(value, len, access != MemAccess::Read))
            }
            Arg::Size { zero_ok } => zero_ok || value != 0,
            Arg::AllocMem => self.cpu.held.is_reserved(value),
            Arg::ConstStr => env.covers(value, 1, false) && !env.covers(value, 1, true),
            Arg::SpinLock => {
                let cpu = self.cpu.number();
                value.is_multiple_of(4)
                    && env.covers(value, 4, true)
                    && self
                        .prog
                        .maps
                        .iter()
                        .chain(self.cpu.held.inner_maps())
                        .any(|m| special_at(m, cpu, value, SpecialKind::SpinLock))
            }
            // Nothing that runs here can have such a thing.
            Arg::Timer
            | Arg::Kptr
            | Arg::SockCommon { .. }
            | Arg::Socket { .. }
            | Arg::Btf { .. }
            | Arg::Dynptr { .. } => false,
        }
    }

    /// Packet memory may only be passed to helpers that take it.
    fn packet_is_allowed(&self, env: &Env, site: &Site, value: u64, kind: &Arg) -> bool {
        if site.proto.packet_memory || !matches!(kind, Arg::Mem { .. } | Arg::MapKey | Arg::MapValue { .. }) {
            return true;
        }
        (0..FAMILY_REGIONS).filter_map(|n| env.region(n)).all(|r| value.wrapping_sub(r.addr) >= r.len)
    }

    /// The map that the call is about: one of the program's, or an inner one that it knows.
    fn map(&self, site: &Site, args: &[u64; 5]) -> Option<&LoadedMap> {
        let word = args[site.map?];
        match self.prog.map_number(word) {
            Some(n) => self.prog.maps.get(n),
            None => self.cpu.held.inner(word).map(|(map, _)| map),
        }
    }
}
