// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Counts what arrives: packets and bytes by kind (IPv4, IPv6, ARP, tagged, fragments, …) and by service.
 * Nothing is changed or dropped.
 *
 *	alveary run examples/count.bpf.o --pcap traffic.pcap --dump-maps
 */
#include "../parse.h"
#include "../traffic.h"

/* Keys of `kinds`. A packet counts once in ALL and in each kind that it is of. */
enum kind {
	ALL,
	ARP,
	IPV4,
	IPV6,
	OTHER,		/* neither ARP nor IP */
	TAGGED,		/* one VLAN tag or two */
	FRAGMENT,
	MALFORMED,	/* ends inside a header, or a header that cannot be */
	KINDS,
};

/*
 * An IP protocol and the port of the service: the lower one of source and destination, so that both directions of a
 * conversation count together. Zero for protocols without ports and for fragments but the first.
 */
struct service {
	__u8 protocol;
	__u8 unused;
	__u16 port;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KINDS);
	__type(key, __u32);
	__type(value, struct traffic);
} kinds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct service);
	__type(value, struct traffic);
} services SEC(".maps");

static __always_inline void count_kind(__u32 kind, __u64 bytes)
{
	add_packet(bpf_map_lookup_elem(&kinds, &kind), bytes);
}

static __always_inline void count_service(const struct packet *packet, __u64 bytes)
{
	struct service service = { .protocol = packet->protocol };
	struct traffic first = { .packets = 1, .bytes = bytes };
	struct traffic *traffic;

	service.port = packet->source_port < packet->destination_port ? packet->source_port
								      : packet->destination_port;
	traffic = bpf_map_lookup_elem(&services, &service);
	if (traffic)
		add_packet(traffic, bytes);
	else
		bpf_map_update_elem(&services, &service, &first, BPF_NOEXIST);
}

static __always_inline __u32 network_kind(__u16 ethertype)
{
	switch (ethertype) {
	case ETH_P_ARP:
		return ARP;
	case ETH_P_IP:
		return IPV4;
	case ETH_P_IPV6:
		return IPV6;
	default:
		return OTHER;
	}
}

SEC("xdp")
int count(struct xdp_md *context)
{
	__u64 bytes = context->data_end - context->data;
	struct packet packet = {};
	int malformed = parse(context, &packet) < 0;

	count_kind(ALL, bytes);
	if (malformed) {
		count_kind(MALFORMED, bytes);
		return XDP_PASS;
	}
	count_kind(network_kind(packet.ethertype), bytes);
	if (packet.vlans)
		count_kind(TAGGED, bytes);
	if (packet.fragment)
		count_kind(FRAGMENT, bytes);
	if (packet.version)
		count_service(&packet, bytes);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
