/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Helpers as functions of another translation unit (helpers.c), as they are calls in the kernel. */
#ifndef ALVEARY_NATIVE_CALLS_H
#define ALVEARY_NATIVE_CALLS_H

long bpf_skb_load_bytes(const struct __sk_buff *skb, __u32 at, void *to, __u32 size);
long bpf_skb_store_bytes(struct __sk_buff *skb, __u32 at, const void *from, __u32 size, __u64 flags);
long bpf_l3_csum_replace(struct __sk_buff *skb, __u32 at, __u64 before, __u64 after, __u64 size);
long bpf_l4_csum_replace(struct __sk_buff *skb, __u32 at, __u64 before, __u64 after, __u64 flags);
long bpf_xdp_adjust_head(struct xdp_md *xdp, int by);
long bpf_xdp_adjust_tail(struct xdp_md *xdp, int by);
__u64 bpf_xdp_get_buff_len(const struct xdp_md *xdp);
long bpf_xdp_load_bytes(const struct xdp_md *xdp, __u32 at, void *to, __u32 size);
long bpf_xdp_store_bytes(struct xdp_md *xdp, __u32 at, const void *from, __u32 size);
__s64 bpf_csum_diff(const __be32 *from, __u32 from_size, const __be32 *to, __u32 to_size, __u32 seed);
__u64 bpf_ktime_get_ns(void);
__u64 bpf_ktime_get_coarse_ns(void);
__u32 bpf_get_smp_processor_id(void);

#endif
