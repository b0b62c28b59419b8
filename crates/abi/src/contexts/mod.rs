//! The context structs of the UAPI, field by field: who may read and write what.
//!
//! Source: `include/uapi/linux/bpf.h` for the layout, the `*_is_valid_access` functions of `net/core/filter.c`,
//! `kernel/bpf/cgroup.c` and `kernel/trace/bpf_trace.c` for the rules.

mod cgroup;
mod sk;
mod sk_buff;
mod sock;
mod trace;
mod xdp_md;

pub use cgroup::{CGROUP_DEVICE, SOCK_ADDR, SOCK_OPS, SOCKOPT, SYSCTL};
pub use sk::{SK_LOOKUP, SK_MSG, SK_REUSEPORT};
pub use sk_buff::SK_BUFF;
pub use sock::{CGROUP_SOCK, SOCK, SOCK_COMMON, TCP_SOCK, XDP_SOCK};
pub use trace::{PERF_EVENT, PT_REGS, RAW_TRACEPOINT, RAW_TRACEPOINT_WRITABLE, TRACEPOINT};
pub use xdp_md::XDP_MD;
