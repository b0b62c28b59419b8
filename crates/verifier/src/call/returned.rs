//! What a helper gives back.

use super::helper::Call;
use crate::{
    limits::MAX_ERRNO,
    state::{Flags, Kind, Reg, Type},
    stop::{Check, refuse, reject},
    verifier::Verifier,
};
use alveary_abi::{HelperId as H, MapType as M, MemSize, Ret, SpecialKind, flags};
use alveary_btf::Type as Btype;

/// Those that give the same socket by another type.
const CASTS: [H; 8] = [
    H::TCP_SOCK,
    H::SK_FULLSOCK,
    H::SKC_TO_TCP_SOCK,
    H::SKC_TO_TCP6_SOCK,
    H::SKC_TO_UDP6_SOCK,
    H::SKC_TO_MPTCP_SOCK,
    H::SKC_TO_TCP_TIMEWAIT_SOCK,
    H::SKC_TO_TCP_REQUEST_SOCK,
];

impl Verifier<'_> {
    pub(super) fn set_returned(&mut self, call: &Call, name: &str) -> Check {
        let socket = |kind| Reg::pointer(Type::of(kind).or_null());
        let value = |ty: Type| Reg { map_uid: call.map_uid, ..Reg::map_pointer(ty, call.map.unwrap_or_default()) };
        let mut reg = match call.proto.ret {
            Ret::Scalar => Reg::UNKNOWN,
            Ret::Void => Reg::UNINIT,
            Ret::MapValueOrNull if self.finds(call) => value(Type::of(Kind::MapValue)),
            Ret::MapValueOrNull => value(Type::of(Kind::MapValue).or_null()),
            Ret::MapValue => value(Type::of(Kind::MapValue)),
            Ret::MemOrNull { size } => {
                let size = if let MemSize::Fixed(size) = size { size } else { call.alloc_size };
                let flags = if call.proto.effects.acquires { Flags::RINGBUF } else { Flags::NONE };
                Reg { extra: size, ..Reg::pointer(Type::of(Kind::Mem).or_null().with(flags)) }
            }
            Ret::SocketOrNull => socket(Kind::Socket),
            Ret::TcpSockOrNull => socket(Kind::TcpSock),
            Ret::SockCommonOrNull => socket(Kind::SockCommon),
            Ret::Btf(object) => self.returned_object(call, name, object, trust(call.id))?,
            Ret::BtfOrNull(object) => self.returned_object(call, name, object, Flags::MAYBE_NULL)?,
            Ret::KptrOrNull => refuse!("a kernel pointer out of a map value"),
            Ret::PerCpuVar => self.returned_variable(call, Flags::NONE)?,
            Ret::PerCpuVarOrNull => self.returned_variable(call, Flags::MAYBE_NULL)?,
            Ret::DynptrDataOrNull => {
                let ty = Type::of(Kind::Mem).or_null();
                Reg { extra: call.alloc_size, map_uid: call.dynptr, ..Reg::pointer(ty) }
            }
        };
        if matches!(call.proto.ret, Ret::MapValueOrNull | Ret::MapValue) && call.map.is_none() {
            reject!(self, EINVAL, "kernel subsystem misconfigured verifier\n");
        }
        let map = call.map.map(|map| &self.program.maps[map as usize]);
        if self.recorder.is_some() && self.finds(call) && call.map.is_some_and(|map| self.may_be_smaller(map)) {
            // Linux goes by the template's size.
            refuse!("an entry by its number in an inner map of any size");
        }
        let sure = reg.ty == Type::of(Kind::MapValue);
        let lock = sure && map.is_some_and(|m| m.special(SpecialKind::SpinLock).is_some());
        let socket = call.id == H::MAP_LOOKUP_ELEM && map.is_some_and(|m| matches!(m.ty, M::SOCKMAP | M::SOCKHASH));
        if reg.ty.maybe_null() || lock {
            reg.id = self.next_id();
        }
        if CASTS.contains(&call.id) {
            reg.ref_id = call.ref_id;
        } else if call.proto.effects.acquires || socket {
            reg.id = self.acquire();
            reg.ref_id = reg.id;
        }
        self.refine(&mut reg, call);
        *self.reg_mut(0) = reg;
        Ok(())
    }

    /// An object of the kernel.
    fn returned_object(&mut self, call: &Call, name: &str, object: &str, flags: Flags) -> Check<Reg> {
        // The number of the kernel's kind of result.
        const OBJECT: u32 = 8;
        match self.object_named(object, flags)? {
            Some(reg) => Ok(reg),
            None => reject!(self, EINVAL, "invalid return type {OBJECT} of func bpf_{name}#{}\n", call.id.0),
        }
    }

    /// What a variable is on one CPU: an object, or memory that is read.
    fn returned_variable(&mut self, call: &Call, flags: Flags) -> Check<Reg> {
        let btf = self.kernel_types()?;
        let Some(ty) = call.variable else { refuse!("a variable of the kernel that is not known") };
        if matches!(btf.resolved(ty), Btype::Struct(_) | Btype::Union(_)) {
            return Ok(Reg::object(ty, flags));
        }
        match btf.size_of(ty) {
            Some(size) => Ok(Reg::memory(size, flags.with(Flags::READ_ONLY))),
            None => {
                let name = btf.resolved(ty).name();
                reject!(self, EINVAL, "unable to resolve the size of type '{name}': -22\n")
            }
        }
    }

    /// Whether a lookup cannot fail: an array's entries are there.
    fn finds(&self, call: &Call) -> bool {
        let Some(map) = call.map.filter(|map| call.id == H::MAP_LOOKUP_ELEM && self.knows_entries(*map)) else {
            return false;
        };
        call.key.is_some_and(|key| key < u64::from(self.program.maps[map as usize].max_entries))
    }

    /// Whether a map stands for inner maps that may have fewer entries: only plain arrays must have as many.
    fn may_be_smaller(&self, map: u32) -> bool {
        let template = &self.program.maps[map as usize];
        let fixed = template.ty == M::ARRAY && template.flags & flags::BPF_F_INNER_MAP == 0;
        !fixed && self.program.maps.iter().any(|outer| outer.inner == Some(map))
    }

    /// Ranges of a few results.
    fn refine(&self, reg: &mut Reg, call: &Call) {
        match call.id {
            H::GET_STACK
            | H::GET_TASK_STACK
            | H::PROBE_READ_STR
            | H::PROBE_READ_KERNEL_STR
            | H::PROBE_READ_USER_STR => {
                let largest = call.memory.largest as i64;
                (reg.val.wide.smin, reg.val.wide.smax) = (-MAX_ERRNO, largest);
                (reg.val.half.smin, reg.val.half.smax) = (-MAX_ERRNO, i64::from(largest as i32));
                reg.val.sync();
            }
            H::GET_SMP_PROCESSOR_ID => {
                let last = u64::from(self.env.kernel.cpus.max(1)) - 1;
                (reg.val.wide.umin, reg.val.wide.umax) = (0, last);
                (reg.val.wide.smin, reg.val.wide.smax) = (0, last as i64);
                (reg.val.half.umin, reg.val.half.umax) = (0, last);
                (reg.val.half.smin, reg.val.half.smax) = (0, last as i64);
                reg.val.sync();
            }
            _ => {}
        }
    }
}

/// Whether the kernel vouches for the object that a helper gives.
fn trust(id: H) -> Flags {
    if id == H::GET_CURRENT_TASK_BTF { Flags::TRUSTED } else { Flags::NONE }
}
