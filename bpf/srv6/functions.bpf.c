// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Network functions behind a segment, as the paper's micro-benchmark has them: what the stack's own End, End.T and End.DT6
 * do, a tag that is one more, a TLV that is added.
 *
 *	alveary srv6 route add fc00:e::1 End.BPF examples/srv6-functions.bpf.o:tag --dev eth0
 */
#include <linux/seg6_local.h>

#include "srh.h"

/* The table that `end_t` and `end_dt6` look in; the main one unless it is set. */
const volatile __u32 table = 254;

/* The stack has gone on to the next segment: nothing is left to do. */
SEC("lwt_seg6local")
int end(struct __sk_buff *skb __attribute__((unused)))
{
	return BPF_OK;
}

SEC("lwt_seg6local")
int end_t(struct __sk_buff *skb)
{
	__u32 in = table;

	return bpf_lwt_seg6_action(skb, SEG6_LOCAL_ACTION_END_T, &in, sizeof(in)) ? BPF_DROP : BPF_REDIRECT;
}

SEC("lwt_seg6local")
int end_dt6(struct __sk_buff *skb)
{
	__u32 in = table;

	return bpf_lwt_seg6_action(skb, SEG6_LOCAL_ACTION_END_DT6, &in, sizeof(in)) ? BPF_DROP : BPF_REDIRECT;
}

SEC("lwt_seg6local")
int tag(struct __sk_buff *skb)
{
	struct srh srh;
	__be16 next;

	if (srh_load(skb, &srh))
		return BPF_DROP;
	next = bpf_htons(bpf_ntohs(srh.tag) + 1);
	return bpf_lwt_seg6_store_bytes(skb, SRH_AT + __builtin_offsetof(struct srh, tag), &next, sizeof(next))
		       ? BPF_DROP
		       : BPF_OK;
}

/* A TLV of 8 bytes behind all others, of a type for experiments. */
SEC("lwt_seg6local")
int add_tlv(struct __sk_buff *skb)
{
	const __u8 tlv[8] = { 125, 6, 'a', 'l', 'v', 'e', 'a', 'r' };
	struct srh srh;

	if (srh_load(skb, &srh))
		return BPF_DROP;
	if (bpf_lwt_seg6_adjust_srh(skb, SRH_END(&srh), sizeof(tlv)) ||
	    bpf_lwt_seg6_store_bytes(skb, SRH_END(&srh), tlv, sizeof(tlv)))
		return BPF_DROP;
	return BPF_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
