// The Internet checksum of 1,480 bytes, each word asked for.
#include "../kernel.h"

INLINE u64 run(u8 *data, u8 *end)
{
    u32 sum = 0;
    u16 *word = (u16 *)(data + 14);
    for (int i = 0; i < 740; i++) {
        if ((u8 *)(word + 1) > end)
            break;
        sum += *word++;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (u16)~sum;
}
