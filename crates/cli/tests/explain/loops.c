SEC("xdp") int waits(struct xdp_md *ctx)
{
	__u32 start = ctx->rx_queue_index;

	while (start)
		asm volatile ("" ::: "memory");
	return XDP_PASS;
}

SEC("xdp") int long_way(struct xdp_md *ctx)
{
	__u64 sum = 0;

	for (int i = 0; i < 1000000; i++)
		sum += bpf_get_prandom_u32() & i;
	return sum & 1;
}

SEC("xdp") int forks(struct xdp_md *ctx)
{
	asm volatile ("r2 = *(u32 *)(r1 + 12)\n r3 = *(u32 *)(r1 + 16)\n .rept 8200\n if r2 == r3 goto +0\n .endr" ::: "r2", "r3");
	return XDP_PASS;
}
