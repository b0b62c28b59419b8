// A thousand rounds of arithmetic without a division.
#include "../kernel.h"

INLINE u64 run(u8 *data, u8 *end)
{
    if (data + 64 > end)
        return 0;
    u64 x = load64(data + 40), sum = 0;
    u32 y = load32(data + 48);
    for (int i = 0; i < 1000; i++) {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        sum += x * 2685821657736338717ULL;
        y = y * 1664525 + 1013904223;
        sum ^= (u64)(y >> 7);
        y = (y << 13) | (y >> 19);
    }
    return sum & 0x7fffffff;
}
