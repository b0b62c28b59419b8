//! One access through any pointer.

use super::{Access, Source, Value};
use crate::{
    state::{Kind, Reg},
    stop::{Check, refuse, reject},
    verifier::Verifier,
};
use alveary_abi::{ProgType as P, Rule, SpecialKind};

impl Verifier<'_> {
    #[allow(clippy::too_many_arguments, reason = "each is one property of the access")]
    pub(crate) fn check_access(
        &mut self,
        regno: u8,
        off: i64,
        size: i64,
        access: Access,
        value: Value,
        strict_once: bool,
        signed: bool,
    ) -> Check {
        self.check_alignment(regno, off, size, strict_once)?;
        let reg = *self.reg(regno);
        let off = off + i64::from(reg.off);
        let writes = access == Access::Write;
        let leaked = value.reg().filter(|value| writes && self.leaks(*value));
        let target = value.reg().filter(|_| !writes);
        match reg.ty.kind {
            Kind::MapKey => {
                if writes {
                    reject!(self, EACCES, "write to change key R{regno} not allowed\n");
                }
                let size_of_key = self.program.maps[reg.extra as usize].key_size;
                self.check_region(regno, off, size, size_of_key.into(), false)?;
                self.load_unknown(target);
            }
            Kind::MapValue if !reg.ty.maybe_null() => {
                if let Some(value) = leaked {
                    reject!(self, EACCES, "R{value} leaks addr into map\n");
                }
                self.check_map_permission(reg.extra, off, size, access)?;
                self.check_map_value(regno, off, size, false, Source::Direct)?;
                self.check_no_kptr(&reg, off)?;
                if let Some(target) = target {
                    match self.constant(&reg, off, size, signed) {
                        Some(known) => *self.reg_mut(target) = Reg::known(known),
                        None => self.set_unknown(target),
                    }
                }
            }
            Kind::Mem => {
                if reg.ty.maybe_null() {
                    reject!(self, EACCES, "R{regno} invalid mem access '{}'\n", reg.ty);
                }
                if writes && reg.ty.read_only() {
                    reject!(self, EACCES, "R{regno} cannot write into {}\n", reg.ty);
                }
                if let Some(value) = leaked {
                    reject!(self, EACCES, "R{value} leaks addr into mem\n");
                }
                if reg.ty.is_anywhere() {
                    self.record_kernel_memory();
                } else {
                    self.check_region(regno, off, size, reg.extra.into(), false)?;
                }
                self.load_unknown(target);
            }
            Kind::Ctx => {
                if let Some(value) = leaked {
                    reject!(self, EACCES, "R{value} leaks addr into ctx\n");
                }
                self.check_fixed_offset(regno, false)?;
                let loaded = self.check_context(off, size, access, signed)?;
                self.load(target, loaded);
            }
            Kind::Stack => {
                if reg.val.value().is_none() && !self.profile.has(Rule::VariableStack) {
                    reject!(self, EACCES, "variable stack access var_off={} off={off} size={size}\n", reg.val.bits);
                }
                self.check_stack_bounds(regno, off, size, access)?;
                match access {
                    Access::Read => self.read_stack(regno, off, size, value.reg())?,
                    Access::Write => self.write_stack(regno, off, size, value)?,
                }
            }
            Kind::Packet | Kind::PacketMeta => {
                if writes && !self.may_write_packet() {
                    reject!(self, EACCES, "cannot write into packet\n");
                }
                if let Some(value) = leaked {
                    reject!(self, EACCES, "R{value} leaks addr into packet\n");
                }
                self.check_packet(regno, off, size, false)?;
                self.load_unknown(target);
            }
            Kind::FlowKeys => {
                if let Some(value) = leaked {
                    reject!(self, EACCES, "R{value} leaks addr into flow keys\n");
                }
                if off < 0 || off + size > FLOW_KEYS {
                    reject!(self, EACCES, "invalid access to flow keys off={off} size={size}\n");
                }
                self.load_unknown(target);
            }
            Kind::Socket | Kind::SockCommon | Kind::TcpSock | Kind::XdpSock if !reg.ty.maybe_null() => {
                if writes {
                    reject!(self, EACCES, "R{regno} cannot write into {}\n", reg.ty);
                }
                self.check_socket(regno, off, size)?;
                self.load_unknown(target);
            }
            Kind::TpBuffer => {
                self.check_buffer(regno, off, "tracepoint")?;
                self.load_unknown(target);
            }
            Kind::Buf if !reg.ty.maybe_null() => {
                if writes && reg.ty.read_only() {
                    reject!(self, EACCES, "R{regno} cannot write into {}\n", reg.ty);
                }
                self.check_buffer(regno, off, if reg.ty.read_only() { "rdonly" } else { "rdwr" })?;
                self.load_unknown(target);
            }
            Kind::Object if !reg.ty.maybe_null() => {
                let loaded = self.access_object(regno, off, size, access)?;
                self.load(target, loaded);
            }
            Kind::MapPtr => {
                let loaded = self.access_map(regno, off, size, access)?;
                self.load(target, loaded);
            }
            _ => reject!(self, EACCES, "R{regno} invalid mem access '{}'\n", reg.ty),
        }
        if let Some(target) = target.filter(|target| size < 8 && self.reg(*target).is_scalar()) {
            let loaded = self.reg_mut(target);
            if signed {
                loaded.val.sign_extend(size as u32 * 8);
            } else {
                loaded.val.zero_extend(size as u32 * 8);
            }
        }
        Ok(())
    }

    fn load(&mut self, target: Option<u8>, loaded: Reg) {
        if let Some(target) = target {
            *self.reg_mut(target) = loaded;
        }
    }

    fn load_unknown(&mut self, target: Option<u8>) {
        if let Some(target) = target {
            self.set_unknown(target);
        }
    }

    /// The bytes of a value that never changes.
    fn constant(&self, reg: &Reg, off: i64, size: i64, signed: bool) -> Option<u64> {
        let at = off.checked_add(reg.val.value()? as i64)?;
        let value = self.program.maps[reg.extra as usize].constant_at(at, size)?;
        let unused = 64 - 8 * size as u32;
        Some(if signed { (((value << unused) as i64) >> unused) as u64 } else { value })
    }

    /// Kernel pointers in values are the second half's.
    fn check_no_kptr(&mut self, reg: &Reg, off: i64) -> Check {
        let Some(var) = reg.val.value() else { return Ok(()) };
        let at = off + var as i64;
        let special = &self.program.maps[reg.extra as usize].special;
        if special.iter().any(|s| s.kind == SpecialKind::Kptr && i64::from(s.off) == at) {
            refuse!("a kernel pointer in a map value");
        }
        Ok(())
    }

    pub(crate) fn may_write_packet(&self) -> bool {
        self.profile.prog_type(self.program.program.ty).is_some_and(|row| row.direct_packet_write)
    }

    /// Whether a helper may be handed a pointer into the packet.
    pub(crate) fn may_pass_packet(&self, helper_takes: bool) -> bool {
        let ty = self.program.program.ty;
        ty == P::CGROUP_SOCKOPT || helper_takes && ty != P::SOCKET_FILTER
    }

    /// That a pointer is where it was, or (if `fixed`) a constant behind that.
    pub(crate) fn check_fixed_offset(&mut self, regno: u8, fixed: bool) -> Check {
        let reg = *self.reg(regno);
        if reg.off < 0 {
            reject!(self, EACCES, "negative offset {} ptr R{regno} off={} disallowed\n", reg.ty, reg.off);
        }
        if !fixed && reg.off != 0 {
            reject!(self, EACCES, "dereference of modified {} ptr R{regno} off={} disallowed\n", reg.ty, reg.off);
        }
        if reg.val.value() != Some(0) {
            reject!(self, EACCES, "variable {} access var_off={} disallowed\n", reg.ty, reg.val.bits);
        }
        Ok(())
    }

    pub(super) fn check_buffer(&mut self, regno: u8, off: i64, name: &str) -> Check {
        let reg = *self.reg(regno);
        if off < 0 {
            reject!(self, EACCES, "R{regno} invalid {name} buffer access: off={off}, size=0\n");
        }
        if reg.val.value() != Some(0) {
            reject!(self, EACCES, "R{regno} invalid variable buffer offset: off={off}, var_off={}\n", reg.val.bits);
        }
        Ok(())
    }
}

/// Bytes of `struct bpf_flow_keys`.
const FLOW_KEYS: i64 = 56;
