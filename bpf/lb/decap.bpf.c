// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * For the reals: takes off what the balancer put around packets (IPIP, 6-in-4, 4-in-6, IP6IP6, GUE), before the stack sees
 * them, which then needs no tunnel device. Only packets to addresses in `ends` are looked into. Checksums of the outer
 * headers are not asked: those inside are, by whom the packet is for.
 */
#include "packet.h"

#define GUE_PORT		6080
/* GUE's variant 0 is a header of four bytes and options; the second byte is the protocol. */
#define GUE_HEADER		4

/* Explicit congestion notification: the lowest bits of DSCP's byte. */
#define ECN			3
#define ECT_1			1
#define ECT_0			2
#define CE			3

/* UDP port of GUE. */
const volatile __u16 decap_port = GUE_PORT;

struct end {
	__be32 address[4];	/* of IPv4 the first word */
};

/* Where tunnels end: addresses of this host's. The value says nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct end);
	__type(value, __u32);
} ends SEC(".maps");

/* Keys of `decapsulated`. */
enum outcome {
	OTHER,			/* passed as it is */
	FROM_IP,
	FROM_GUE,
	MALFORMED,		/* dropped: what is inside is cut, or nothing that we know */
	CONGESTED,		/* dropped: the way was congested, and the sender of what is inside does not hear of it otherwise */
	OUTCOMES,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, __u32);
	__type(value, struct lb_traffic);
} decapsulated SEC(".maps");

/* What is around a packet. */
struct around {
	__u32 l3;		/* where the outer header begins */
	__u32 size;		/* of all that is taken off */
	__u8 inside;		/* protocol, as headers name it: IPPROTO_IPIP or IPPROTO_IPV6 */
	__u8 ecn;		/* of the outer header */
};

static __always_inline int ends_here(const struct end *end)
{
	return bpf_map_lookup_elem(&ends, end) != NULL;
}

/* What GUE carries; `at` is its UDP header. */
static __always_inline int in_gue(void *at, void *end, struct around *around)
{
	struct udphdr *udp = at;
	__u8 *gue = (void *)(udp + 1);

	if ((void *)(udp + 1) > end || udp->dest != bpf_htons(decap_port))
		return OTHER;
	if ((void *)(gue + GUE_HEADER) > end)
		return MALFORMED;
	around->size += sizeof(*udp);
	if (gue[0] >> 4 == 4) {
		around->inside = IPPROTO_IPIP;
	} else if (gue[0] >> 4 == 6) {
		around->inside = IPPROTO_IPV6;
	} else if (gue[0] == 0 && (gue[1] == IPPROTO_IPIP || gue[1] == IPPROTO_IPV6)) {
		around->inside = gue[1];
		around->size += GUE_HEADER;
	} else {
		return MALFORMED;
	}
	return FROM_GUE;
}

static __always_inline int look(struct xdp_md *context, struct around *around)
{
	void *data = start_of(context), *end = end_of(context), *ip;
	struct ethhdr *ethernet = data;
	struct end to = {};
	__be16 ethertype;
	__u8 protocol;

	if ((void *)(ethernet + 1) > end)
		return OTHER;
	ethertype = ethernet->h_proto;
	around->l3 = sizeof(*ethernet);
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct vlan_tag *tag = data + around->l3;

		if (ethertype != bpf_htons(ETH_P_8021Q) && ethertype != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > end)
			return OTHER;
		around->l3 += sizeof(*tag);
		ethertype = tag->ethertype;
	}
	ip = data + L3(around);
	if (ethertype == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip4 = ip;

		if ((void *)(ip4 + 1) > end || ip4->ihl != 5 || ip4->frag_off & bpf_htons(IP_FRAGMENT))
			return OTHER;
		protocol = ip4->protocol;
		around->ecn = ip4->tos & ECN;
		to.address[0] = ip4->daddr;
		around->size = sizeof(*ip4);
	} else if (ethertype == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip6 = ip;

		if ((void *)(ip6 + 1) > end)
			return OTHER;
		protocol = ip6->nexthdr;
		around->ecn = ((__u8 *)ip)[1] >> 4 & ECN;
		__builtin_memcpy(to.address, &ip6->daddr, 16);
		around->size = sizeof(*ip6);
	} else {
		return OTHER;
	}
	if ((protocol != IPPROTO_IPIP && protocol != IPPROTO_IPV6 && protocol != IPPROTO_UDP) || !ends_here(&to))
		return OTHER;
	if (protocol == IPPROTO_UDP)
		return in_gue(ip + (around->size & 0x3f), end, around);
	around->inside = protocol;
	return FROM_IP;
}

/*
 * Has the packet say what routers on the way said of congestion, as RFC 6040 wants it; below 0 if it cannot, since its sender
 * knows no ECN: then it has to be lost. `inside` has 20 bytes.
 */
static __always_inline int carry(__u8 *inside, const struct around *around)
{
	const int shift = around->inside == IPPROTO_IPIP ? 0 : 4;
	__u8 before = inside[1] >> shift & ECN, after = before;
	__u16 word = *(__u16 *)inside;

	if (around->ecn == CE) {
		if (!before)
			return -1;
		after = CE;
	} else if (around->ecn == ECT_1 && before == ECT_0) {
		after = ECT_1;
	}
	if (after == before)
		return 0;
	inside[1] ^= (before ^ after) << shift;
	if (!shift) {
		struct iphdr *ip = (void *)inside;

		ip->check = changed(ip->check, word, *(__u16 *)inside);
	}
	return 0;
}

/* Takes the headers off; the Ethernet header and its tags move to the packet. Gives what became of it, or MALFORMED. */
static __always_inline int take_off(struct xdp_md *context, const struct around *around, int outcome)
{
	const __be16 type = around->inside == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	void *data = start_of(context);
	__u8 *inside = data + L3(around) + (around->size & 0x3f);
	__u32 link[6];

	if ((void *)(inside + sizeof(struct iphdr)) > end_of(context) || data + sizeof(link) > end_of(context))
		return MALFORMED;
	if (inside[0] >> 4 != (around->inside == IPPROTO_IPIP ? 4 : 6))
		return MALFORMED;
	if (carry(inside, around))
		return CONGESTED;
	__builtin_memcpy(link, data, sizeof(link));
	if (bpf_xdp_adjust_head(context, around->size))
		return MALFORMED;
	data = start_of(context);
	if (data + sizeof(link) > end_of(context))
		return MALFORMED;
	copy_macs(data, link);
	if (around->l3 == sizeof(struct ethhdr)) {
		*(__be16 *)(data + 12) = type;
	} else if (around->l3 == sizeof(struct ethhdr) + sizeof(struct vlan_tag)) {
		*(__u32 *)(data + 12) = link[3];
		*(__be16 *)(data + 16) = type;
	} else {
		*(__u32 *)(data + 12) = link[3];
		*(__u32 *)(data + 16) = link[4];
		*(__be16 *)(data + 20) = type;
	}
	return outcome;
}

SEC("xdp.frags")
int decap(struct xdp_md *context)
{
	__u32 bytes = context->data_end - context->data;
	struct around around = {};
	struct lb_traffic *traffic;
	__u32 outcome = look(context, &around);

	if (outcome == FROM_IP || outcome == FROM_GUE)
		outcome = take_off(context, &around, outcome);
	traffic = bpf_map_lookup_elem(&decapsulated, &outcome);
	if (traffic) {
		traffic->packets++;
		traffic->bytes += bytes;
	}
	return outcome >= MALFORMED ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
