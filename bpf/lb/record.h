/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The recorder, and the log of samples. Nothing here runs unless someone asked for it. */
#ifndef ALVEARY_LB_RECORD_H
#define ALVEARY_LB_RECORD_H

#include "watch.h"

struct recorded {
	struct lb_record head;
	__u8 packets[2 * LB_SNAP];
};

/* The record of the packet that passes this CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct recorded);
} recorded SEC(".maps");

static __always_inline struct recorded *this_record(void)
{
	__u32 only = 0;

	return bpf_map_lookup_elem(&recorded, &only);
}

/* How much of a packet is kept. */
static __always_inline __u32 snap(struct xdp_md *context)
{
	__u32 bytes = bpf_xdp_get_buff_len(context);
	__u32 most = recorder.bytes;

	if (most > LB_SNAP)
		most = LB_SNAP;
	return bytes < most ? bytes : most;
}

/* The packet as it came. 0: nothing is recorded. */
PART int record_in(struct xdp_md *context)
{
	struct recorded *record = this_record();
	__u32 bytes = snap(context), length = bpf_xdp_get_buff_len(context);

	/* Who recorded has gone without a word. */
	if ((__s32)(recorder.until - (__u32)now()) < 0) {
		recorder.matches = 0;
		return 0;
	}
	if (!record)
		return 0;
	record->head.in = 0;
	record->head.about.length = length > 0xffff ? 0xffff : length;
	if (bytes - 1 < LB_SNAP && !bpf_xdp_load_bytes(context, 0, record->packets, bytes))
		record->head.in = bytes;
	return 1;
}

static __always_inline void tell(struct lb_about *about, struct xdp_md *context, const struct run *run, __u32 verdict)
{
	about->time = bpf_ktime_get_ns();
	__builtin_memcpy(about->source, run->flow.source, 16);
	__builtin_memcpy(about->destination, run->flow.destination, 16);
	about->source_port = run->flow.source_port;
	about->destination_port = run->flow.destination_port;
	about->protocol = run->flow.protocol;
	about->version = run->version;
	about->vip = run->vip;
	about->real = run->real;
	about->verdict = verdict;
	about->ifindex = context->ingress_ifindex;
}

static __always_inline int covers(const __be32 *address, const __be32 *prefix, const __be32 *mask)
{
	__be32 differs = 0;

#pragma unroll
	for (int i = 0; i < 4; i++)
		differs |= (address[i] ^ prefix[i]) & mask[i];
	return !differs;
}

#define IN_RANGE(number, range)	((number) >= (range)[0] && (number) <= (range)[1])
#define FITS			1
#define AND			2	/* and so must the next one */

PART int fits(const struct lb_about *about, __u32 index)
{
	const struct lb_match *match = bpf_map_lookup_elem(&matches, &index);
	__u32 fits = 0;

	if (!match || !about)
		return 0;
	if (about->version == match->source_version && covers(about->source, match->source, match->source_mask))
		fits |= LB_MATCH_SOURCE;
	if (about->version == match->destination_version &&
	    covers(about->destination, match->destination, match->destination_mask))
		fits |= LB_MATCH_DESTINATION;
	if (IN_RANGE(bpf_ntohs(about->source_port), match->source_ports))
		fits |= LB_MATCH_SOURCE_PORT;
	if (IN_RANGE(bpf_ntohs(about->destination_port), match->destination_ports))
		fits |= LB_MATCH_DESTINATION_PORT;
	if (IN_RANGE(about->protocol, match->protocols))
		fits |= LB_MATCH_PROTOCOL;
	if (IN_RANGE(about->version, match->versions))
		fits |= LB_MATCH_VERSION;
	if (IN_RANGE(about->vip, match->vips))
		fits |= LB_MATCH_VIP;
	if (IN_RANGE(about->real & LB_REAL_NUMBER, match->reals))
		fits |= LB_MATCH_REAL;
	if (IN_RANGE(about->verdict, match->verdicts))
		fits |= LB_MATCH_VERDICT;
	if (IN_RANGE(about->length, match->lengths))
		fits |= LB_MATCH_LENGTH;
	fits = ((fits ^ match->not) & match->given & ~LB_MATCH_AND) == (match->given & ~LB_MATCH_AND) ? FITS : 0;
	return match->given & LB_MATCH_AND ? fits | AND : fits;
}

/* Whether a packet fits any of the matches. */
static __always_inline int is_wanted(const struct lb_about *about)
{
	int so_far = FITS;

	for (__u32 i = 0; i < LB_MATCHES && i < recorder.matches; i++) {
		int one = fits(about, i);

		so_far &= one;
		if (one & AND)
			continue;
		if (so_far)
			return 1;
		so_far = FITS;
	}
	return 0;
}

/* The packet as it leaves, if the record is wanted. */
PART int record_out(struct xdp_md *context, const struct run *run, __u32 verdict, __u32 action)
{
	struct recorded *record = this_record();
	struct rates *rates = this_tick();
	__u32 in, bytes, length;

	if (!record || !rates || !run)
		return 0;
	tell(&record->head.about, context, run, verdict);
	if (!is_wanted(&record->head.about))
		return 0;
	if (!within(&rates->recorded, recorder.rate)) {
		count_event(LB_UNRECORDED);
		return 0;
	}
	record->head.action = action;
	length = bpf_xdp_get_buff_len(context);
	record->head.length = length > 0xffff ? 0xffff : length;
	record->head.out = 0;
	in = record->head.in;
	if (in > LB_SNAP)
		return 0;
	bytes = snap(context);
	if (verdict >= LB_FORWARDED && verdict < LB_DROPPED && bytes - 1 < LB_SNAP &&
	    !bpf_xdp_load_bytes(context, 0, record->packets + in, bytes))
		record->head.out = bytes;
	bytes = record->head.out;
	if (bytes > LB_SNAP)
		return 0;
	if (bpf_ringbuf_output(&records, record, sizeof(record->head) + in + bytes, 0))
		count_event(LB_UNRECORDED);
	return 0;
}

PART int sample(struct xdp_md *context, const struct run *run, __u32 verdict, __u32 length)
{
	struct lb_about about = {};

	if (!run || !settings.sample || bpf_get_prandom_u32() % settings.sample)
		return 0;
	tell(&about, context, run, verdict);
	about.length = length;
	if (bpf_ringbuf_output(&samples, &about, sizeof(about), 0))
		count_event(LB_UNSAMPLED);
	return 0;
}

#endif
