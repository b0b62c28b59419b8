/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The tables of connections: that of the CPU, and the one of all CPUs behind it. Knows flows and reals, no packets. */
#ifndef ALVEARY_LB_CONNECTIONS_H
#define ALVEARY_LB_CONNECTIONS_H

#include "hash.h"
#include "watch.h"

static __always_inline struct lb_flow4 short_flow(const struct lb_flow6 *flow)
{
	struct lb_flow4 short_one = {
		.source = flow->source[0],
		.destination = flow->destination[0],
		.source_port = flow->source_port,
		.destination_port = flow->destination_port,
		.protocol = flow->protocol,
	};

	return short_one;
}

/* The real that an entry names, if it is still that one. */
static __always_inline struct lb_real *real_of(__u32 name)
{
	__u32 number = name & LB_REAL_NUMBER;
	struct lb_real *real = bpf_map_lookup_elem(&reals, &number);

	return likely(real && real->self == name && real->way != LB_WAY_NONE) ? real : NULL;
}

static __always_inline struct lb_set *set_of(__u64 hash)
{
	__u32 at = bpf_get_smp_processor_id() * lb_sets + ((__u32)hash & (lb_sets - 1));

	return bpf_map_lookup_elem(&cached, &at);
}

/* The place of a flow in its set, or NULL. */
static __always_inline struct lb_cached *find(struct lb_set *set, __u64 hash)
{
	if (likely(set->ways[0].hash == hash))
		return &set->ways[0];
	if (set->ways[1].hash == hash)
		return &set->ways[1];
	if (set->ways[2].hash == hash)
		return &set->ways[2];
	if (set->ways[3].hash == hash)
		return &set->ways[3];
	return NULL;
}

/* A place for a new flow: its own, a free one, or that of the one that was not seen for longest. */
static __always_inline struct lb_cached *place_for(struct lb_set *set, __u64 hash, __u16 tick)
{
	struct lb_cached *oldest = find(set, hash);
	__u32 age = 0;

	if (oldest)
		return oldest;
	oldest = &set->ways[0];
#pragma unroll
	for (int i = 0; i < LB_WAYS; i++) {
		struct lb_cached *way = &set->ways[i];
		__u32 its = way->hash ? (__u16)(tick - way->to.seen) + 1u : 0x20000u;

		if (its > age) {
			age = its;
			oldest = way;
		}
	}
	if (oldest->hash)
		count_event(LB_EVICTED);
	return oldest;
}

static __always_inline void cache(__u64 hash, const struct lb_connection *to)
{
	struct lb_set *set = set_of(hash);
	struct lb_cached *place;

	if (!set)
		return;
	place = place_for(set, hash, to->seen);
	place->hash = hash;
	place->to = *to;
}

/* What the table of all CPUs knows of a flow; looking for it keeps it there. */
static __always_inline struct lb_connection *global(const struct run *run)
{
	if (run->version == 4) {
		struct lb_flow4 flow = short_flow(&run->flow);

		return bpf_map_lookup_elem(&connections4, &flow);
	}
	return bpf_map_lookup_elem(&connections6, &run->flow);
}

static __always_inline void announce(const struct run *run, const struct lb_connection *to)
{
	struct lb_news one = { .flow = run->flow, .version = run->version, .to = *to, .vip = run->vip };

	if (bpf_ringbuf_output(&news, &one, sizeof(one), 0))
		count_event(LB_UNANNOUNCED);
}

PART int enter_global(const struct run *run, const struct lb_connection *to)
{
	if (!run || !to)
		return 0;
	if (run->version == 4) {
		struct lb_flow4 flow = short_flow(&run->flow);

		bpf_map_update_elem(&connections4, &flow, to, BPF_ANY);
	} else {
		bpf_map_update_elem(&connections6, &run->flow, to, BPF_ANY);
	}
	if (settings.announce)
		announce(run, to);
	return 0;
}

/*
 * Puts a new flow into the tables, if there were not too many of them in this tick; one with a port was counted when it got
 * that. 1: it is there now.
 */
PART int enter(const struct run *run, const struct lb_connection *to, __u32 flags)
{
	struct rates *rates = this_tick();

	if (!run || !to)
		return 0;
	if (!to->port && rates && !within(&rates->entered, settings.new_rate)) {
		count_event(LB_NOT_ENTERED);
		step(LB_STEP_NOT_ENTERED, to->real, 0);
		return 0;
	}
	cache(run->hash, to);
	if (!(flags & LB_NO_GLOBAL))
		enter_global(run, to);
	step(LB_STEP_ENTERED, to->real, 0);
	return 1;
}

#endif
