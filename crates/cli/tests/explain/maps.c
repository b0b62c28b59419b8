static void (*bpf_spin_lock)(void *lock) = (void *)93;
static void (*bpf_spin_unlock)(void *lock) = (void *)94;
static const volatile __u32 limit = 5;
struct bpf_spin_lock { __u32 val; };
struct guarded { struct bpf_spin_lock lock; __u32 count; };
struct { __uint(type, 2); __uint(max_entries, 4); __type(key, __u32); __type(value, struct guarded); } slots SEC(".maps");

SEC("xdp") int wrong_type(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &flows, 0);
	return XDP_PASS;
}

SEC("xdp") int constant(struct xdp_md *ctx)
{
	*(volatile __u32 *)&limit = 6;
	return XDP_PASS;
}

SEC("xdp") int number_as_key(struct xdp_md *ctx)
{
	return bpf_map_lookup_elem(&flows, (void *)(long)ctx->rx_queue_index) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") int kept(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct guarded *slot = bpf_map_lookup_elem(&slots, &key);

	if (!slot)
		return XDP_PASS;
	bpf_spin_lock(&slot->lock);
	slot->count++;
	if (slot->count > 7)
		return XDP_DROP;
	bpf_spin_unlock(&slot->lock);
	return XDP_PASS;
}

SEC("xdp") int asks_under_lock(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct guarded *slot = bpf_map_lookup_elem(&slots, &key);

	if (!slot)
		return XDP_PASS;
	bpf_spin_lock(&slot->lock);
	slot->count = bpf_get_prandom_u32();
	bpf_spin_unlock(&slot->lock);
	return XDP_PASS;
}

SEC("xdp") int touches_lock(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct guarded *slot = bpf_map_lookup_elem(&slots, &key);

	if (slot)
		__builtin_memset(slot, 0, sizeof(*slot));
	return XDP_PASS;
}
