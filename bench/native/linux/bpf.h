/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kernel's header, with contexts whose packet pointers are as long as this machine's. */
#ifndef ALVEARY_NATIVE_LINUX_BPF_H
#define ALVEARY_NATIVE_LINUX_BPF_H

#define xdp_md xdp_md_of_kernel
#define __sk_buff sk_buff_of_kernel
#include_next <linux/bpf.h>
#undef xdp_md
#undef __sk_buff

struct xdp_md {
	unsigned long data;
	unsigned long data_end;
	unsigned long data_meta;
	__u32 ingress_ifindex;
	__u32 rx_queue_index;
	__u8 *room;		/* where the memory begins that the packet is in */
};

struct __sk_buff {
	__u32 len;
	__u8 *bytes;
};

#endif
