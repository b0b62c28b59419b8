// SPDX-License-Identifier: MIT OR Apache-2.0
/* Static and global functions, callbacks, tail calls, functions in sections of their own. */
#include "common.h"

struct counter { int sum, steps; };

static noinline int leaf(int n) { asm volatile("" : "+r"(n)); return n * 7; }
static noinline int middle(int n) { return leaf(n) + leaf(n + 1); }
noinline int shared(int n) { asm volatile("" : "+r"(n)); return middle(n) ^ n; }
__weak noinline int replaceable(int n) { asm volatile("" : "+r"(n)); return n - 1; }
__attribute__((visibility("hidden"))) noinline int hidden(int n) { asm volatile("" : "+r"(n)); return shared(n); }

static long step(__u32 index, struct counter *counter)
{
	counter->sum += leaf(index);
	counter->steps++;
	return 0;
}
static long other(__u32 index, struct counter *counter) { counter->sum -= index; return 0; }

int first(struct xdp_md *ctx), second(struct xdp_md *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 3);
	__uint(key_size, 4);
	__array(values, int(struct xdp_md *));
} jumps SEC(".maps") = { .values = { [0] = (void *)&first, [2] = (void *)&second } };

SEC("xdp") int first(struct xdp_md *ctx)
{
	struct counter counter = {};

	bpf_loop(10, step, &counter, 0);
	bpf_loop(5, ctx->rx_queue_index ? other : step, &counter, 0);
	return counter.sum + hidden(ctx->ingress_ifindex) + replaceable(2);
}
SEC("xdp") int second(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &jumps, 0);
	return middle(ctx->ingress_ifindex);
}
SEC("?xdp") int third(struct xdp_md *ctx) { bpf_tail_call(ctx, &jumps, 1); return shared(3); }
SEC("tc") int fourth(struct __sk_buff *ctx) { return leaf(ctx->len) + shared(ctx->len); }
