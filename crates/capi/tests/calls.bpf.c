// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program that hands its map to a helper of the embedder's, prints, and sends an event; one over plain memory. */
#include <linux/bpf.h>

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]

static void *(*lookup)(void *map, const void *key) = (void *)1;
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

/* The type of this one is for the caller to say. Gives what the map has for the first byte. */
SEC("plugin")
__u64 first_byte(const __u8 *memory, __u64 size)
{
	__u32 key = size ? memory[0] : 0;
	__u64 *entry = lookup(&numbers, &key);

	return entry ? *entry : size;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
