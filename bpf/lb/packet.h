/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What the balancer reads of a packet, and the arithmetic of checksums. Takes no decision but whether a header can be.
 * Where a packet's pointers are compared with its end, they are read anew: helpers move them.
 */
#ifndef ALVEARY_LB_PACKET_H
#define ALVEARY_LB_PACKET_H

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lb.h"

#define MAX_EXTENSIONS		6
#define IP_FRAGMENT		0x3fff	/* more fragments, or not at the start */
#define IP_DF			0x4000
#define ND_FIRST		133
#define ND_LAST			137
#define TCP_FIN			0x01
#define TCP_SYN			0x02
#define TCP_RST			0x04
#define TCP_ACK			0x10

/*
 * What is not every packet's is in functions of its own that are not static: the verifier looks at each of these once, not
 * once for every way that leads there. They take no pointer for granted.
 */
#define PART			__attribute__((noinline))
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define likely(x)		__builtin_expect(!!(x), 1)
/* Bounds that the verifier sees, of what is in memory meanwhile: IP begins at 22 at most. */
#define L3(run)			((run)->l3 & 0x1fu)
#define LONGEST_HEADERS		0xfffu
#define L4(run)			((run)->l4 & LONGEST_HEADERS)

/* What one packet is, and where it goes. */
struct run {
	struct lb_flow6 flow;	/* of IPv4 the first words; of an ICMP error, the flow that it is about */
	__u64 hash;
	__u32 real;		/* as rings name it */
	__u32 vip;		/* number */
	__u32 bytes;		/* of the whole frame, as far as IP speaks of it */
	__u32 ifindex;		/* where it goes, if not where it came from */
	__u16 length;		/* of the IP packet */
	__u16 l3;		/* where IP begins */
	__u16 l4;		/* where the transport begins, or the ICMP message */
	__u8 version;
	__u8 tos;
	__u8 syn;		/* it begins a connection */
	__u8 error;		/* an ICMP error */
	__u8 fragment;
	__u8 options;		/* IP options or extension headers */
	__u8 sums;		/* its transport's checksum covers it, so that the sum of it is known without reading */
	__u8 df;
	__u8 tcp_flags;
	__u8 echo;		/* an echo request */
	__be16 port;		/* NAT: the balancer's */
};

/* linux/icmp.h wants headers of the C library. */
#define ICMP_ECHOREPLY		0
#define ICMP_DEST_UNREACH	3
#define ICMP_FRAG_NEEDED	4
#define ICMP_ECHO		8
#define ICMP_TIME_EXCEEDED	11
#define ICMP_EXC_TTL		0
#define ICMP_PARAMETERPROB	12

struct icmp {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	union {
		struct {
			__be16 id;
			__be16 sequence;
		};
		__be32 mtu;
	};
};

struct vlan_tag {
	__be16 tci;
	__be16 ethertype;
};

static __always_inline void *start_of(struct xdp_md *context)
{
	return (void *)(long)context->data;
}

static __always_inline void *end_of(struct xdp_md *context)
{
	return (void *)(long)context->data_end;
}

/* Ethernet addresses, both; word by word, which compilers do only if they are told. */
static __always_inline void copy_macs(void *to, const void *from)
{
	((__u32 *)to)[0] = ((const __u32 *)from)[0];
	((__u32 *)to)[1] = ((const __u32 *)from)[1];
	((__u32 *)to)[2] = ((const __u32 *)from)[2];
}

/* The same, source and destination swapped. The two may not overlap. */
static __always_inline void swap_macs(void *to, const void *from)
{
	*(__u32 *)to = *(const __u32 *)(from + 6);
	*(__u16 *)(to + 4) = *(const __u16 *)(from + 10);
	*(__u16 *)(to + 6) = *(const __u16 *)from;
	*(__u32 *)(to + 8) = *(const __u32 *)(from + 2);
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A checksum after `before` has become `after`, both sums of what they were. */
static __always_inline __sum16 changed(__sum16 checksum, __u64 before, __u64 after)
{
	__u64 sum = (__u16)~checksum;

	sum += (__u16)~fold(before);
	sum += fold(after);
	return ~fold(sum);
}

static __always_inline __u64 sum_words(const __be32 *words, const int count)
{
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < count; i++)
		sum += words[i];
	return sum;
}

/*
 * The ports behind `at`, which is where the transport begins in the packet or in one that an ICMP error carries; of such
 * a one only eight bytes need to be there. `room` is what IP says follows.
 */
static __always_inline int parse_transport(struct xdp_md *context, struct run *run, __u32 at, __u32 room, const int inner)
{
	void *header = start_of(context) + (at & LONGEST_HEADERS), *end = end_of(context);
	struct udphdr *udp = header;
	struct tcphdr *tcp = header;

	/* What is behind the packet that carries it is no part of it. */
	if (inner && at + 8 > run->l3 + (__u32)run->length &&
	    (run->flow.protocol == IPPROTO_TCP || run->flow.protocol == IPPROTO_UDP || run->flow.protocol == IPPROTO_ICMP))
		return LB_MALFORMED_ICMP;
	if (run->flow.protocol == IPPROTO_TCP) {
		if (inner) {
			if (header + 8 > end)
				return LB_MALFORMED_ICMP;
		} else {
			if (unlikely(room < sizeof(*tcp) || (void *)(tcp + 1) > end || tcp->doff < 5 ||
				     tcp->doff * 4u > room))
				return LB_MALFORMED_TRANSPORT;
			run->tcp_flags = ((__u8 *)tcp)[13];
			run->syn = (run->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
		}
		run->flow.source_port = tcp->source;
		run->flow.destination_port = tcp->dest;
		run->sums = 1;
	} else if (run->flow.protocol == IPPROTO_UDP) {
		if (unlikely((void *)(udp + 1) > end))
			return inner ? LB_MALFORMED_ICMP : LB_MALFORMED_TRANSPORT;
		if (!inner && unlikely(room < sizeof(*udp) || bpf_ntohs(udp->len) < sizeof(*udp) ||
				       bpf_ntohs(udp->len) > room))
			return LB_MALFORMED_TRANSPORT;
		run->flow.source_port = udp->source;
		run->flow.destination_port = udp->dest;
		/* What is behind the datagram in IP, no checksum covers. */
		run->sums = udp->check && bpf_ntohs(udp->len) == room;
	} else if (inner && run->flow.protocol == IPPROTO_ICMP) {
		struct icmp *icmp = header;

		if ((void *)(icmp + 1) > end)
			return LB_MALFORMED_ICMP;
		run->flow.destination_port = icmp->id;
	}
	return LB_FORWARDED;
}

/* Source and destination of the other way. */
static __always_inline void turn(struct run *run)
{
	__be16 port = run->flow.source_port;

	run->flow.source_port = run->flow.destination_port;
	run->flow.destination_port = port;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		__be32 word = run->flow.source[i];

		run->flow.source[i] = run->flow.destination[i];
		run->flow.destination[i] = word;
	}
}

/* The flow that an ICMP error is about, as the client's packets have it. The balanced address sent what it is about. */
PART int parse_icmp4(struct xdp_md *context, struct run *run, __u32 room)
{
	void *end = end_of(context);
	struct icmp *icmp;
	struct iphdr *ip;
	__u32 at, length;
	int verdict;

	if (!run)
		return LB_MALFORMED_TRANSPORT;
	icmp = start_of(context) + L4(run);
	if (unlikely(room < sizeof(*icmp) || (void *)(icmp + 1) > end))
		return LB_MALFORMED_TRANSPORT;
	run->sums = 1;
	switch (icmp->type) {
	case ICMP_DEST_UNREACH:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETERPROB:
		break;
	case ICMP_ECHO:
		run->echo = 1;
		run->flow.source_port = icmp->id;
		return LB_FORWARDED;
	default:
		return LB_FORWARDED;
	}
	ip = (void *)(icmp + 1);
	if (room < sizeof(*icmp) + sizeof(*ip) || (void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return LB_MALFORMED_ICMP;
	run->error = 1;
	run->flow.source[0] = ip->saddr;
	run->flow.destination[0] = ip->daddr;
	run->flow.protocol = ip->protocol;
	length = ip->ihl * 4;
	at = run->l4 + sizeof(*icmp) + length;
	/* A later fragment has no ports to find a flow by: it is as if the protocol had none. */
	verdict = ip->frag_off & bpf_htons(0x1fff) ? LB_FORWARDED : parse_transport(context, run, at, 0, 1);
	run->sums = 1;
	turn(run);
	return verdict;
}

PART int parse_icmp6(struct xdp_md *context, struct run *run, __u32 room)
{
	void *end = end_of(context);
	struct icmp6hdr *icmp;
	struct ipv6hdr *ip;
	__u32 at;
	int verdict;

	if (!run)
		return LB_MALFORMED_TRANSPORT;
	icmp = start_of(context) + L4(run);
	if (unlikely(room < sizeof(*icmp) || (void *)(icmp + 1) > end))
		return LB_MALFORMED_TRANSPORT;
	run->sums = 1;
	run->flow.protocol = IPPROTO_ICMP;
	if (icmp->icmp6_type == ICMPV6_ECHO_REQUEST) {
		run->echo = 1;
		run->flow.source_port = icmp->icmp6_identifier;
	}
	/* Neighbour discovery is the link's, whoever is asked for. */
	if (icmp->icmp6_type >= ND_FIRST && icmp->icmp6_type <= ND_LAST)
		return LB_NOT_IP;
	if (icmp->icmp6_type < ICMPV6_DEST_UNREACH || icmp->icmp6_type > ICMPV6_PARAMPROB)
		return LB_FORWARDED;
	ip = (void *)(icmp + 1);
	if (room < sizeof(*icmp) + sizeof(*ip) || (void *)(ip + 1) > end || ip->version != 6)
		return LB_MALFORMED_ICMP;
	run->error = 1;
	__builtin_memcpy(run->flow.source, &ip->saddr, 16);
	__builtin_memcpy(run->flow.destination, &ip->daddr, 16);
	run->flow.protocol = ip->nexthdr;
	at = run->l4 + sizeof(*icmp) + sizeof(*ip);
	/* One extension header is walked: a fragment header, or options in front of the transport. */
	if (ip->nexthdr == IPPROTO_HOPOPTS || ip->nexthdr == IPPROTO_DSTOPTS || ip->nexthdr == IPPROTO_FRAGMENT) {
		__u8 *extension = (void *)(ip + 1);

		if ((void *)(extension + 8) > end)
			return LB_MALFORMED_ICMP;
		run->flow.protocol = extension[0];
		at += 8;
		if (ip->nexthdr == IPPROTO_FRAGMENT) {
			if (*(__be16 *)(extension + 2) & bpf_htons(0xfff8)) {
				turn(run);
				return LB_FORWARDED;
			}
		} else {
			at += extension[1] * 8;
		}
	}
	if (at > LONGEST_HEADERS)
		return LB_MALFORMED_ICMP;
	if (run->flow.protocol == IPPROTO_ICMPV6)
		run->flow.protocol = IPPROTO_ICMP;
	verdict = parse_transport(context, run, at, 0, 1);
	run->sums = 1;
	turn(run);
	return verdict;
}

/* Whether the packet has so many bytes; the rest of a long one is not in the first buffer. */
static __always_inline int has(struct xdp_md *context, __u32 bytes)
{
	return likely(bytes <= context->data_end - context->data) || bytes <= bpf_xdp_get_buff_len(context);
}

static __always_inline int parse_ip4(struct xdp_md *context, struct run *run)
{
	struct iphdr *ip = start_of(context) + L3(run);
	__u32 header, length;

	if (unlikely((void *)(ip + 1) > end_of(context) || ip->version != 4 || ip->ihl < 5))
		return LB_MALFORMED_IP;
	header = ip->ihl * 4;
	length = bpf_ntohs(ip->tot_len);
	if (unlikely(length < header || !has(context, run->l3 + length)))
		return LB_MALFORMED_IP;
	run->version = 4;
	run->length = length;
	run->bytes = run->l3 + length;
	run->tos = ip->tos;
	run->options = header != sizeof(*ip);
	run->df = (ip->frag_off & bpf_htons(IP_DF)) != 0;
	run->flow.source[0] = ip->saddr;
	run->flow.destination[0] = ip->daddr;
	run->flow.protocol = ip->protocol;
	run->l4 = run->l3 + header;
	if (unlikely(ip->frag_off & bpf_htons(IP_FRAGMENT))) {
		run->fragment = 1;
		return LB_FORWARDED;
	}
	if (unlikely(ip->protocol == IPPROTO_ICMP))
		return parse_icmp4(context, run, length - header);
	return parse_transport(context, run, run->l4, length - header, 0);
}

/* Walks extension headers. Gives the protocol behind them, or below 0. */
PART int walk_extensions(struct xdp_md *context, struct run *run, __u32 next)
{
	__u32 at;

	if (!run)
		return -1;
	at = run->l3 + sizeof(struct ipv6hdr);
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		__u8 *header = start_of(context) + (at & LONGEST_HEADERS);

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_FRAGMENT &&
		    next != IPPROTO_DSTOPTS)
			break;
		if ((void *)(header + 8) > end_of(context))
			return -1;
		run->options = 1;
		at += 8;
		if (next == IPPROTO_FRAGMENT) {
			if (*(__be16 *)(header + 2) & bpf_htons(0xfff9)) {
				run->fragment = 1;
				next = header[0];
				break;
			}
		} else {
			at += header[1] * 8;
		}
		next = header[0];
		if (at > LONGEST_HEADERS)
			return -1;
	}
	if (!run->fragment && (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
			       next == IPPROTO_DSTOPTS))
		return -1;
	run->l4 = at;
	return next;
}

PART int parse_ip6(struct xdp_md *context, struct run *run)
{
	struct ipv6hdr *ip;
	__u32 length, room;
	int verdict;
	__u8 next;

	if (!run)
		return LB_MALFORMED_IP;
	ip = start_of(context) + L3(run);
	if (unlikely((void *)(ip + 1) > end_of(context) || ip->version != 6))
		return LB_MALFORMED_IP;
	length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (unlikely(length > 0xffff || !has(context, run->l3 + length)))
		return LB_MALFORMED_IP;
	run->version = 6;
	run->length = length;
	run->bytes = run->l3 + length;
	run->tos = bpf_ntohs(*(__be16 *)ip) >> 4;
	run->df = 1;
	__builtin_memcpy(run->flow.source, &ip->saddr, 16);
	__builtin_memcpy(run->flow.destination, &ip->daddr, 16);
	run->l4 = run->l3 + sizeof(*ip);
	next = ip->nexthdr;
	if (unlikely(next != IPPROTO_TCP && next != IPPROTO_UDP && next != IPPROTO_ICMPV6)) {
		int behind = walk_extensions(context, run, next);

		if (behind < 0)
			return LB_MALFORMED_EXTENSION;
		next = behind;
		if (run->l4 > run->l3 + length)
			return LB_MALFORMED_EXTENSION;
	}
	room = run->l3 + length - run->l4;
	run->flow.protocol = next;
	if (unlikely(run->fragment)) {
		if (next == IPPROTO_ICMPV6)
			run->flow.protocol = IPPROTO_ICMP;
		return LB_FORWARDED;
	}
	if (unlikely(next == IPPROTO_ICMPV6))
		verdict = parse_icmp6(context, run, room);
	else
		verdict = parse_transport(context, run, run->l4, room, 0);
	/* The transport's checksum covers no extension headers. */
	if (run->options)
		run->sums = 0;
	return verdict;
}

/* Fills `run`, which must be zero; LB_FORWARDED if it is a packet that may be for a service. */
static __always_inline int parse(struct xdp_md *context, struct run *run)
{
	void *data = start_of(context), *end = end_of(context);
	struct ethhdr *ethernet = data;
	__be16 ethertype;

	if (unlikely((void *)(ethernet + 1) > end))
		return LB_MALFORMED_ETHERNET;
	run->bytes = end - data;
	run->l3 = sizeof(*ethernet);
	ethertype = ethernet->h_proto;
	if (unlikely(ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD))) {
		struct vlan_tag *tag = (void *)(ethernet + 1);

		if ((void *)(tag + 1) > end)
			return LB_MALFORMED_ETHERNET;
		run->l3 += sizeof(*tag);
		ethertype = tag->ethertype;
		if (ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD)) {
			tag++;
			if ((void *)(tag + 1) > end)
				return LB_MALFORMED_ETHERNET;
			run->l3 += sizeof(*tag);
			ethertype = tag->ethertype;
			if (ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD))
				return LB_TOO_MANY_TAGS;
		}
	}
	if (ethertype == bpf_htons(ETH_P_IP))
		return parse_ip4(context, run);
	if (ethertype == bpf_htons(ETH_P_IPV6))
		return parse_ip6(context, run);
	return LB_NOT_IP;
}

#endif
