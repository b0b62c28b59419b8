SEC("xdp") int quotient(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 time = bpf_ktime_get_ns() / 7;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	if (!value)
		return XDP_PASS;
	if ((__u32)time >= 56)
		return XDP_PASS;
	return value->data[time];
}
