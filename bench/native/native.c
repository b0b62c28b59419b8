/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A program of bpf/ as a library of this machine. SOURCE is its file, ENTRY its function, MAPS its maps, each as
 * `MAP(name)`; SKB is given for a program of tc.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <stdlib.h>
#include <string.h>

#include SOURCE

long unforeseen(void)
{
	abort();
}

static void *memory(__u64 count, __u64 size)
{
	void *memory = calloc(count, size);

	return memory ? memory : (abort(), NULL);
}

/* Gives the maps their memory. */
void make(void)
{
#define MAP(map)                                                                                      \
	map.key = memory(map_is_trie(MAP_SHAPE(&map)) ? 1 : map_chains(MAP_SHAPE(&map)), sizeof(__u32));                  \
	map.value = map_is_array(MAP_SHAPE(&map))                                                                 \
			    ? memory(MAP_NUMBER(map.max_entries), map_rounded(sizeof(*map.value)))                        \
			    : memory((MAP_NUMBER(map.max_entries) + 1) * (1 + map_is_trie(MAP_SHAPE(&map))),                  \
				     (__u64)map_node_at(MAP_SHAPE(&map), NULL, 1));
	MAPS
#undef MAP
}

/* Writes an entry. */
long put(const char *name, const void *key, const void *value)
{
#define MAP(map)                 \
	if (!strcmp(name, #map)) \
		return bpf_map_update_elem(&map, key, value, BPF_ANY);
	MAPS
#undef MAP
	return -1;
}

/* Bytes in front of a packet, as in the kernel and in the engine. */
#define HEADROOM 256
#define ROOM (HEADROOM + 0x10000)

static __u8 room[ROOM] __attribute__((aligned(64)));

/* The packet as the program left it. */
const __u8 *left;
__u64 left_length;

__u32 prog(const __u8 *packet, __u64 length)
{
	__u32 verdict;

	memcpy(room + HEADROOM, packet, length);
#ifdef SKB
	struct __sk_buff skb = { .len = length, .bytes = room + HEADROOM };

	verdict = ENTRY(&skb);
	left = skb.bytes;
	left_length = skb.len;
#else
	struct xdp_md xdp = { .ingress_ifindex = 1, .room = room };

	xdp.data = xdp.data_meta = (unsigned long)room + HEADROOM;
	xdp.data_end = xdp.data + length;
	verdict = ENTRY(&xdp);
	left = (const __u8 *)xdp.data;
	left_length = xdp.data_end - xdp.data;
#endif
	return verdict;
}
