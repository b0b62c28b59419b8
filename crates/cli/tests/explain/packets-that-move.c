SEC("xdp") int pop(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if (data + sizeof(*eth) > data_end)
		return XDP_PASS;
	if (bpf_xdp_adjust_head(ctx, 4))
		return XDP_DROP;
	return eth->h_proto == 8 ? XDP_DROP : XDP_PASS;
}

struct { __uint(type, 3); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4); } others SEC(".maps");

static __attribute__((noinline)) int goes_on(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &others, 1);
	return XDP_PASS;
}

SEC("xdp") int tail_call_in_a_function(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	__u8 *at = data;

	if (data + 1 > data_end)
		return XDP_PASS;
	goes_on(ctx);
	return *at == 3 ? XDP_DROP : XDP_PASS;
}
