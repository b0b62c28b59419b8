/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the programs of the delay monitor and its daemon tell each other. */
#ifndef ALVEARY_DELAY_H
#define ALVEARY_DELAY_H

#include <linux/types.h>

/*
 * The delay TLV, of types for experiments (RFC 8754, 8.2): one that is the same all the way, one that may change on it.
 * Numbers are in network byte order; it begins at a multiple of 8 bytes.
 */
#define TLV_ONE_WAY	124
#define TLV_TWO_WAY	252

/* Flags: what is around the TLV was only sent to be measured, and goes no further than to where it is reported. */
#define DELAY_PROBE	1

struct delay_tlv {
	__u8 type;
	__u8 length;		/* of what follows */
	__be16 flags;
	__be32 path;
	__be64 sequence;	/* from 0, without gaps */
	__be64 sent;		/* nanoseconds */
	__be64 reflected;	/* two-way: when it was at the far end; 0 before */
};

/* What one packet told. Times are nanoseconds. */
struct report {
	__u32 path;
	__u32 type;
	__u64 sequence;
	__u64 sent;
	__u64 reflected;
	__u64 received;
};

/* The longest headers that are put around packets: IPv6, a segment routing header with ten segments, the TLV. */
#define LONGEST		(40 + 8 + 10 * 16 + 32)

struct settings {
	__u32 every;		/* one of so many packets is measured */
	__u32 length;		/* of `headers` */
	__u32 tlv;		/* where it is in them */
	__u32 unused;
	__u8 headers[LONGEST];
};

/* Indices of `counts`. */
enum count {
	SEEN,			/* packets that could be measured */
	SENT,			/* those that were */
	LEFT_OUT,		/* not IPv6, or several segments of TCP in one: these cannot carry a time */
	FAILED,			/* no room for headers */
	REFLECTED,		/* two-way: sent back from here */
	REPORTED,
	UNREPORTED,		/* the daemon did not read in time */
	WITHOUT,		/* came to the segment without a delay TLV, and went on */
	MALFORMED,		/* dropped */
	COUNTS,
};

#endif
