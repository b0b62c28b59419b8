//! How this system is configured, as far as it concerns eBPF.

use super::print::Printer;
use alveary::files;
use std::{fs, io, path::Path};

/// A setting in `/proc/sys`, and what its values mean.
struct Setting {
    name: &'static str,
    path: &'static str,
    /// What it says for 0, 1, 2 …
    meanings: &'static [&'static str],
    /// What is said if it cannot be read.
    unknown: &'static str,
    /// What is said in front of a value without meaning, and behind it.
    other: (&'static str, &'static str),
}

const SETTINGS: [Setting; 5] = [
    Setting {
        name: "unprivileged_bpf_disabled",
        path: "/proc/sys/kernel/unprivileged_bpf_disabled",
        meanings: &[
            "bpf() syscall for unprivileged users is enabled",
            "bpf() syscall restricted to privileged users (without recovery)",
            "bpf() syscall restricted to privileged users (admin can change)",
        ],
        unknown: "Unable to retrieve required privileges for bpf() syscall",
        other: ("bpf() syscall restriction has unknown value ", ""),
    },
    Setting {
        name: "bpf_jit_enable",
        path: "/proc/sys/net/core/bpf_jit_enable",
        meanings: &[
            "JIT compiler is disabled",
            "JIT compiler is enabled",
            "JIT compiler is enabled with debugging traces in kernel logs",
        ],
        unknown: "Unable to retrieve JIT-compiler status",
        other: ("JIT-compiler status has unknown value ", ""),
    },
    Setting {
        name: "bpf_jit_harden",
        path: "/proc/sys/net/core/bpf_jit_harden",
        meanings: &[
            "JIT compiler hardening is disabled",
            "JIT compiler hardening is enabled for unprivileged users",
            "JIT compiler hardening is enabled for all users",
        ],
        unknown: "Unable to retrieve JIT hardening status",
        other: ("JIT hardening status has unknown value ", ""),
    },
    Setting {
        name: "bpf_jit_kallsyms",
        path: "/proc/sys/net/core/bpf_jit_kallsyms",
        meanings: &["JIT compiler kallsyms exports are disabled", "JIT compiler kallsyms exports are enabled for root"],
        unknown: "Unable to retrieve JIT kallsyms export status",
        other: ("JIT kallsyms exports status has unknown value ", ""),
    },
    Setting {
        name: "bpf_jit_limit",
        path: "/proc/sys/net/core/bpf_jit_limit",
        meanings: &[],
        unknown: "Unable to retrieve global memory limit for JIT compiler for unprivileged users",
        other: ("Global memory limit for JIT compiler for unprivileged users is ", " bytes"),
    },
];

/// Options of the kernel's configuration, in bpftool's order.
const OPTIONS: [&str; 32] = [
    "CONFIG_BPF",
    "CONFIG_BPF_SYSCALL",
    "CONFIG_HAVE_EBPF_JIT",
    "CONFIG_BPF_JIT",
    "CONFIG_BPF_JIT_ALWAYS_ON",
    "CONFIG_DEBUG_INFO_BTF",
    "CONFIG_DEBUG_INFO_BTF_MODULES",
    "CONFIG_CGROUPS",
    "CONFIG_CGROUP_BPF",
    "CONFIG_CGROUP_NET_CLASSID",
    "CONFIG_SOCK_CGROUP_DATA",
    "CONFIG_BPF_EVENTS",
    "CONFIG_KPROBE_EVENTS",
    "CONFIG_UPROBE_EVENTS",
    "CONFIG_TRACING",
    "CONFIG_FTRACE_SYSCALLS",
    "CONFIG_FUNCTION_ERROR_INJECTION",
    "CONFIG_BPF_KPROBE_OVERRIDE",
    "CONFIG_NET",
    "CONFIG_XDP_SOCKETS",
    "CONFIG_LWTUNNEL_BPF",
    "CONFIG_NET_ACT_BPF",
    "CONFIG_NET_CLS_BPF",
    "CONFIG_NET_CLS_ACT",
    "CONFIG_NET_SCH_INGRESS",
    "CONFIG_XFRM",
    "CONFIG_IP_ROUTE_CLASSID",
    "CONFIG_IPV6_SEG6_BPF",
    "CONFIG_BPF_LIRC_MODE2",
    "CONFIG_BPF_STREAM_PARSER",
    "CONFIG_NETFILTER_XT_MATCH_BPF",
    "CONFIG_TEST_BPF",
];
/// What programs in C need, too: as a macro.
const FOR_PROGRAMS: &str = "CONFIG_HZ";

/// Prints it all.
pub(super) fn print(printer: &mut Printer<'_, '_>) -> io::Result<()> {
    if !printer.macros() {
        SETTINGS.iter().try_for_each(|setting| setting.print(printer))?;
    }
    let Some(config) = files::own_kconfig().and_then(|path| files::kconfig(path).ok()) else { return Ok(()) };
    let options = OPTIONS.iter().filter(|_| !printer.macros()).copied().collect::<Vec<_>>();
    options
        .into_iter()
        .chain([FOR_PROGRAMS])
        .try_for_each(|name| printer.option(name, config.get(name).map(String::as_str)))
}

impl Setting {
    fn print(&self, printer: &mut Printer<'_, '_>) -> io::Result<()> {
        let value = fs::read_to_string(Path::new(self.path)).ok().and_then(|text| text.trim_end().parse::<i64>().ok());
        let text = match value {
            None => self.unknown.to_owned(),
            Some(value) => match usize::try_from(value).ok().and_then(|index| self.meanings.get(index)) {
                Some(meaning) => (*meaning).to_owned(),
                None => format!("{}{value}{}", self.other.0, self.other.1),
            },
        };
        printer.number(self.name, value.unwrap_or(-1), &text)
    }
}
