// SPDX-License-Identifier: MIT OR Apache-2.0
/* CO-RE: ids, sizes and existence of types, enumerators, matches. */
#include "common.h"

struct task_struct { int pid; } __core;
struct never_there { int pid; } __core;
struct list_head { struct list_head *next, *prev; };
typedef unsigned int gfp_t;
enum bpf_map_type___few { BPF_MAP_TYPE_HASH___few = 1, BPF_MAP_TYPE_NEVER___few = 7 };
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID };
enum node_states { N_POSSIBLE, N_ONLINE };
enum of_nobody { NOBODY = 3 };

unsigned long long seen[16];

SEC("raw_tp/sched_switch") int types(void *ctx)
{
	seen[0] = bpf_core_type_exists(struct task_struct) + 2 * bpf_core_type_exists(struct never_there);
	seen[1] = bpf_core_type_size(struct task_struct) + bpf_core_type_size(struct never_there);
	seen[2] = bpf_core_type_id_kernel(struct task_struct) + bpf_core_type_id_kernel(struct never_there);
	seen[3] = bpf_core_type_id_local(struct task_struct);
	seen[4] = bpf_core_type_exists(gfp_t) + bpf_core_type_size(gfp_t);
	seen[5] = bpf_core_type_size(struct list_head);
	return 0;
}

SEC("raw_tp/sched_switch") int enumerators(void *ctx)
{
	seen[0] = bpf_core_enum_value_exists(enum bpf_map_type___few, BPF_MAP_TYPE_HASH___few);
	seen[1] = bpf_core_enum_value_exists(enum bpf_map_type___few, BPF_MAP_TYPE_NEVER___few);
	seen[2] = bpf_core_enum_value(enum pid_type, PIDTYPE_TGID);
	seen[3] = bpf_core_enum_value_exists(enum of_nobody, NOBODY);
	if (bpf_core_enum_value_exists(enum node_states, N_ONLINE))
		seen[4] = bpf_core_enum_value(enum node_states, N_ONLINE);
	return 0;
}

#if __clang_major__ >= 15
enum wide { WIDE_LOW = 1ULL, WIDE_HIGH = 0x100000000ULL };
struct list_head___other { int next, prev; };

SEC("raw_tp/sched_switch") int matches(void *ctx)
{
	seen[0] = __builtin_preserve_type_info(*(struct list_head *)0, 2);
	seen[1] = __builtin_preserve_type_info(*(struct list_head___other *)0, 2);
	seen[2] = bpf_core_enum_value_exists(enum wide, WIDE_HIGH);
	return 0;
}
#endif
