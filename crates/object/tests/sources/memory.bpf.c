// SPDX-License-Identifier: MIT OR Apache-2.0
/* Variables in an arena, an exception callback, promises on arguments. */
#include "common.h"

extern void bpf_throw(__u64 cookie) __ksym;

#if __clang_major__ >= 18
#define number(name, val) enum { __unique_##name = val } name
struct {
	__uint(type, 33); /* BPF_MAP_TYPE_ARENA, which older headers lack */
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
	number(map_extra, 0x1ull << 44);
} arena SEC(".maps");
int __attribute__((address_space(1))) SEC(".addr_space.1") words[8] = { 1, 2, 3 };
long __attribute__((address_space(1))) SEC(".addr_space.1") count = 4;

SEC("syscall") int pages(void *ctx)
{
	asm volatile("" : : "r"(&arena));
	count += words[3];
	return words[1];
}
#endif

static noinline int inside(int n) { asm volatile("" : "+r"(n)); return n + 5; }
noinline int caught(__u64 cookie) { return inside(cookie); }
noinline int promised(void *ctx __attribute__((btf_decl_tag("arg:ctx"))), int *n __attribute__((btf_decl_tag("arg:nonnull"))))
{
	asm volatile("" : : "r"(ctx));
	return *n;
}

__attribute__((btf_decl_tag("exception_callback:caught")))
SEC("tc") int throws(struct __sk_buff *ctx)
{
	int n = ctx->len;

	if (inside(n) > 1000)
		bpf_throw(n);
	return promised(ctx, &n);
}
