//! What the running kernel can do, found out by asking it: by making maps and loading programs, which go at once.
//!
//! A helper is there for a program type if a program of the type that calls it is not refused for the call. Loading is all
//! that is done: nothing is attached, nothing runs.

use crate::sys::{BtfLoad, LOG_BRANCHES, MapCreate, ProgLoad, page_size};
use alveary_abi::{
    AttachType, Errno, HelperId, MapType, ProgType, Tables,
    flags::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC, BPF_F_SLEEPABLE},
};
use alveary_btf::TypeId;
use alveary_isa::{Insn, Reg};
use std::{
    fs,
    os::fd::{AsFd, OwnedFd},
    sync::OnceLock,
};

/// Any function or struct of the kernel: these types of programs are for one.
const SOME_TYPE: TypeId = TypeId(1);
/// What kernels say of type 1, which is no function: they know the program type.
const NO_TARGET: [&str; 2] = ["attach_btf_id 1 ", "Cannot replace kernel functions"];
/// What kernels say of a helper that they do not have, or not for this program type.
const NO_HELPER: [&str; 3] = ["invalid func ", "unknown func ", "cannot use helper "];
/// `ENOTSUPP`, which user space knows no name for.
const ENOTSUPP: Errno = Errno(524);

const EXIT: Insn = Insn { op: 0x95, dst: Reg::R0, src: Reg::R0, off: 0, imm: 0 };
const SHORT_JUMP: i16 = 1;

/// Whether this kernel has bpf(2).
#[must_use]
pub fn syscall() -> bool {
    match (MapCreate { map_type: u32::MAX, ..MapCreate::default() }).create() {
        Err(error) => error.errno() != Errno::ENOSYS,
        Ok(_) => true,
    }
}

/// Whether this kernel has the program type; for a device: whether its driver translates such programs.
#[must_use]
pub fn prog_type(ty: ProgType, device: u32) -> bool {
    if device != 0 {
        // What a driver may refuse is an answer of 0.
        return load(ty, None, &[mov(2), EXIT], device).is_ok();
    }
    let insns = [mov(0), EXIT];
    if ty == ProgType::STRUCT_OPS {
        return refused(ty, None, &insns, |_, errno| errno == ENOTSUPP);
    }
    match targeted(ty) {
        [] => attach_types(ty).into_iter().any(|attach| load(ty, attach, &insns, 0).is_ok()),
        attach => attach
            .iter()
            .any(|attach| refused(ty, *attach, &insns, |log, _| NO_TARGET.iter().any(|text| log.contains(text)))),
    }
}

/// Whether programs of this type may call the helper: attached to one place or another. `None` for types of which no
/// program loads without a target, and so the kernel cannot be asked.
#[must_use]
pub fn helper(ty: ProgType, helper: HelperId, device: u32) -> Option<bool> {
    if !targeted(ty).is_empty() || ty == ProgType::STRUCT_OPS {
        return None;
    }
    let call = Insn { op: 0x85, imm: helper.0 as i32, ..Insn::default() };
    let has = |attach| match load(ty, attach, &[call, EXIT], device) {
        Ok(_) => true,
        Err(error) if error.errno() == Errno::EPERM => false,
        Err(error) => !error.log().is_empty() && !NO_HELPER.iter().any(|text| error.log().contains(text)),
    };
    Some(attach_types(ty).into_iter().any(has))
}

/// Whether this kernel has the map type; for a device: whether its driver has it.
#[must_use]
pub fn map_type(ty: MapType, device: u32) -> bool {
    let base = MapCreate {
        map_type: ty.0,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        ifindex: device,
        ..MapCreate::default()
    };
    let (types, inner);
    let create = match ty {
        MapType::STACK_TRACE => MapCreate { value_size: 8, ..base },
        MapType::LPM_TRIE => MapCreate { key_size: 8, value_size: 8, map_flags: BPF_F_NO_PREALLOC, ..base },
        MapType::CGROUP_STORAGE | MapType::PERCPU_CGROUP_STORAGE => {
            MapCreate { key_size: 16, value_size: 8, max_entries: 0, ..base }
        }
        MapType::QUEUE | MapType::STACK | MapType::BLOOM_FILTER => MapCreate { key_size: 0, ..base },
        MapType::SK_STORAGE | MapType::INODE_STORAGE | MapType::TASK_STORAGE | MapType::CGRP_STORAGE => {
            types = int_type();
            MapCreate {
                max_entries: 0,
                map_flags: BPF_F_NO_PREALLOC,
                btf: types.as_ref().map(|fd| fd.as_fd()),
                btf_key_type: TypeId(1),
                btf_value_type: TypeId(1),
                ..base
            }
        }
        MapType::RINGBUF | MapType::USER_RINGBUF => {
            MapCreate { key_size: 0, value_size: 0, max_entries: page_size(), ..base }
        }
        MapType::ARENA => MapCreate { key_size: 0, value_size: 0, map_flags: BPF_F_MMAPABLE, ..base },
        MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS => {
            inner = MapCreate { map_type: MapType::HASH.0, ..base }.create().ok();
            MapCreate { inner_map: inner.as_ref().map(|map| map.as_fd()), ..base }
        }
        MapType::STRUCT_OPS => {
            // Type 1 is none that a kernel interface has.
            let known = MapCreate { btf_vmlinux_value_type: SOME_TYPE, ..base }.create();
            return known.is_err_and(|error| error.errno() == ENOTSUPP);
        }
        _ => base,
    };
    create.create().is_ok()
}

/// Whether arrays can be mapped into user space: since Linux 5.5. The kernel is asked once.
#[must_use]
pub fn mappable_arrays() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let array = MapCreate {
            map_type: MapType::ARRAY.0,
            key_size: 4,
            value_size: 4,
            max_entries: 1,
            ..MapCreate::default()
        };
        let asked = MapCreate { map_flags: BPF_F_MMAPABLE, ..array }.create();
        // Who may make no maps learns nothing, and will be told when making one.
        !asked.is_err_and(|error| error.errno() == Errno::EINVAL)
    })
}

/// What instructions the kernel takes, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Feature {
    /// More than 4096 instructions.
    LargePrograms,
    BoundedLoops,
    /// Jumps if unsigned less, signed less.
    IsaV2,
    /// Jumps on 32 bits.
    IsaV3,
    /// Far jumps.
    IsaV4,
}

/// Whether this kernel has it.
#[must_use]
pub fn feature(feature: Feature, device: u32) -> bool {
    let jump = |op, off| Insn { op, off, ..Insn::default() };
    let insns = match feature {
        Feature::LargePrograms => {
            let mut insns = vec![mov(1); 4096];
            insns.push(EXIT);
            insns
        }
        Feature::BoundedLoops => {
            let subtract = Insn { op: 0x17, imm: 1, ..Insn::default() };
            vec![mov(10), subtract, jump(0x55, -2), EXIT]
        }
        Feature::IsaV2 => vec![mov(0), jump(0xa5, SHORT_JUMP), mov(1), EXIT],
        Feature::IsaV3 => vec![mov(0), jump(0xa6, SHORT_JUMP), mov(1), EXIT],
        // The far jump is jumped over as well, so that each instruction can be reached.
        Feature::IsaV4 => {
            let far = Insn { op: 0x06, imm: 1, ..Insn::default() };
            vec![mov(0), jump(0x15, SHORT_JUMP), far, mov(1), EXIT]
        }
    };
    load(ProgType::SOCKET_FILTER, None, &insns, device).is_ok()
}

/// Sets r0.
fn mov(imm: i32) -> Insn {
    Insn { op: 0xb7, imm, ..Insn::default() }
}

/// For program types that are for something in the kernel: the ways to be attached to it. One is enough: kernels may
/// have tracepoints with types and iterators, but nothing at functions.
fn targeted(ty: ProgType) -> &'static [Option<AttachType>] {
    match ty {
        ProgType::TRACING => {
            &[Some(AttachType::TRACE_FENTRY), Some(AttachType::TRACE_RAW_TP), Some(AttachType::TRACE_ITER)]
        }
        ProgType::LSM => &[Some(AttachType::LSM_MAC)],
        ProgType::EXT => &[None],
        _ => &[],
    }
}

/// The attach types that a program of this type may be loaded for, or none.
fn attach_types(ty: ProgType) -> Vec<Option<AttachType>> {
    let tables = Tables::linux();
    let row = tables.prog_types.iter().find(|row| row.ty == ty);
    let attach = row.map_or(&[][..], |row| row.attach);
    std::iter::once(None).chain(attach.iter().copied().map(Some)).collect()
}

fn load(ty: ProgType, attach: Option<AttachType>, insns: &[Insn], device: u32) -> crate::sys::Result<OwnedFd> {
    let flags = if ty == ProgType::SYSCALL { BPF_F_SLEEPABLE } else { 0 };
    let kernel_version = if ty == ProgType::KPROBE { kernel_version() } else { 0 };
    let attach_btf_id = if targeted(ty).is_empty() { TypeId(0) } else { SOME_TYPE };
    // What is refused is to say why: asked at once, it is loaded once.
    let base = ProgLoad { license: c"GPL", log: LOG_BRANCHES, ..ProgLoad::new(ty, insns) };
    let load = ProgLoad { expected: attach, flags, kernel_version, attach_btf_id, ifindex: device, ..base }.load();
    load.map(|loaded| loaded.fd)
}

/// Whether a program is refused, and so that `expected` holds for the log and the error number.
fn refused(
    ty: ProgType,
    attach: Option<AttachType>,
    insns: &[Insn],
    expected: impl FnOnce(&str, Errno) -> bool,
) -> bool {
    load(ty, attach, insns, 0).is_err_and(|error| expected(error.log(), error.errno()))
}

/// `LINUX_VERSION_CODE` of this kernel.
fn kernel_version() -> u32 {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    next() << 16 | next() << 8 | next().min(255)
}

/// Types with one integer of 4 bytes.
fn int_type() -> Option<OwnedFd> {
    const MAGIC: u32 = 0xeb9f | 1 << 16;
    const KIND_INT: u32 = 1 << 24;
    const STRINGS: &[u8; 8] = b"\0int\0\0\0\0";
    let words = [MAGIC, 24, 0, 16, 16, STRINGS.len() as u32, 1, KIND_INT, 4, 1 << 24 | 32];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
    bytes.extend(STRINGS);
    BtfLoad { bytes: &bytes, token: None }.load().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alveary_testing::bpf::permitted;

    #[test]
    fn the_kernel_is_asked() {
        if !permitted("the_kernel_is_asked") {
            return;
        }
        let helpers = |ty, number| helper(ty, HelperId(number), 0);
        assert!(syscall());
        assert!(prog_type(ProgType::XDP, 0) && map_type(MapType::HASH, 0));
        assert!(!prog_type(ProgType(60_000), 0) && !map_type(MapType(60_000), 0));
        // bpf_xdp_adjust_head is for XDP, bpf_skb_store_bytes is not; nobody has number 100,000.
        assert_eq!(helpers(ProgType::XDP, 44), Some(true));
        assert_eq!(helpers(ProgType::XDP, 9), Some(false));
        assert_eq!(helpers(ProgType::XDP, 100_000), Some(false));
        assert_eq!(helpers(ProgType::TRACING, 1), None);
        // bpf_bind is for connect alone: the attach type decides.
        assert_eq!(helpers(ProgType::CGROUP_SOCK_ADDR, 64), Some(true));
    }

    /// What makes a kernel speak of a helper at all, also where its program is refused for something else.
    #[test]
    fn local_storage_gets_its_types() {
        if permitted("local_storage_gets_its_types") {
            assert!(int_type().is_some());
        }
    }
}
