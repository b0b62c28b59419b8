/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * NAT, both ways: towards the real both addresses are replaced, so that it answers to the balancer, which finds the client
 * by the port that it was given.
 */
#ifndef ALVEARY_LB_NAT_H
#define ALVEARY_LB_NAT_H

#include "ids.h"
#include "outer.h"

/* Ports that are tried for a new flow. */
#define TRIES			16
/*
 * Ticks for which a connection that is silent keeps its port though others want it: 124 minutes (RFC 5382) once the real
 * has answered; as long as Linux keeps TIME-WAIT behind FIN or RST; datagrams by the service's `idle`, if it has one.
 */
#define KEEPS_OPEN		6930
#define KEEPS_CLOSED		60
#define KEEPS_NEW		30

/* No port, 0 in its 16 bits. Who asked tells of it: there is no room on the stack below. */
#define OVER_RATE		(1u << 16)

/* What a flow becomes. */
struct becomes {
	__be32 source[4];
	__be32 destination[4];
	__be16 source_port;
	__be16 destination_port;
};

static __always_inline void macs_back(struct xdp_md *context, void *macs)
{
	void *data = start_of(context);

	if (data + sizeof(struct ethhdr) > end_of(context))
		return;
	swap_macs(macs, data);
}

static __always_inline int same4(const struct lb_back4 *a, const struct lb_back4 *b)
{
	return !((a->client ^ b->client) | (a->vip ^ b->vip) | (a->client_port ^ b->client_port) |
		 (a->vip_port ^ b->vip_port));
}

static __always_inline int same6(const struct lb_back6 *a, const struct lb_back6 *b)
{
	__u32 differs = (a->client_port ^ b->client_port) | (a->vip_port ^ b->vip_port);

#pragma unroll
	for (int i = 0; i < 4; i++)
		differs |= (a->client[i] ^ b->client[i]) | (a->vip[i] ^ b->vip[i]);
	return !differs;
}

/* What an entry says after a packet of this connection, of the real's or of its client's. */
static __always_inline __u16 mark(const struct run *run, __u16 seen, const int reals)
{
	__u16 state = seen & LB_BACK_STATE;

	if (run->syn)
		state = LB_BACK_NEW;
	else if (run->tcp_flags & (TCP_FIN | TCP_RST))
		state = LB_BACK_CLOSED;
	else if (reals && state == LB_BACK_NEW && run->flow.protocol == IPPROTO_TCP && !(run->tcp_flags & TCP_SYN))
		state = LB_BACK_OPEN;
	return state | (now() & LB_BACK_TICK);
}

/* 0: a connection keeps its port. Else the higher, the rather another gets it: those that were open come last. */
static __always_inline __u32 gives(const struct run *run, const struct lb_vip *vip, __u16 tick, __u16 seen)
{
	__u32 state = seen & LB_BACK_STATE, silent = (tick - seen) & LB_BACK_TICK;
	__u32 keeps = state == LB_BACK_OPEN ? KEEPS_OPEN : state == LB_BACK_CLOSED ? KEEPS_CLOSED : KEEPS_NEW;

	if (run->flow.protocol == IPPROTO_UDP && vip->idle)
		keeps = vip->idle;
	if (silent <= keeps)
		return 0;
	return state == LB_BACK_OPEN ? silent : silent + LB_BACK_TICK;
}

/* The better of two ports that others may get, each below how well it may. */
static __always_inline __u32 better(__u32 best, __u32 gives, __be16 port)
{
	return gives > best >> 16 ? gives << 16 | port : best;
}

/* Takes a port from its connection: 1 if that is still silent. Of two CPUs that want the same one, one gets it. */
static __always_inline int take(const struct run *run, const struct lb_vip *vip, union lb_back_end *there,
				const union lb_back_end *back)
{
	union lb_back_end was = { .both = there->both };

	return gives(run, vip, back->seen, was.seen) &&
	       __sync_val_compare_and_swap(&there->both, was.both, back->both) == was.both;
}

/* Whether there were too many new ways back in this tick. Each is a new flow's, which then enters other tables unasked. */
static __always_inline int over_rate(void)
{
	struct rates *rates = this_tick();

	if (!rates || within(&rates->entered, settings.new_rate))
		return 0;
	count_event(LB_NOT_ENTERED);
	return 1;
}

/*
 * The port of a flow, and the way back from it; `known` is the one that it has, 0 for a new flow. None, 0, if none is free;
 * OVER_RATE, if a new flow is.
 */
static __always_inline __u32 reserve4(struct xdp_md *context, const struct run *run, const struct lb_real *real,
				      const struct lb_vip *vip, __be16 known)
{
	struct lb_flow4 key = {
		.source = real->address[0],
		.destination = real->source[0],
		.source_port = real->port ? real->port : run->flow.destination_port,
		.protocol = run->flow.protocol,
	};
	struct lb_back4 back = {
		.client = run->flow.source[0],
		.vip = run->flow.destination[0],
		.client_port = run->flow.source_port,
		.vip_port = run->flow.destination_port,
		.real = real->self,
		.number = vip->number,
		.ifindex = context->ingress_ifindex,
		.end = { .mss = vip->flags & LB_CLAMP ? vip->mss : 0, .seen = mark(run, LB_BACK_NEW, 0) },
	};
	struct lb_back4 *there;
	__u32 at, best = 0;

	if (!settings.nat_first || settings.nat_last < settings.nat_first)
		return 0;
	macs_back(context, back.macs);
	at = settings.nat_first + (__u32)(run->hash >> 8) % ((__u32)settings.nat_last - settings.nat_first + 1);
	key.destination_port = bpf_htons(at);
	/* Who has lost its port begins where a new flow does. */
	if (known) {
		key.destination_port = known;
		at--;
	}
	for (int i = 0; i < TRIES; i++) {
		there = bpf_map_lookup_elem(&nat4, &key);
		if (!there) {
			if (!known && over_rate())
				return OVER_RATE;
			known = key.destination_port;
			if (!bpf_map_update_elem(&nat4, &key, &back, BPF_NOEXIST))
				return key.destination_port;
			there = bpf_map_lookup_elem(&nat4, &key);
		}
		if (there && same4(there, &back)) {
			/* It may come by another router than it did, and the service may be another. */
			back.end.seen = mark(run, there->end.seen, 0);
			*there = back;
			return key.destination_port;
		}
		if (there)
			best = better(best, gives(run, vip, back.end.seen, there->end.seen), key.destination_port);
		at = at < settings.nat_last ? at + 1 : settings.nat_first;
		key.destination_port = bpf_htons(at);
	}
	if (!best)
		return 0;
	if (!known && over_rate())
		return OVER_RATE;
	key.destination_port = best;
	there = bpf_map_lookup_elem(&nat4, &key);
	if (there && !take(run, vip, &there->end, &back.end))
		return 0;
	return bpf_map_update_elem(&nat4, &key, &back, BPF_ANY) ? 0 : key.destination_port;
}

static __always_inline __u32 reserve6(struct xdp_md *context, const struct run *run, const struct lb_real *real,
				      const struct lb_vip *vip, __be16 known)
{
	struct lb_flow6 key = {
		.source_port = real->port ? real->port : run->flow.destination_port,
		.protocol = run->flow.protocol,
	};
	struct lb_back6 back = {
		.client_port = run->flow.source_port,
		.vip_port = run->flow.destination_port,
		.real = real->self,
		.number = vip->number,
		.ifindex = context->ingress_ifindex,
		.end = { .mss = vip->flags & LB_CLAMP ? vip->mss : 0, .seen = mark(run, LB_BACK_NEW, 0) },
	};
	struct lb_back6 *there;
	__u32 at, best = 0;

	if (!settings.nat_first || settings.nat_last < settings.nat_first)
		return 0;
	__builtin_memcpy(key.source, real->address, 16);
	__builtin_memcpy(key.destination, real->source, 16);
	__builtin_memcpy(back.client, run->flow.source, 16);
	__builtin_memcpy(back.vip, run->flow.destination, 16);
	macs_back(context, back.macs);
	at = settings.nat_first + (__u32)(run->hash >> 8) % ((__u32)settings.nat_last - settings.nat_first + 1);
	key.destination_port = bpf_htons(at);
	/* Who has lost its port begins where a new flow does. */
	if (known) {
		key.destination_port = known;
		at--;
	}
	for (int i = 0; i < TRIES; i++) {
		there = bpf_map_lookup_elem(&nat6, &key);
		if (!there) {
			if (!known && over_rate())
				return OVER_RATE;
			known = key.destination_port;
			if (!bpf_map_update_elem(&nat6, &key, &back, BPF_NOEXIST))
				return key.destination_port;
			there = bpf_map_lookup_elem(&nat6, &key);
		}
		if (there && same6(there, &back)) {
			/* It may come by another router than it did, and the service may be another. */
			back.end.seen = mark(run, there->end.seen, 0);
			*there = back;
			return key.destination_port;
		}
		if (there)
			best = better(best, gives(run, vip, back.end.seen, there->end.seen), key.destination_port);
		at = at < settings.nat_last ? at + 1 : settings.nat_first;
		key.destination_port = bpf_htons(at);
	}
	if (!best)
		return 0;
	if (!known && over_rate())
		return OVER_RATE;
	key.destination_port = best;
	there = bpf_map_lookup_elem(&nat6, &key);
	if (there && !take(run, vip, &there->end, &back.end))
		return 0;
	return bpf_map_update_elem(&nat6, &key, &back, BPF_ANY) ? 0 : key.destination_port;
}

PART __u32 reserve(struct xdp_md *context, const struct run *run, const struct lb_real *real, const struct lb_vip *vip,
		   __u32 known)
{
	if (!run || !real || !vip)
		return 0;
	return run->version == 4 ? reserve4(context, run, real, vip, known) : reserve6(context, run, real, vip, known);
}

/* The port of a flow that may be new. */
static __always_inline __be16 port_for(struct xdp_md *context, const struct run *run, const struct lb_real *real,
				       const struct lb_vip *vip)
{
	__u32 port = reserve(context, run, real, vip, 0);

	if (unlikely(port == OVER_RATE))
		step(LB_STEP_NOT_ENTERED, real->self, 0);
	return port;
}

/*
 * Replaces addresses and ports of a packet that is no ICMP error. `both` are the new addresses in one piece, in either
 * order, as sums have none.
 */
static __always_inline int replace(struct xdp_md *context, const struct run *run, const __be32 *source,
				   const __be32 *destination, const __be32 *both, __be16 source_port,
				   __be16 destination_port, const int v6)
{
	void *ip = start_of(context) + L3(run), *transport = start_of(context) + L4(run), *end = end_of(context);
	__u64 before, after;
	__be16 *ports = transport;

	if (ip + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) > end || transport + 8 > end)
		return LB_MALFORMED_TRANSPORT;
	if (v6) {
		struct ipv6hdr *ip6 = ip;

		before = 0;
		after = bpf_csum_diff((__be32 *)run->flow.source, 32, (__be32 *)both, 32, 0);
		__builtin_memcpy(&ip6->saddr, source, 16);
		__builtin_memcpy(&ip6->daddr, destination, 16);
	} else {
		struct iphdr *ip4 = ip;

		before = (__u64)run->flow.source[0] + run->flow.destination[0];
		after = (__u64)*source + *destination;
		ip4->saddr = *source;
		ip4->daddr = *destination;
		ip4->check = changed(ip4->check, before, after);
	}
	before += run->flow.source_port + run->flow.destination_port;
	after += source_port + destination_port;
	ports[0] = source_port;
	ports[1] = destination_port;
	if (run->flow.protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = transport;

		if ((void *)(tcp + 1) > end)
			return LB_MALFORMED_TRANSPORT;
		tcp->check = changed(tcp->check, before, after);
	} else {
		struct udphdr *udp = transport;

		/* 0 says that there is none. */
		if (udp->check) {
			udp->check = changed(udp->check, before, after);
			if (!udp->check)
				udp->check = 0xffff;
		}
	}
	return LB_FORWARDED;
}

/*
 * The same for an ICMP error: what it is about went the other way, and is shown as who gets the error sent it. Who tells
 * of it stays, unless it is to be `source`. Checksums inside of what is quoted stay as they were: what hosts look at is
 * the ports.
 */
PART int replace_error(struct xdp_md *context, const struct run *run, const struct becomes *to, __u32 hide_source)
{
	void *end = end_of(context);

	if (!run || !to)
		return LB_MALFORMED_ICMP;
	if (run->version == 4) {
		struct iphdr *ip = start_of(context) + L3(run);
		struct icmp *icmp = start_of(context) + L4(run);
		struct iphdr *quoted = (void *)(icmp + 1);
		__be16 *ports;
		__u64 before, after;

		if ((void *)(ip + 1) > end || (void *)(quoted + 1) > end || quoted->ihl < 5)
			return LB_MALFORMED_ICMP;
		ports = (void *)quoted + quoted->ihl * 4;
		if ((void *)(ports + 2) > end)
			return LB_MALFORMED_ICMP;
		before = (__u64)ip->saddr + ip->daddr;
		if (hide_source)
			ip->saddr = to->source[0];
		ip->daddr = to->destination[0];
		after = (__u64)ip->saddr + ip->daddr;
		ip->check = changed(ip->check, before, after);
		before = (__u64)quoted->saddr + quoted->daddr;
		quoted->saddr = to->destination[0];
		quoted->daddr = to->source[0];
		after = (__u64)quoted->saddr + quoted->daddr;
		quoted->check = changed(quoted->check, before, after);
		/* Addresses and the header's own checksum make up for each other. */
		before = ports[0] + ports[1];
		ports[0] = to->destination_port;
		ports[1] = to->source_port;
		after = ports[0] + ports[1];
		icmp->checksum = changed(icmp->checksum, before, after);
	} else {
		struct ipv6hdr *ip = start_of(context) + L3(run);
		struct icmp6hdr *icmp = start_of(context) + L4(run);
		struct ipv6hdr *quoted = (void *)(icmp + 1);
		__be16 *ports = (void *)(quoted + 1);
		__u64 before, after;

		if ((void *)(ip + 1) > end || (void *)(ports + 2) > end ||
		    (quoted->nexthdr != IPPROTO_TCP && quoted->nexthdr != IPPROTO_UDP))
			return LB_MALFORMED_ICMP;
		before = sum_words((__be32 *)&ip->saddr, 8) + sum_words((__be32 *)&quoted->saddr, 8) + ports[0] + ports[1];
		if (hide_source)
			__builtin_memcpy(&ip->saddr, to->source, 16);
		__builtin_memcpy(&ip->daddr, to->destination, 16);
		__builtin_memcpy(&quoted->saddr, to->destination, 16);
		__builtin_memcpy(&quoted->daddr, to->source, 16);
		ports[0] = to->destination_port;
		ports[1] = to->source_port;
		after = sum_words((__be32 *)&ip->saddr, 8) + sum_words((__be32 *)&quoted->saddr, 8) + ports[0] + ports[1];
		icmp->icmp6_cksum = changed(icmp->icmp6_cksum, before, after);
	}
	return LB_FORWARDED;
}

/* Towards the real, by the port that was reserved. */
static __always_inline int translate(struct xdp_md *context, struct run *run, const struct lb_real *real, const int v6)
{
	__be16 port = real->port ? real->port : run->flow.destination_port;
	int verdict;

	if (unlikely(!!(real->flags & LB_REAL_V6) != v6))
		return LB_WRONG_FAMILY;
	if (unlikely(run->flow.protocol != IPPROTO_TCP && run->flow.protocol != IPPROTO_UDP))
		return LB_NO_PROTOCOL;
	if (unlikely(!run->port)) {
		if (run->fragment)
			return LB_REFUSED_FRAGMENT;
		return run->error ? LB_NO_FLOW : LB_NO_PORT;
	}
	if (unlikely(run->error)) {
		struct becomes to = { .source_port = run->port, .destination_port = port };

		__builtin_memcpy(to.source, real->source, 16);
		__builtin_memcpy(to.destination, real->address, 16);
		verdict = replace_error(context, run, &to, 0);
	} else {
		verdict = replace(context, run, real->source, real->address, real->address, run->port, port, v6);
	}
	return verdict == LB_FORWARDED ? to_link(context, run, real) : verdict;
}

static __always_inline void put_back_macs(struct xdp_md *context, const void *macs)
{
	void *data = start_of(context);

	if (data + sizeof(struct ethhdr) <= end_of(context))
		copy_macs(data, macs);
}

/* A connection that its real speaks on keeps its port. */
static __always_inline void keep(const struct run *run, union lb_back_end *end)
{
	__u16 seen = mark(run, end->seen, 1);

	if (seen != end->seen)
		end->seen = seen;
}

static __always_inline int back4(struct xdp_md *context, struct run *run)
{
	struct lb_flow4 key = short_flow(&run->flow);
	struct lb_back4 *there = bpf_map_lookup_elem(&nat4, &key);

	if (!there)
		return LB_NO_VIP;
	run->real = there->real;
	run->vip = there->number;
	run->ifindex = there->ifindex;
	if (there->end.mss && run->tcp_flags & TCP_SYN)
		clamp(context, run, there->end.mss);
	put_back_macs(context, there->macs);
	if (run->error) {
		struct becomes to = { .source_port = there->vip_port, .destination_port = there->client_port };

		to.source[0] = there->vip;
		to.destination[0] = there->client;
		return replace_error(context, run, &to, 1);
	}
	keep(run, &there->end);
	return replace(context, run, &there->vip, &there->client, NULL, there->vip_port, there->client_port, 0);
}

static __always_inline int back6(struct xdp_md *context, struct run *run)
{
	struct lb_back6 *there = bpf_map_lookup_elem(&nat6, &run->flow);

	if (!there)
		return LB_NO_VIP;
	run->real = there->real;
	run->vip = there->number;
	run->ifindex = there->ifindex;
	if (there->end.mss && run->tcp_flags & TCP_SYN)
		clamp(context, run, there->end.mss);
	put_back_macs(context, there->macs);
	if (run->error) {
		struct becomes to = { .source_port = there->vip_port, .destination_port = there->client_port };

		__builtin_memcpy(to.source, there->vip, 16);
		__builtin_memcpy(to.destination, there->client, 16);
		return replace_error(context, run, &to, 1);
	}
	keep(run, &there->end);
	return replace(context, run, there->vip, there->client, there->client, there->vip_port, there->client_port, 1);
}

/*
 * From a real to its client; LB_NO_VIP if nobody's. An ICMP error is about what the balancer sent: its flow has been turned,
 * and is the real's, as its own packets have it.
 */
PART int back(struct xdp_md *context, struct run *run)
{
	int verdict;

	/* Not by the range: it may have been another when the flow got its port. */
	if (!run || run->fragment || (run->flow.protocol != IPPROTO_TCP && run->flow.protocol != IPPROTO_UDP))
		return LB_NO_VIP;
	verdict = run->version == 4 ? back4(context, run) : back6(context, run);
	if (verdict == LB_NO_VIP)
		return verdict;
	step(LB_STEP_BACK, run->real, run->vip);
	return verdict == LB_FORWARDED ? LB_RETURNED : verdict;
}

#endif
