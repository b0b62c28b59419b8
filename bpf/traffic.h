/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What our programs count: packets and their bytes, per CPU, so that no update needs an atomic. */
#ifndef ALVEARY_TRAFFIC_H
#define ALVEARY_TRAFFIC_H

#include <linux/bpf.h>

struct traffic {
	__u64 packets;
	__u64 bytes;
};

static __always_inline void add_packet(struct traffic *traffic, __u64 bytes)
{
	if (traffic) {
		traffic->packets++;
		traffic->bytes += bytes;
	}
}

#endif
