/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The walk over a packet's headers, shared by our XDP programs: Ethernet with up to two VLAN tags, IPv4, IPv6 with its
 * extension headers, the ports of TCP, UDP and their like. Knows no maps and takes no decision.
 */
#ifndef ALVEARY_PARSE_H
#define ALVEARY_PARSE_H

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Tags and extension headers that are walked; a packet with more of them is not understood. */
#define MAX_VLANS 2
#define MAX_EXTENSIONS 6

#define IP_FRAGMENT_OFFSET 0x1fff
#define IP_MORE_FRAGMENTS 0x2000
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define IPV6_MORE_FRAGMENTS 0x0001
#define VLAN_ID 0x0fff

struct vlan_tag {
	__be16 tci;
	__be16 ethertype;
};

struct ipv6_extension {
	__u8 next;
	__u8 length;
	__be16 fragment;
};

struct port_pair {
	__be16 source;
	__be16 destination;
};

/* What is left of a packet. */
struct cursor {
	void *at;
	void *end;
};

/* What the headers say. Fields that a packet does not have are zero. */
struct packet {
	__u8 source[16];	/* address that an IP packet comes from; of IPv4 the first four bytes */
	__u8 version;		/* 4 or 6 for IP */
	__u16 ethertype;	/* of what follows the tags */
	__u16 vlans;		/* tags in front of it */
	__u16 vlan;		/* id of the outermost tag */
	__u16 source_port;
	__u16 destination_port;
	__u8 protocol;		/* behind the extension headers */
	__u8 icmp_type;
	__u8 fragment;		/* whether it is one */
};

static __always_inline void *take(struct cursor *cursor, __u64 length)
{
	void *here = cursor->at;

	if (here + length > cursor->end)
		return NULL;
	cursor->at = here + length;
	return here;
}

static __always_inline int parse_ethernet(struct cursor *cursor, struct packet *packet)
{
	struct ethhdr *ethernet = take(cursor, sizeof(*ethernet));
	__be16 ethertype;

	if (!ethernet)
		return -1;
	ethertype = ethernet->h_proto;
#pragma unroll
	for (int i = 0; i < MAX_VLANS; i++) {
		struct vlan_tag *tag;

		if (ethertype != bpf_htons(ETH_P_8021Q) && ethertype != bpf_htons(ETH_P_8021AD))
			break;
		tag = take(cursor, sizeof(*tag));
		if (!tag)
			return -1;
		if (i == 0)
			packet->vlan = bpf_ntohs(tag->tci) & VLAN_ID;
		packet->vlans++;
		ethertype = tag->ethertype;
	}
	packet->ethertype = bpf_ntohs(ethertype);
	return 0;
}

/* Whether the transport header follows: in a later fragment it does not. */
static __always_inline int parse_ipv4(struct cursor *cursor, struct packet *packet)
{
	struct iphdr *ip = take(cursor, sizeof(*ip));
	__u16 fragment;

	if (!ip || ip->ihl < 5 || !take(cursor, ip->ihl * 4 - sizeof(*ip)))
		return -1;
	fragment = bpf_ntohs(ip->frag_off);
	packet->version = 4;
	__builtin_memcpy(packet->source, &ip->saddr, sizeof(ip->saddr));
	packet->protocol = ip->protocol;
	packet->fragment = (fragment & (IP_FRAGMENT_OFFSET | IP_MORE_FRAGMENTS)) != 0;
	return (fragment & IP_FRAGMENT_OFFSET) == 0;
}

static __always_inline int parse_ipv6(struct cursor *cursor, struct packet *packet)
{
	struct ipv6hdr *ip = take(cursor, sizeof(*ip));
	__u8 next;

	if (!ip)
		return -1;
	packet->version = 6;
	__builtin_memcpy(packet->source, &ip->saddr, sizeof(ip->saddr));
	next = ip->nexthdr;
#pragma clang loop unroll(disable)
	for (int i = 0; i <= MAX_EXTENSIONS; i++) {
		struct ipv6_extension *extension;

		packet->protocol = next;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_FRAGMENT &&
		    next != IPPROTO_DSTOPTS)
			return 1;
		extension = take(cursor, 8);
		if (!extension)
			return -1;
		next = extension->next;
		if (packet->protocol == IPPROTO_FRAGMENT) {
			__u16 fragment = bpf_ntohs(extension->fragment);

			packet->fragment = (fragment & (IPV6_FRAGMENT_OFFSET | IPV6_MORE_FRAGMENTS)) != 0;
			if (fragment & IPV6_FRAGMENT_OFFSET) {
				packet->protocol = next;
				return 0;
			}
		} else if (!take(cursor, extension->length * 8)) {
			return -1;
		}
	}
	return -1;
}

static __always_inline int parse_transport(struct cursor *cursor, struct packet *packet)
{
	struct port_pair *ports;
	struct icmp6hdr *icmp;

	switch (packet->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		ports = take(cursor, sizeof(*ports));
		if (!ports)
			return -1;
		packet->source_port = bpf_ntohs(ports->source);
		packet->destination_port = bpf_ntohs(ports->destination);
		return 0;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		icmp = take(cursor, 4);
		if (!icmp)
			return -1;
		packet->icmp_type = icmp->icmp6_type;
		return 0;
	default:
		return 0;
	}
}

/* Fills `packet`, which must be zero. Negative if the packet ends inside a header or a header cannot be. */
static __always_inline int parse(struct xdp_md *context, struct packet *packet)
{
	struct cursor cursor = {
		.at = (void *)(long)context->data,
		.end = (void *)(long)context->data_end,
	};
	int transport = 0;

	if (parse_ethernet(&cursor, packet) < 0)
		return -1;
	if (packet->ethertype == ETH_P_IP)
		transport = parse_ipv4(&cursor, packet);
	else if (packet->ethertype == ETH_P_IPV6)
		transport = parse_ipv6(&cursor, packet);
	return transport > 0 ? parse_transport(&cursor, packet) : transport;
}

#endif
