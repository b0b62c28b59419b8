// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * For measurements: test runs that repeat a program give it its own output again, so that one that puts headers before
 * packets measures something else from the second time on. This one makes the packet what it was, and goes on to the
 * program that is measured. Twice: programs that take packets in pieces and others do not go on to each other.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* Bytes that programs may have written to; packets are at least as long. */
#define HEAD			64

struct original {
	__u64 length;
	__u64 device;	/* that `sent` sends it by */
	__u64 back;	/* bytes that it comes back with: `counted` counts no others, which the link has of its own */
	__u64 head[HEAD / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct original);
} original SEC(".maps");

/* Packets that came back. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} came SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target_frags SEC(".maps");

static __always_inline int restore(struct xdp_md *context)
{
	__u32 only = 0;
	struct original *was = bpf_map_lookup_elem(&original, &only);
	__u64 *words;
	int longer;

	if (!was)
		return -1;
	longer = (int)(context->data_end - context->data) - (int)was->length;
	if (longer && bpf_xdp_adjust_head(context, longer))
		return -1;
	words = (void *)(long)context->data;
	if ((void *)(words + HEAD / 8) > (void *)(long)context->data_end)
		return -1;
#pragma unroll
	for (int i = 0; i < HEAD / 8; i++)
		words[i] = was->head[i];
	return 0;
}

SEC("xdp")
int again(struct xdp_md *context)
{
	if (!restore(context))
		bpf_tail_call(context, &target, 0);
	return XDP_ABORTED;
}

SEC("xdp.frags")
int again_frags(struct xdp_md *context)
{
	if (!restore(context))
		bpf_tail_call(context, &target_frags, 0);
	return XDP_ABORTED;
}

/* Of live frames, which the kernel uses again as they were left. */
SEC("xdp")
int sent(struct xdp_md *context)
{
	__u32 only = 0;
	struct original *was = bpf_map_lookup_elem(&original, &only);

	if (!was || restore(context))
		return XDP_ABORTED;
	return bpf_redirect(was->device, 0);
}

SEC("xdp")
int counted(struct xdp_md *context)
{
	__u32 only = 0;
	struct original *was = bpf_map_lookup_elem(&original, &only);
	__u64 *all = bpf_map_lookup_elem(&came, &only);

	if (all && was && context->data_end - context->data == was->back)
		(*all)++;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
