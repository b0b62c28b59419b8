/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What maps do, in plain C, for shapes that are constants or are not (maps.h). As in the engine: arrays; hash tables of
 * chains, whose nodes have key and value beside each other; tries whose nodes have whole prefixes; values for each CPU; marks
 * of what was used. One thread, so that there are no locks and no versions to look at; no removal, and so no list of what
 * is to go first.
 */
#ifndef ALVEARY_NATIVE_MAP_H
#define ALVEARY_NATIVE_MAP_H

/* The CPU that runs is not known when programs are compiled. */
extern __u32 cpu_now;
#define MAP_CPUS 2

/* Loops over keys have no rounds where their size is a constant. */
#ifdef WITHIN
#define MAP_UNROLLED _Pragma("GCC unroll 8")
#else
#define MAP_UNROLLED
#endif

/* What a definition says of a map. */
struct map_shape {
	__u32 type;
	__u32 entries;
	__u32 key;
	__u32 value;
};

/* A node of a table: the number of the next one, key, value. Node 0 is none; its `next` counts those that are used. */
struct map_node {
	__u32 next;
	union {
		__u32 used;	/* in tables that forget */
		__u32 bits;	/* of a trie: of the prefix */
	};
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

static __always_inline int map_is_per_cpu(struct map_shape shape)
{
	return shape.type == BPF_MAP_TYPE_PERCPU_ARRAY || shape.type == BPF_MAP_TYPE_PERCPU_HASH ||
	       shape.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

static __always_inline int map_forgets(struct map_shape shape)
{
	return shape.type == BPF_MAP_TYPE_LRU_HASH || shape.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

/* Bytes of an entry's values in one place. */
static __always_inline __u64 map_values(struct map_shape shape)
{
	return (__u64)map_rounded(shape.value) * (map_is_per_cpu(shape) ? MAP_CPUS : 1);
}

static __always_inline __u32 map_head_size(struct map_shape shape)
{
	return map_is_trie(shape) ? sizeof(struct map_node) : 8;
}

static __always_inline struct map_node *map_node_at(struct map_shape shape, void *nodes, __u32 number)
{
	__u64 size = map_head_size(shape) + map_rounded(shape.key) + map_values(shape);

	return nodes + number * size;
}

static __always_inline void *map_key_at(struct map_shape shape, struct map_node *node)
{
	return (void *)node + map_head_size(shape);
}

static __always_inline void *map_value_at(struct map_shape shape, struct map_node *node)
{
	void *values = map_key_at(shape, node) + map_rounded(shape.key);

	return map_is_per_cpu(shape) ? values + (__u64)cpu_now * map_rounded(shape.value) : values;
}

/* Heads of chains: a power of two. */
static __always_inline __u32 map_chains(struct map_shape shape)
{
	return shape.entries < 2 ? 1 : 1u << (32 - __builtin_clz(shape.entries - 1));
}

/* The next bytes of a key, at most eight. */
static __always_inline __u64 map_word(const void *key, __u32 size)
{
	__u64 word = 0;
	__u32 part;
	__u16 half;

	if (size >= 8) {
		__builtin_memcpy(&word, key, 8);
		return word;
	}
	if (size & 4) {
		__builtin_memcpy(&part, key, 4);
		word = part;
	}
	if (size & 2) {
		__builtin_memcpy(&half, key + (size & 4), 2);
		word |= (__u64)half << (size & 4) * 8;
	}
	if (size & 1)
		word |= (__u64)((const __u8 *)key)[size & 6] << (size & 6) * 8;
	return word;
}

static __always_inline __u32 map_hash(const void *key, __u32 size)
{
	__u64 state = 0;

MAP_UNROLLED
	for (__u32 at = 0; at < size; at += 8) {
		state = (state ^ map_word(key + at, size - at)) * 0x9e3779b97f4a7c15;
		state ^= state >> 32;
	}
	return state * 0xd6e8feb86659fd93 >> 32;
}

/* Behind the keys of nodes there are zeroes, up to a whole word. */
static __always_inline int map_has_key(const void *there, const void *key, __u32 size)
{
MAP_UNROLLED
	for (__u32 at = 0; at < size; at += 8)
		if (map_word(there + at, 8) != map_word(key + at, size - at))
			return 0;
	return 1;
}

static __always_inline struct map_node *map_find(struct map_shape shape, __u32 *heads, void *nodes, const void *key)
{
	__u32 number = heads[map_hash(key, shape.key) & (map_chains(shape) - 1)];

	while (number) {
		struct map_node *node = map_node_at(shape, nodes, number);

		if (map_has_key(map_key_at(shape, node), key, shape.key))
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

		if (index >= shape.entries)
			return NULL;
		if (map_is_per_cpu(shape))
			values += (__u64)cpu_now * shape.entries * map_rounded(shape.value);
		return values + (__u64)index * map_rounded(shape.value);
	}
	if (map_is_trie(shape))
		return map_longest(shape, keys, values, key);
	node = map_find(shape, keys, values, key);
	if (!node)
		return NULL;
	if (map_forgets(shape))
		node->used = 1;
	return map_value_at(shape, node);
}

/* Bytes of a map's heads, and of its values or nodes. */
static inline __u64 map_heads_size(struct map_shape shape)
{
	return (__u64)(map_is_trie(shape) || map_is_array(shape) ? 1 : map_chains(shape)) * sizeof(__u32);
}

static inline __u64 map_nodes_size(struct map_shape shape)
{
	if (map_is_array(shape))
		return shape.entries * map_values(shape);
	return (__u64)map_node_at(shape, NULL, 1) * (shape.entries + 1) * (1 + map_is_trie(shape));
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
		node->used = 0;
		node->next = *head;
		*head = number;
	}
	__builtin_memcpy(map_value_at(shape, node), value, shape.value);
	return 0;
}

#endif
