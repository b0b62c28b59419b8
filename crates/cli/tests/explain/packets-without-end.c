SEC("xdp") int no_check(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	struct ethhdr *eth = data;

	if (eth->h_proto == 8)
		return XDP_DROP;
	return XDP_PASS;
}

SEC("xdp") int as_key(struct xdp_md *ctx)
{
	__u32 *key = (void *)(long)ctx->data;
	struct value *value = bpf_map_lookup_elem(&flows, key);

	return value ? XDP_DROP : XDP_PASS;
}
