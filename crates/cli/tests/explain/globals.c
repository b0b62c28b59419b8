__attribute__((noinline)) int first(int *numbers)
{
	return numbers ? numbers[0] : 0;
}

SEC("xdp") int passes(struct xdp_md *ctx)
{
	return first((void *)(long)ctx->rx_queue_index);
}
