static __u64 (*bpf_get_current_task)(void) = (void *)35;
struct task { int pid, tgid; };

SEC("kprobe/do_nanosleep") int reads_a_task(void *ctx)
{
	struct task *task = (void *)bpf_get_current_task();

	return task->tgid;
}

static long (*bpf_probe_read_kernel)(void *to, __u32 size, const void *from) = (void *)113;
struct task_struct { int not_there; } __attribute__((preserve_access_index));

SEC("kprobe/do_nanosleep") int reads_a_missing_member(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	int value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), &task->not_there);
	return value;
}
