// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Sends IPv4 packets elsewhere: destination address and port are replaced by those of a map, the traffic class is set,
 * the checksums are kept right. For tc, on ingress or egress:
 *
 *	alveary run examples/rewrite.bpf.o --pcap traffic.pcap --write out.pcap \
 *		--map 'targets:{address=10.0.0.2,port=80,protocol=6}={address=10.0.0.9,port=8080,dscp=46}'
 *
 * Fragments but the first carry no port and are left as they are, as is what no entry names.
 */
#include <stddef.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../traffic.h"

#define IP_FRAGMENT_OFFSET 0x1fff
#define ECN_BITS 0x03

struct vlan_tag {
	__be16 tci;
	__be16 ethertype;
};

/* Where a packet is going. Ports are in the byte order of the machine. */
struct destination {
	__u8 address[4];
	__u16 port;
	__u8 protocol;
	__u8 unused;
};

/* Where it goes instead, and the traffic class that it gets (0 to 63). */
struct target {
	__u8 address[4];
	__u16 port;
	__u8 dscp;
	__u8 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct destination);
	__type(value, struct target);
} targets SEC(".maps");

/* Keys of `stats`. */
enum outcome {
	LEFT,
	REWRITTEN,
	FAILED,
	OUTCOMES,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, __u32);
	__type(value, struct traffic);
} stats SEC(".maps");

/* Offset of the IPv4 header, behind at most one tag that still stands in the frame; negative if there is none. */
static __always_inline int ipv4_offset(struct __sk_buff *skb)
{
	int offset = offsetof(struct ethhdr, h_proto);
	__be16 ethertype;

	if (bpf_skb_load_bytes(skb, offset, &ethertype, sizeof(ethertype)))
		return -1;
	offset += sizeof(ethertype);
	if (ethertype == bpf_htons(ETH_P_8021Q) || ethertype == bpf_htons(ETH_P_8021AD)) {
		struct vlan_tag tag;

		if (bpf_skb_load_bytes(skb, offset, &tag, sizeof(tag)))
			return -1;
		offset += sizeof(tag);
		ethertype = tag.ethertype;
	}
	return ethertype == bpf_htons(ETH_P_IP) ? offset : -1;
}

/* Replaces the 16-bit word that holds version, header length and traffic class; the bits of ECN stay. */
static __always_inline long set_dscp(struct __sk_buff *skb, int ip_offset, const struct iphdr *ip, __u8 dscp)
{
	__u8 tos = (dscp << 2) | (ip->tos & ECN_BITS);
	__be16 before = bpf_htons((ip->version << 12) | (ip->ihl << 8) | ip->tos);
	__be16 after = bpf_htons((ip->version << 12) | (ip->ihl << 8) | tos);
	long failed = bpf_l3_csum_replace(skb, ip_offset + offsetof(struct iphdr, check), before, after, sizeof(after));

	return failed ?: bpf_skb_store_bytes(skb, ip_offset + offsetof(struct iphdr, tos), &tos, sizeof(tos), 0);
}

/* Replaces the address, which the IP header's checksum and the transport's pseudo header both cover. */
static __always_inline long set_address(struct __sk_buff *skb, int ip_offset, int checksum_offset, __u64 flags,
					__be32 before, __be32 after)
{
	long failed = bpf_l4_csum_replace(skb, checksum_offset, before, after,
					  flags | BPF_F_PSEUDO_HDR | sizeof(after));

	failed = failed ?: bpf_l3_csum_replace(skb, ip_offset + offsetof(struct iphdr, check), before, after, sizeof(after));
	return failed ?: bpf_skb_store_bytes(skb, ip_offset + offsetof(struct iphdr, daddr), &after, sizeof(after), 0);
}

static __always_inline long set_port(struct __sk_buff *skb, int port_offset, int checksum_offset, __u64 flags,
				     __be16 before, __be16 after)
{
	long failed = bpf_l4_csum_replace(skb, checksum_offset, before, after, flags | sizeof(after));

	return failed ?: bpf_skb_store_bytes(skb, port_offset, &after, sizeof(after), 0);
}

static __always_inline __u32 rewrite_packet(struct __sk_buff *skb)
{
	struct destination destination = {};
	int ip_offset = ipv4_offset(skb);
	int port_offset, checksum_offset;
	struct target *target;
	struct iphdr ip;
	__be32 address;
	__u64 flags = 0;
	__be16 port;
	long failed;

	if (ip_offset < 0 || bpf_skb_load_bytes(skb, ip_offset, &ip, sizeof(ip)))
		return LEFT;
	if (ip.ihl < 5 || ip.frag_off & bpf_htons(IP_FRAGMENT_OFFSET))
		return LEFT;
	/* TCP and UDP both have the destination port second. */
	port_offset = ip_offset + ip.ihl * 4 + offsetof(struct tcphdr, dest);
	checksum_offset = ip_offset + ip.ihl * 4;
	if (ip.protocol == IPPROTO_TCP) {
		checksum_offset += offsetof(struct tcphdr, check);
	} else if (ip.protocol == IPPROTO_UDP) {
		/* Zero means that the sender computed none: it stays so. */
		checksum_offset += offsetof(struct udphdr, check);
		flags = BPF_F_MARK_MANGLED_0;
	} else {
		return LEFT;
	}
	if (bpf_skb_load_bytes(skb, port_offset, &port, sizeof(port)))
		return LEFT;

	__builtin_memcpy(destination.address, &ip.daddr, sizeof(destination.address));
	destination.port = bpf_ntohs(port);
	destination.protocol = ip.protocol;
	target = bpf_map_lookup_elem(&targets, &destination);
	if (!target)
		return LEFT;

	__builtin_memcpy(&address, target->address, sizeof(address));
	failed = set_dscp(skb, ip_offset, &ip, target->dscp);
	failed = failed ?: set_address(skb, ip_offset, checksum_offset, flags, ip.daddr, address);
	failed = failed ?: set_port(skb, port_offset, checksum_offset, flags, port, bpf_htons(target->port));
	return failed ? FAILED : REWRITTEN;
}

SEC("tc")
int rewrite(struct __sk_buff *skb)
{
	__u32 outcome = rewrite_packet(skb);

	add_packet(bpf_map_lookup_elem(&stats, &outcome), skb->len);
	/* A packet that was changed by half is worth less than none. */
	return outcome == FAILED ? TC_ACT_SHOT : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
