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

SEC("xdp") int another_pointer(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);

	if ((void *)(ip + 1) > data_end)
		return XDP_PASS;
	__u16 *port = (void *)ip + (ip->ihl_version & 15) * 4;

	if ((void *)(ip + 1) + 8 > data_end)
		return XDP_PASS;
	return *port == 80 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int difference(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	__u32 length = data_end - data;
	__u8 *at = data;

	if (length < 14)
		return XDP_PASS;
	return at[13] == 8 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int too_few(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	__u8 *data_end = (void *)(long)ctx->data_end;
	__u32 sum = 0;

	for (__u8 *at = data; at < data_end; at += 2)
		sum += *(__u16 *)at;
	return sum == 77 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int by_name(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);

	if ((void *)(ip + 1) > data_end)
		return XDP_PASS;
	__u8 *option = (void *)ip + (ip->ihl_version & 15) * 4;

	if ((void *)(option + 1) > data_end)
		return XDP_PASS;
	option++;
	if (*option == 2)
		return XDP_DROP;
	return XDP_PASS;
}
