// SPDX-License-Identifier: MIT OR Apache-2.0
/* The kernel's configuration, variables and functions. */
#include "common.h"

extern int LINUX_KERNEL_VERSION __kconfig;
extern _Bool LINUX_HAS_BPF_COOKIE __kconfig __weak;
extern _Bool LINUX_HAS_SYSCALL_WRAPPER __kconfig __weak;
extern _Bool CONFIG_BPF_SYSCALL __kconfig;
extern enum libbpf_tristate CONFIG_NET __kconfig;
extern int CONFIG_HZ __kconfig;
extern unsigned long long CONFIG_NR_CPUS __kconfig;
extern short CONFIG_LOG_BUF_SHIFT __kconfig __weak;
extern char CONFIG_DEFAULT_HOSTNAME[16] __kconfig __weak;
extern int CONFIG_OF_NOBODY __kconfig __weak;

struct rq { int nr_running; };
struct task_struct { int pid; };
extern const struct rq runqueues __ksym;
extern const int bpf_prog_active __ksym __weak;
extern const void schedule __ksym;
extern const void not_there __ksym __weak;
extern const int no_variable __ksym __weak;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;
extern int bpf_of_nobody(int n) __ksym __weak;

unsigned long long seen[16];

SEC("raw_tp/sched_switch") int configuration(void *ctx)
{
	seen[0] = LINUX_KERNEL_VERSION + LINUX_HAS_BPF_COOKIE + LINUX_HAS_SYSCALL_WRAPPER;
	seen[1] = CONFIG_BPF_SYSCALL + CONFIG_NET + CONFIG_HZ + CONFIG_NR_CPUS;
	seen[2] = CONFIG_LOG_BUF_SHIFT + CONFIG_DEFAULT_HOSTNAME[1] + CONFIG_OF_NOBODY;
	return 0;
}

SEC("raw_tp/sched_switch") int variables(void *ctx)
{
	const void *mine = bpf_per_cpu_ptr(&runqueues, 0);

	seen[0] = (long)mine;
	seen[1] = (long)&schedule + (long)&not_there + (long)&no_variable;
	if (&bpf_prog_active)
		seen[2] = (long)&bpf_prog_active;
	return 0;
}

SEC("tp_btf/task_newtask") int kfuncs(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(1);

	if (task)
		bpf_task_release(task);
	return bpf_of_nobody ? bpf_of_nobody(1) : 0;
}
