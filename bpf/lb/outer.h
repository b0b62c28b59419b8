/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sends packets to reals: outer headers, Ethernet addresses. Which real it is was decided before. */
#ifndef ALVEARY_LB_OUTER_H
#define ALVEARY_LB_OUTER_H

#include "connections.h"

#define TTL			64
/* The longest Ethernet header: addresses, two tags, the type. */
#define LONGEST_ETHERNET	22

static __always_inline void put_macs(void *data, const struct lb_real *real, const __u32 *came)
{
	if (real->flags & LB_REAL_MAC)
		copy_macs(data, real->macs);
	else
		swap_macs(data, came);
}

/* Ethernet addresses alone. */
static __always_inline int to_link(struct xdp_md *context, struct run *run, const struct lb_real *real)
{
	void *data = start_of(context);
	__u32 came[3];

	if (data + sizeof(struct ethhdr) > end_of(context))
		return LB_MALFORMED_ETHERNET;
	copy_macs(came, data);
	put_macs(data, real, came);
	run->ifindex = real->ifindex;
	return LB_FORWARDED;
}

static __always_inline void put_ip4(struct iphdr *ip, const struct run *run, __be32 source, __be32 destination,
				    __u32 length, __u8 protocol)
{
	__u64 sum;

	*(__u16 *)ip = 0x45 | run->tos << 8;
	ip->tot_len = bpf_htons(length);
	ip->id = 0;
	/* Whole or not at all: the limit on the length was held against the packet. Such a packet needs no id (RFC 6864). */
	ip->frag_off = bpf_htons(IP_DF);
	*(__u16 *)&ip->ttl = TTL | protocol << 8;
	ip->saddr = source;
	ip->daddr = destination;
	sum = (__u64)source + destination;
	sum += (0x45 | run->tos << 8) + bpf_htons(length) + bpf_htons(IP_DF) + (TTL | protocol << 8);
	ip->check = ~fold(sum);
}

static __always_inline void put_ip6(struct ipv6hdr *ip, const struct run *run, const struct lb_real *real,
				    __be32 last, __u32 length, __u8 protocol)
{
	__be32 *words = (__be32 *)ip;

	/* The flow label tells flows apart for who spreads them over links (RFC 6438). */
	words[0] = bpf_htonl(6u << 28 | run->tos << 20 | ((__u32)run->hash & 0xfffff));
	words[1] = bpf_htons(length) | (__u32)protocol << 16 | TTL << 24;
	words[2] = real->source[0];
	words[3] = real->source[1];
	words[4] = real->source[2];
	words[5] = last;
	__builtin_memcpy(words + 6, real->address, 16);
}

/*
 * The sum of the packet that goes into a tunnel, from its checksums, not its bytes: of IPv4 the header's sum is nothing,
 * and what follows sums up to what its pseudo-header lacks.
 */
static __always_inline __u64 sum_inside(const void *inside, const struct run *run)
{
	if (run->version == 4) {
		const struct iphdr *ip = inside;
		__u64 pseudo = (__u64)ip->saddr + ip->daddr;

		if (ip->protocol == IPPROTO_ICMP)
			return 0;
		pseudo += bpf_htons(ip->protocol) + bpf_htons((__u16)(run->length - (run->l4 - run->l3)));
		return (__u16)~fold(pseudo);
	}
	/* Addresses are in the header and in what the pseudo-header lacks, and so is the length. */
	{
		const __be32 *words = inside;
		const struct ipv6hdr *ip = inside;
		__u64 lacks = (__u16)~bpf_htons(ip->nexthdr);

		return lacks + words[0] + *(const __u16 *)&ip->nexthdr;
	}
}

static __always_inline __sum16 nonzero(__u16 sum)
{
	__u16 checksum = ~sum;

	return checksum ? checksum : 0xffff;
}

/* Bytes that a way puts before a packet. */
static __always_inline __u32 overhead(const struct lb_real *real)
{
	__u32 ip = real->flags & LB_REAL_V6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);

	if (real->way == LB_WAY_IP)
		return ip;
	return real->way == LB_WAY_GUE ? ip + sizeof(struct udphdr) : 0;
}

static __always_inline int tunnel(struct xdp_md *context, struct run *run, const struct lb_real *real, const int v6,
				  const int gue)
{
	const __u32 ip_size = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const __u32 size = ip_size + (gue ? sizeof(struct udphdr) : 0);
	__u8 protocol = gue ? IPPROTO_UDP : run->version == 4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	const __be16 ethertype = v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	__u32 word = v6 ? 3 : 0;
	__be32 source = real->source[word] | ((__be32)run->hash & real->entropy);
	void *data = start_of(context), *end = end_of(context), *ip, *inside;
	__u64 sum;
	__u32 came[3];

	if (data + sizeof(struct ethhdr) > end)
		return LB_MALFORMED_ETHERNET;
	copy_macs(came, data);
	if (bpf_xdp_adjust_head(context, -(int)size))
		return LB_NO_ROOM;
	data = start_of(context);
	end = end_of(context);
	ip = data + L3(run);
	inside = ip + size;
	if (data + size + LONGEST_ETHERNET > end || inside + sizeof(struct iphdr) > end)
		return LB_NO_ROOM;
	put_macs(data, real, came);
	if (likely(run->l3 == sizeof(struct ethhdr))) {
		*(__be16 *)(data + 12) = ethertype;
	} else {
		/* Tags stay in front; the outer header is not yet written over where they were. */
		__be32 *tags = data + 12, *were = data + size + 12;

		tags[0] = were[0];
		if (run->l3 == LONGEST_ETHERNET) {
			tags[1] = were[1];
			*(__be16 *)(tags + 2) = ethertype;
		} else {
			*(__be16 *)(tags + 1) = ethertype;
		}
	}
	if (v6)
		put_ip6(ip, run, real, source, run->length + size - ip_size, protocol);
	else
		put_ip4(ip, run, source, real->address[0], run->length + size, protocol);
	if (gue) {
		struct udphdr *udp = ip + ip_size;
		__u16 length = run->length + sizeof(*udp);

		udp->source = bpf_htons(0xc000 | ((__u32)run->hash & 0x3fff));
		udp->dest = real->port;
		udp->len = bpf_htons(length);
		udp->check = 0;
		if ((v6 || real->flags & LB_REAL_CHECKSUM) && run->sums) {
			sum = sum_inside(inside, run);
			sum += udp->source + udp->dest + 2 * udp->len + bpf_htons(IPPROTO_UDP);
			if (v6) {
				sum += (__u64)real->source[0] + real->source[1] + real->source[2] + source;
				sum += sum_words(real->address, 4);
			} else {
				sum += (__u64)source + real->address[0];
			}
			udp->check = nonzero(fold(sum));
		}
	}
	run->ifindex = real->ifindex;
	return LB_FORWARDED;
}

#endif
