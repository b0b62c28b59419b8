// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A kernel interface with a link: a congestion control for TCP. Compiled in this folder by
 *	clang-19 -O2 -g -target bpf -mcpu=v3 -fdebug-compilation-dir=. -c control.bpf.c && llvm-strip-19 -g control.bpf.o
 */
#define SEC(name) __attribute__((section(name), used))

struct sock;

struct tcp_congestion_ops {
	unsigned int (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
	unsigned int (*undo_cwnd)(struct sock *sk);
	char name[16];
};

char LICENSE[] SEC("license") = "GPL";

SEC("struct_ops") unsigned int half(unsigned long long *ctx) { return 2; }
SEC("struct_ops") void stay(unsigned long long *ctx) {}
SEC("struct_ops") unsigned int undo(unsigned long long *ctx) { return 2; }

SEC(".struct_ops.link") struct tcp_congestion_ops control = {
	.ssthresh = (void *)half,
	.cong_avoid = (void *)stay,
	.undo_cwnd = (void *)undo,
	.name = "alveary_skel",
};
