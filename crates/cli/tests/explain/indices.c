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

struct ports { __u32 count, port[16]; };
struct { __uint(type, 2); __uint(max_entries, 1); __type(key, __u32); __type(value, struct ports); } open_ports SEC(".maps");

SEC("xdp") int scaled(struct xdp_md *ctx)
{
	__u32 key = 0, queue = ctx->rx_queue_index;
	struct ports *ports = bpf_map_lookup_elem(&open_ports, &key);

	if (!ports || queue > 16)
		return XDP_PASS;
	return ports->port[queue] == 53 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int scaled_member(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct ports *ports = bpf_map_lookup_elem(&open_ports, &key);

	if (!ports || ports->count > 16)
		return XDP_PASS;
	return ports->port[ports->count] == 53 ? XDP_DROP : XDP_PASS;
}
