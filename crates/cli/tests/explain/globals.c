__attribute__((noinline)) int first(int *numbers)
{
	return numbers ? numbers[0] : 0;
}

SEC("xdp") int passes(struct xdp_md *ctx)
{
	return first((void *)(long)ctx->rx_queue_index);
}

struct pair { __u32 a, b; };
__u32 hits[8];

__attribute__((noinline)) int sum(struct pair *pair)
{
	return pair->a + pair->b;
}

SEC("xdp") int not_for_null(struct xdp_md *ctx)
{
	struct pair pair = { ctx->rx_queue_index, 2 };

	return sum(&pair) ? XDP_PASS : XDP_DROP;
}

__attribute__((noinline)) int count(__u32 queue)
{
	return ++hits[queue];
}

SEC("xdp") int in_bounds_here_alone(struct xdp_md *ctx)
{
	return count(ctx->rx_queue_index & 7) ? XDP_PASS : XDP_DROP;
}
