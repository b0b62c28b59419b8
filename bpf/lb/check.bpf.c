// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * For checks through the tunnel: what the balancer's own sockets send to a VIP gets the headers that packets of clients get,
 * and goes to the real that is checked. A packet's mark says which one that is. At the egress of the device that the
 * machine's route to the VIP leaves by.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* The marks of checks; the control plane has the same numbers. */
#define MARKS			0x6c620000
#define WAYS			16384

/* What tcx takes (Linux 6.6): the next program looks at it; it goes no further. */
#define NEXT			-1
#define DROP			2

#define TTL			64
#define DONT_FRAGMENT		0x4000

/* What becomes of the packets of a mark. */
struct way {
	__be32 vip[4];		/* whom they have to be for; of IPv4 the first word, as below */
	__be32 source[4];	/* outer */
	__be32 real[4];
	__u32 device;		/* that the real is behind */
	__be16 port;		/* UDP port of GUE; 0: IP in IP */
	__u8 vip6;
	__u8 real6;
	__u64 packets;		/* that went */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WAYS);
	__type(key, __u32);
	__type(value, struct way);
} ways SEC(".maps");

static __always_inline __u64 sum_words(const __be32 *words)
{
	return (__u64)words[0] + words[1] + words[2] + words[3];
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Whether the packet is for the way's VIP; `sum` is then that of all its bytes. */
static __always_inline int is_for(struct __sk_buff *skb, const struct way *way, __u64 *sum)
{
	/*
	 * Of what TCP and UDP hold their checksum sees to it that the sum is what the pseudo-header lacks, whether it is filled
	 * in by now or by the device. The header of IPv4 sums up to nothing by its own.
	 */
	if (way->vip6) {
		struct ipv6hdr ip;

		if (skb->protocol != bpf_htons(ETH_P_IPV6) || bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
			return 0;
		/* Addresses and length are in the header and in the pseudo-header. */
		*sum = (__u64)*(__be32 *)&ip + *(__u16 *)&ip.nexthdr + (__u16)~bpf_htons(ip.nexthdr);
		return ip.daddr.s6_addr32[0] == way->vip[0] && ip.daddr.s6_addr32[1] == way->vip[1] &&
		       ip.daddr.s6_addr32[2] == way->vip[2] && ip.daddr.s6_addr32[3] == way->vip[3];
	} else {
		struct iphdr ip;
		__u64 pseudo;

		if (skb->protocol != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, ETH_HLEN, &ip, sizeof(ip)))
			return 0;
		pseudo = (__u64)ip.saddr + ip.daddr + bpf_htons(ip.protocol);
		pseudo += bpf_htons(bpf_ntohs(ip.tot_len) - ip.ihl * 4);
		*sum = (__u16)~fold(pseudo);
		return ip.daddr == way->vip[0];
	}
}

/* tc: what older libraries know; where it is attached, at tcx, is said there. */
SEC("tc")
int check(struct __sk_buff *skb)
{
	__u32 number = skb->mark - MARKS, length = skb->len - ETH_HLEN, size, at = ETH_HLEN;
	__u64 flags, sum = 0;
	struct way *way;
	__u8 protocol;

	if (number >= WAYS)
		return NEXT;
	way = bpf_map_lookup_elem(&ways, &number);
	/* Another balancer's, or nobody's. */
	if (!way || !way->device || !is_for(skb, way, &sum))
		return NEXT;
	size = way->real6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	flags = way->real6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	protocol = way->vip6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	if (way->port) {
		size += sizeof(struct udphdr);
		flags |= BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
		protocol = IPPROTO_UDP;
	}
	if (bpf_skb_adjust_room(skb, size, BPF_ADJ_ROOM_MAC, flags))
		return DROP;
	if (way->real6) {
		struct ipv6hdr ip = {};

		ip.version = 6;
		ip.payload_len = bpf_htons(length + size - sizeof(ip));
		ip.nexthdr = protocol;
		ip.hop_limit = TTL;
		__builtin_memcpy(&ip.saddr, way->source, sizeof(ip.saddr));
		__builtin_memcpy(&ip.daddr, way->real, sizeof(ip.daddr));
		if (bpf_skb_store_bytes(skb, at, &ip, sizeof(ip), 0))
			return DROP;
		at += sizeof(ip);
	} else {
		struct iphdr ip = {};

		ip.version = 4;
		ip.ihl = 5;
		ip.tot_len = bpf_htons(length + size);
		ip.frag_off = bpf_htons(DONT_FRAGMENT);
		ip.ttl = TTL;
		ip.protocol = protocol;
		ip.saddr = way->source[0];
		ip.daddr = way->real[0];
		ip.check = ~fold((__u64)bpf_htons(0x4500) + ip.tot_len + ip.frag_off + bpf_htons(TTL << 8 | protocol) +
				 ip.saddr + ip.daddr);
		if (bpf_skb_store_bytes(skb, at, &ip, sizeof(ip), 0))
			return DROP;
		at += sizeof(ip);
	}
	if (way->port) {
		struct udphdr udp = {
			.source = bpf_htons(0xc000 | (number & 0x3fff)),
			.dest = way->port,
			.len = bpf_htons(length + sizeof(udp)),
		};

		sum += (__u64)udp.source + udp.dest + 2 * udp.len + bpf_htons(IPPROTO_UDP);
		/* Of IPv4 the other words are 0. */
		sum += sum_words(way->source) + sum_words(way->real);
		/* What the device cuts into segments has no sum of its own. */
		if (skb->gso_size == 0) {
			__u16 check = ~fold(sum);

			udp.check = check ? check : 0xffff;
		}
		if (bpf_skb_store_bytes(skb, at, &udp, sizeof(udp), 0))
			return DROP;
	}
	/* Not a second time, and by the machine's ways for all that it sends. */
	skb->mark = 0;
	__sync_fetch_and_add(&way->packets, 1);
	return bpf_redirect_neigh(way->device, NULL, 0, 0);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
