// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Hybrid access: the packets of one route over several links, each by the segments that stand for one. A link's share of
 * the bytes is its weight's share of all weights (smooth weighted round robin, counted in bytes). Where the links' devices
 * have an `fq` queue, `hold` tells packets of faster ones when to leave (earliest departure time).
 *
 * Loaded by `alveary srv6 hybrid run`, at both ends of the links.
 */
#include "../traffic.h"
#include "srh.h"

#include <linux/pkt_cls.h>

#define LINKS		4
#define SEGMENTS	8

struct link {
	__u32 weight;		/* 0: it gets nothing */
	__u32 length;		/* of the header */
	__u8 srh[sizeof(struct srh) + SEGMENTS * sizeof(struct in6_addr)];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LINKS);
	__type(key, __u32);
	__type(value, struct link);
} links SEC(".maps");

/* What each link is owed, in bytes by weights. Each CPU spreads what it sees. */
struct owed {
	__s64 bytes[LINKS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct owed);
} owed SEC(".maps");

/* What each link got, and at the end what none got. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LINKS + 1);
	__type(key, __u32);
	__type(value, struct traffic);
} sent SEC(".maps");

SEC("lwt_in")
int spread(struct __sk_buff *skb)
{
	__u32 first = 0, none = LINKS, best = LINKS, length;
	struct owed *state = bpf_map_lookup_elem(&owed, &first);
	__s64 packet = skb->len, most = 0, all = 0;
	struct link *link;

	if (!state || skb->protocol != bpf_htons(ETH_P_IPV6))
		return BPF_OK;
	for (__u32 number = 0; number < LINKS; number++) {
		__u32 key = number;

		link = bpf_map_lookup_elem(&links, &key);
		if (!link || !link->weight) {
			state->bytes[number] = 0;
			continue;
		}
		all += link->weight;
		state->bytes[number] += link->weight * packet;
		if (best == LINKS || state->bytes[number] > most) {
			best = number;
			most = state->bytes[number];
		}
	}
	link = bpf_map_lookup_elem(&links, &best);
	if (best >= LINKS || !link) {
		add_packet(bpf_map_lookup_elem(&sent, &none), packet);
		return BPF_DROP;
	}
	state->bytes[best] -= all * packet;
	length = link->length;
	if (!length || length > sizeof(link->srh) || bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_SEG6, link->srh, length)) {
		add_packet(bpf_map_lookup_elem(&sent, &none), packet);
		return BPF_DROP;
	}
	add_packet(bpf_map_lookup_elem(&sent, &best), packet);
	return BPF_LWT_REROUTE;
}

/* How long what has a routing header is to wait before it leaves by a device, in ns. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LINKS);
	__type(key, __u32);
	__type(value, __u64);
} holds SEC(".maps");

SEC("tc")
int hold(struct __sk_buff *skb)
{
	__u32 device = skb->ifindex;
	__u64 *longer = bpf_map_lookup_elem(&holds, &device);
	__u8 next;

	if (!longer || !*longer || skb->protocol != bpf_htons(ETH_P_IPV6) ||
	    bpf_skb_load_bytes_relative(skb, __builtin_offsetof(struct ipv6hdr, nexthdr), &next, sizeof(next),
					BPF_HDR_START_NET) ||
	    next != ROUTING_HEADER)
		return TC_ACT_UNSPEC;
	skb->tstamp = bpf_ktime_get_ns() + *longer;
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
