// SPDX-License-Identifier: MIT OR Apache-2.0
/* CO-RE: offsets, sizes, existence, bit fields, arrays, anonymous members, flavours. */
#include "common.h"

struct mm_struct___own { struct { unsigned long start_code, end_code; } __core; } __core;
struct task_struct {
	int pid, tgid;
	unsigned int flags;
	char comm[16];
	struct task_struct *real_parent, *group_leader;
	struct mm_struct___own *mm;
	unsigned long long start_time;
	unsigned int in_execve : 1, in_iowait : 1;
	unsigned int exit_code;
} __core;
/* As kernels before 5.14 had it. */
struct task_struct___old { volatile long state; } __core;
struct task_struct___new { unsigned int __state; } __core;
struct task_struct___never { int not_there; struct { int deeper[4]; } nested[3]; } __core;
struct sk_buff {
	unsigned int len, data_len;
	unsigned char *data, *head;
	unsigned short protocol;
	unsigned char pkt_type : 3, ip_summed : 2;
} __core;
struct net_device { char name[16]; int ifindex; unsigned int mtu; } __core;

unsigned long long seen[16];

SEC("raw_tp/sched_switch") int reads(struct task_struct **ctx)
{
	struct task_struct *task = ctx[1];
	struct net_device *dev = (void *)ctx[2];

	seen[0] = BPF_CORE_READ(task, real_parent, group_leader, tgid);
	seen[1] = BPF_CORE_READ(task, mm, end_code);
	seen[2] = BPF_CORE_READ(task, comm[3]);
	seen[3] = BPF_CORE_READ(task, start_time);
	bpf_core_read(&seen[4], bpf_core_field_size(task->comm), &task->comm);
	seen[5] = BPF_CORE_READ(dev, name[15]) + BPF_CORE_READ(dev, mtu);
	return 0;
}

/* Where fields of bits lie depends on the byte order; libbpf answers for the one that it was compiled for. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
SEC("raw_tp/sched_switch") int bits(struct task_struct **ctx)
{
	struct task_struct *task = ctx[1];
	struct sk_buff *skb = (void *)ctx[2];

	seen[0] = BPF_CORE_READ_BITFIELD_PROBED(task, in_iowait);
	seen[1] = BPF_CORE_READ_BITFIELD_PROBED(skb, pkt_type);
	seen[2] = BPF_CORE_READ_BITFIELD_PROBED(skb, ip_summed);
	return 0;
}
#endif

SEC("raw_tp/sched_switch") int guarded(struct task_struct **ctx)
{
	struct task_struct *task = ctx[1];
	struct task_struct___old *old = (void *)task;
	struct task_struct___new *new = (void *)task;
	struct task_struct___never *never = (void *)task;

	if (bpf_core_field_exists(old->state))
		seen[0] = BPF_CORE_READ(old, state);
	else if (bpf_core_field_exists(new->__state))
		seen[0] = BPF_CORE_READ(new, __state);
	if (bpf_core_field_exists(never->nested[1].deeper[2]))
		seen[1] = BPF_CORE_READ(never, nested[1].deeper[2]) + bpf_core_field_size(never->not_there);
	return 0;
}

SEC("tp_btf/sched_switch") int direct(struct task_struct **ctx)
{
	struct task_struct *task = ctx[1];

	seen[0] = task->pid + task->flags + task->real_parent->tgid + task->comm[2];
	seen[1] = task->exit_code;
	return 0;
}
