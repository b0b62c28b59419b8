// --btf fw.bpf.o
struct mm_struct { __u64 mmap_base; };
struct task_struct { int pid; struct mm_struct *mm; struct mm_struct __attribute__((btf_type_tag("user"))) *address; };
struct vm_area_struct { __u64 vm_start; };
struct { struct task_struct task; struct mm_struct mm; struct vm_area_struct area; } kernel SEC(".bss");
static struct task_struct *(*bpf_get_current_task_btf)(void) = (void *)158;
static long (*bpf_get_current_comm)(void *to, __u32 size) = (void *)16;
static long (*bpf_find_vma)(struct task_struct *task, __u64 at, void *call, void *context, __u64 flags) = (void *)180;

SEC("raw_tp/sys_enter") int half_a_pointer(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return *(__u32 *)&task->mm;
}

SEC("raw_tp/sys_enter") int behind_the_end(void *ctx)
{
	struct mm_struct *mm = bpf_get_current_task_btf()->mm;

	return (&mm->mmap_base)[1];
}

SEC("raw_tp/sys_enter") int writes(void *ctx)
{
	bpf_get_current_task_btf()->pid = 1;
	return 0;
}

SEC("raw_tp/sys_enter") int address_of_a_process(void *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return task->address->mmap_base;
}

SEC("raw_tp/sys_enter") int filled(void *ctx)
{
	return bpf_get_current_comm(bpf_get_current_task_btf(), 4);
}

SEC("raw_tp/sys_enter") int variable(unsigned long *ctx)
{
	char *task = (char *)bpf_get_current_task_btf();

	return task[ctx[1] & 3];
}

static long seen(struct task_struct *task, struct vm_area_struct *area, void *context)
{
	return 0;
}

SEC("raw_tp/sys_enter") int another_object(void *ctx)
{
	bpf_find_vma((void *)bpf_get_current_task_btf()->mm, 4096, seen, 0, 0);
	return 0;
}
