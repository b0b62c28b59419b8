// SPDX-License-Identifier: MIT OR Apache-2.0
/* The interface of the module in module/alveary_ops.c, twice. Compiled by
 *	clang-19 -O2 -g -target bpf -mcpu=v3 -fdebug-compilation-dir=. -c module.bpf.c && llvm-strip-19 -g module.bpf.o
 * It stands here compiled, for machines without a compiler: the virtual ones into which the module is put.
 */
#define SEC(name) __attribute__((section(name), used))

/* Less than the module has, and in its own order. */
struct alveary_ops___own {
	int number;
	int (*ask)(int n);
};

char LICENSE[] SEC("license") = "Dual MIT/GPL";

SEC("struct_ops/ask") int twice(unsigned long long *ctx)
{
	return (int)ctx[0] * 2;
}

SEC(".struct_ops.link") struct alveary_ops___own linked = {.number = 7, .ask = (void *)twice};
SEC(".struct_ops") struct alveary_ops___own plain = {.number = 9, .ask = (void *)twice};
