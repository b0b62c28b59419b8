// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The delay monitor. At one router `transmit` puts headers with a delay TLV around a share of a route's packets; at
 * another one, behind a segment, `end_dm` reports when they came, takes the TLV off and lets them go on. Two-way, the far
 * router's `end_dm` only notes its time and sends the packet back.
 *
 * Loaded by `alveary srv6 delay probe` and `collect`.
 */
#include "delay.h"
#include "srh.h"

/* Of packets that were measured, so that none is a second time. */
#define MEASURED	0x5352444d

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

/* What has to be added to the kernel's time so that it is everybody's. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} clock SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} reports SEC(".maps");

static __always_inline __u64 now(void)
{
	__u32 first = 0;
	__u64 *offset = bpf_map_lookup_elem(&clock, &first);

	return bpf_ktime_get_ns() + (offset ? *offset : 0);
}

/* Counts one more; gives how many there were before. */
static __always_inline __u64 count(__u32 what)
{
	__u64 *number = bpf_map_lookup_elem(&counts, &what);

	return number ? __sync_fetch_and_add(number, 1) : 0;
}

SEC("lwt_xmit")
int transmit(struct __sk_buff *skb)
{
	__u32 first = 0, packet_length = skb->len, length, tlv;
	struct settings *set = bpf_map_lookup_elem(&settings, &first);
	__be64 stamp[2];
	struct {
		__be32 version_class_flow;
		__be16 payload_length;
		__u8 next_header;
		__u8 hop_limit;
	} outer = { .next_header = ROUTING_HEADER, .hop_limit = 64 };

	if (!set || !set->every || skb->mark == MEASURED)
		return BPF_OK;
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || skb->gso_segs > 1 ||
	    bpf_skb_load_bytes(skb, 0, &outer.version_class_flow, sizeof(outer.version_class_flow))) {
		count(LEFT_OUT);
		return BPF_OK;
	}
	if (count(SEEN) % set->every)
		return BPF_OK;
	length = set->length;
	tlv = set->tlv;
	if (length < sizeof(struct ipv6hdr) || length > sizeof(set->headers) || tlv > sizeof(set->headers) ||
	    bpf_lwt_push_encap(skb, BPF_LWT_ENCAP_IP, set->headers, length)) {
		count(FAILED);
		return BPF_OK;
	}
	/* The flow's own class and label: routers treat it as the flow's other packets. */
	outer.payload_length = bpf_htons(packet_length + length - sizeof(struct ipv6hdr));
	stamp[0] = bpf_cpu_to_be64(count(SENT));
	stamp[1] = bpf_cpu_to_be64(now());
	if (bpf_skb_store_bytes(skb, 0, &outer, sizeof(outer), 0) ||
	    bpf_skb_store_bytes(skb, tlv + __builtin_offsetof(struct delay_tlv, sequence), stamp, sizeof(stamp), 0))
		return BPF_DROP;
	return BPF_LWT_REROUTE;
}

/* Where the delay TLV is among the header's TLVs; 0 if there is none, below if they make no sense. */
static __always_inline int find_delay(struct __sk_buff *skb, const struct srh *srh)
{
	int at = TLVS_AT(srh), end = SRH_END(srh);

	for (int tried = 0; tried < 16 && at + 2 <= end; tried++) {
		struct {
			__u8 type;
			__u8 length;
		} tlv;

		if (bpf_skb_load_bytes(skb, at, &tlv, sizeof(tlv)))
			return -1;
		if (tlv.type == TLV_PAD1) {
			at++;
			continue;
		}
		if (tlv.type == TLV_ONE_WAY || tlv.type == TLV_TWO_WAY)
			return tlv.length == sizeof(struct delay_tlv) - 2 && at + (int)sizeof(struct delay_tlv) <= end
				       ? at
				       : -1;
		at += 2 + tlv.length;
	}
	return 0;
}

SEC("lwt_seg6local")
int end_dm(struct __sk_buff *skb)
{
	__u64 time = now();
	struct report report = {};
	struct delay_tlv delay;
	struct srh srh;
	int at;

	if (srh_load(skb, &srh)) {
		count(WITHOUT);
		return BPF_OK;
	}
	at = find_delay(skb, &srh);
	if (!at) {
		count(WITHOUT);
		return BPF_OK;
	}
	if (at < 0 || bpf_skb_load_bytes(skb, at, &delay, sizeof(delay))) {
		count(MALFORMED);
		return BPF_DROP;
	}
	if (delay.type == TLV_TWO_WAY && !delay.reflected) {
		__be64 reflected = bpf_cpu_to_be64(time);

		if (bpf_lwt_seg6_store_bytes(skb, at + __builtin_offsetof(struct delay_tlv, reflected), &reflected,
					     sizeof(reflected))) {
			count(MALFORMED);
			return BPF_DROP;
		}
		count(REFLECTED);
		return BPF_OK;
	}
	report.path = bpf_ntohl(delay.path);
	report.type = delay.type;
	report.sequence = bpf_be64_to_cpu(delay.sequence);
	report.sent = bpf_be64_to_cpu(delay.sent);
	report.reflected = bpf_be64_to_cpu(delay.reflected);
	report.received = time;
	count(bpf_ringbuf_output(&reports, &report, sizeof(report), 0) ? UNREPORTED : REPORTED);
	if (delay.flags & bpf_htons(DELAY_PROBE))
		return BPF_DROP;
	skb->mark = MEASURED;
	if (bpf_lwt_seg6_adjust_srh(skb, at, -(int)sizeof(struct delay_tlv))) {
		count(MALFORMED);
		return BPF_DROP;
	}
	return BPF_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
