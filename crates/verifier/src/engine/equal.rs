//! When a state is covered by one that was seen: everything that could follow from the new one was followed from the old.

use crate::{
    program::Prepared,
    state::{ADD_CONST, Byte, Frame, Kind, Reg, Slot, State, StateId},
    verifier::Verifier,
};

/// How much alike two states have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exact {
    /// What the old state turned out not to need may differ.
    No,
    /// Everything counts, but ranges may be narrower.
    RangeWithin,
    /// The very same.
    Yes,
}

/// Which id of the old state stands for which of the new one.
#[derive(Debug, Default)]
pub(crate) struct IdMap {
    pairs: Vec<(u32, u32)>,
    /// For scalars of the new state that have none: ids that nobody else has.
    fresh: u32,
}

impl IdMap {
    pub(super) fn reset(&mut self, ids: u32) {
        self.pairs.clear();
        self.fresh = ids;
    }

    fn same(&mut self, old: u32, new: u32) -> bool {
        if (old == 0) != (new == 0) {
            return false;
        }
        if old == 0 {
            return true;
        }
        for (a, b) in &self.pairs {
            if *a == old {
                return *b == new;
            }
            if *b == new {
                return false;
            }
        }
        self.pairs.push((old, new));
        true
    }

    /// Of scalars: the old state may know less of who is linked.
    fn same_scalar(&mut self, old: u32, new: u32) -> bool {
        if old == 0 {
            return true;
        }
        let new = if new == 0 {
            self.fresh += 1;
            self.fresh
        } else {
            new
        };
        self.same(old, new) && (old & ADD_CONST == 0 || self.same(old & !ADD_CONST, new & !ADD_CONST))
    }
}

impl Verifier<'_> {
    /// Whether checkpoint `id` covers the current state.
    pub(super) fn states_equal(&mut self, id: StateId, exact: Exact) -> bool {
        let mut map = std::mem::take(&mut self.id_map);
        map.reset(self.ids);
        let comparison = Comparison {
            program: &self.program,
            exact,
            precise: !self.env.caps.bpf,
            identical: self.compares_all,
            uninit: self.env.caps.perfmon,
        };
        let equal = comparison.states(&self.store[id].state, &self.cur, &mut map);
        self.id_map = map;
        equal
    }

    /// Forgets what differs from an earlier turn of a loop and nobody has needed yet, so that the loop converges.
    pub(crate) fn widen(&mut self, earlier: StateId, which: Widened) {
        let mut map = std::mem::take(&mut self.id_map);
        map.reset(self.ids);
        let old = self.store[earlier].state.clone();
        let state = match which {
            Widened::Current => Some(&mut self.cur),
            Widened::LastPath => self.last_path(),
        };
        if let Some(state) = state {
            widen_state(&old, state, &mut map);
        }
        self.id_map = map;
    }
}

/// Which state is widened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Widened {
    Current,
    LastPath,
}

fn widen_state(old: &State, state: &mut State, map: &mut IdMap) {
    let exact = |old: &Reg, new: &Reg, map: &mut IdMap| regs_exact(old, new, map);
    for n in (0..=old.depth.min(state.depth)).rev() {
        for r in 0..crate::state::REGS {
            let (a, b) = (&old.frame(n).regs[r], &state.frame(n).regs[r]);
            if a.is_scalar() && b.is_scalar() && !a.precise && !b.precise && !exact(a, b, map) {
                state.frame_mut(n).regs[r].forget(false);
            }
        }
        for slot in 0..old.frame(n).stack.len().min(state.frame(n).stack.len()) {
            let (a, b) = (&old.frame(n).stack[slot], &state.frame(n).stack[slot]);
            if !a.is_spill() || !b.is_spill() {
                continue;
            }
            let (a, b) = (&a.reg, &b.reg);
            if a.is_scalar() && b.is_scalar() && !a.precise && !b.precise && !exact(a, b, map) {
                state.frame_mut(n).stack[slot].reg.forget(false);
            }
        }
    }
}

fn regs_exact(old: &Reg, new: &Reg, map: &mut IdMap) -> bool {
    old.same_content(new) && map.same(old.id, new.id) && map.same(old.ref_id, new.ref_id)
}

struct Comparison<'a> {
    program: &'a Prepared<'a>,
    exact: Exact,
    /// Every number's value matters.
    precise: bool,
    /// Numbers have to be the very same.
    identical: bool,
    /// What was never written may be read, and is then as good as what was.
    uninit: bool,
}

impl Comparison<'_> {
    fn states(&self, old: &State, new: &State, map: &mut IdMap) -> bool {
        if old.speculative && !new.speculative {
            return false;
        }
        if old.depth != new.depth || old.in_sleepable != new.in_sleepable || !references(old, new, map) {
            return false;
        }
        (0..=old.depth).all(|n| {
            let live = self.program.aux[old.frame_insn(n) as usize].live;
            old.frame(n).callsite == new.frame(n).callsite && self.frames(old.frame(n), new.frame(n), live, map)
        })
    }

    fn frames(&self, old: &Frame, new: &Frame, live: u16, map: &mut IdMap) -> bool {
        old.callback_depth <= new.callback_depth
            && (0..crate::state::REGS)
                .filter(|r| live >> r & 1 != 0)
                .all(|r| self.regs(&old.regs[r], &new.regs[r], map))
            && self.stacks(old, new, map)
    }

    fn regs(&self, old: &Reg, new: &Reg, map: &mut IdMap) -> bool {
        if self.exact == Exact::Yes {
            return regs_exact(old, new, map) && (old.ty.kind != Kind::Stack || old.frame == new.frame);
        }
        if old.ty.kind == Kind::Uninit && (self.exact == Exact::No || new.ty.kind == Kind::Uninit) {
            return true;
        }
        if old.ty != new.ty {
            return false;
        }
        match old.ty.kind {
            Kind::Scalar if self.identical => old.same_content(new) && map.same_scalar(old.id, new.id),
            Kind::Scalar => {
                if !old.precise && !self.precise && self.exact == Exact::No {
                    return true;
                }
                let (added, is_linked) = (old.id & ADD_CONST, old.id != 0);
                if is_linked && added != new.id & ADD_CONST || added != 0 && old.off != new.off {
                    return false;
                }
                map.same_scalar(old.id, new.id) && old.val.covers(&new.val)
            }
            Kind::MapKey | Kind::MapValue | Kind::Mem | Kind::Buf | Kind::TpBuffer => {
                old.off == new.off
                    && old.extra == new.extra
                    && old.map_uid == new.map_uid
                    && old.val.covers(&new.val)
                    && map.same(old.id, new.id)
                    && map.same(old.ref_id, new.ref_id)
            }
            Kind::Packet | Kind::PacketMeta => {
                let (a, b) = (old.range(), new.range());
                let ranges = if a < 0 || b < 0 { a == b } else { a <= b };
                ranges && old.off == new.off && map.same(old.id, new.id) && old.val.covers(&new.val)
            }
            Kind::Stack => regs_exact(old, new, map) && old.frame == new.frame,
            _ => regs_exact(old, new, map),
        }
    }

    fn stacks(&self, old: &Frame, new: &Frame, map: &mut IdMap) -> bool {
        (0..old.stack.len()).all(|n| self.slots(&old.stack[n], new.stack.get(n), map))
    }

    fn slots(&self, old: &Slot, new: Option<&Slot>, map: &mut IdMap) -> bool {
        if self.exact != Exact::No && new.is_none_or(|new| new.bytes != old.bytes) {
            return false;
        }
        // Bytes of which the old state has nothing, or anything, to say cover all.
        let free = |byte: Byte| byte == Byte::Invalid || byte == Byte::Misc && self.uninit;
        let mut at = 0;
        while at < 8 && free(old.bytes[at]) {
            at += 1;
        }
        if at == 8 {
            return true;
        }
        let Some(new) = new else { return false };
        if let (Some(a), Some(b)) = (self.as_scalar(old), self.as_scalar(new)) {
            return self.regs(a, b, map);
        }
        for at in at..8 {
            let (a, b) = (old.bytes[at], new.bytes[at]);
            if free(a) || (a, b) == (Byte::Misc, Byte::Zero) {
                continue;
            }
            if a != b {
                return false;
            }
        }
        if old.bytes[7] == Byte::Spill { self.regs(&old.reg, &new.reg, map) } else { true }
    }

    /// What a slot holds if it is read as a whole number.
    fn as_scalar<'s>(&self, slot: &'s Slot) -> Option<&'s Reg> {
        static UNKNOWN: Reg = Reg::UNKNOWN;
        if slot.is_whole_scalar_spill() {
            return Some(&slot.reg);
        }
        let unknown = |byte: &Byte| *byte == Byte::Misc || *byte == Byte::Invalid && self.uninit;
        slot.bytes.iter().all(unknown).then_some(&UNKNOWN)
    }
}

fn references(old: &State, new: &State, map: &mut IdMap) -> bool {
    let locks = match (old.lock, new.lock) {
        (None, None) => true,
        (Some((a, in_a)), Some((b, in_b))) => in_a == in_b && map.same(a, b),
        _ => false,
    };
    locks
        && old.refs.len() == new.refs.len()
        && old.refs.iter().zip(&new.refs).all(|(a, b)| a.lock == b.lock && map.same(a.id, b.id))
}
