SEC("xdp") int unbounded(struct xdp_md *ctx)
{
	__u32 key = 0, index = ctx->rx_queue_index;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	if (!value)
		return XDP_PASS;
	return value->data[index];
}

SEC("xdp") int one_too_many(struct xdp_md *ctx)
{
	__u32 key = 0, index = ctx->rx_queue_index;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	if (!value)
		return XDP_PASS;
	if (index > sizeof(value->data))
		return XDP_PASS;
	return value->data[index];
}

SEC("xdp") int negative(struct xdp_md *ctx)
{
	__u32 key = 0;
	int index = ctx->rx_queue_index;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	if (!value)
		return XDP_PASS;
	if (index >= 56)
		return XDP_PASS;
	return value->data[index];
}

SEC("xdp") int behind(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	if (!value)
		return XDP_PASS;
	return value->data[60];
}
