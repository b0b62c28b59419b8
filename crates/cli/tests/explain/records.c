struct { __uint(type, 31); __uint(max_entries, 4096); } requests SEC(".maps");
static long (*bpf_user_ringbuf_drain)(void *map, void *callback, void *context, __u64 flags) = (void *)209;
static void (*bpf_ringbuf_discard_dynptr)(void *dynptr, __u64 flags) = (void *)200;

static long discard(void *record, void *context)
{
	bpf_ringbuf_discard_dynptr(record, 0);
	return 0;
}

SEC("tp/syscalls/sys_enter_getpid") int gives_back(void *context)
{
	return bpf_user_ringbuf_drain(&requests, discard, 0, 0);
}
