// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs that give what they are told of their kernel, and what their variables begin with. */
#include <linux/bpf.h>

#define SEC(name) __attribute__((section(name), used))

extern unsigned int LINUX_KERNEL_VERSION SEC(".kconfig");
extern unsigned int CONFIG_HZ SEC(".kconfig");

/* Half of what the kernel has there. */
struct timer_of_the_kernel {
	int period;
} __attribute__((preserve_access_index));

const volatile __u32 limit = 7;
__u64 seen;
static volatile __u16 kept = 3;

SEC("xdp")
int version(struct xdp_md *context)
{
	return LINUX_KERNEL_VERSION;
}

SEC("xdp")
int hz(struct xdp_md *context)
{
	return CONFIG_HZ;
}

SEC("xdp")
int offset(struct xdp_md *context)
{
	struct timer_of_the_kernel *timer = (void *)0;

	return __builtin_preserve_field_info(timer->period, 0);
}

SEC("xdp")
int sum(struct xdp_md *context)
{
	return limit + seen++ + kept;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
