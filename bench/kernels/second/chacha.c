// Two blocks of ChaCha20, key and nonce from the packet.
#include "../kernel.h"

#define QUARTER(a, b, c, d)                                                                                            \
    a += b, d = rotate32(d ^ a, 16), c += d, b = rotate32(b ^ c, 12);                                                  \
    a += b, d = rotate32(d ^ a, 8), c += d, b = rotate32(b ^ c, 7)

INLINE u64 run(u8 *data, u8 *end)
{
    u32 sum = 0;
    if (data + 64 + 44 > end)
        return 0;
    for (u32 block = 0; block < 2; block++) {
        u32 s[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, t[16];
        for (u32 i = 0; i < 8; i++)
            s[4 + i] = load32(data + 64 + 4 * i);
        s[12] = block;
        for (u32 i = 0; i < 3; i++)
            s[13 + i] = load32(data + 96 + 4 * i);
        for (u32 i = 0; i < 16; i++)
            t[i] = s[i];
        for (u32 round = 0; round < 10; round++) {
            QUARTER(t[0], t[4], t[8], t[12]);
            QUARTER(t[1], t[5], t[9], t[13]);
            QUARTER(t[2], t[6], t[10], t[14]);
            QUARTER(t[3], t[7], t[11], t[15]);
            QUARTER(t[0], t[5], t[10], t[15]);
            QUARTER(t[1], t[6], t[11], t[12]);
            QUARTER(t[2], t[7], t[8], t[13]);
            QUARTER(t[3], t[4], t[9], t[14]);
        }
        for (u32 i = 0; i < 16; i++)
            sum = sum * 31 + (t[i] + s[i]);
    }
    return sum;
}
