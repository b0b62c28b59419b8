// Two sets of 4,096 bits: how many they share, how many are in either, in how many words they differ, and a hash of these.
#include "../kernel.h"

#define WORDS 64

INLINE u32 count(u64 word)
{
    word -= word >> 1 & 0x5555555555555555ULL;
    word = (word & 0x3333333333333333ULL) + (word >> 2 & 0x3333333333333333ULL);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
    return word * 0x0101010101010101ULL >> 56;
}

INLINE u64 run(u8 *data, u8 *end)
{
    u8 *one = data + 64, *other = one + 8 * WORDS;
    if (other + 8 * WORDS > end)
        return 0;
    u32 shared = 0, either = 0;
    u64 differ = 0;
    for (u32 i = 0; i < WORDS; i++) {
        u64 a = load64(one + 8 * i), b = load64(other + 8 * i);
        shared += count(a & b);
        either += count(a | b);
        if (a & ~b)
            differ = rotate64(differ, 5) ^ i;
    }
    return shared ^ either << 12 ^ (u32)differ;
}
