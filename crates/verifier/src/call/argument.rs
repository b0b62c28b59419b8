//! One argument of a helper, held against its row.

use super::helper::Call;
use crate::{
    memory::Access,
    state::{Byte, Flags, Kind, Reg, Type},
    stop::{Check, refuse, reject},
    verifier::Verifier,
};
use alveary_abi::{Arg, HelperId, MapType as M, MemAccess, MemSize, Rule};
use alveary_btf::TypeId;

/// What memory may be, where a helper takes any.
const MEMORY: &[&str] = &["fp", "pkt", "pkt_meta", "map_key", "map_value", "mem", "ringbuf_mem", "buf", "trusted_ptr_"];
const SOCKETS: &[&str] = &["sock_common", "sock", "tcp_sock", "xdp_sock", "ptr_", "trusted_ptr_"];
const OBJECTS: &[&str] = &["ptr_", "trusted_ptr_", "rcu_ptr_"];
/// What the kernel says of objects that may be given to helpers.
const GIVEN: &[Flags] = &[Flags::NONE, Flags::TRUSTED, Flags::RCU];
const PER_CPU: &[&str] = &["percpu_ptr_", "percpu_rcu_ptr_", "percpu_trusted_ptr_"];

impl Verifier<'_> {
    /// Argument `n`, from 0.
    pub(super) fn check_argument(&mut self, n: usize, call: &mut Call) -> Check {
        let regno = n as u8 + 1;
        let mut arg = call.proto.args[n];
        if arg == Arg::None {
            return Ok(());
        }
        self.check_read(regno)?;
        if arg == Arg::Any {
            if self.leaks(regno) {
                reject!(self, EACCES, "R{regno} leaks addr into helper function\n");
            }
            return Ok(());
        }
        let reg = *self.reg(regno);
        if reg.ty.is_packet() && !self.may_pass_packet(call.proto.packet_memory) {
            reject!(self, EACCES, "helper access to the packet is not allowed\n");
        }
        if let Arg::MapValue { .. } = arg {
            arg = self.resolve_value(arg, call)?;
        }
        if !(reg.is_null() && takes_null(arg)) {
            self.check_kind(regno, arg, call)?;
            self.check_argument_offset(regno, call.releases(n))?;
        }
        self.check_reference(regno, n, arg, call)?;
        self.check_meaning(regno, arg, call)
    }

    /// What stands for a map's value depends on the map.
    fn resolve_value(&mut self, arg: Arg, call: &Call) -> Check<Arg> {
        let Some(map) = call.map else {
            reject!(self, EACCES, "invalid map_ptr to access map->type\n");
        };
        match self.program.maps[map as usize].ty {
            M::SOCKMAP | M::SOCKHASH => match arg {
                Arg::MapValue { access: MemAccess::Read, or_null: false } => Ok(Arg::SockCommon { or_null: false }),
                _ => reject!(self, EINVAL, "invalid arg_type for sockmap/sockhash\n"),
            },
            M::BLOOM_FILTER if call.id == HelperId::MAP_PEEK_ELEM => {
                Ok(Arg::MapValue { access: MemAccess::Read, or_null: false })
            }
            _ => Ok(arg),
        }
    }

    fn check_kind(&mut self, regno: u8, arg: Arg, call: &Call) -> Check {
        let reg = *self.reg(regno);
        let mut ty = reg.ty;
        if takes_null(arg) {
            ty = ty.without(Flags::MAYBE_NULL);
        }
        if matches!(arg, Arg::Mem { access: MemAccess::Read, .. } | Arg::ConstStr) {
            ty = ty.without(Flags::READ_ONLY);
        }
        let is = |kind| ty == Type::of(kind);
        let object = |flags: &[Flags]| flags.iter().any(|flags| ty == Type::of(Kind::Object).with(*flags));
        let one = |kind| (is(kind), kind);
        let (fits, expected): (bool, &[&str]) = match arg {
            Arg::MapKey | Arg::MapValue { .. } | Arg::Mem { .. } => {
                let plain =
                    [Kind::Stack, Kind::Packet, Kind::PacketMeta, Kind::MapKey, Kind::MapValue, Kind::Mem, Kind::Buf];
                let lent = ty == Type::of(Kind::Mem).with(Flags::RINGBUF);
                (plain.into_iter().any(is) || lent || object(&[Flags::TRUSTED]), MEMORY)
            }
            Arg::Size { .. } | Arg::AllocSize => (is(Kind::Scalar), &["scalar"]),
            Arg::Map => (one(Kind::MapPtr).0, &["map_ptr"]),
            Arg::Ctx { .. } => (is(Kind::Ctx), &["ctx"]),
            Arg::SockCommon { .. } => {
                let plain = [HelperId::SK_FULLSOCK, HelperId::TCP_SOCK, HelperId::GET_LISTENER_SOCK];
                let plain = plain.contains(&call.id);
                let fits = ty.is_socket() && !ty.maybe_null() || !plain && object(&[Flags::NONE, Flags::TRUSTED]);
                (fits, if plain { &SOCKETS[..4] } else { SOCKETS })
            }
            Arg::Socket { .. } => (is(Kind::Socket), &["sock"]),
            Arg::AllocMem => (ty == Type::of(Kind::Mem).with(Flags::RINGBUF), &["ringbuf_mem"]),
            Arg::Callback { .. } => (is(Kind::Func), &["func"]),
            Arg::CallbackCtx => (is(Kind::Stack), &["fp"]),
            Arg::ConstStr | Arg::Timer => (is(Kind::MapValue), &["map_value"]),
            Arg::SpinLock | Arg::Kptr => (is(Kind::MapValue), &["map_value", "ptr_"]),
            Arg::Btf { per_cpu: true, .. } => {
                let each = Flags::PER_CPU;
                (object(&[each, each.with(Flags::RCU), each.with(Flags::TRUSTED)]), PER_CPU)
            }
            Arg::Btf { .. } => (object(GIVEN), OBJECTS),
            Arg::Dynptr { .. } => (is(Kind::Stack) || is(Kind::Dynptr), &["fp", "dynptr_ptr"]),
            Arg::None | Arg::Any => (true, &[]),
        };
        if fits {
            return if reg.ty.kind == Kind::Object { self.check_object_kind(regno, arg, call) } else { Ok(()) };
        }
        reject!(self, EACCES, "R{regno} type={} expected={}\n", reg.ty, expected.join(", "))
    }

    /// Whether an object of the kernel is one that the argument may be.
    fn check_object_kind(&mut self, regno: u8, arg: Arg, call: &Call) -> Check {
        let ty = self.reg(regno).ty;
        let name = match arg {
            Arg::Btf { per_cpu: true, .. } | Arg::Mem { access: MemAccess::Read, .. } | Arg::ConstStr => return Ok(()),
            Arg::MapKey | Arg::MapValue { .. } | Arg::Mem { .. } => {
                let name = self.helper_name(call.id);
                reject!(self, EACCES, "bpf_{name}() may write into memory pointed by R{regno} type={ty}\n");
            }
            Arg::Btf { name, .. } => name,
            _ => "sock_common",
        };
        if ty.maybe_null() && (!takes_null(arg) || call.releases(usize::from(regno) - 1)) {
            reject!(self, EACCES, "Possibly NULL pointer passed to helper arg{regno}\n");
        }
        let strict = call.releases(usize::from(regno) - 1) && call.id != HelperId::SK_RELEASE;
        let wanted = self.object_type(name)?;
        self.check_object(regno, wanted, strict)
    }

    /// An argument of a global function that is an object of the kernel.
    pub(super) fn check_object_argument(&mut self, regno: u8, wanted: TypeId, or_null: bool) -> Check {
        let reg = *self.reg(regno);
        let ty = if or_null { reg.ty.without(Flags::MAYBE_NULL) } else { reg.ty };
        if !GIVEN.iter().any(|flags| ty == Type::of(Kind::Object).with(*flags)) {
            reject!(self, EACCES, "R{regno} type={} expected={}\n", reg.ty, OBJECTS.join(", "));
        }
        self.check_object(regno, wanted, false)?;
        self.check_argument_offset(regno, false)
    }

    fn helper_name(&self, id: HelperId) -> &'static str {
        self.profile.helper(id).map_or("unknown", |row| row.name)
    }

    /// How far behind its base a pointer may be.
    pub(super) fn check_argument_offset(&mut self, regno: u8, released: bool) -> Check {
        let reg = *self.reg(regno);
        if released {
            if reg.off != 0 {
                reject!(
                    self,
                    EINVAL,
                    "R{regno} must have zero offset when passed to release func or trusted arg to kfunc\n"
                );
            }
            return self.check_fixed_offset(regno, false);
        }
        let free = matches!(
            reg.ty.kind,
            Kind::Stack
                | Kind::Packet
                | Kind::PacketMeta
                | Kind::MapKey
                | Kind::MapValue
                | Kind::Mem
                | Kind::Buf
                | Kind::Scalar
        ) && !reg.ty.maybe_null();
        let object = reg.ty.kind == Kind::Object && GIVEN.contains(&reg.ty.flags);
        if free { Ok(()) } else { self.check_fixed_offset(regno, object) }
    }

    /// References that are passed, and given back.
    fn check_reference(&mut self, regno: u8, n: usize, arg: Arg, call: &mut Call) -> Check {
        let reg = *self.reg(regno);
        if call.releases(n) && reg.ty.kind == Kind::Dynptr {
            reject!(self, EINVAL, "cannot release unowned const bpf_dynptr\n");
        }
        if call.releases(n) && reg.ref_id == 0 && !reg.is_null() {
            reject!(self, EINVAL, "R{regno} must be referenced when passed to release function\n");
        }
        if reg.ref_id != 0 && arg != Arg::Kptr {
            if call.ref_id != 0 {
                refuse!("a helper with two references");
            }
            call.ref_id = reg.ref_id;
        }
        Ok(())
    }

    fn check_meaning(&mut self, regno: u8, arg: Arg, call: &mut Call) -> Check {
        let reg = *self.reg(regno);
        match arg {
            Arg::Map => {
                if call.map.is_some_and(|map| map != reg.extra || call.map_uid != reg.map_uid) {
                    reject!(
                        self,
                        EINVAL,
                        "timer pointer in R1 map_uid={} doesn't match map pointer in R2 map_uid={}\n",
                        call.map_uid,
                        reg.map_uid
                    );
                }
                call.map = Some(reg.extra);
                call.map_uid = reg.map_uid;
                Ok(())
            }
            Arg::MapKey => {
                let Some(map) = call.map else {
                    reject!(self, EACCES, "invalid map_ptr to access map->key\n");
                };
                let size = self.program.maps[map as usize].key_size;
                self.check_helper_memory(regno, size.into(), Access::Read, false, None)?;
                if self.knows_entries(map) {
                    call.key = self.constant_key(regno, size as usize)?;
                }
                Ok(())
            }
            Arg::MapValue { access, or_null } => {
                if or_null && reg.is_null() {
                    return Ok(());
                }
                let Some(map) = call.map else {
                    reject!(self, EACCES, "invalid map_ptr to access map->value\n");
                };
                let size = self.program.maps[map as usize].value_size;
                call.memory.raw = access == MemAccess::Write;
                self.check_helper_memory(regno, size.into(), kind_of(access), false, Some(&mut call.memory))
            }
            Arg::Mem { access, size, aligned, .. } => {
                call.memory.raw = access == MemAccess::Write;
                call.access = kind_of(access);
                let MemSize::Fixed(size) = size else { return Ok(()) };
                self.check_helper_memory(regno, size.into(), kind_of(access), false, Some(&mut call.memory))?;
                if aligned { self.check_number_alignment(regno, size.into()) } else { Ok(()) }
            }
            Arg::Size { zero_ok } => self.check_sized_memory(regno, call.access, zero_ok, &mut call.memory),
            Arg::AllocSize => {
                let Some(size) = reg.val.value() else {
                    reject!(self, EACCES, "R{regno} is not a known constant'\n");
                };
                call.alloc_size = size as u32;
                self.mark_precise(regno)
            }
            Arg::SpinLock => self.check_spin_lock(regno, call.id == HelperId::SPIN_LOCK),
            Arg::Timer => {
                let (map, uid) = self.check_timer(regno)?;
                call.map = Some(map);
                call.map_uid = uid;
                Ok(())
            }
            Arg::Callback { .. } => {
                call.callback = Some(reg.extra);
                Ok(())
            }
            Arg::ConstStr => self.check_constant_string(regno),
            Arg::Dynptr { uninit, read_only, .. } => self.check_dynptr(regno, uninit, read_only, call),
            Arg::Kptr => refuse!("a kernel pointer in a map value"),
            Arg::Btf { per_cpu: true, .. } => {
                call.variable = reg.object_type();
                Ok(())
            }
            Arg::None
            | Arg::Any
            | Arg::Ctx { .. }
            | Arg::AllocMem
            | Arg::CallbackCtx
            | Arg::SockCommon { .. }
            | Arg::Socket { .. }
            | Arg::Btf { .. } => Ok(()),
        }
    }

    /// A dynptr that was lent may be read.
    fn check_dynptr(&mut self, regno: u8, uninit: bool, read_only: bool, call: &mut Call) -> Check {
        let reg = *self.reg(regno);
        if reg.ty.kind != Kind::Dynptr {
            refuse!("a dynptr");
        }
        if uninit {
            reject!(self, EINVAL, "Dynptr has to be an uninitialized dynptr\n");
        }
        if !read_only {
            reject!(self, EINVAL, "cannot pass pointer to const bpf_dynptr, the helper mutates it\n");
        }
        call.dynptr = reg.id;
        Ok(())
    }

    /// Whether a map's entries are all there from the start, and this kernel makes use of it: for those who have
    /// `CAP_BPF`.
    pub(super) fn knows_entries(&self, map: u32) -> bool {
        let ty = self.program.maps[map as usize].ty;
        matches!(ty, M::ARRAY | M::PERCPU_ARRAY) && self.profile.has(Rule::KnownEntries) && self.env.caps.bpf
    }

    /// The key on the stack, if it is a constant.
    fn constant_key(&mut self, regno: u8, size: usize) -> Check<Option<u64>> {
        let reg = *self.reg(regno);
        let Some(value) = reg.val.value().filter(|_| reg.ty.kind == Kind::Stack) else { return Ok(None) };
        let at = -(i64::from(reg.off) + value as i64) - 1;
        let (slot, byte) = (at as usize / 8, at as usize % 8);
        let Some(found) = self.cur.frame(reg.frame as usize).stack.get(slot).copied() else { return Ok(None) };
        let run = |wanted: Byte| found.bytes[..=byte].iter().rev().take_while(|b| **b == wanted).count();
        if run(Byte::Zero) >= size {
            return Ok(Some(0));
        }
        if !found.is_scalar_spill() || run(Byte::Spill) != size {
            return Ok(None);
        }
        let Some(key) = found.reg.val.value() else { return Ok(None) };
        self.mark_slot_precise(reg.frame as usize, slot)?;
        Ok(Some(key))
    }

    /// A string in a map that never changes.
    fn check_constant_string(&mut self, regno: u8) -> Check {
        let reg = *self.reg(regno);
        let map = &self.program.maps[reg.extra as usize];
        if map.constant.is_none() {
            reject!(self, EACCES, "R{regno} does not point to a readonly map'\n");
        }
        let Some(value) = reg.val.value() else {
            reject!(self, EACCES, "R{regno} is not a constant address'\n");
        };
        let rest = i64::from(map.value_size) - i64::from(reg.off);
        self.check_helper_memory(regno, rest, Access::Read, false, None)?;
        if self.text_at(&reg, value).is_none() {
            reject!(self, EINVAL, "string is not zero-terminated\n");
        }
        Ok(())
    }

    /// The bytes up to the NUL at a place in a constant map.
    pub(crate) fn text_at(&self, reg: &Reg, value: u64) -> Option<&[u8]> {
        let bytes = self.program.maps[reg.extra as usize].constant.as_ref()?;
        let at = usize::try_from(i64::from(reg.off) + value as i64).ok()?;
        let rest = bytes.get(at..)?;
        rest.iter().position(|byte| *byte == 0).map(|end| &rest[..end])
    }
}

fn kind_of(access: MemAccess) -> Access {
    if access == MemAccess::Read { Access::Read } else { Access::Write }
}

/// Whether NULL may be passed.
fn takes_null(arg: Arg) -> bool {
    match arg {
        Arg::Ctx { or_null }
        | Arg::MapValue { or_null, .. }
        | Arg::Mem { or_null, .. }
        | Arg::SockCommon { or_null }
        | Arg::Socket { or_null }
        | Arg::Btf { or_null, .. } => or_null,
        Arg::CallbackCtx => true,
        _ => false,
    }
}
