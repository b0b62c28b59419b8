// SPDX-License-Identifier: MIT OR Apache-2.0
/* Maps of many kinds, and data in many sections. */
#include "common.h"

struct key { __u32 address; __u16 port; };
struct value { struct bpf_spin_lock lock; __u64 packets, bytes; };
struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); };

struct inner one SEC(".maps"), two SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct key); __type(value, struct value); } flows SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } recent SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 16); __uint(map_flags, BPF_F_NO_PREALLOC); __uint(key_size, 8); __uint(value_size, 4); } routes SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __uint(key_size, 4); __array(values, struct inner); } outer SEC(".maps") = { .values = { &two, &one } };
struct { __uint(type, BPF_MAP_TYPE_BLOOM_FILTER); __uint(max_entries, 16); __uint(map_extra, 3); __uint(value_size, 4); } filter SEC(".maps");

static __u64 zeros[4], total;
static volatile int set = 5;
__u64 common_counter = 9, big_zeros[1000];
static volatile const __u32 limit = 77;
const volatile char name[8] = "maps";
int tuned SEC(".data.tuning") = 1;
int rare SEC(".bss.rare");
const volatile long fixed SEC(".rodata.fixed") = 4;

SEC("xdp") int keeps(struct xdp_md *ctx)
{
	struct key key = { .address = ctx->ingress_ifindex, .port = limit };
	struct value *value = bpf_map_lookup_elem(&flows, &key);
	__u32 index = ctx->rx_queue_index & 3, zero = 0;

	if (value) {
		bpf_spin_lock(&value->lock);
		value->packets++;
		bpf_spin_unlock(&value->lock);
	}
	zeros[index]++;
	total += common_counter + set + tuned + fixed + name[index];
	rare++;
	big_zeros[900 + index] = total;
	void *map = bpf_map_lookup_elem(&outer, &zero);
	if (map && bpf_map_lookup_elem(map, &index))
		bpf_map_push_elem(&filter, &index, 0);
	bpf_map_update_elem(&recent, &index, &total, BPF_ANY);
	if (!bpf_map_lookup_elem(&routes, &key) && !bpf_map_lookup_elem(&one, &index))
		bpf_ringbuf_output(&events, &total, sizeof(total), 0);
	bpf_printk("%d packets of %s", total, "everybody");
	return XDP_PASS;
}
