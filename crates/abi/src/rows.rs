//! The shapes of the rows of program types, attach types, map types and section names.

use crate::{AttachType, CtxLayout, HelperId, MapType, ProgType, Version};

/// A program type.
#[derive(Clone, Copy, Debug)]
pub struct ProgTypeRow {
    /// Its number.
    pub ty: ProgType,
    /// Its name as bpftool and libbpf write it (`sched_cls`).
    pub name: &'static str,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    /// The context that programs see; `None` where it is described by BTF or another way.
    pub ctx: Option<&'static CtxLayout>,
    /// Its expected attach types; empty if it has none.
    pub attach: &'static [AttachType],
    /// What `data` and `data_end` enclose may be written directly.
    pub direct_packet_write: bool,
    /// Which return values are allowed: the first rule that admits the program counts. If none does, any value is.
    pub ret: &'static [RetRule],
    /// Names of return values.
    pub verdicts: &'static [(i32, &'static str)],
    /// First kernel that has it.
    pub since: Version,
}

impl ProgTypeRow {
    /// The rule on return values for programs with this expected attach type, on this kernel.
    #[must_use]
    pub fn ret_rule(&self, attach: Option<AttachType>, kernel: Version) -> Option<&'static RetRule> {
        self.ret.iter().find(|rule| rule.admits(attach, kernel))
    }
}

/// Return values that a program type may give (for the verifier).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetRule {
    /// Expected attach types that it is for; none: all.
    pub attach: Option<&'static [AttachType]>,
    /// Smallest value.
    pub min: i32,
    /// Largest value.
    pub max: i32,
    /// First kernel that has it.
    pub since: Version,
}

impl RetRule {
    /// Whether the rule is for programs with this expected attach type, on this kernel.
    #[must_use]
    pub fn admits(&self, attach: Option<AttachType>, kernel: Version) -> bool {
        kernel >= self.since && self.attach.is_none_or(|list| attach.is_some_and(|at| list.contains(&at)))
    }
}

/// An attach type.
#[derive(Clone, Copy, Debug)]
pub struct AttachTypeRow {
    /// Its number.
    pub ty: AttachType,
    /// Its name as bpftool writes it (`cgroup_inet_ingress`).
    pub name: &'static str,
    /// First kernel that has it.
    pub since: Version,
}

/// A map type.
#[derive(Clone, Copy, Debug)]
pub struct MapTypeRow {
    /// Its number.
    pub ty: MapType,
    /// Its name as bpftool writes it (`lru_percpu_hash`).
    pub name: &'static str,
    /// What it is for, in a sentence.
    pub doc: &'static str,
    /// Each CPU has a value of its own.
    pub per_cpu: bool,
    /// The helpers that take it as their map argument, all of them.
    pub helpers: &'static [HelperId],
    /// First kernel that has it.
    pub since: Version,
}

/// A way to write a program's type in a section name.
#[derive(Clone, Copy, Debug)]
pub struct SectionName {
    /// The name, or the part of it before the `/` (`xdp`, `kprobe`).
    pub prefix: &'static str,
    /// What follows.
    pub rest: SectionRest,
    /// The program type.
    pub ty: ProgType,
    /// The expected attach type that it implies.
    pub attach: Option<AttachType>,
    /// Its probes are at returns (`kretprobe`).
    pub ret: bool,
    /// `BPF_F_SLEEPABLE` is implied (`lsm.s`).
    pub sleepable: bool,
    /// `BPF_F_XDP_HAS_FRAGS` is implied (`xdp.frags`).
    pub frags: bool,
    /// An old spelling (`classifier`) that is still read.
    pub legacy: bool,
}

/// What follows a section name's prefix. All but the first two: nothing, or a `/` and what is said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionRest {
    /// Nothing (`syscall`).
    Nothing,
    /// Nothing; before libbpf 1.0 also anything, as a mere comment (`xdp/drop_all`, `xdp_drop_all`).
    Comment,
    /// A kernel function, perhaps with an offset (`do_unlinkat+0x10`).
    Kprobe,
    /// A pattern of kernel functions (`tcp_*`).
    KprobeMulti,
    /// A system call (`unlinkat`).
    Ksyscall,
    /// A file and a function in it, perhaps with an offset (`/bin/sh:main+4`).
    Uprobe,
    /// A file and a pattern of functions in it (`/bin/sh:m*`).
    UprobeMulti,
    /// A file, a provider and a probe in it (`libc.so.6:libc:setjmp`).
    Usdt,
    /// A category and a tracepoint in it (`syscalls/sys_enter_openat`).
    Tracepoint,
    /// A tracepoint (`sched_switch`).
    RawTracepoint,
    /// What the kernel's BTF describes, perhaps of a module (`do_unlinkat`, `nf_conntrack:nf_conntrack_in`).
    Btf,
    /// What an iterator walks (`task`).
    Iter,
    /// A function of another program.
    Replace,
    /// Anything: an embedder's, or a description.
    Target,
}
