/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Maps and helpers in a translation unit of their own: what they are asked for they learn when they are called. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <stdlib.h>

__u64 time_now;
__u32 cpu_now;

long unforeseen(void)
{
	abort();
}

void *map_memory(__u64 size)
{
	void *memory = calloc(1, size);

	return memory ? memory : (abort(), NULL);
}

#ifndef WITHIN
#define HELPER
#include "packets.h"

__u64 bpf_ktime_get_ns(void)
{
	return time_now;
}

__u64 bpf_ktime_get_coarse_ns(void)
{
	return time_now;
}

__u32 bpf_get_smp_processor_id(void)
{
	return cpu_now;
}

/* What maps of a type do. Of their shape no more is constant than the type. */
#define TYPE(name, type_of)                                                                                            \
	static void *name##_look_up(const struct map_ready *map, const void *key)                                      \
	{                                                                                                              \
		struct map_shape shape = map->shape;                                                                   \
                                                                                                                       \
		shape.type = type_of;                                                                                  \
		return map_look_up(shape, map->keys, map->values, key);                                                \
	}                                                                                                              \
                                                                                                                       \
	static long name##_update(const struct map_ready *map, const void *key, const void *value, __u64 flags)        \
	{                                                                                                              \
		struct map_shape shape = map->shape;                                                                   \
                                                                                                                       \
		shape.type = type_of;                                                                                  \
		return map_update(shape, map->keys, map->values, key, value, flags);                                   \
	}

#define TYPES                                                   \
	TYPE(array, BPF_MAP_TYPE_ARRAY)                         \
	TYPE(array_of_cpus, BPF_MAP_TYPE_PERCPU_ARRAY)          \
	TYPE(hash, BPF_MAP_TYPE_HASH)                           \
	TYPE(hash_of_cpus, BPF_MAP_TYPE_PERCPU_HASH)            \
	TYPE(hash_that_forgets, BPF_MAP_TYPE_LRU_HASH)          \
	TYPE(hash_of_cpus_that_forgets, BPF_MAP_TYPE_LRU_PERCPU_HASH) \
	TYPE(trie, BPF_MAP_TYPE_LPM_TRIE)

TYPES
#undef TYPE

const struct map_ready *map_make(struct map_shape shape)
{
	struct map_ready *map = map_memory(sizeof(*map));

#define TYPE(name, type_of)                      \
	if (shape.type == type_of) {             \
		map->look_up = name##_look_up;   \
		map->update = name##_update;     \
	}
	TYPES
#undef TYPE
	map->shape = shape;
	map->keys = map_memory(map_heads_size(shape));
	map->values = map_memory(map_nodes_size(shape));
	return map;
}
#endif
