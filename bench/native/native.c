/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A program of bpf/ as a library of this machine. SOURCE is its file, ENTRY its function, MAPS its maps, each as
 * `MAP(name)`; SKB is given for a program of tc, WITHIN if maps and helpers are compiled into it (maps.h).
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <string.h>

#include SOURCE

/* Gives the maps their memory. */
void make(void)
{
#define MAP(map) MAP_MAKE(&map)
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
