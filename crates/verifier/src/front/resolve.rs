//! `ld_imm64` and the maps that it names; operation codes that no kernel knows.

use crate::{
    program::{Map, Variable},
    stop::{Check, refuse, reject},
    verifier::Verifier,
};
use alveary_abi::{MapType as M, ProgSet, ProgType as P, Rule, SpecialKind, flags::BPF_F_SLEEPABLE};
use alveary_btf::{Btf, Type, TypeId};
use alveary_isa::Inst;
use std::sync::Arc;

const LD_IMM64: u8 = 0x18;
/// The largest offset into a value that an instruction may name.
const MOST: u32 = 1 << 29;

/// Operation codes that not all kernels have: of other instructions of theirs only the fields are new.
const LATER: &[(u8, Rule)] = &[(0x06, Rule::FarJumps), (0xd7, Rule::Version4), (0xe5, Rule::MayGoto)];

/// Every slot, in order.
pub(super) fn check(v: &mut Verifier<'_>) -> Check {
    let len = v.program.len();
    let mut seen = Vec::new();
    let mut at = 0;
    while at < len {
        let slot = v.program.slot(at);
        if slot.op & 7 == 1 && (!matches!(slot.op & 0xe0, 0x60 | 0x80) || slot.imm != 0) {
            reject!(v, EINVAL, "BPF_LDX uses reserved fields\n");
        }
        if slot.op != LD_IMM64 {
            if !known(slot.op) || LATER.iter().any(|(op, rule)| *op == slot.op && !v.profile.has(*rule)) {
                reject!(v, EINVAL, "unknown opcode {:02x}\n", slot.op);
            }
            at += 1;
            continue;
        }
        let second = (at + 1 < len).then(|| v.program.slot(at + 1));
        if second.is_none_or(|s| s.op != 0 || s.dst.0 != 0 || s.src.0 != 0 || s.off != 0) {
            reject!(v, EINVAL, "invalid bpf_ld_imm64 insn\n");
        }
        match v.program.inst(at) {
            Some(Inst::MapIdx { idx, .. }) => check_map(v, idx, None, &mut seen)?,
            Some(Inst::MapValueIdx { idx, off, .. }) => check_map(v, idx, Some(off), &mut seen)?,
            Some(Inst::VarAddr { btf_id, btf_fd, .. }) => {
                let found = variable(v, btf_id, btf_fd)?;
                v.program.variables.insert(at, found);
            }
            Some(Inst::LoadImm64 { .. } | Inst::FuncAddr { .. }) => {}
            _ if slot.src.0 == 0 => {}
            _ => reject!(v, EINVAL, "unrecognized bpf_ld_imm64 insn\n"),
        }
        at += 2;
    }
    Ok(())
}

fn check_map(v: &mut Verifier<'_>, idx: u32, off: Option<u32>, seen: &mut Vec<u32>) -> Check {
    let Some(map) = v.program.maps.get(idx as usize).cloned() else {
        reject!(v, EINVAL, "fd_idx without fd_array is invalid\n");
    };
    if !seen.contains(&idx) {
        if seen.len() as u32 >= v.profile.limits.maps {
            reject!(
                v,
                E2BIG,
                "The total number of maps per program has reached the limit of {}\n",
                v.profile.limits.maps
            );
        }
        seen.push(idx);
        compatible(v, &map)?;
    }
    let Some(off) = off else { return Ok(()) };
    if off >= MOST {
        reject!(v, EINVAL, "direct value offset of {off} is not allowed\n");
    }
    if map.ty == M::ARENA {
        return Ok(());
    }
    if map.ty != M::ARRAY {
        reject!(v, EINVAL, "no direct value access support for this map type\n");
    }
    if !map.has_direct_value() || off >= map.value_size {
        reject!(v, EINVAL, "invalid access to map value pointer, value_size={} off={off}\n", map.value_size);
    }
    Ok(())
}

/// What a variable of the kernel is to programs, and a function, of which nothing can be read.
fn variable(v: &mut Verifier<'_>, id: u32, module: i32) -> Check<Variable> {
    const PER_CPU: &str = ".data..percpu";
    let Some(btf) = types(v, module) else { refuse!("a variable of a kernel whose types are not known") };
    let ty = match btf.ty(TypeId(id)) {
        None => reject!(v, ENOENT, "ldimm64 insn specifies invalid btf_id {id}.\n"),
        Some(Type::Func { .. }) => return Ok(Variable::Memory(0)),
        Some(Type::Var { ty, .. }) => ty,
        Some(_) => reject!(v, EINVAL, "pseudo btf_id {id} in ldimm64 isn't KIND_VAR or KIND_FUNC\n"),
    };
    let mut sections = btf.ids().filter_map(|id| btf.ty(id));
    let per_cpu = |found: Type<'_>| match found {
        Type::DataSec(section) if section.name == PER_CPU => section.vars().any(|var| var.ty == TypeId(id)),
        _ => false,
    };
    let per_cpu = sections.any(per_cpu);
    let object = matches!(btf.resolved(ty), Type::Struct(_) | Type::Union(_));
    if module != 0 && (per_cpu || object) {
        refuse!("a variable of a module that is a struct or one for each CPU");
    }
    if per_cpu {
        return Ok(Variable::PerCpu(ty));
    }
    if object {
        return Ok(Variable::Object(ty));
    }
    match btf.size_of(ty) {
        Some(size) => Ok(Variable::Memory(size)),
        None => reject!(v, EINVAL, "ldimm64 unable to resolve the size of type '{}': -22\n", btf.resolved(ty).name()),
    }
}

/// The types of the kernel, or of the module that the program counts as this one, from 1.
fn types(v: &Verifier<'_>, module: i32) -> Option<Arc<Btf>> {
    let Some(at) = usize::try_from(module).ok()?.checked_sub(1) else { return v.env.kernel.btf.clone() };
    let name = v.program.program.modules.get(at)?;
    let found = v.env.kernel.modules.all().iter().find(|module| module.name == *name)?;
    Some(found.btf.clone())
}

/// Whether programs of this type may use the map at all.
fn compatible(v: &mut Verifier<'_>, map: &Map) -> Check {
    let tracing =
        ProgSet::of(&[P::KPROBE, P::TRACEPOINT, P::PERF_EVENT, P::RAW_TRACEPOINT, P::RAW_TRACEPOINT_WRITABLE])
            .has(v.program.program.ty);
    let has = |kind| map.special(kind).is_some();
    if tracing && (has(SpecialKind::ListHead) || has(SpecialKind::RbRoot)) {
        reject!(v, EINVAL, "tracing progs cannot use bpf_{{list_head,rb_root}} yet\n");
    }
    if has(SpecialKind::SpinLock) {
        if v.program.program.ty == P::SOCKET_FILTER {
            reject!(v, EINVAL, "socket filter progs cannot use bpf_spin_lock yet\n");
        }
        if tracing {
            reject!(v, EINVAL, "tracing progs cannot use bpf_spin_lock yet\n");
        }
    }
    if tracing && has(SpecialKind::Timer) {
        reject!(v, EINVAL, "tracing progs cannot use bpf_timer yet\n");
    }
    if tracing && has(SpecialKind::Workqueue) {
        reject!(v, EINVAL, "tracing progs cannot use bpf_wq yet\n");
    }
    if map.ty == M::STRUCT_OPS {
        reject!(v, EINVAL, "bpf_struct_ops map cannot be used in prog\n");
    }
    if v.program.program.flags & BPF_F_SLEEPABLE != 0 && !SLEEPERS.contains(&map.ty) {
        reject!(v, EINVAL, "Sleepable programs can only use array, hash, ringbuf and local storage maps\n");
    }
    Ok(())
}

/// Maps for programs that may sleep.
const SLEEPERS: [M; 17] = [
    M::HASH,
    M::LRU_HASH,
    M::ARRAY,
    M::PERCPU_HASH,
    M::PERCPU_ARRAY,
    M::LRU_PERCPU_HASH,
    M::ARRAY_OF_MAPS,
    M::HASH_OF_MAPS,
    M::RINGBUF,
    M::USER_RINGBUF,
    M::INODE_STORAGE,
    M::SK_STORAGE,
    M::TASK_STORAGE,
    M::CGRP_STORAGE,
    M::QUEUE,
    M::STACK,
    M::ARENA,
];

/// Whether any kernel has this operation code.
fn known(op: u8) -> bool {
    let operation = op & 0xf0;
    match op & 7 {
        // ld: abs and ind of 1, 2 and 4 bytes, imm of 8.
        0 => matches!(op, 0x18 | 0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50),
        // ldx: mem, and memsx of 1, 2 and 4 bytes.
        1 => op & 0xe0 == 0x60 || op & 0xe0 == 0x80 && op & 0x18 != 0x18,
        2 => op & 0xe0 == 0x60,
        // stx: mem; atomic of any size (load_acquire and store_release are that).
        3 => matches!(op & 0xe0, 0x60 | 0xc0),
        4 => operation <= 0xd0 && op != 0x8c,
        7 => operation <= 0xd0 && !matches!(op, 0x8f | 0xdf),
        5 => operation <= 0xe0 && !matches!(op, 0x8d | 0x9d | 0xed | 0x0d),
        _ => operation <= 0xd0 && !matches!(op, 0x0e | 0x86 | 0x8e | 0x96 | 0x9e),
    }
}
