// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Everything that a skeleton has to have a type for. Compiled in this folder by
 *	clang-19 -O2 -g -target bpf -mcpu=v3 -fdebug-compilation-dir=. -c globals.bpf.c && llvm-strip-19 -g globals.bpf.o
 */
typedef unsigned int __u32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name

struct xdp_md {
	__u32 data, data_end;
};

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;

enum mode {
	OFF,
	COUNT,
};

struct limit {
	char name[4];
	__u64 bytes;
	__u32 low : 3, high : 5;
};

const volatile struct limit limits[2] = { { .name = "one" }, { .bytes = 100 } };
const volatile enum mode mode = OFF;
__u64 threshold = 1000;
struct {
	__u32 packets;
	union {
		__u32 word;
		unsigned char bytes[4];
	};
} seen;
static __u32 hidden;

struct {
	__uint(type, 1);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct limit);
} lengths SEC(".maps");

struct {
	__uint(type, 6);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} total SEC(".maps");

/* Passes packets of which the second limit, or the threshold, has nothing to say; counts if the mode tells it to. */
SEC("xdp")
int measure(struct xdp_md *context)
{
	__u64 length = context->data_end - context->data;
	struct limit limit = { .bytes = length, .low = 5, .high = 9 };
	__u32 key = length;
	__u32 zero = 0;
	__u64 *sum = bpf_map_lookup_elem(&total, &zero);

	if (sum)
		*sum += length;
	hidden++;
	if (mode == COUNT) {
		seen.packets++;
		seen.word = hidden;
		bpf_map_update_elem(&lengths, &key, &limit, 0);
	}
	return length > limits[1].bytes || length > threshold ? 1 : 2;
}

SEC("?xdp")
int optional(struct xdp_md *context)
{
	return 2;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
