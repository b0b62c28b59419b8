/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The hash of a flow: the tables' own of 64 bits, of which rings take the upper half; and, for rings that are to be
 * Katran's, Katran's choice of Jenkins's lookup3 (which is in the public domain).
 */
#ifndef ALVEARY_LB_HASH_H
#define ALVEARY_LB_HASH_H

#include "maps.h"

static __always_inline __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0xff51afd7ed558ccd;
	return hash ^ hash >> 32;
}

/* Never 0, which is a free place in a table. */
static __always_inline __u64 flow_hash(const struct lb_flow6 *flow, const int v6)
{
	__u64 ports = (__u64)flow->source_port << 32 | (__u32)flow->destination_port << 16 | flow->protocol;
	__u64 hash = lb_seed;

	if (v6) {
		hash = mix(hash, (__u64)flow->source[0] << 32 | flow->source[1]);
		hash = mix(hash, (__u64)flow->source[2] << 32 | flow->source[3]);
		hash = mix(hash, (__u64)flow->destination[0] << 32 | flow->destination[1]);
		hash = mix(hash, (__u64)flow->destination[2] << 32 | flow->destination[3]);
	} else {
		hash = mix(hash, (__u64)flow->source[0] << 32 | flow->destination[0]);
	}
	hash = mix(hash, ports) * 0xc4ceb9fe1a85ec53;
	return (hash ^ hash >> 32) | 1ull << 63;
}

static __always_inline __u32 rotate(__u32 word, const int by)
{
	return word << by | word >> (32 - by);
}

static __always_inline __u32 lookup3_final(__u32 a, __u32 b, __u32 c)
{
	c = (c ^ b) - rotate(b, 14);
	a = (a ^ c) - rotate(c, 11);
	b = (b ^ a) - rotate(a, 25);
	c = (c ^ b) - rotate(b, 16);
	a = (a ^ c) - rotate(c, 4);
	b = (b ^ a) - rotate(a, 14);
	return (c ^ b) - rotate(b, 24);
}

static __always_inline __u32 lookup3_2words(__u32 a, __u32 b, __u32 seed)
{
	__u32 start = seed + 0xdeadbeef + (2 << 2);

	return lookup3_final(a + start, b + start, start);
}

static __always_inline __u32 lookup3_4words(const __be32 *words, __u32 seed)
{
	__u32 a, b, c;

	a = b = c = 0xdeadbeef + 16 + seed;
	a += words[0];
	b += words[1];
	c += words[2];
	a = (a - c) ^ rotate(c, 4);
	c += b;
	b = (b - a) ^ rotate(a, 6);
	a += c;
	c = (c - b) ^ rotate(b, 8);
	b += a;
	a = (a - c) ^ rotate(c, 16);
	c += b;
	b = (b - a) ^ rotate(a, 19);
	a += c;
	c = (c - b) ^ rotate(b, 4);
	b += a;
	return lookup3_final(a + words[3], b, c);
}

/* The place of a flow in a ring. */
static __always_inline __u32 katran_place(const struct lb_flow6 *flow, const int v6, __u32 size)
{
	__u32 ports = (__u32)flow->destination_port << 16 | flow->source_port;
	__u32 source = v6 ? lookup3_4words(flow->source, lb_katran_vips) : flow->source[0];

	return size ? lookup3_2words(source, ports, lb_katran * lb_katran_vips) % size : 0;
}

static __always_inline __u32 place_of(__u64 hash, __u32 size)
{
	/* The uppermost bit says that there is a hash. */
	return (hash << 1 >> 32) * size >> 32;
}

#endif
