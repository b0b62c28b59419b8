//! Memory of a known size: map values, packets, what helpers gave.

use super::{Access, Source};
use crate::{
    limits::MAX_VAR_OFF,
    state::Kind,
    stop::{Check, reject},
    verifier::Verifier,
};
use alveary_abi::{SpecialKind, flags};

impl Verifier<'_> {
    /// That `size` bytes at `off` lie inside; says by the register's kind why not.
    fn check_inside(&mut self, regno: u8, off: i64, size: i64, limit: i64, zero: bool) -> Check {
        let sized = size > 0 || size == 0 && zero;
        if off >= 0 && sized && off + size <= limit {
            return Ok(());
        }
        let reg = self.reg(regno);
        let (kind, id) = (reg.ty.kind, reg.id);
        // The kernel's offset is an int.
        let off = off as i32;
        match kind {
            Kind::MapKey => {
                reject!(self, EACCES, "invalid access to map key, key_size={limit} off={off} size={size}\n")
            }
            Kind::MapValue => {
                reject!(self, EACCES, "invalid access to map value, value_size={limit} off={off} size={size}\n")
            }
            Kind::Packet | Kind::PacketMeta | Kind::PacketEnd => reject!(
                self,
                EACCES,
                "invalid access to packet, off={off} size={size}, R{regno}(id={id},off={off},r={limit})\n"
            ),
            _ => reject!(self, EACCES, "invalid access to memory, mem_size={limit} off={off} size={size}\n"),
        }
    }

    /// The same with a variable offset.
    pub(super) fn check_region(&mut self, regno: u8, off: i64, size: i64, limit: i64, zero: bool) -> Check {
        let range = self.reg(regno).val.wide;
        let low = range.smin.wrapping_add(off);
        if range.smin < 0 && (range.smin == i64::MIN || low != i64::from(low as i32) || low < 0) {
            reject!(
                self,
                EACCES,
                "R{regno} min value is negative, either use unsigned index or do a if (index >=0) check.\n"
            );
        }
        if let Err(stop) = self.check_inside(regno, low, size, limit, zero) {
            self.log.say(format_args!("R{regno} min value is outside of the allowed memory range\n"));
            return Err(stop);
        }
        if range.umax >= MAX_VAR_OFF as u64 {
            reject!(self, EACCES, "R{regno} unbounded memory access, make sure to bounds check any such access\n");
        }
        if let Err(stop) = self.check_inside(regno, range.umax as i64 + off, size, limit, zero) {
            self.log.say(format_args!("R{regno} max value is outside of the allowed memory range\n"));
            return Err(stop);
        }
        Ok(())
    }

    /// What programs may do to a map's values.
    pub(super) fn check_map_permission(&mut self, map: u32, off: i64, size: i64, access: Access) -> Check {
        let map = &self.program.maps[map as usize];
        let value_size = map.value_size;
        match access {
            Access::Write if map.flags & flags::BPF_F_RDONLY_PROG != 0 => {
                reject!(self, EACCES, "write into map forbidden, value_size={value_size} off={off} size={size}\n")
            }
            Access::Read if map.flags & flags::BPF_F_WRONLY_PROG != 0 => {
                reject!(self, EACCES, "read from map forbidden, value_size={value_size} off={off} size={size}\n")
            }
            _ => Ok(()),
        }
    }

    /// A map's value, but for the parts that only helpers may touch.
    pub(crate) fn check_map_value(&mut self, regno: u8, off: i64, size: i64, zero: bool, source: Source) -> Check {
        let reg = *self.reg(regno);
        let limit = self.program.maps[reg.extra as usize].value_size;
        self.check_region(regno, off, size, limit.into(), zero)?;
        let (low, high) = (reg.val.wide.smin + off, reg.val.wide.umax as i64 + off + size);
        for n in 0..self.program.maps[reg.extra as usize].special.len() {
            let special = &self.program.maps[reg.extra as usize].special[n];
            let (kind, at) = (special.kind, i64::from(special.off));
            let (name, length) = special_kind(kind);
            if low >= at + length || at >= high {
                continue;
            }
            if kind != SpecialKind::Kptr {
                reject!(self, EACCES, "{name} cannot be accessed directly by load/store\n");
            }
            if source == Source::Helper {
                reject!(self, EACCES, "kptr cannot be accessed indirectly by helper\n");
            }
            let Some(var) = reg.val.value() else {
                reject!(self, EACCES, "kptr access cannot have variable offset\n");
            };
            let exact = off + var as i64;
            if exact != at {
                reject!(self, EACCES, "kptr access misaligned expected={at} off={exact}\n");
            }
            if size != 8 {
                reject!(self, EACCES, "kptr access size must be BPF_DW\n");
            }
        }
        Ok(())
    }

    /// A packet, as far as it is known to reach.
    pub(super) fn check_packet(&mut self, regno: u8, off: i64, size: i64, zero: bool) -> Check {
        let reg = *self.reg(regno);
        if reg.val.wide.smin < 0 {
            reject!(
                self,
                EACCES,
                "R{regno} min value is negative, either use unsigned index or do a if (index >=0) check.\n"
            );
        }
        let inside = if reg.range() < 0 {
            Err(crate::stop::Stop::Rejected(alveary_abi::Errno::EINVAL))
        } else {
            self.check_inside(regno, off, size, reg.range().into(), zero)
        };
        if let Err(stop) = inside {
            self.log.say(format_args!("R{regno} offset is outside of the packet\n"));
            return Err(stop);
        }
        Ok(())
    }
}

/// Name and size of what only helpers may touch.
fn special_kind(kind: SpecialKind) -> (&'static str, i64) {
    match kind {
        SpecialKind::SpinLock => ("bpf_spin_lock", 4),
        SpecialKind::Timer => ("bpf_timer", 16),
        SpecialKind::Workqueue => ("bpf_wq", 16),
        SpecialKind::Kptr => ("kptr", 8),
        SpecialKind::ListHead => ("bpf_list_head", 16),
        SpecialKind::ListNode => ("bpf_list_node", 24),
        SpecialKind::RbRoot => ("bpf_rb_root", 16),
        SpecialKind::RbNode => ("bpf_rb_node", 32),
        SpecialKind::Refcount => ("bpf_refcount", 4),
    }
}
