// SPDX-License-Identifier: MIT OR Apache-2.0
/* What the sources here share: few words of their own, so that any compiler and any kernel will do. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define __core __attribute__((preserve_access_index))
#define noinline __attribute__((noinline))

char _license[] SEC("license") = "Dual MIT/GPL";
