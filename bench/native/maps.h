/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Maps in plain C. What a definition declares as pointers to its key and value type are pointers to its memory here, so
 * that all sizes are constants and every lookup is made in place. As in the engine: arrays; hash tables of chains, whose
 * nodes have key and value beside each other; tries whose nodes have whole prefixes. One CPU, no removal, no locks.
 */
#ifndef ALVEARY_NATIVE_MAPS_H
#define ALVEARY_NATIVE_MAPS_H

#define __uint(name, number) int(*name)[number]
#define __type(name, of) typeof(of) *name

/* What is known of a map when its lookup is compiled. */
struct map_shape {
	__u32 type;
	__u32 entries;
	__u32 key;
	__u32 value;
};

#define MAP_NUMBER(field) (sizeof(*(field)) / sizeof(int))
#define MAP_SHAPE(map) \
	((struct map_shape){ MAP_NUMBER((map)->type), MAP_NUMBER((map)->max_entries), sizeof(*(map)->key), sizeof(*(map)->value) })

#define bpf_map_lookup_elem(map, key_of) map_look_up(MAP_SHAPE(map), (map)->key, (map)->value, key_of)
#define bpf_map_update_elem(map, key_of, value_of, flags) \
	map_update(MAP_SHAPE(map), (map)->key, (map)->value, key_of, value_of, flags)

/* A node of a table: the number of the next one, key, value. Node 0 is none; its `next` counts those that are used. */
struct map_node {
	__u32 next;
	__u32 bits;		/* of a trie: of the prefix */
	__u32 child[2];		/* of a trie */
};

static __always_inline __u32 map_rounded(__u32 size)
{
	return (size + 7) & ~7u;
}

static __always_inline int map_is_trie(struct map_shape shape)
{
	return shape.type == BPF_MAP_TYPE_LPM_TRIE;
}

static __always_inline int map_is_array(struct map_shape shape)
{
	return shape.type == BPF_MAP_TYPE_ARRAY || shape.type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static __always_inline __u32 map_head_size(struct map_shape shape)
{
	return map_is_trie(shape) ? sizeof(struct map_node) : 8;
}

static __always_inline struct map_node *map_node_at(struct map_shape shape, void *nodes, __u32 number)
{
	__u64 size = map_head_size(shape) + map_rounded(shape.key) + map_rounded(shape.value);

	return nodes + number * size;
}

static __always_inline void *map_key_at(struct map_shape shape, struct map_node *node)
{
	return (void *)node + map_head_size(shape);
}

static __always_inline void *map_value_at(struct map_shape shape, struct map_node *node)
{
	return map_key_at(shape, node) + map_rounded(shape.key);
}

/* Heads of chains: a power of two. */
static __always_inline __u32 map_chains(struct map_shape shape)
{
	return shape.entries < 2 ? 1 : 1u << (32 - __builtin_clz(shape.entries - 1));
}

static __always_inline __u32 map_hash(const void *key, __u32 size)
{
	__u64 state = 0;

#pragma GCC unroll 8
	for (__u32 at = 0; at < size; at += 8) {
		__u64 word = 0;

		__builtin_memcpy(&word, key + at, size - at < 8 ? size - at : 8);
		state = (state ^ word) * 0x9e3779b97f4a7c15;
		state ^= state >> 32;
	}
	return state * 0xd6e8feb86659fd93 >> 32;
}

static __always_inline struct map_node *map_find(struct map_shape shape, __u32 *heads, void *nodes, const void *key)
{
	__u32 number = heads[map_hash(key, shape.key) & (map_chains(shape) - 1)];

	while (number) {
		struct map_node *node = map_node_at(shape, nodes, number);

		if (!__builtin_memcmp(map_key_at(shape, node), key, shape.key))
			return node;
		number = node->next;
	}
	return NULL;
}

/* Bits that two prefixes have in common, at most so many. */
static __always_inline __u32 map_common(const void *one, const void *other, __u32 most)
{
	__u32 bits = 0;

	while (bits < most) {
		__u32 a, b;

		__builtin_memcpy(&a, one + bits / 8, 4);
		__builtin_memcpy(&b, other + bits / 8, 4);
		if (a != b) {
			bits += __builtin_clz(__builtin_bswap32(a ^ b));
			break;
		}
		bits += 32;
	}
	return bits < most ? bits : most;
}

static __always_inline int map_bit(const void *prefix, __u32 at)
{
	return ((const __u8 *)prefix)[at / 8] >> (7 - at % 8) & 1;
}

/* Keys of tries: the length of the prefix, the prefix. */
#define MAP_PREFIX(key) ((key) + 4)
#define MAP_LENGTH(key) (*(const __u32 *)(key))

/* Of a trie, `next` says that the node is an entry; others only branch. Its first link is the first head. */
static __always_inline void *map_longest(struct map_shape shape, __u32 *heads, void *nodes, const void *key)
{
	__u32 number = heads[0];
	void *best = NULL;

	while (number) {
		struct map_node *node = map_node_at(shape, nodes, number);
		__u32 least = node->bits < MAP_LENGTH(key) ? node->bits : MAP_LENGTH(key);

		if (map_common(MAP_PREFIX(map_key_at(shape, node)), MAP_PREFIX(key), least) < node->bits)
			break;
		if (node->next)
			best = map_value_at(shape, node);
		if (node->bits == (shape.key - 4) * 8)
			break;
		number = node->child[map_bit(MAP_PREFIX(key), node->bits)];
	}
	return best;
}

static __always_inline void *map_look_up(struct map_shape shape, void *keys, void *values, const void *key)
{
	struct map_node *node;

	if (map_is_array(shape)) {
		__u32 index = *(const __u32 *)key;

		return index < shape.entries ? values + (__u64)index * map_rounded(shape.value) : NULL;
	}
	if (map_is_trie(shape))
		return map_longest(shape, keys, values, key);
	node = map_find(shape, keys, values, key);
	return node ? map_value_at(shape, node) : NULL;
}

/* A node that nobody uses yet. */
static inline __u32 map_fresh(struct map_shape shape, void *nodes)
{
	struct map_node *none = nodes;

	return ++none->next;
}

static inline long map_plant(struct map_shape shape, __u32 *heads, void *nodes, const void *key, const void *value)
{
	__u32 *link = heads, number, old, bits = 0;
	struct map_node *node, *branch;

	for (; (old = *link); link = &node->child[map_bit(MAP_PREFIX(key), node->bits)]) {
		node = map_node_at(shape, nodes, old);
		bits = map_common(MAP_PREFIX(map_key_at(shape, node)), MAP_PREFIX(key), node->bits < MAP_LENGTH(key) ? node->bits : MAP_LENGTH(key));
		if (bits < node->bits || node->bits == MAP_LENGTH(key))
			break;
	}
	if (old && bits == node->bits) {
		number = old;
	} else {
		number = map_fresh(shape, nodes);
		branch = map_node_at(shape, nodes, number);
		branch->bits = MAP_LENGTH(key);
		__builtin_memcpy(map_key_at(shape, branch), key, shape.key);
		if (old && bits < MAP_LENGTH(key)) {
			/* Neither prefix begins with the other: a node that branches is above both. */
			__u32 above = map_fresh(shape, nodes);

			branch = map_node_at(shape, nodes, above);
			branch->bits = bits;
			__builtin_memcpy(map_key_at(shape, branch), key, shape.key);
			branch->child[map_bit(MAP_PREFIX(key), bits)] = number;
			*link = above;
		} else {
			*link = number;
		}
		if (old)
			branch->child[map_bit(MAP_PREFIX(map_key_at(shape, node)), bits)] = old;
	}
	node = map_node_at(shape, nodes, number);
	node->next = 1;
	__builtin_memcpy(map_value_at(shape, node), value, shape.value);
	return 0;
}

static __always_inline long map_update(struct map_shape shape, void *keys, void *values, const void *key, const void *value,
				   __u64 flags)
{
	__u32 *head, number;
	struct map_node *node;

	if (map_is_trie(shape))
		return map_plant(shape, keys, values, key, value);
	if (map_is_array(shape)) {
		__builtin_memcpy(map_look_up(shape, keys, values, key), value, shape.value);
		return 0;
	}
	node = map_find(shape, keys, values, key);
	if (node && flags == BPF_NOEXIST)
		return -17;
	if (!node) {
		if (((struct map_node *)values)->next == shape.entries)
			return -7;
		number = map_fresh(shape, values);
		node = map_node_at(shape, values, number);
		head = keys + 4 * (map_hash(key, shape.key) & (map_chains(shape) - 1));
		__builtin_memcpy(map_key_at(shape, node), key, shape.key);
		node->next = *head;
		*head = number;
	}
	__builtin_memcpy(map_value_at(shape, node), value, shape.value);
	return 0;
}

#endif
