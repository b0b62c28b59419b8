/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Segment routing headers (RFC 8754) as programs behind segments and routes find them. Such a program's packet begins at
 * its IPv6 header; behind a segment the header was checked by the stack, and the next segment is the destination by now.
 */
#ifndef ALVEARY_SRH_H
#define ALVEARY_SRH_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ROUTING_HEADER		43
#define ROUTING_TYPE_SRH	4

struct srh {
	__u8 next_header;
	__u8 length;		/* in 8 bytes, less one */
	__u8 type;
	__u8 segments_left;
	__u8 last_entry;
	__u8 flags;
	__be16 tag;
	/* struct in6_addr segments[last_entry + 1], then TLVs */
};

#define SRH_AT		((int)sizeof(struct ipv6hdr))
#define TLVS_AT(srh)	(SRH_AT + (int)sizeof(struct srh) + ((srh)->last_entry + 1) * (int)sizeof(struct in6_addr))
#define SRH_END(srh)	(SRH_AT + ((srh)->length + 1) * 8)

#define TLV_PAD1	0	/* one byte, without length */

/* The header right behind the packet's IPv6 header, copied; 0, or below if there is none. */
static __always_inline int srh_load(struct __sk_buff *skb, struct srh *srh)
{
	__u8 next;

	if (bpf_skb_load_bytes(skb, __builtin_offsetof(struct ipv6hdr, nexthdr), &next, sizeof(next)) ||
	    next != ROUTING_HEADER || bpf_skb_load_bytes(skb, SRH_AT, srh, sizeof(*srh)))
		return -1;
	return srh->type == ROUTING_TYPE_SRH ? 0 : -1;
}

#endif
