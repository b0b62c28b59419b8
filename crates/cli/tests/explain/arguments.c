static long (*bpf_for_each_map_elem)(void *map, void *f, void *ctx, __u64 flags) = (void *)164;
static long (*bpf_strncmp)(const char *s1, __u32 size, const char *s2) = (void *)182;
static void (*bpf_spin_lock)(void *lock) = (void *)93;
static void (*bpf_spin_unlock)(void *lock) = (void *)94;
struct bpf_spin_lock { __u32 val; };
struct guarded { __u32 count; struct bpf_spin_lock lock; };
struct { __uint(type, 2); __uint(max_entries, 4); __type(key, __u32); __type(value, struct guarded); } slots SEC(".maps");

__attribute__((noinline)) int each(void *map, __u32 *key, struct value *value, void *ctx)
{
	return 0;
}

SEC("xdp") int global_callback(struct xdp_md *ctx)
{
	return bpf_for_each_map_elem(&flows, each, 0, 0);
}

static int renames(void *map, __u32 *key, struct value *value, void *ctx)
{
	*key = 5;
	return 0;
}

SEC("xdp") int writes_key(struct xdp_md *ctx)
{
	return bpf_for_each_map_elem(&flows, renames, 0, 0);
}

SEC("xdp") int changing_text(struct xdp_md *ctx)
{
	char name[4] = "eth", wanted[4] = "lo";

	return bpf_strncmp(name, sizeof(name), wanted) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") int wrong_place(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct guarded *slot = bpf_map_lookup_elem(&slots, &key);

	if (!slot)
		return XDP_PASS;
	bpf_spin_lock(&slot->count);
	bpf_spin_unlock(&slot->count);
	return XDP_PASS;
}

SEC("kprobe/do_exit") int traced_lock(void *regs)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&slots, &key) != 0;
}

SEC("xdp") int gives_back_another(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	if (value)
		bpf_ringbuf_submit(value, 0);
	return XDP_PASS;
}

SEC("xdp") int map_itself(struct xdp_md *ctx)
{
	*(volatile __u32 *)&flows = 5;
	return XDP_PASS;
}

__attribute__((noinline)) struct value *found(__u32 *key)
{
	return key ? bpf_map_lookup_elem(&flows, key) : 0;
}

SEC("xdp") int returns_pointer(struct xdp_md *ctx)
{
	__u32 key = 0;

	return found(&key) != 0;
}
