// A TCP packet parsed, its flow hashed twice (SipHash-2-4, jhash), an entry of a table chosen by that.
#include "../kernel.h"
#include "jhash.h"

#define ROUND                                                                                                          \
    do {                                                                                                               \
        v0 += v1;                                                                                                      \
        v1 = rotate64(v1, 13);                                                                                         \
        v1 ^= v0;                                                                                                      \
        v0 = rotate64(v0, 32);                                                                                         \
        v2 += v3;                                                                                                      \
        v3 = rotate64(v3, 16);                                                                                         \
        v3 ^= v2;                                                                                                      \
        v0 += v3;                                                                                                      \
        v3 = rotate64(v3, 21);                                                                                         \
        v3 ^= v0;                                                                                                      \
        v2 += v1;                                                                                                      \
        v1 = rotate64(v1, 17);                                                                                         \
        v1 ^= v2;                                                                                                      \
        v2 = rotate64(v2, 32);                                                                                         \
    } while (0)

INLINE u16 swap16(u16 value) { return __builtin_bswap16(value); }
INLINE u32 swap32(u32 value) { return __builtin_bswap32(value); }

INLINE u64 run(u8 *data, u8 *end)
{
    if (data + 14 + 20 + 20 > end)
        return 1;
    if (*(u16 *)(data + 12) != swap16(0x0800))
        return 2;
    u8 *ip = data + 14;
    if ((ip[0] & 0xf0) != 0x40)
        return 3;
    u32 length = (ip[0] & 15) * 4;
    if (length < 20)
        return 4;
    if (ip[9] != 6 && ip[9] != 17)
        return 5;
    if (*(u16 *)(ip + 6) & swap16(0x3fff))
        return 6;
    u8 *tcp = ip + length;
    if (tcp + 20 > end)
        return 7;
    u32 source = load32(ip + 12), target = load32(ip + 16), ports = load32(tcp);
    u64 key0 = 0x0706050403020100ULL, key1 = 0x0f0e0d0c0b0a0908ULL;
    u64 v0 = key0 ^ 0x736f6d6570736575ULL, v1 = key1 ^ 0x646f72616e646f6dULL;
    u64 v2 = key0 ^ 0x6c7967656e657261ULL, v3 = key1 ^ 0x7465646279746573ULL;
    u64 word = ((u64)source << 32) | target;
    v3 ^= word;
    ROUND;
    ROUND;
    v0 ^= word;
    word = ((u64)ports << 32) | ip[9];
    v3 ^= word;
    ROUND;
    ROUND;
    v0 ^= word;
    v2 ^= 0xff;
    ROUND;
    ROUND;
    ROUND;
    ROUND;
    u64 hash = v0 ^ v1 ^ v2 ^ v3;
    u32 other = jhash(source, target, ports);
    u32 slot = (u32)(hash ^ other) & 511;
    u8 *entry = data + 900 + slot;
    if (entry + 1 > end)
        return 8;
    u16 total = swap16(*(u16 *)(ip + 2));
    return ((u64)*entry << 16) ^ total ^ (swap32(target) & 0xff) ^ (other & 0x7fff0000);
}
