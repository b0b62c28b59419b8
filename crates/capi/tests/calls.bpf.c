// SPDX-License-Identifier: MIT OR Apache-2.0
/* Hands its map to a helper of the embedder's, prints, and sends an event. */
#include <linux/bpf.h>

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]

static long (*trace_printk)(const char *format, __u32 size, ...) = (void *)6;
static long (*ringbuf_output)(void *map, void *data, __u64 size, __u64 flags) = (void *)130;
static long (*entry_of)(void *map, const void *key) = (void *)65540;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(key_size, 4);
	__uint(value_size, 8);
	__uint(max_entries, 4);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("xdp")
int calls(struct xdp_md *context)
{
	char format[] = "hello";
	__u32 key = 7;
	__u64 entry = entry_of(&numbers, &key);

	trace_printk(format, sizeof(format));
	ringbuf_output(&events, &entry, sizeof(entry), 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
