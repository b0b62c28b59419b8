SEC("xdp") int unchecked(struct xdp_md *ctx)
{
	__u32 key = ctx->rx_queue_index;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	value->count++;
	return XDP_PASS;
}

SEC("xdp") int another(struct xdp_md *ctx)
{
	__u32 key = ctx->rx_queue_index, next = key + 1;
	struct value *value = bpf_map_lookup_elem(&flows, &key);
	struct value *second = bpf_map_lookup_elem(&flows, &next);

	if (!value)
		return XDP_PASS;
	second->count = value->count;
	return XDP_PASS;
}
