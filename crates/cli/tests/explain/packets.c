SEC("xdp") int too_short(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if (data + sizeof(*eth) > data_end)
		return XDP_PASS;
	struct iphdr *ip = data + sizeof(*eth);

	if (ip->protocol == 6)
		return XDP_DROP;
	return XDP_PASS;
}

SEC("xdp") int options(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);

	if ((void *)(ip + 1) > data_end)
		return XDP_PASS;
	__u16 *port = (void *)ip + (ip->ihl_version & 15) * 4;

	return port[1] == 80 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int far(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	__u8 *at = data + ctx->rx_queue_index;

	if (at + 1 > (__u8 *)data_end)
		return XDP_PASS;
	return *at == 1 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int turned_round(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;

	if (data + 1 < data_end)
		return XDP_PASS;
	return *(__u8 *)data == 1 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int both_on_a_line(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if (data + 1 > end)
		return XDP_PASS;
	return eth->h_proto == 8 ? XDP_DROP : XDP_PASS;
}
