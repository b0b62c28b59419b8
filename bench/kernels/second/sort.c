// 32 numbers of the packet, sorted by insertion.
#include "../kernel.h"

static u32 sorted[32];

INLINE u64 run(u8 *data, u8 *end)
{
    if (data + 64 + 128 > end)
        return 0;
    for (u32 i = 0; i < 32; i++)
        sorted[i] = load32(data + 64 + 4 * i);
    for (u32 i = 1; i < 32; i++) {
        u32 value = sorted[i], at = i;
        while (at > 0 && sorted[(at - 1) & 31] > value) {
            sorted[at & 31] = sorted[(at - 1) & 31];
            at--;
        }
        sorted[at & 31] = value;
    }
    return sorted[3] ^ sorted[16] ^ rotate32(sorted[31], 7);
}
