/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Maps as programs define them. Either they are functions of another translation unit, as the kernel's are another part of
 * it: sizes are asked when they are called (helpers.c). Or, with WITHIN, they are compiled into the program: all sizes are
 * constants, each lookup is made in place. What a definition declares as pointers to its key and value type are then pointers
 * to its memory.
 */
#ifndef ALVEARY_NATIVE_MAPS_H
#define ALVEARY_NATIVE_MAPS_H

#include "map.h"

#define __uint(name, number) int(*name)[number]
#define __type(name, of) typeof(of) *name

#define MAP_NUMBER(field) (sizeof(*(field)) / sizeof(int))
#define MAP_SHAPE(map) \
	((struct map_shape){ MAP_NUMBER((map)->type), MAP_NUMBER((map)->max_entries), sizeof(*(map)->key), sizeof(*(map)->value) })

/* A map that is a function's argument, with what its type does: as in the kernel, that is called by its address. */
struct map_ready {
	void *(*look_up)(const struct map_ready *map, const void *key);
	long (*update)(const struct map_ready *map, const void *key, const void *value, __u64 flags);
	struct map_shape shape;
	void *keys;
	void *values;
};

void *map_memory(__u64 size);

#ifdef WITHIN
#define bpf_map_lookup_elem(map, key_of) map_look_up(MAP_SHAPE(map), (map)->key, (map)->value, key_of)
#define bpf_map_update_elem(map, key_of, value_of, flags) \
	map_update(MAP_SHAPE(map), (map)->key, (map)->value, key_of, value_of, flags)

#define MAP_MAKE(map)                                                  \
	(map)->key = map_memory(map_heads_size(MAP_SHAPE(map))); \
	(map)->value = map_memory(map_nodes_size(MAP_SHAPE(map)));
#else
/* A definition's pointer to its type is one to its map. */
#define MAP_OF(map) ((const struct map_ready *)(map)->type)

const struct map_ready *map_make(struct map_shape shape);

#define bpf_map_lookup_elem(map, key_of) MAP_OF(map)->look_up(MAP_OF(map), key_of)
#define bpf_map_update_elem(map, key_of, value_of, flags) MAP_OF(map)->update(MAP_OF(map), key_of, value_of, flags)

#define MAP_MAKE(map) (map)->type = (void *)map_make(MAP_SHAPE(map));
#endif

#endif
