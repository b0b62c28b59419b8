static long (*bpf_strncmp)(const char *s1, __u32 size, const char *s2) = (void *)182;
static long (*bpf_skb_load_bytes)(void *skb, __u32 at, void *to, __u32 size) = (void *)26;
static void *(*bpf_sk_fullsock)(void *sk) = (void *)95;
static long (*bpf_sk_release)(void *sk) = (void *)86;
char wanted[4] = "lo";

SEC("xdp") int changeable(struct xdp_md *ctx)
{
	char name[4] = "eth";

	return bpf_strncmp(name, sizeof(name), wanted) ? XDP_PASS : XDP_DROP;
}

SEC("tc") int into_packet(__u32 *skb)
{
	void *data = (void *)(long)skb[19], *data_end = (void *)(long)skb[20];

	if (data + 4 > data_end)
		return 0;
	return bpf_skb_load_bytes(skb, 0, data, 4);
}

SEC("tc") int not_its_own(__u64 *skb)
{
	void *sk = (void *)skb[21];

	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (sk)
		bpf_sk_release(sk);
	return 0;
}
