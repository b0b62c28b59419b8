//! What is held and has to be given back: references and locks.

use crate::{
    state::{Kind, Reference, Reg},
    stop::{Check, reject},
    verifier::Verifier,
};
use alveary_abi::SpecialKind;

impl Verifier<'_> {
    /// Takes a reference; its id.
    pub(super) fn acquire(&mut self) -> u32 {
        let id = self.next_id();
        self.cur.refs.push(Reference { id, insn: self.insn, lock: None });
        id
    }

    /// Gives a reference back: everything that stands for it is gone. Whether it was held.
    pub(super) fn release(&mut self, id: u32) -> bool {
        let held = self.cur.refs.iter().position(|r| r.lock.is_none() && r.id == id);
        let Some(at) = held else { return false };
        self.cur.refs.swap_remove(at);
        let perfmon = self.env.caps.perfmon;
        self.cur.change_regs(|reg| reg.ref_id == id, |reg| invalidate(reg, perfmon));
        true
    }

    /// Pointers into the packet are no longer good.
    pub(crate) fn forget_packet(&mut self) {
        let perfmon = self.env.caps.perfmon;
        self.cur.change_regs(|reg| reg.ty.is_packet_or_end(), |reg| invalidate(reg, perfmon));
    }

    /// That nothing is held that has to be given back first.
    pub(crate) fn check_nothing_held(&mut self, what: &str, locks: bool) -> Check {
        if locks && self.cur.lock.is_some() {
            reject!(self, EINVAL, "{what} cannot be used inside bpf_spin_lock-ed region\n");
        }
        if self.cur.depth > 0 && self.cur.top().number > 0 {
            return Ok(());
        }
        let mut lingering = false;
        for n in 0..self.cur.refs.len() {
            let Reference { id, insn, lock } = self.cur.refs[n];
            if lock.is_none() {
                self.log.say(format_args!("Unreleased reference id={id} alloc_insn={insn}\n"));
                lingering = true;
            }
        }
        if lingering {
            reject!(self, EINVAL, "{what} would lead to reference leak\n");
        }
        Ok(())
    }

    /// `bpf_spin_lock` and `bpf_spin_unlock`.
    pub(super) fn check_spin_lock(&mut self, regno: u8, takes: bool) -> Check {
        let reg = *self.reg(regno);
        let Some(value) = reg.val.value() else {
            reject!(
                self,
                EINVAL,
                "R{regno} doesn't have constant offset. bpf_spin_lock has to be at the constant offset\n"
            );
        };
        let map = &self.program.maps[reg.extra as usize];
        if !map.typed {
            reject!(self, EINVAL, "map '{}' has to have BTF in order to use bpf_spin_lock\n", map.name);
        }
        let Some(at) = map.special(SpecialKind::SpinLock) else {
            reject!(self, EINVAL, "map '{}' has no valid bpf_spin_lock\n", map.name);
        };
        let off = value as i64 + i64::from(reg.off);
        if i64::from(at) != off {
            reject!(self, EINVAL, "off {off} doesn't point to 'struct bpf_spin_lock' that is at {at}\n");
        }
        if takes {
            if self.cur.lock.is_some() {
                reject!(self, EINVAL, "Locking two bpf_spin_locks are not allowed\n");
            }
            self.cur.lock = Some((reg.id, reg.extra));
            self.cur.refs.push(Reference { id: reg.id, insn: self.insn, lock: Some(reg.extra) });
            return Ok(());
        }
        let Some(held) = self.cur.lock else {
            reject!(self, EINVAL, "bpf_spin_unlock without taking a lock\n");
        };
        if held != (reg.id, reg.extra) {
            reject!(self, EINVAL, "bpf_spin_unlock of different lock\n");
        }
        self.cur.lock = None;
        self.cur.refs.retain(|r| r.lock.is_none());
        Ok(())
    }

    /// A `struct bpf_timer` in a map value; the map that it is in.
    pub(super) fn check_timer(&mut self, regno: u8) -> Check<(u32, u32)> {
        let reg = *self.reg(regno);
        let Some(value) = reg.val.value() else {
            reject!(
                self,
                EINVAL,
                "R{regno} doesn't have constant offset. bpf_timer has to be at the constant offset\n"
            );
        };
        let map = &self.program.maps[reg.extra as usize];
        if !map.typed {
            reject!(self, EINVAL, "map '{}' has to have BTF in order to use bpf_timer\n", map.name);
        }
        let Some(at) = map.special(SpecialKind::Timer) else {
            reject!(self, EINVAL, "map '{}' has no valid bpf_timer\n", map.name);
        };
        let off = value as i64 + i64::from(reg.off);
        if i64::from(at) != off {
            reject!(self, EINVAL, "off {off} doesn't point to 'struct bpf_timer' that is at {at}\n");
        }
        Ok((reg.extra, reg.map_uid))
    }
}

/// A register whose pointer is gone: for who may see addresses it is a number.
fn invalidate(reg: &mut Reg, perfmon: bool) {
    if perfmon {
        reg.forget(false);
    } else {
        *reg = Reg::UNINIT;
    }
    debug_assert!(reg.ty.kind != Kind::Packet);
}
