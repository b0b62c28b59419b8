// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Drops packets by VLAN, by source prefix and by destination port. The maps are the configuration:
 *
 *	alveary run examples/filter.bpf.o --pcap traffic.pcap --dump-maps \
 *		--map blocked_v4:10.0.0.0/8=1 --map blocked_v4:10.1.0.0/16=0 \
 *		--map 'ports:{protocol=6,port=23}=1'
 *
 * Each entry is a rule: its value is 1 to drop, 0 to let pass. The rules are asked in the order VLAN, source, port;
 * the first that names the packet decides. What no rule names follows `policy`. ARP and the other protocols below
 * IP, and IPv6's neighbour discovery, follow VLAN rules alone: a policy of 1 does not cut a host off from its link.
 */
#include "../parse.h"
#include "../traffic.h"

/* Neighbour discovery: router and neighbour solicitations and advertisements. */
#define ND_FIRST 133
#define ND_LAST 136

struct prefix_v4 {
	__u32 length;
	__u8 address[4];
};

struct prefix_v6 {
	__u32 length;
	__u8 address[16];
};

/* A destination port, in the byte order of the machine. */
struct port {
	__u8 protocol;
	__u8 unused;
	__u16 port;
};

/* Keys of `stats`. */
enum outcome {
	PASSED,
	DROPPED_BY_VLAN,
	DROPPED_BY_SOURCE,
	DROPPED_BY_PORT,
	DROPPED_BY_POLICY,
	DROPPED_MALFORMED,
	OUTCOMES,
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} policy SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u16);
	__type(value, __u32);
} vlans SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix_v4);
	__type(value, __u32);
} blocked_v4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix_v6);
	__type(value, __u32);
} blocked_v6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct port);
	__type(value, __u32);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, __u32);
	__type(value, struct traffic);
} stats SEC(".maps");

/* The rule for where the packet comes from, if there is one. */
static __always_inline __u32 *source_rule(const struct packet *packet)
{
	if (packet->version == 4) {
		struct prefix_v4 source = { .length = 32 };

		__builtin_memcpy(source.address, packet->source, sizeof(source.address));
		return bpf_map_lookup_elem(&blocked_v4, &source);
	}
	if (packet->version == 6) {
		struct prefix_v6 source = { .length = 128 };

		__builtin_memcpy(source.address, packet->source, sizeof(source.address));
		return bpf_map_lookup_elem(&blocked_v6, &source);
	}
	return NULL;
}

static __always_inline __u32 *port_rule(const struct packet *packet)
{
	struct port port = { .protocol = packet->protocol, .port = packet->destination_port };

	return bpf_map_lookup_elem(&ports, &port);
}

static __always_inline int keeps_the_link(const struct packet *packet)
{
	if (!packet->version)
		return 1;
	return packet->protocol == IPPROTO_ICMPV6 && packet->icmp_type >= ND_FIRST && packet->icmp_type <= ND_LAST;
}

static __always_inline __u32 decide(const struct packet *packet)
{
	__u32 everything = 0;
	__u32 *rule;

	if (packet->vlans) {
		rule = bpf_map_lookup_elem(&vlans, &packet->vlan);
		if (rule)
			return *rule ? DROPPED_BY_VLAN : PASSED;
	}
	if (keeps_the_link(packet))
		return PASSED;
	rule = source_rule(packet);
	if (rule)
		return *rule ? DROPPED_BY_SOURCE : PASSED;
	rule = port_rule(packet);
	if (rule)
		return *rule ? DROPPED_BY_PORT : PASSED;
	rule = bpf_map_lookup_elem(&policy, &everything);
	return rule && *rule ? DROPPED_BY_POLICY : PASSED;
}

SEC("xdp")
int filter(struct xdp_md *context)
{
	struct packet packet = {};
	__u32 outcome = parse(context, &packet) < 0 ? DROPPED_MALFORMED : decide(&packet);

	add_packet(bpf_map_lookup_elem(&stats, &outcome), context->data_end - context->data);
	return outcome == PASSED ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
