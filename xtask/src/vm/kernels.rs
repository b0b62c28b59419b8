//! The kernels that there are.

/// One of Debian's kernels for machines in a cloud: small, and nearly all of BPF is on.
pub(super) struct Kernel {
    /// What it is asked for by: the first two numbers of its version.
    pub(super) name: &'static str,
    /// The release of Debian that has it.
    pub(super) suite: &'static str,
    /// The first QEMU, by its major version, under which it boots.
    pub(super) qemu: u32,
}

/// The oldest first. Debian 13's 6.12 dies of a double fault under QEMU 7.2.
pub(super) const KERNELS: &[Kernel] = &[
    Kernel { name: "6.1", suite: "bookworm", qemu: 7 },
    Kernel { name: "6.12", suite: "trixie", qemu: 11 },
    Kernel { name: "7.2", suite: "sid", qemu: 11 },
];

/// The kernel of that name.
pub(super) fn named(name: &str) -> Result<&'static Kernel, String> {
    KERNELS.iter().find(|kernel| kernel.name == name).ok_or_else(|| {
        let names: Vec<&str> = KERNELS.iter().map(|kernel| kernel.name).collect();
        format!("there is no kernel `{name}`: one of {}", names.join(", "))
    })
}
