/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What others are told of packets: counters, steps, samples, records. Changes no packet. */
#ifndef ALVEARY_LB_WATCH_H
#define ALVEARY_LB_WATCH_H

#include "maps.h"
#include "packet.h"

static __always_inline void count_event(__u32 event)
{
	__u64 *count = bpf_map_lookup_elem(&events, &event);

	if (count)
		(*count)++;
}

static __always_inline void add(struct lb_traffic *traffic, __u32 bytes)
{
	traffic->packets++;
	traffic->bytes += bytes;
}

static __always_inline void step(__u32 kind, __u32 a, __u32 b)
{
	struct lb_step step = { .kind = kind, .a = a, .b = b };

	if (lb_trace)
		bpf_ringbuf_output(&steps, &step, sizeof(step), 0);
}

static __always_inline __u64 now(void)
{
	return bpf_ktime_get_coarse_ns() >> LB_TICK_SHIFT;
}

/* This tick's counts, begun anew with every tick. */
static __always_inline struct rates *this_tick(void)
{
	__u32 only = 0;
	struct rates *all = bpf_map_lookup_elem(&rates, &only);
	__u64 tick = now();

	if (all && all->tick != tick) {
		all->tick = tick;
		all->entered = 0;
		all->answered = 0;
		all->recorded = 0;
	}
	return all;
}

static __always_inline int within(__u32 *count, __u32 limit)
{
	if (!limit)
		return 1;
	if (*count >= limit)
		return 0;
	(*count)++;
	return 1;
}

#endif
