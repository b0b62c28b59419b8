// SPDX-License-Identifier: MIT OR Apache-2.0
/* An XDP program, and programs for its functions. Compiled by
 *	clang-19 -O2 -g -target bpf -mcpu=v3 -fdebug-compilation-dir=. -c replace.bpf.c && llvm-strip-19 -g replace.bpf.o
 * It stands here compiled, for machines without a compiler: the virtual ones that have kernels which take it.
 */
#define SEC(name) __attribute__((section(name), used))

struct xdp_md {
	unsigned int data, data_end;
};

long seen;
char LICENSE[] SEC("license") = "GPL";

__attribute__((noinline)) int weight(struct xdp_md *ctx)
{
	return ctx->data != 0;
}

SEC("xdp") int decide(struct xdp_md *ctx)
{
	return weight(ctx);
}

SEC("freplace/weight") int heavier(struct xdp_md *ctx)
{
	return 2;
}

/* Its second argument is what the function returned. */
SEC("fexit/weight") int watch(unsigned long long *ctx)
{
	seen += ctx[1];
	return 0;
}

SEC("fentry") int enter(unsigned long long *ctx)
{
	seen += 100;
	return 0;
}
