// --kernel 5.9
struct { __uint(type, 3); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4); } others SEC(".maps");

static __attribute__((noinline)) int counts(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	return value ? ++value->count : 0;
}

SEC("xdp") int both(struct xdp_md *ctx)
{
	counts(ctx);
	bpf_tail_call(ctx, &others, 1);
	return XDP_PASS;
}

static __attribute__((noinline)) void goes_on(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &others, 1);
}

SEC("xdp") int in_function(struct xdp_md *ctx)
{
	goes_on(ctx);
	return XDP_PASS;
}
