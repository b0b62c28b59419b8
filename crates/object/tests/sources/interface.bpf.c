// SPDX-License-Identifier: MIT OR Apache-2.0
/* A kernel interface, filled in: a TCP congestion control. */
#include "common.h"

struct sock;
struct tcp_congestion_ops___own {
	unsigned int (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
	unsigned int (*undo_cwnd)(struct sock *sk);
	void (*of_nobody)(struct sock *sk);
	char name[16];
	unsigned int flags;
};

SEC("struct_ops/ssthresh") unsigned int own_ssthresh(__u64 *ctx) { return 2; }
SEC("struct_ops/cong_avoid") void own_cong_avoid(__u64 *ctx) {}
SEC("struct_ops/undo_cwnd") unsigned int own_undo_cwnd(__u64 *ctx) { return 4; }

SEC(".struct_ops") struct tcp_congestion_ops___own own = {
	.ssthresh = (void *)own_ssthresh,
	.cong_avoid = (void *)own_cong_avoid,
	.undo_cwnd = (void *)own_undo_cwnd,
	.name = "alveary_own",
};
SEC(".struct_ops.link") struct tcp_congestion_ops___own linked = {
	.ssthresh = (void *)own_ssthresh,
	.cong_avoid = (void *)own_cong_avoid,
	.undo_cwnd = (void *)own_undo_cwnd,
	.name = "alveary_linked",
};
/* Of an interface that no kernel has: not made, so not asked for. */
struct of_nobody { int (*act)(int n); };
SEC("?struct_ops/act") int act(__u64 *ctx) { return 1; }
SEC("?.struct_ops") struct of_nobody optional = { .act = (void *)act };
