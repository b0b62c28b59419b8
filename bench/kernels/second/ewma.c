// Round-trip times smoothed in fixed point, with their deviation, as TCP keeps them.
#include "../kernel.h"

INLINE u64 run(u8 *data, u8 *end)
{
    u32 smooth = 0, deviation = 0, least = ~0u, timeouts = 0;
    for (u32 i = 0; i < 256; i++) {
        u8 *at = data + 64 + 2 * i;
        if (at + 2 > end)
            break;
        u32 sample = be16(at);
        if (sample < least)
            least = sample;
        if (smooth == 0) {
            smooth = sample << 3;
            deviation = sample << 1;
            continue;
        }
        int error = (int)(sample - (smooth >> 3));
        smooth += error;
        if (error < 0)
            error = -error;
        deviation += error - (deviation >> 2);
        if (sample > (smooth >> 3) + deviation)
            timeouts++;
    }
    return (smooth >> 3) ^ deviation << 8 ^ least << 16 ^ timeouts;
}
