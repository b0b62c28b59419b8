//! Objects of the kernel: what may be read of them stands in the kernel's types.

use super::Access;
use crate::{
    state::{Flags, Reg},
    stop::{Check, Stop, refuse, reject},
    verifier::Verifier,
    walk::{self, Found},
};
use alveary_abi::{MapType, Rule};
use alveary_btf::{Btf, Kind as BtfKind, TypeId};

impl<'a> Verifier<'a> {
    /// A pointer to one of the kernel's structs, by the struct's name. `None` if the kernel has no such struct.
    pub(crate) fn object_named(&self, name: &str, flags: Flags) -> Check<Option<Reg>> {
        Ok(self.kernel_types()?.find(name, BtfKind::Struct).map(|ty| Reg::object(ty, flags)))
    }

    /// The kernel's types.
    pub(crate) fn kernel_types(&self) -> Check<&'a Btf> {
        match &self.env.kernel.btf {
            Some(btf) => Ok(btf),
            None => refuse!("an object of a kernel whose types are not known"),
        }
    }

    /// One access to an object; what a load gives.
    pub(super) fn access_object(&mut self, regno: u8, off: i64, size: i64, access: Access) -> Check<Reg> {
        let reg = *self.reg(regno);
        let btf = self.kernel_types()?;
        let ty = TypeId(reg.extra);
        let name = btf.name(ty);
        if !self.env.caps.perfmon {
            reject!(self, EPERM, "'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n");
        }
        if !self.program.gpl {
            reject!(self, EINVAL, "Cannot access kernel 'struct {name}' from non-GPL compatible program\n");
        }
        if off < 0 {
            reject!(self, EACCES, "R{regno} is ptr_{name} invalid negative access: off={off}\n");
        }
        if reg.val.value() != Some(0) {
            let var = reg.val.bits;
            reject!(self, EACCES, "R{regno} is ptr_{name} invalid variable offset: off={off}, var_off={var}\n");
        }
        if reg.ty.flags.has(Flags::USER) {
            reject!(self, EACCES, "R{regno} is ptr_{name} access user memory: off={off}\n");
        }
        if reg.ty.flags.has(Flags::PER_CPU) {
            reject!(self, EACCES, "R{regno} is ptr_{name} access percpu memory: off={off}\n");
        }
        if access == Access::Write {
            reject!(self, EACCES, "only read is supported\n");
        }
        let found = self.walk(ty, off, size)?;
        let Found::Object { to, member, flags } = found else { return Ok(self.loaded(found)) };
        let flags = self.trust_in(&reg, btf, (member, to), flags);
        Ok(self.loaded(Found::Object { to, member, flags }))
    }

    /// How far a pointer is trusted that was loaded from another.
    fn trust_in(&self, from: &Reg, btf: &Btf, (member, to): (&str, TypeId), flags: Flags) -> Flags {
        let distrusted = flags.without(Flags::TRUSTED).without(Flags::RCU);
        if from.ty.untrusted() {
            return Flags::UNTRUSTED;
        }
        if !from.is_trusted() && !from.ty.flags.has(Flags::RCU) {
            // What helpers gave before there was trust.
            return distrusted;
        }
        let listed = |suffix| walk::is_listed(btf, TypeId(from.extra), member, to, suffix);
        if listed("__safe_trusted") {
            return flags.with(Flags::TRUSTED);
        }
        if listed("__safe_trusted_or_null") {
            return flags.with(Flags::TRUSTED).with(Flags::MAYBE_NULL);
        }
        let waits_for_nothing = self.cur.lock.is_some() || !self.cur.in_sleepable;
        if !waits_for_nothing || from.ty.maybe_null() {
            return Flags::UNTRUSTED;
        }
        if listed("__safe_rcu") {
            return flags.with(Flags::RCU);
        }
        let or_null = listed("__safe_rcu_or_null");
        if flags.has(Flags::RCU) || or_null {
            let flags = flags.with(Flags::RCU).with(Flags::MAYBE_NULL);
            return if or_null { flags.without(Flags::UNTRUSTED) } else { flags };
        }
        if flags.has(Flags::PER_CPU.with(Flags::USER)) { flags } else { distrusted }
    }

    /// Fields of the kernel's struct behind a map.
    pub(super) fn access_map(&mut self, regno: u8, off: i64, size: i64, access: Access) -> Check<Reg> {
        let name = struct_of(self.program.maps[self.reg(regno).extra as usize].ty);
        if !self.env.caps.perfmon {
            reject!(self, EPERM, "'struct {name}' access is allowed only to CAP_PERFMON and CAP_SYS_ADMIN\n");
        }
        if off < 0 {
            reject!(self, EACCES, "R{regno} is {name} invalid negative access: off={off}\n");
        }
        if access == Access::Write {
            reject!(self, EACCES, "only read from {name} is supported\n");
        }
        let Some(map) = self.object_named(name, Flags::NONE)? else {
            refuse!("the kernel's struct {name}, of which nothing is known");
        };
        let found = self.walk(TypeId(map.extra), off, size)?;
        Ok(self.loaded(found))
    }

    fn walk(&mut self, ty: TypeId, off: i64, size: i64) -> Check<Found<'a>> {
        self.record_kernel_memory();
        let btf = self.kernel_types()?;
        let (off, size) = (u32::try_from(off).unwrap_or(u32::MAX), u32::try_from(size).unwrap_or(u32::MAX));
        walk::load(btf, ty, off, size).map_err(|missed| {
            self.log.say(format_args!("{}", missed.message));
            Stop::Rejected(missed.errno)
        })
    }

    fn loaded(&mut self, found: Found<'_>) -> Reg {
        match found {
            Found::Number => Reg::UNKNOWN,
            Found::Pointer if !self.profile.has(Rule::WalkedMemory) => Reg::UNKNOWN,
            Found::Pointer => Reg::ANYWHERE,
            Found::Object { to, flags, .. } => {
                let id = if flags.has(Flags::MAYBE_NULL) { self.next_id() } else { 0 };
                Reg { id, ..Reg::object(to, flags) }
            }
        }
    }

    /// The kernel's type of a struct that a helper takes.
    pub(crate) fn object_type(&self, name: &str) -> Check<TypeId> {
        match self.kernel_types()?.find(name, BtfKind::Struct) {
            Some(ty) => Ok(ty),
            None => refuse!("an argument of the kernel's struct {name}, of which nothing is known"),
        }
    }

    /// That a register points to an object of this type.
    pub(crate) fn check_object(&mut self, regno: u8, wanted: TypeId, strict: bool) -> Check {
        let reg = *self.reg(regno);
        let (btf, ty) = (self.kernel_types()?, TypeId(reg.extra));
        let off = u32::try_from(reg.off).unwrap_or(u32::MAX);
        let fits = walk::is_one(btf, ty, off, wanted, strict).unwrap_or_else(|missed| {
            self.log.say(format_args!("{}", missed.message));
            false
        });
        if !fits {
            let (found, wanted) = (btf.name(ty), btf.name(wanted));
            reject!(self, EACCES, "R{regno} is of type {found} but {wanted} is expected\n");
        }
        Ok(())
    }
}

/// The kernel's struct behind a map.
fn struct_of(ty: MapType) -> &'static str {
    use MapType as M;
    match ty {
        M::HASH | M::PERCPU_HASH | M::LRU_HASH | M::LRU_PERCPU_HASH | M::HASH_OF_MAPS => "bpf_htab",
        M::ARRAY | M::PERCPU_ARRAY | M::PROG_ARRAY | M::PERF_EVENT_ARRAY | M::CGROUP_ARRAY | M::ARRAY_OF_MAPS => {
            "bpf_array"
        }
        M::LPM_TRIE => "lpm_trie",
        M::STACK_TRACE => "bpf_stack_map",
        M::RINGBUF | M::USER_RINGBUF => "bpf_ringbuf_map",
        M::QUEUE | M::STACK => "bpf_queue_stack",
        M::DEVMAP | M::DEVMAP_HASH => "bpf_dtab",
        M::CPUMAP => "bpf_cpu_map",
        M::XSKMAP => "xsk_map",
        M::SOCKMAP => "bpf_stab",
        M::SOCKHASH => "bpf_shtab",
        M::REUSEPORT_SOCKARRAY => "reuseport_array",
        M::BLOOM_FILTER => "bpf_bloom_filter",
        M::SK_STORAGE | M::INODE_STORAGE | M::TASK_STORAGE | M::CGRP_STORAGE => "bpf_local_storage_map",
        M::CGROUP_STORAGE | M::PERCPU_CGROUP_STORAGE => "bpf_cgroup_storage_map",
        M::STRUCT_OPS => "bpf_struct_ops_map",
        M::ARENA => "bpf_arena",
        _ => "bpf_map",
    }
}
