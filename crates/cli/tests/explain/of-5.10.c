// --kernel 5.10
static long (*bpf_loop)(__u32 rounds, void *callback, void *context, __u64 flags) = (void *)181;

static long nothing(__u64 index, void *context)
{
	return 0;
}

SEC("xdp") int callback(struct xdp_md *ctx)
{
	bpf_loop(16, nothing, 0, 0);
	return XDP_PASS;
}
