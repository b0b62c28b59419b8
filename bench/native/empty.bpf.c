/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Does nothing: what entering a program takes, and copying a packet in. */
#ifdef __bpf__
#define SEC(name) __attribute__((section(name), used))
#endif

struct xdp_md;
struct __sk_buff;

SEC("xdp")
int empty_xdp(struct xdp_md *context)
{
	return 2;
}

SEC("tc")
int empty_tc(struct __sk_buff *skb)
{
	return 0;
}

SEC("license")
char LICENSE[] = "Dual MIT/GPL";
