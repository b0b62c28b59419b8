/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Helpers on packets, in plain C: one buffer, no clones. HELPER says what kind of functions they are. */
#ifndef ALVEARY_NATIVE_PACKETS_H
#define ALVEARY_NATIVE_PACKETS_H

/* What the kernel keeps in front of a packet. */
#define FRAME_HEADER 40
#define LONGEST_PACKET 0xffff
#define NOT_THERE -14

HELPER long bpf_skb_load_bytes(const struct __sk_buff *skb, __u32 at, void *to, __u32 size)
{
	if (seldom(at > LONGEST_PACKET || (__u64)at + size > skb->len)) {
		__builtin_memset(to, 0, size);
		return NOT_THERE;
	}
	__builtin_memcpy(to, skb->bytes + at, size);
	return 0;
}

HELPER long bpf_skb_store_bytes(struct __sk_buff *skb, __u32 at, const void *from, __u32 size, __u64 flags)
{
	if (seldom(at > LONGEST_PACKET || (__u64)at + size > skb->len))
		return NOT_THERE;
	__builtin_memcpy(skb->bytes + at, from, size);
	return 0;
}

static __always_inline __u16 folded(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* A checksum after a word has become another one. */
static __always_inline __u16 resummed(__u16 checksum, __u32 before, __u32 after)
{
	return ~folded((__u64)(__u16)~checksum + (__u32)~before + after);
}

HELPER long bpf_l3_csum_replace(struct __sk_buff *skb, __u32 at, __u64 before, __u64 after, __u64 size)
{
	__u16 *checksum = (void *)skb->bytes + at;

	if (seldom(at > LONGEST_PACKET || at & 1 || (__u64)at + 2 > skb->len))
		return NOT_THERE;
	*checksum = resummed(*checksum, before, after);
	return 0;
}

HELPER long bpf_l4_csum_replace(struct __sk_buff *skb, __u32 at, __u64 before, __u64 after, __u64 flags)
{
	__u16 *checksum = (void *)skb->bytes + at;

	if (seldom(at > LONGEST_PACKET || at & 1 || (__u64)at + 2 > skb->len))
		return NOT_THERE;
	if (flags & BPF_F_MARK_MANGLED_0 && !*checksum)
		return 0;
	*checksum = resummed(*checksum, before, after);
	if (flags & BPF_F_MARK_MANGLED_0 && !*checksum)
		*checksum = 0xffff;
	return 0;
}

HELPER long bpf_xdp_adjust_head(struct xdp_md *xdp, int by)
{
	unsigned long data = xdp->data + by;

	if (seldom(data < (unsigned long)xdp->room + FRAME_HEADER || data > xdp->data_end - 14))
		return -22;
	xdp->data = xdp->data_meta = data;
	return 0;
}

HELPER long bpf_xdp_adjust_tail(struct xdp_md *xdp, int by)
{
	if (seldom(by > 0 || xdp->data_end + by < xdp->data + 14))
		return -22;
	xdp->data_end += by;
	return 0;
}

HELPER __u64 bpf_xdp_get_buff_len(const struct xdp_md *xdp)
{
	return xdp->data_end - xdp->data;
}

HELPER long bpf_xdp_load_bytes(const struct xdp_md *xdp, __u32 at, void *to, __u32 size)
{
	if (seldom(at > LONGEST_PACKET || xdp->data + at + size > xdp->data_end))
		return -22;
	__builtin_memcpy(to, (void *)xdp->data + at, size);
	return 0;
}

HELPER long bpf_xdp_store_bytes(struct xdp_md *xdp, __u32 at, const void *from, __u32 size)
{
	if (seldom(at > LONGEST_PACKET || xdp->data + at + size > xdp->data_end))
		return -22;
	__builtin_memcpy((void *)xdp->data + at, from, size);
	return 0;
}

HELPER __s64 bpf_csum_diff(const __be32 *from, __u32 from_size, const __be32 *to, __u32 to_size, __u32 seed)
{
	__u64 sum = seed;

	for (__u32 i = 0; i < from_size / 4; i++)
		sum += (__u32)~from[i];
	for (__u32 i = 0; i < to_size / 4; i++)
		sum += to[i];
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (sum & 0xffffffff) + (sum >> 32);
}

#endif
