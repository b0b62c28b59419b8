struct bytes { __u8 at[16]; };
static long (*bpf_loop)(__u32 rounds, void *callback, void *context, __u64 flags) = (void *)181;
struct { __uint(type, 3); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4); } others SEC(".maps");

static __attribute__((noinline)) void add(__u64 *count, int by)
{
	*count += by;
}

SEC("xdp") int in_a_function(struct xdp_md *ctx)
{
	__u32 key = 0;

	add(bpf_map_lookup_elem(&flows, &key), ctx->rx_queue_index);
	return XDP_PASS;
}

static __attribute__((noinline)) int again(struct xdp_md *ctx, int n)
{
	if (n > 3)
		return n;
	volatile int result = again(ctx, n + 1);

	return result;
}

SEC("xdp") int recursion(struct xdp_md *ctx)
{
	return again(ctx, ctx->rx_queue_index);
}

static __attribute__((noinline)) int goes_on(struct xdp_md *ctx)
{
	volatile char own[260];

	own[ctx->rx_queue_index & 127] = 1;
	bpf_tail_call(ctx, &others, 1);
	return own[3];
}

SEC("xdp") int frame_around_a_tail_call(struct xdp_md *ctx)
{
	volatile char own[270];

	own[ctx->rx_queue_index & 127] = 1;
	return goes_on(ctx) + own[1];
}

static long sets(__u64 index, struct bytes *bytes)
{
	bytes->at[index] = 1;
	return 0;
}

SEC("xdp") int index_of_a_callback(struct xdp_md *ctx)
{
	struct bytes bytes = {};

	bpf_loop(16, sets, &bytes, 0);
	return bytes.at[3] ? XDP_PASS : XDP_DROP;
}

SEC("xdp") int rounds_by_a_pointer(struct xdp_md *ctx)
{
	long (*loop)(void *rounds, void *callback, void *context, __u64 flags) = (void *)181;
	struct bytes bytes = {};

	loop(ctx, sets, &bytes, 0);
	return bytes.at[3] ? XDP_PASS : XDP_DROP;
}
