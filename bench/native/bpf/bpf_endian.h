/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Byte orders, as programs name them; the machine is little-endian. */
#ifndef ALVEARY_NATIVE_ENDIAN_H
#define ALVEARY_NATIVE_ENDIAN_H

#define SWAPPED16(x) ((__u16)((__u16)(x) << 8 | (__u16)(x) >> 8))
#define bpf_htons(x) (__builtin_constant_p(x) ? SWAPPED16(x) : __builtin_bswap16(x))
#define bpf_ntohs(x) bpf_htons(x)
#define bpf_htonl(x) __builtin_bswap32(x)
#define bpf_ntohl(x) __builtin_bswap32(x)

#endif
