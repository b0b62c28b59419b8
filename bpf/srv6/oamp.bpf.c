// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * End.OAMP: tells who asks by which next hops packets to a target go. The program cannot know: no helper behind a segment
 * asks for all ways of a route. It hands the question to a daemon, which does, and answers.
 *
 * A question is an ICMPv6 message of type 200 behind a segment routing header; the segment after this one is the target.
 * What bears no question goes on to its next segment.
 *
 *	alveary srv6 oamp --sid fc00:1::a --dev eth0
 */
#include <linux/icmpv6.h>

#include "srh.h"

#define QUESTION 200	/* ICMPv6's for private experimentation */

struct question {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id;
	__be16 number;
};

/* What the daemon gets. */
struct probe {
	struct in6_addr from;		/* who asks */
	struct in6_addr target;
	__be16 id;
	__be16 number;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} probes SEC(".maps");

SEC("lwt_seg6local")
int oamp(struct __sk_buff *skb)
{
	struct question question;
	struct probe probe = {};
	struct srh srh;

	if (srh_load(skb, &srh) || srh.next_header != IPPROTO_ICMPV6 ||
	    bpf_skb_load_bytes(skb, SRH_END(&srh), &question, sizeof(question)) || question.type != QUESTION)
		return BPF_OK;
	if (bpf_skb_load_bytes(skb, __builtin_offsetof(struct ipv6hdr, saddr), &probe.from, sizeof(probe.from)) ||
	    bpf_skb_load_bytes(skb, __builtin_offsetof(struct ipv6hdr, daddr), &probe.target, sizeof(probe.target)))
		return BPF_DROP;
	probe.id = question.id;
	probe.number = question.number;
	bpf_ringbuf_output(&probes, &probe, sizeof(probe), 0);
	return BPF_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
