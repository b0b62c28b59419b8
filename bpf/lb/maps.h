/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The balancer's maps and constants. None is pinned by name: the control plane pins them in a folder of the instance, so
 * that several can run. Their capacities are those of a small instance; the control plane sets others before it loads.
 */
#ifndef ALVEARY_LB_MAPS_H
#define ALVEARY_LB_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "lb.h"

/* Set before the program is loaded, the same for its life. */
const volatile __u64 lb_seed = 0x9e3779b97f4a7c15;	/* of the hash: balancers that share flows share it */
const volatile __u32 lb_sets = 1024;			/* of each CPU's table, a power of two */
const volatile __u32 lb_cpus = 16;			/* that have one */
const volatile __u32 lb_katran = 0;			/* hash as Katran does, with its seeds: rings of this size, so many VIPs */
const volatile __u32 lb_katran_vips = 512;
const volatile __u8 lb_trace = 0;			/* tell each step */
const volatile __u8 lb_records = 1;			/* there is a recorder */

struct lb_settings settings SEC(".data.settings");
struct lb_recorder recorder SEC(".data.recorder");

/* LB_LAYOUT, written by who makes the maps. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} layout SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct lb_vip4);
	__type(value, __u32);
} vips4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct lb_vip6);
	__type(value, __u32);
} vips6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lb_vip);
} services SEC(".maps");

/* The rings of all services, one behind the other: a real for each place. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1048576);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u32);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lb_real);
} reals SEC(".maps");

/* The CPUs' tables: `lb_cpus * lb_sets` entries. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lb_set);
} cached SEC(".maps");

/* The tables behind them, for all CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct lb_flow4);
	__type(value, struct lb_connection);
} connections4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct lb_flow6);
	__type(value, struct lb_connection);
} connections6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct lb_flow4);
	__type(value, struct lb_back4);
} nat4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct lb_flow6);
	__type(value, struct lb_back6);
} nat6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1048576);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lb_prefix4);
	__type(value, __u32);
} prefixes4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1048576);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lb_prefix6);
	__type(value, __u32);
} prefixes6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lb_id);
	__type(value, __u32);
} ids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lb_away);
	__type(value, __u32);
} away SEC(".maps");

/* By number of the VIP. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct lb_vip_counters);
} vip_counters SEC(".maps");

/* By number of the real. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct lb_traffic);
} real_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_VERDICTS);
	__type(key, __u32);
	__type(value, struct lb_traffic);
} verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_EVENTS);
	__type(key, __u32);
	__type(value, __u64);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_MATCHES);
	__type(key, __u32);
	__type(value, struct lb_match);
} matches SEC(".maps");

/* struct lb_record and packets. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1048576);
} records SEC(".maps");

/* struct lb_about. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 262144);
} samples SEC(".maps");

/* struct lb_news. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 262144);
} news SEC(".maps");

/* struct lb_step. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} steps SEC(".maps");

/* How much of what is bounded by rate there was in this tick. */
struct rates {
	__u64 tick;
	__u32 entered;
	__u32 answered;
	__u32 recorded;
	__u32 unused;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rates);
} rates SEC(".maps");

/* Entry 0: the XDP program that sees what is left to the host. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

#endif
