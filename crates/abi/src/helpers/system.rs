//! System calls from programs, security modules, infrared.

use super::notation::{CTX, SIZE, SIZE_OR_ZERO, fill, fill_number, helper, object, of, read, takes};
use crate::{Arg::Any, Helper, ProgType as P};

#[rustfmt::skip] // a row reads as a declaration
pub(super) const ROWS: &[Helper] = &[
    helper(77, "rc_repeat", (4, 18))
        .doc("Reports that the last key is held down.")
        .protos(&[takes(&[CTX]).gpl().by(of(&[P::LIRC_MODE2]))]),
    helper(78, "rc_keydown", (4, 18))
        .doc("Reports a key: protocol, scan code, toggle.")
        .protos(&[takes(&[CTX, Any, Any, Any]).gpl().by(of(&[P::LIRC_MODE2]))]),
    helper(92, "rc_pointer_rel", (5, 0))
        .doc("Reports a movement of a pointer.")
        .protos(&[takes(&[CTX, Any, Any]).gpl().by(of(&[P::LIRC_MODE2]))]),
    helper(159, "bprm_opts_set", (5, 11))
        .doc("Sets options of a program that is being executed (BPF_F_BPRM_SECUREEXEC).")
        .protos(&[takes(&[object("linux_binprm"), Any]).by(of(&[P::LSM]))]),
    helper(161, "ima_inode_hash", (5, 11))
        .doc("Copies the hash of an inode from the integrity subsystem, if it has one; gives the algorithm.")
        .protos(&[takes(&[object("inode"), fill(2), SIZE]).sleeps().by(of(&[P::LSM]))]),
    helper(166, "sys_bpf", (5, 14))
        .doc("Does a bpf(2) call.")
        .protos(&[takes(&[Any, read(2), SIZE]).sleeps().by(of(&[P::SYSCALL]))]),
    helper(167, "btf_find_by_name_kind", (5, 14))
        .doc("Finds a type of the kernel's BTF: its id in the lower 32 bits, the BTF's file descriptor above.")
        .protos(&[takes(&[read(1), SIZE, Any, Any]).sleeps().by(of(&[P::SYSCALL]))]),
    helper(168, "sys_close", (5, 14))
        .doc("Closes a file descriptor.")
        .protos(&[takes(&[Any]).sleeps().by(of(&[P::SYSCALL]))]),
    helper(179, "kallsyms_lookup_name", (5, 16))
        .doc("Finds the address of a kernel symbol.")
        .protos(&[takes(&[read(1), SIZE_OR_ZERO, Any, fill_number(8)]).by(of(&[P::SYSCALL]))]),
    helper(193, "ima_file_hash", (5, 18))
        .doc("Copies the hash of a file from the integrity subsystem, computed if it has none; gives the algorithm.")
        .protos(&[takes(&[object("file"), fill(2), SIZE]).sleeps().by(of(&[P::LSM]))]),
];
