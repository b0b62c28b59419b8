// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The balancer's data plane: finds the service that a packet is for, the real that its connection has or gets, and sends
 * the packet there. What the maps hold, lb.h says; what each verdict means, docs/lb-data-plane.md.
 */
#include "answer.h"
#include "nat.h"
#include "record.h"

#define BY_ID			(LB_QUIC | LB_QUIC_LB | LB_TCP_ID | LB_UDP_STABLE)
#define BY_PART			(LB_NO_SOURCE_PORT | LB_DESTINATION_PORT | LB_SOURCE | LB_NO_DESTINATION_PORT)
#define UNUSUAL			(LB_DROP | LB_HOST | LB_ECHO | LB_TTL)
/* Places of a ring that are asked when the first names a real that takes no new connections. */
#define PLACES			16

static __always_inline __u32 slot_of(const struct run *run, const int v6)
{
	__u32 *slot;

	if (v6) {
		struct lb_vip6 key = { .port = run->flow.destination_port, .protocol = run->flow.protocol };

		__builtin_memcpy(key.address, run->flow.destination, 16);
		slot = bpf_map_lookup_elem(&vips6, &key);
		if (likely(slot))
			return *slot;
		if (key.port) {
			key.port = 0;
			slot = bpf_map_lookup_elem(&vips6, &key);
			if (slot)
				return *slot;
		}
		key.protocol = 0;
		slot = bpf_map_lookup_elem(&vips6, &key);
	} else {
		struct lb_vip4 key = {
			.address = run->flow.destination[0],
			.port = run->flow.destination_port,
			.protocol = run->flow.protocol,
		};

		slot = bpf_map_lookup_elem(&vips4, &key);
		if (likely(slot))
			return *slot;
		if (key.port) {
			key.port = 0;
			slot = bpf_map_lookup_elem(&vips4, &key);
			if (slot)
				return *slot;
		}
		key.protocol = 0;
		slot = bpf_map_lookup_elem(&vips4, &key);
	}
	return slot ? *slot : 0;
}

/* What is hashed for the ring when the service does not want all of the flow. */
PART __u64 part_hash(const struct run *run, __u32 flags)
{
	struct lb_flow6 flow;

	if (!run)
		return 0;
	flow = run->flow;
	if (flags & LB_SOURCE) {
		flow.source_port = 0;
		flow.destination_port = 0;
		flow.protocol = 0;
	} else if (flags & LB_DESTINATION_PORT) {
		__builtin_memset(flow.source, 0, 16);
		flow.source_port = lb_katran ? flow.destination_port : 0;
	} else if (flags & LB_NO_SOURCE_PORT) {
		flow.source_port = 0;
	}
	if (flags & LB_NO_DESTINATION_PORT && !(flags & LB_DESTINATION_PORT))
		flow.destination_port = 0;
	if (lb_katran)
		return run->version == 4 ? katran_place(&flow, 0, lb_katran) : katran_place(&flow, 1, lb_katran);
	return run->version == 4 ? flow_hash(&flow, 0) : flow_hash(&flow, 1);
}

/* The ring that takes a flow: the service's, or one for where the client is. */
static __always_inline const struct lb_vip *ring_of(const struct run *run, const struct lb_vip *vip)
{
	__u32 *slot = NULL;
	const struct lb_vip *other;

	if (run->version == 4) {
		struct lb_prefix4 key = { .length = 64, .number = bpf_htonl(vip->number), .address = run->flow.source[0] };

		slot = bpf_map_lookup_elem(&prefixes4, &key);
	} else {
		struct lb_prefix6 key = { .length = 160, .number = bpf_htonl(vip->number) };

		__builtin_memcpy(key.address, run->flow.source, 16);
		slot = bpf_map_lookup_elem(&prefixes6, &key);
	}
	if (!slot)
		return vip;
	other = bpf_map_lookup_elem(&services, slot);
	if (!other || !other->ring_size)
		return vip;
	step(LB_STEP_PREFIX, *slot, 0);
	count_event(LB_BY_PREFIX);
	return other;
}

/* The real that the ring gives, as it names it, or 0. */
PART __u32 by_ring(const struct run *run, const struct lb_vip *vip)
{
	const struct lb_vip *from = vip;
	__u32 flags, size, place;
	struct lb_real *real;

	if (!run || !vip)
		return 0;
	flags = vip->flags;
	if (unlikely(flags & LB_PREFIXES))
		from = ring_of(run, vip);
	size = from->ring_size;
	if (unlikely(!size))
		return 0;
	if (unlikely(flags & LB_RANDOM))
		place = (__u64)bpf_get_prandom_u32() * size >> 32;
	else if (lb_katran)
		place = part_hash(run, flags) % size;
	else if (unlikely(flags & BY_PART))
		place = place_of(part_hash(run, flags), size);
	else
		place = place_of(run->hash, size);
	for (int i = 0; i < PLACES; i++) {
		__u32 at = from->ring + place;
		__u32 *name = bpf_map_lookup_elem(&rings, &at);

		if (unlikely(!name))
			return 0;
		step(LB_STEP_RING, place, *name);
		real = real_of(*name);
		if (likely(real && !(real->flags & LB_REAL_DRAINING)))
			return *name;
		place = place + 1 < size ? place + 1 : 0;
	}
	return 0;
}

/* Whether a real that is there, since other services have it, is gone for this one. Rings do not name it then. */
PART int is_away(const struct lb_vip *vip, __u32 name)
{
	struct lb_away key = { .real = name };

	if (!vip)
		return 0;
	key.vip = vip->number;
	return bpf_map_lookup_elem(&away, &key) != NULL;
}

/* The real that an entry or an id names, if it is still that one, and takes packets of this service. */
static __always_inline struct lb_real *real_for(const struct lb_vip *vip, __u32 name)
{
	if (unlikely(vip->flags & LB_AWAY) && is_away(vip, name))
		return NULL;
	return real_of(name);
}

static __always_inline struct lb_real *by_id(struct xdp_md *context, const struct run *run, const struct lb_vip *vip)
{
	__u32 name = 0;

	if (run->flow.protocol == IPPROTO_UDP && vip->flags & (LB_QUIC | LB_QUIC_LB | LB_UDP_STABLE))
		name = by_datagram(context, run, vip);
	else if (run->flow.protocol == IPPROTO_TCP && vip->flags & LB_TCP_ID && !run->syn)
		name = by_option(context, run, vip);
	return name ? real_for(vip, name) : NULL;
}

/*
 * Once a tick: a connection that lives is kept in the table of all CPUs. What that says of another real is newer than what
 * this CPU knows, unless nobody has looked there since: whoever leads a flow elsewhere writes it.
 */
PART int refresh(const struct run *run, const struct lb_vip *vip, struct lb_cached *entry, __u32 tick)
{
	__u16 was;
	struct lb_connection *there;

	if (!run || !vip || !entry)
		return 0;
	was = entry->to.seen;
	entry->to.seen = tick;
	if (vip->flags & LB_NO_GLOBAL)
		return 0;
	there = global(run);
	if (!there) {
		enter_global(run, &entry->to);
		return 0;
	}
	if (there->real != entry->to.real && (__s16)(there->seen - was) >= 0 && real_for(vip, there->real)) {
		entry->to.real = there->real;
		entry->to.port = there->port;
	}
	*there = entry->to;
	return 0;
}

static __always_inline void renew(struct xdp_md *context, const struct run *run, const struct lb_vip *vip,
				  struct lb_connection *to)
{
	struct lb_real *real = real_of(to->real);

	if (real && real->way == LB_WAY_NAT)
		to->port = reserve(context, run, real, vip, to->port);
}

static __always_inline int idle(const struct run *run, const struct lb_vip *vip, __u16 tick, __u16 seen)
{
	return run->flow.protocol == IPPROTO_UDP && vip->idle && (__u16)(tick - seen) > vip->idle;
}

/* The real that the tables know for a flow, or NULL. */
static __always_inline struct lb_real *by_tables(struct xdp_md *context, struct run *run, const struct lb_vip *vip,
						 struct lb_vip_counters *counters)
{
	struct lb_set *set = set_of(run->hash);
	struct lb_connection *known, to;
	struct lb_cached *entry;
	struct lb_real *real;
	__u16 tick = now();

	if (unlikely(!set))
		return NULL;
	entry = find(set, run->hash);
	if (likely(entry)) {
		if (unlikely(entry->to.seen != tick)) {
			/* Another CPU may have seen it since. */
			if (idle(run, vip, tick, entry->to.seen))
				goto others;
			if (!run->error) {
				refresh(run, vip, entry, tick);
				/* And so is the way back from its real. */
				renew(context, run, vip, &entry->to);
			}
		}
		real = real_for(vip, entry->to.real);
		if (likely(real)) {
			step(LB_STEP_CACHED, entry->to.real, 0);
			run->port = entry->to.port;
			return real;
		}
		step(LB_STEP_STALE, entry->to.real, 0);
		count_event(LB_STALE);
	}
others:
	if (vip->flags & LB_NO_GLOBAL) {
		step(LB_STEP_MISSED, 2, 0);
		return NULL;
	}
	known = global(run);
	if (!known || idle(run, vip, tick, known->seen)) {
		step(LB_STEP_MISSED, !!known, 0);
		return NULL;
	}
	to = *known;
	real = real_for(vip, to.real);
	if (!real) {
		step(LB_STEP_STALE, to.real, 0);
		return NULL;
	}
	step(LB_STEP_GLOBAL, to.real, 0);
	if (!run->error && real->way == LB_WAY_NAT)
		to.port = reserve(context, run, real, vip, to.port);
	run->port = to.port;
	to.seen = tick;
	cache(run->hash, &to);
	known->seen = tick;
	if (counters)
		counters->global++;
	return real;
}

/* Whether the CPU's table will give this real for a flow. */
static __always_inline int knows(const struct run *run, const struct lb_vip *vip, __u32 name)
{
	struct lb_set *set = set_of(run->hash);
	struct lb_cached *entry = set ? find(set, run->hash) : NULL;

	return entry && entry->to.real == name && !idle(run, vip, now(), entry->to.seen);
}

/* Whether any table has the flow, whatever its real. What was not seen for too long is another one. */
static __always_inline int is_known(const struct run *run, const struct lb_vip *vip)
{
	struct lb_set *set = set_of(run->hash);
	struct lb_cached *entry = set ? find(set, run->hash) : NULL;
	struct lb_connection *known;
	__u16 tick = now();

	if (entry && !idle(run, vip, tick, entry->to.seen))
		return 1;
	if (vip->flags & LB_NO_GLOBAL)
		return 0;
	known = global(run);
	return known && !idle(run, vip, tick, known->seen);
}

/* The real of a packet, whichever way it is found. */
static __always_inline struct lb_real *pick(struct xdp_md *context, struct run *run, const struct lb_vip *vip,
					    struct lb_vip_counters *counters, const int v6)
{
	__u32 flags = vip->flags;
	struct lb_real *real;
	int tables = !(flags & LB_NO_CONNECTIONS) && !run->fragment;
	int opens = 1;

	run->hash = flow_hash(&run->flow, v6);
	step(LB_STEP_HASH, run->hash >> 32, run->hash);
	if (unlikely(flags & BY_ID) && !run->error && !run->fragment) {
		real = by_id(context, run, vip);
		if (real && !tables)
			goto found;
		/* Packets of the flow that have no id go there from now on, too. */
		if (real && !knows(run, vip, real->self)) {
			opens = !is_known(run, vip);
			goto enters;
		}
	}
	if (likely(tables && !run->syn)) {
		real = by_tables(context, run, vip, counters);
		if (likely(real))
			return real;
	} else {
		step(LB_STEP_UNASKED, run->fragment ? 2 : !tables, 0);
	}
	real = real_of(by_ring(run, vip));
	if (unlikely(!real))
		return NULL;
	if (run->error)
		return real;
enters:
	if (tables) {
		struct lb_connection to = { .real = real->self, .seen = now() };

		if (real->way == LB_WAY_NAT) {
			run->port = to.port = port_for(context, run, real, vip);
			/* The next packet asks again. */
			if (!to.port)
				return real;
		}
		if (enter(run, &to, flags) && opens && counters)
			counters->opened++;
		return real;
	}
found:
	/* A fragment has no ports to replace. */
	if (real->way == LB_WAY_NAT && !run->fragment)
		run->port = port_for(context, run, real, vip);
	return real;
}

/* What the service says of packets that are out of the ordinary; LB_FORWARDED if they go on. */
PART int unusual(struct xdp_md *context, struct run *run, __u32 flags)
{
	if (!run)
		return LB_NO_REAL;
	if (run->fragment) {
		__u32 policy = flags >> LB_FRAGMENTS & LB_POLICY;

		if (policy != LB_BY_ADDRESSES)
			return policy == LB_PASS ? LB_LEFT_FRAGMENT : LB_REFUSED_FRAGMENT;
	}
	if (run->options) {
		__u32 policy = flags >> LB_OPTIONS & LB_POLICY;

		if (policy != LB_BY_ADDRESSES)
			return policy == LB_PASS ? LB_LEFT_OPTIONS : LB_REFUSED_OPTIONS;
	}
	if (flags & LB_DROP)
		return LB_REFUSED;
	if (flags & LB_HOST)
		return LB_LEFT;
	if (flags & LB_ECHO && run->echo && !run->fragment)
		return answer_echo(context, run);
	return flags & LB_TTL ? hop(context, run) : LB_FORWARDED;
}

PART int tunnel6(struct xdp_md *context, struct run *run, const struct lb_real *real, __u32 gue)
{
	if (!run || !real)
		return LB_NO_REAL;
	return gue ? tunnel(context, run, real, 1, 1) : tunnel(context, run, real, 1, 0);
}

PART int translate4(struct xdp_md *context, struct run *run, const struct lb_real *real)
{
	return run && real ? translate(context, run, real, 0) : LB_NO_REAL;
}

PART int translate6(struct xdp_md *context, struct run *run, const struct lb_real *real)
{
	return run && real ? translate(context, run, real, 1) : LB_NO_REAL;
}

static __always_inline int send(struct xdp_md *context, struct run *run, const struct lb_real *real,
				const struct lb_vip *vip, const int v6)
{
	if (real->mtu) {
		__u32 more = overhead(real);

		if (unlikely(run->length + more > real->mtu))
			return answer_too_big(context, run, real->mtu - more);
	}
	switch (real->way) {
	case LB_WAY_IP:
		if (real->flags & LB_REAL_V6)
			return tunnel6(context, run, real, 0);
		return tunnel(context, run, real, 0, 0);
	case LB_WAY_GUE:
		if (real->flags & LB_REAL_V6)
			return tunnel6(context, run, real, 1);
		return tunnel(context, run, real, 0, 1);
	case LB_WAY_L2:
		return to_link(context, run, real);
	case LB_WAY_NAT:
		/* Other packets are told of once a tick; behind a connection's end there may be none. */
		if (unlikely(run->tcp_flags & (TCP_FIN | TCP_RST) && run->port))
			run->port = reserve(context, run, real, vip, run->port);
		return v6 ? translate6(context, run, real) : translate4(context, run, real);
	case LB_WAY_LOCAL:
		return LB_LOCAL;
	default:
		return LB_NO_REAL;
	}
}

static __always_inline int serve(struct xdp_md *context, struct run *run, const int v6)
{
	__u32 slot = slot_of(run, v6);
	struct lb_vip_counters *counters;
	struct lb_traffic *traffic;
	struct lb_real *real;
	struct lb_vip *vip;
	int verdict;
	__u32 number;

	if (unlikely(!slot))
		return LB_NO_VIP;
	vip = bpf_map_lookup_elem(&services, &slot);
	if (unlikely(!vip))
		return LB_NO_VIP;
	run->vip = number = vip->number;
	step(LB_STEP_SERVICE, slot, number);
	counters = bpf_map_lookup_elem(&vip_counters, &number);
	if (likely(counters))
		add(&counters->in, run->bytes);
	if (unlikely(run->fragment | run->options || vip->flags & UNUSUAL)) {
		verdict = unusual(context, run, vip->flags);
		if (verdict != LB_FORWARDED)
			return verdict;
	}
	real = pick(context, run, vip, counters, v6);
	if (unlikely(!real))
		return LB_NO_REAL;
	run->real = real->self;
	step(LB_STEP_REAL, real->self, real->way);
	if (lb_trace && real->way == LB_WAY_NAT)
		step(LB_STEP_PORT, bpf_ntohs(run->port), 0);
	if (unlikely(vip->flags & LB_CLAMP && run->tcp_flags & TCP_SYN))
		clamp(context, run, vip->mss);
	number = real->self & LB_REAL_NUMBER;
	traffic = bpf_map_lookup_elem(&real_counters, &number);
	if (likely(traffic))
		add(traffic, run->bytes);
	return send(context, run, real, vip, v6);
}

PART int serve6(struct xdp_md *context, struct run *run)
{
	return run ? serve(context, run, 1) : LB_NO_VIP;
}

/* What packets are is not known when they are cut: `run` says as much as was read. */
static __always_inline int balance(struct xdp_md *context, struct run *run)
{
	int verdict = parse(context, run);

	if (unlikely(verdict != LB_FORWARDED))
		return verdict;
	if (unlikely(run->error))
		step(LB_STEP_INNER, 0, 0);
	verdict = run->version == 4 ? serve(context, run, 0) : serve6(context, run);
	if (unlikely(verdict == LB_NO_VIP && settings.nat_first))
		return back(context, run);
	return verdict;
}

static __always_inline int action_of(struct xdp_md *context, const struct run *run, __u32 verdict)
{
	if (likely(verdict == LB_FORWARDED || verdict == LB_RETURNED)) {
		if (run->ifindex && run->ifindex != context->ingress_ifindex)
			return bpf_redirect(run->ifindex, 0);
		return XDP_TX;
	}
	if (verdict < LB_FORWARDED)
		return XDP_PASS;
	return verdict < LB_DROPPED ? XDP_TX : XDP_DROP;
}

SEC("xdp.frags")
int lb(struct xdp_md *context)
{
	struct run run = { .vip = ~0u };
	struct lb_traffic *traffic;
	__u32 verdict;
	int action, recorded = 0;

	if (unlikely(lb_records && recorder.matches))
		recorded = record_in(context);
	verdict = balance(context, &run);
	action = action_of(context, &run, verdict);
	traffic = bpf_map_lookup_elem(&verdicts, &verdict);
	if (likely(traffic))
		add(traffic, run.bytes);
	if (unlikely(verdict == LB_RETURNED)) {
		struct lb_vip_counters *counters = bpf_map_lookup_elem(&vip_counters, &run.vip);

		if (counters)
			add(&counters->back, run.bytes);
	}
	if (unlikely(recorded))
		record_out(context, &run, verdict, action);
	if (unlikely(settings.sample))
		sample(context, &run, verdict, run.bytes);
	step(LB_STEP_VERDICT, verdict, action);
	if (action == XDP_PASS)
		bpf_tail_call(context, &next, 0);
	return action;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
