// Straight code with many branches: `BLOCKS` is what `run` is made of.
#pragma once
#include "../kernel.h"
#include "jhash.h"

#define BLOCK(n)                                                                                                       \
    {                                                                                                                  \
        u32 word = load32(data + (n) * 12 % 1200);                                                                     \
        a = jhash(word ^ a, b, (n));                                                                                   \
        if (a & 4) {                                                                                                   \
            b += *(u16 *)(data + (n) * 6 % 1000);                                                                      \
            sum ^= a;                                                                                                  \
        } else {                                                                                                       \
            c ^= a >> 3;                                                                                               \
            sum += (u64)c << 1;                                                                                        \
        }                                                                                                              \
        if (b > sum)                                                                                                   \
            b = (u32)sum ^ word;                                                                                       \
        else                                                                                                           \
            c = b * 17 + a;                                                                                            \
        sum += c;                                                                                                      \
        asm volatile("" ::: "memory");                                                                                 \
    }
#define BLOCKS8(n)                                                                                                     \
    BLOCK(n) BLOCK(n + 1) BLOCK(n + 2) BLOCK(n + 3) BLOCK(n + 4) BLOCK(n + 5) BLOCK(n + 6) BLOCK(n + 7)
#define BLOCKS64(n)                                                                                                    \
    BLOCKS8(n) BLOCKS8(n + 8) BLOCKS8(n + 16) BLOCKS8(n + 24)                                                          \
    BLOCKS8(n + 32) BLOCKS8(n + 40) BLOCKS8(n + 48) BLOCKS8(n + 56)

INLINE u64 run(u8 *data, u8 *end)
{
    u64 sum = 0;
    u32 a = 1, b = 2, c = 3;
    if (data + 1400 > end)
        return 0;
    BLOCKS
    return sum & 0x7fffffff;
}
