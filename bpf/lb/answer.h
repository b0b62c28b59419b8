/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the balancer answers itself, in the name of the address that was asked: echo requests, packets too big or too old. */
#ifndef ALVEARY_LB_ANSWER_H
#define ALVEARY_LB_ANSWER_H

#include "outer.h"

/* How much of a packet goes back with an error. */
#define QUOTED4			64
#define QUOTED6			128

static __always_inline int back_to_sender(struct xdp_md *context)
{
	void *data = start_of(context);
	__u32 came[3];

	if (data + sizeof(struct ethhdr) > end_of(context))
		return -1;
	copy_macs(came, data);
	swap_macs(data, came);
	return 0;
}

PART int answer_echo(struct xdp_md *context, struct run *run)
{
	struct rates *rates = this_tick();
	struct icmp *icmp;
	void *ip;

	if (!run || (rates && !within(&rates->answered, settings.answer_rate)))
		return LB_REFUSED;
	ip = start_of(context) + L3(run);
	icmp = start_of(context) + L4(run);
	if (ip + sizeof(struct ipv6hdr) > end_of(context) && run->version == 6)
		return LB_MALFORMED_IP;
	if (ip + sizeof(struct iphdr) > end_of(context) || (void *)(icmp + 1) > end_of(context))
		return LB_MALFORMED_IP;
	if (run->version == 4) {
		struct iphdr *ip4 = ip;
		__be32 source = ip4->saddr;
		__u16 before = *(__u16 *)&ip4->ttl;

		ip4->saddr = ip4->daddr;
		ip4->daddr = source;
		ip4->ttl = TTL;
		ip4->check = changed(ip4->check, before, *(__u16 *)&ip4->ttl);
		icmp->type = ICMP_ECHOREPLY;
		/* Of nothing but zeros the sum is another zero than any arithmetic of differences gives (RFC 1624). */
		icmp->checksum = nonzero(~changed(icmp->checksum, bpf_htons(ICMP_ECHO << 8), 0));
	} else {
		struct ipv6hdr *ip6 = ip;

		if ((void *)(ip6 + 1) > end_of(context))
			return LB_MALFORMED_IP;
		__builtin_memcpy(&ip6->saddr, run->flow.destination, 16);
		__builtin_memcpy(&ip6->daddr, run->flow.source, 16);
		ip6->hop_limit = TTL;
		icmp->type = ICMPV6_ECHO_REPLY;
		icmp->checksum = changed(icmp->checksum, bpf_htons(ICMPV6_ECHO_REQUEST << 8),
					 bpf_htons(ICMPV6_ECHO_REPLY << 8));
	}
	return back_to_sender(context) ? LB_MALFORMED_ETHERNET : LB_ANSWERED_ECHO;
}

/* Puts headers of `size` bytes between the link's and the packet, of which `quoted` bytes stay. */
static __always_inline void *quote(struct xdp_md *context, const struct run *run, const __u32 size, const __u32 quoted)
{
	int longer = (int)bpf_xdp_get_buff_len(context) - (int)(run->l3 + quoted);
	__be32 *tags, *were;
	void *data;

	if (longer > 0 && bpf_xdp_adjust_tail(context, -longer))
		return NULL;
	if (bpf_xdp_adjust_head(context, -(int)size))
		return NULL;
	data = start_of(context);
	if (data + size + LONGEST_ETHERNET > end_of(context))
		return NULL;
	/* Addresses, tags and type: what came, addresses the other way round. */
	swap_macs(data, data + size);
	tags = data + 12;
	were = data + size + 12;
	tags[0] = were[0];
	tags[1] = were[1];
	*(__u16 *)(tags + 2) = *(__u16 *)(were + 2);
	return data + L3(run);
}

static __always_inline int answer4(struct xdp_md *context, const struct run *run, __u8 type, __u8 code, __u32 mtu)
{
	const __u32 size = sizeof(struct iphdr) + sizeof(struct icmp);
	struct iphdr *ip = quote(context, run, size, QUOTED4);
	struct icmp *icmp = (void *)(ip + 1);
	__be32 source, destination;
	__u64 sum;

	if (!ip || (void *)(icmp + 1) + QUOTED4 > end_of(context))
		return -1;
	source = ((struct iphdr *)(icmp + 1))->daddr;
	destination = ((struct iphdr *)(icmp + 1))->saddr;
	put_ip4(ip, run, source, destination, size + QUOTED4, IPPROTO_ICMP);
	icmp->type = type;
	icmp->code = code;
	icmp->checksum = 0;
	icmp->mtu = bpf_htonl(mtu);
	sum = sum_words((__be32 *)icmp, (sizeof(*icmp) + QUOTED4) / 4);
	icmp->checksum = ~fold(sum);
	return 0;
}

static __always_inline int answer6(struct xdp_md *context, const struct run *run, __u8 type, __u8 code, __u32 mtu)
{
	const __u32 size = sizeof(struct ipv6hdr) + sizeof(struct icmp6hdr);
	struct ipv6hdr *ip = quote(context, run, size, QUOTED6);
	struct icmp6hdr *icmp = (void *)(ip + 1);
	__u64 sum;

	if (!ip || (void *)(icmp + 1) + QUOTED6 > end_of(context))
		return -1;
	*(__be32 *)ip = bpf_htonl(6u << 28);
	ip->payload_len = bpf_htons(sizeof(*icmp) + QUOTED6);
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = TTL;
	__builtin_memcpy(&ip->saddr, &((struct ipv6hdr *)(icmp + 1))->daddr, 16);
	__builtin_memcpy(&ip->daddr, &((struct ipv6hdr *)(icmp + 1))->saddr, 16);
	icmp->icmp6_type = type;
	icmp->icmp6_code = code;
	icmp->icmp6_cksum = 0;
	icmp->icmp6_mtu = bpf_htonl(mtu);
	sum = bpf_htons(IPPROTO_ICMPV6) + ip->payload_len;
	sum += sum_words((__be32 *)&ip->saddr, 8 + (sizeof(*icmp) + QUOTED6) / 4);
	icmp->icmp6_cksum = ~fold(sum);
	return 0;
}

/* Whether the sender of a packet may be told of its error. */
static __always_inline int may_answer(const struct run *run)
{
	struct rates *rates;

	if (run->error || run->length < (run->version == 4 ? QUOTED4 : QUOTED6))
		return 0;
	rates = this_tick();
	return !rates || within(&rates->answered, settings.answer_rate);
}

/* Tells that a packet is longer than `mtu`. Of IPv4 only who forbade fragments is told: others do not look for it. */
PART int answer_too_big(struct xdp_md *context, struct run *run, __u32 mtu)
{
	int failed;

	if (!run || !run->df || !may_answer(run))
		return LB_TOO_BIG;
	if (run->version == 4)
		failed = answer4(context, run, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
	else
		failed = answer6(context, run, ICMPV6_PKT_TOOBIG, 0, mtu);
	return failed ? LB_TOO_BIG : LB_ANSWERED_TOO_BIG;
}

static __always_inline int answer_expired(struct xdp_md *context, struct run *run)
{
	int failed;

	if (!may_answer(run))
		return LB_EXPIRED;
	if (run->version == 4)
		failed = answer4(context, run, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
	else
		failed = answer6(context, run, ICMPV6_TIME_EXCEED, ICMPV6_EXC_HOPLIMIT, 0);
	return failed ? LB_EXPIRED : LB_ANSWERED_EXPIRED;
}

/* Decreases the hop limit; LB_FORWARDED unless it is over. */
PART int hop(struct xdp_md *context, struct run *run)
{
	void *ip;

	if (!run)
		return LB_MALFORMED_IP;
	ip = start_of(context) + L3(run);
	if (ip + sizeof(struct iphdr) > end_of(context))
		return LB_MALFORMED_IP;
	if (run->version == 4) {
		struct iphdr *ip4 = ip;
		__u16 before = *(__u16 *)&ip4->ttl;

		if (ip4->ttl > 1) {
			ip4->ttl--;
			ip4->check = changed(ip4->check, before, *(__u16 *)&ip4->ttl);
			return LB_FORWARDED;
		}
	} else if (((struct ipv6hdr *)ip)->hop_limit > 1) {
		((struct ipv6hdr *)ip)->hop_limit--;
		return LB_FORWARDED;
	}
	return answer_expired(context, run);
}

#endif
