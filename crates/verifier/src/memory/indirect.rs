//! Memory that a helper reads or writes.

use super::{Access, Source, Value};
use crate::{
    limits::MAX_VAR_SIZE,
    state::Kind,
    stop::{Check, reject},
    verifier::Verifier,
};

/// What a call does to memory, gathered over its arguments.
#[derive(Debug, Default)]
pub(crate) struct Indirect {
    /// The memory of the argument at hand is only written.
    pub(crate) raw: bool,
    /// Stack that is written whole: through which register, and how much.
    pub(crate) written: Option<(u8, i64)>,
    /// The largest size that memory is given with.
    pub(crate) largest: u64,
}

impl Verifier<'_> {
    /// That a helper may access `size` bytes through a register.
    pub(crate) fn check_helper_memory(
        &mut self,
        regno: u8,
        size: i64,
        access: Access,
        zero: bool,
        call: Option<&mut Indirect>,
    ) -> Check {
        let reg = *self.reg(regno);
        let off = i64::from(reg.off);
        let may_write = |v: &mut Self| {
            if access == Access::Write && reg.ty.read_only() {
                reject!(v, EACCES, "R{regno} cannot write into {}\n", reg.ty);
            }
            Ok(())
        };
        match reg.ty.kind {
            Kind::Packet | Kind::PacketMeta => self.check_packet(regno, off, size, zero),
            Kind::MapKey => {
                if access == Access::Write {
                    reject!(self, EACCES, "R{regno} cannot write into {}\n", reg.ty);
                }
                let limit = self.program.maps[reg.extra as usize].key_size;
                self.check_region(regno, off, size, limit.into(), false)
            }
            Kind::MapValue => {
                self.check_map_permission(reg.extra, off, size, access)?;
                self.check_map_value(regno, off, size, zero, Source::Helper)
            }
            Kind::Mem => {
                may_write(self)?;
                self.check_region(regno, off, size, reg.extra.into(), zero)
            }
            Kind::Buf => {
                may_write(self)?;
                self.check_buffer(regno, off, if reg.ty.read_only() { "rdonly" } else { "rdwr" })
            }
            Kind::Stack => {
                let raw = call.filter(|call| call.raw).map(|call| &mut call.written);
                self.check_stack_initialised(regno, off, size, zero, access, raw)
            }
            Kind::Object => self.access_object(regno, off, size, Access::Read).map(drop),
            _ => {
                if zero && size == 0 && reg.is_null() {
                    return Ok(());
                }
                reject!(self, EACCES, "R{regno} type={} expected=fp\n", reg.ty)
            }
        }
    }

    /// Memory whose size the next register, `regno`, says.
    pub(crate) fn check_sized_memory(&mut self, regno: u8, access: Access, zero: bool, call: &mut Indirect) -> Check {
        let reg = *self.reg(regno);
        call.largest = reg.val.wide.umax;
        let constant = reg.val.value().is_some();
        if reg.val.wide.smin < 0 {
            reject!(self, EACCES, "R{regno} min value is negative, either use unsigned or 'var &= const'\n");
        }
        if reg.val.wide.umin == 0 && !zero {
            reject!(
                self,
                EACCES,
                "R{regno} invalid zero-sized read: u64=[{},{}]\n",
                reg.val.wide.umin as i64,
                reg.val.wide.umax as i64
            );
        }
        if reg.val.wide.umax >= MAX_VAR_SIZE {
            reject!(self, EACCES, "R{regno} unbounded memory access, use 'var &= const' or 'if (var < const)'\n");
        }
        // Less than the largest size may be written: then what was there has to be initialised.
        let call = constant.then_some(call);
        self.check_helper_memory(regno - 1, reg.val.wide.umax as i64, access, zero, call)?;
        self.mark_precise(regno)
    }

    /// Memory of a known size that a global function may read and write.
    pub(crate) fn check_argument_memory(&mut self, regno: u8, size: u32) -> Check {
        let saved = *self.reg(regno);
        if saved.is_null() {
            return Ok(());
        }
        if saved.ty.maybe_null() {
            let not_null = self.not_null(saved);
            *self.reg_mut(regno) = not_null;
        }
        let checked = self
            .check_helper_memory(regno, size.into(), Access::Read, true, None)
            .and_then(|()| self.check_helper_memory(regno, size.into(), Access::Write, true, None));
        if saved.ty.maybe_null() {
            *self.reg_mut(regno) = saved;
        }
        checked
    }

    /// Writes byte by byte what a helper fills on the stack.
    pub(crate) fn write_filled(&mut self, call: &Indirect) -> Check {
        let Some((regno, size)) = call.written else { return Ok(()) };
        for at in 0..size {
            self.check_access(regno, at, 1, Access::Write, Value::None, false, false)?;
        }
        Ok(())
    }
}
