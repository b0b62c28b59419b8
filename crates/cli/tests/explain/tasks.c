static __u64 (*bpf_get_current_task)(void) = (void *)35;
struct task { int pid, tgid; };

SEC("kprobe/do_nanosleep") int reads_a_task(void *ctx)
{
	struct task *task = (void *)bpf_get_current_task();

	return task->tgid;
}
