// What every kernel begins with: words, and its entry. A kernel defines `run`, which reads the packet from `data` up to
// `end`. It becomes an XDP program, or with -DPLAIN a program over plain memory for engines that have no contexts (in
// section `plain`, helpers 1 and 2 are the map's), or natively a function of an address and a length.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define INLINE static inline __attribute__((always_inline))
#define SECTION(name) __attribute__((section(name), used))

#ifdef PLAIN
#define CALLED static __attribute__((noinline)) SECTION("plain")
#else
#define CALLED static __attribute__((noinline))
#endif

INLINE u16 be16(const u8 *at) { return (u16)(at[0] << 8 | at[1]); }
INLINE u32 be32(const u8 *at) { return (u32)be16(at) << 16 | be16(at + 2); }
INLINE u32 load32(const u8 *at) { return *(const u32 *)at; }
INLINE u64 load64(const u8 *at) { return *(const u64 *)at; }
INLINE u32 rotate32(u32 value, u32 by) { return value << by | value >> (32 - by); }
INLINE u64 rotate64(u64 value, u32 by) { return value << by | value >> (64 - by); }

INLINE u64 run(u8 *data, u8 *end);

#if defined(PLAIN)
SECTION("plain") u64 prog(u8 *data, u64 length)
{
    return run(data, data + length);
}
#elif defined(__bpf__)
struct xdp_md {
    u32 data, data_end;
};
SECTION("xdp") int prog(struct xdp_md *ctx)
{
    return (int)run((u8 *)(long)ctx->data, (u8 *)(long)ctx->data_end);
}
SECTION("license") char _license[] = "Dual MIT/GPL";
#else
u64 prog(u8 *data, u64 length)
{
    return run(data, data + length);
}
#endif
