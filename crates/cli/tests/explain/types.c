static long (*bpf_skb_load_bytes)(void *skb, __u32 at, void *to, __u32 size) = (void *)26;
static long (*bpf_probe_read_kernel)(void *to, __u32 size, const void *from) = (void *)113;

SEC("xdp") int no_such_helper(struct xdp_md *ctx)
{
	__u32 word = 0;

	bpf_skb_load_bytes(ctx, 0, &word, sizeof(word));
	return XDP_PASS;
}

SEC("xdp") int no_such_field(struct xdp_md *ctx)
{
	return ((__u32 *)ctx)[8];
}

SEC("cgroup_skb/egress") int verdict(struct __sk_buff *skb)
{
	return 7;
}

SEC("kprobe/do_exit") int follows(unsigned long *regs)
{
	int *from = (int *)regs[14];

	return *from;
}

SEC("kprobe/do_exit") int size(unsigned long *regs)
{
	char to[16];
	int size = regs[13];

	if (size > 16)
		return 0;
	bpf_probe_read_kernel(to, size, (void *)regs[14]);
	return to[0];
}
