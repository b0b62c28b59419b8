// How often each byte occurs in a kilobyte, which most, and how many bits the counts have.
#include "../kernel.h"

static u32 bins[256];
static u32 sizes[8];

INLINE u64 run(u8 *data, u8 *end)
{
    for (u32 i = 0; i < 256; i++)
        bins[i] = 0;
    for (u32 i = 0; i < 1024; i++) {
        u8 *byte = data + 64 + i;
        if (byte + 1 > end)
            break;
        bins[*byte]++;
    }
    u32 most = 0, which = 0;
    for (u32 i = 0; i < 8; i++)
        sizes[i] = 0;
    for (u32 i = 0; i < 256; i++) {
        u32 count = bins[i];
        if (count > most) {
            most = count;
            which = i;
        }
        u32 size = count > 15 ? 5 : count > 7 ? 4 : count > 3 ? 3 : count > 1 ? 2 : count;
        sizes[size]++;
    }
    return most << 16 ^ which << 8 ^ sizes[1] ^ sizes[3] << 4;
}
