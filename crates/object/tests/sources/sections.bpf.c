// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program in each kind of section. */
#include "common.h"

#define PROGRAM(name, section) SEC(section) int name(void *ctx) { return 0; }

PROGRAM(a0, "kprobe/do_unlinkat+0x4") PROGRAM(a1, "kretprobe/do_unlinkat") PROGRAM(a2, "ksyscall/unlinkat")
PROGRAM(a3, "uprobe//proc/self/exe:main+4") PROGRAM(a4, "uretprobe.s/libc.so.6:malloc") PROGRAM(a5, "usdt/libc.so.6:libc:setjmp")
PROGRAM(a6, "kprobe.multi/tcp_*") PROGRAM(a7, "uprobe.multi//bin/sh:m*") PROGRAM(a8, "tp/syscalls/sys_enter_openat")
PROGRAM(a9, "raw_tp.w/nbd_send_request") PROGRAM(b0, "fentry/do_unlinkat") PROGRAM(b1, "fexit.s/do_unlinkat")
PROGRAM(b2, "fmod_ret/bpf_modify_return_test") PROGRAM(b3, "lsm/file_open") PROGRAM(b4, "lsm_cgroup/socket_bind")
PROGRAM(b5, "iter/task") PROGRAM(b6, "freplace/replaced") PROGRAM(b7, "perf_event") PROGRAM(b8, "tcx/ingress")
PROGRAM(b9, "netkit/peer") PROGRAM(c0, "netfilter") PROGRAM(c1, "syscall") PROGRAM(c2, "sk_lookup")
PROGRAM(c3, "cgroup/connect4") PROGRAM(c4, "sk_reuseport/migrate") PROGRAM(c5, "lwt_xmit") PROGRAM(c6, "flow_dissector")
PROGRAM(c7, "xdp.frags/devmap") PROGRAM(c8, "sk_skb/stream_verdict") PROGRAM(c9, "lirc_mode2")
