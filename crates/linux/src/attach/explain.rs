//! What an error number means for a place.

use super::{Place, Program};
use crate::{
    netlink::Refusal,
    sys::{self, Capability, held, running},
};
use alveary_abi::{Errno, Tables, Version};
use alveary_diag::{Code, Diagnostic, Place as At};

/// What a place takes.
struct Needs {
    capabilities: &'static [Capability],
    /// The kernel's configuration that brings it.
    config: &'static str,
    /// The first kernel that can do it by what is used here; attach types of their own say it themselves.
    since: Version,
}

const NET: &[Capability] = &[Capability::Bpf, Capability::NetAdmin];
const TRACE: &[Capability] = &[Capability::Bpf, Capability::Perfmon];

fn needs(place: &Place<'_>) -> Needs {
    let (capabilities, config, since): (&'static [Capability], _, _) = match place {
        Place::Xdp { .. } => (NET, "CONFIG_BPF_SYSCALL, CONFIG_NET", (4, 8)),
        Place::Tc { .. } => (NET, "CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF", (4, 5)),
        Place::Tcx { .. } => (NET, "CONFIG_NET_XGRESS", (6, 6)),
        Place::Netkit { .. } => (NET, "CONFIG_NETKIT", (6, 7)),
        Place::Route { .. } => (NET, "CONFIG_LWTUNNEL_BPF, CONFIG_IPV6_SEG6_BPF", (4, 10)),
        Place::Netfilter { .. } => (NET, "CONFIG_NETFILTER_BPF_LINK", (6, 4)),
        Place::Socket(_) => (&[], "CONFIG_NET", (3, 19)),
        Place::Reuseport(_) => (&[Capability::NetAdmin], "CONFIG_INET", (4, 5)),
        Place::Sockmap(_) => (NET, "CONFIG_BPF_STREAM_PARSER", (4, 14)),
        Place::Lirc(_) => (NET, "CONFIG_BPF_LIRC_MODE2", (4, 18)),
        Place::Cgroup { .. } => (NET, "CONFIG_CGROUP_BPF", (5, 7)),
        Place::Netns(_) => (NET, "CONFIG_NET_NS", (5, 8)),
        Place::RawTracepoint { .. } => (TRACE, "CONFIG_BPF_EVENTS", (4, 17)),
        Place::Loaded { .. } => (TRACE, "CONFIG_DEBUG_INFO_BTF, CONFIG_BPF_LSM", (5, 5)),
        Place::Replace { .. } => (&[Capability::Bpf], "CONFIG_DEBUG_INFO_BTF, CONFIG_DYNAMIC_FTRACE", (5, 10)),
        Place::Iter(_) => (TRACE, "CONFIG_DEBUG_INFO_BTF", (5, 8)),
        Place::Tracepoint { .. } => (TRACE, "CONFIG_BPF_EVENTS", (4, 7)),
        Place::PerfEvent { .. } => (TRACE, "CONFIG_PERF_EVENTS", (4, 9)),
        Place::Kprobe { .. } | Place::Ksyscall { .. } => (TRACE, "CONFIG_KPROBE_EVENTS", (4, 17)),
        Place::Kprobes { .. } => (TRACE, "CONFIG_FPROBE", (5, 18)),
        Place::Uprobe { .. } | Place::Usdt { .. } => (TRACE, "CONFIG_UPROBE_EVENTS", (4, 17)),
        Place::Uprobes { .. } => (TRACE, "CONFIG_UPROBE_EVENTS", (6, 6)),
    };
    Needs { capabilities, config, since: Version(since.0, since.1) }
}

/// What bpf(2) has against an attachment.
pub(super) fn refused(program: Program<'_>, place: &Place<'_>, error: &sys::Error) -> Diagnostic {
    explain(program, place, error.command().name(), error.errno(), "")
}

/// What netlink has against it.
pub(super) fn refused_by_netlink(program: Program<'_>, place: &Place<'_>, refusal: &Refusal) -> Diagnostic {
    explain(program, place, "rtnetlink", refusal.errno, &refusal.text)
}

/// What another system call has against it.
pub(super) fn refused_by_call(
    program: Program<'_>,
    place: &Place<'_>,
    call: &str,
    error: &std::io::Error,
) -> Diagnostic {
    explain(program, place, call, Errno(error.raw_os_error().unwrap_or(0)), "")
}

fn explain(program: Program<'_>, place: &Place<'_>, call: &str, errno: Errno, text: &str) -> Diagnostic {
    let needs = needs(place);
    let own = place.attach_type(program.expected);
    let own = Tables::linux().attach_types.iter().find(|row| Some(row.ty) == own).map(|row| row.since);
    let since = own.unwrap_or(needs.since);
    let message = format!("program `{}` cannot be attached to {place}", program.name);
    let said = if text.is_empty() { String::new() } else { format!(" ({text})") };
    let why = Diagnostic::new("attach", message, At::Nowhere).kernel(format!("{call}: {errno}{said}"));
    if running().is_some_and(|running| running < since) {
        return why.expected(format!("Linux {}.{} or newer", since.0, since.1)).help("run it on a newer kernel");
    }
    match errno {
        Errno::EPERM | Errno::EACCES => privilege(why, needs.capabilities),
        Errno::EBUSY | Errno::EEXIST => why.expected("nothing there that excludes it"),
        Errno::ENODEV => why.expected("something of this kind that is still there"),
        Errno::ENOENT | Errno::ESRCH => why.expected("a name that this kernel or file has"),
        Errno::EINVAL | Errno::EOPNOTSUPP | Errno::ENOTSUPP | Errno::ENOSYS | Errno::E2BIG => {
            why.expected(format!("a kernel with {}", needs.config))
        }
        _ => why,
    }
}

fn privilege(mut why: Diagnostic, needed: &[Capability]) -> Diagnostic {
    why.code = Code(sys::PRIVILEGE);
    let list = |all: Vec<&Capability>| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let missing = list(needed.iter().filter(|capability| held(**capability) == Some(false)).collect());
    if missing.is_empty() {
        return why
            .found("nothing lacks of this process's capabilities: something else forbids it")
            .help("look for lockdown, a security module, a seccomp filter or a user namespace around this process");
    }
    let needed = list(needed.iter().collect());
    why.expected(needed.join(" and "))
        .found(format!("this process lacks {}", missing.join(" and ")))
        .help(format!("run it as root, or grant it: setcap {}+ep FILE", needed.join(",").to_lowercase()))
}
