// The server's name in a TLS ClientHello.
#include "../kernel.h"

INLINE u64 run(u8 *data, u8 *end)
{
    u8 *at = data + 14 + 20 + 20;
    if (at + 5 + 4 + 2 + 32 + 1 > end)
        return 1;
    if (at[0] != 22 || at[1] != 3 || at[5] != 1)
        return 2;
    at += 5 + 4 + 2 + 32;
    u32 length = *at;
    if (length > 32)
        return 3;
    at += 1 + length;
    if (at + 2 > end)
        return 4;
    length = be16(at) & 511;
    at += 2 + length;
    if (at + 1 > end)
        return 5;
    length = *at;
    at += 1 + length;
    if (at + 2 > end)
        return 6;
    at += 2;
    for (u32 i = 0; i < 24; i++) {
        if (at + 4 > end)
            return 7;
        u32 type = be16(at);
        length = be16(at + 2) & 511;
        at += 4;
        if (type == 0)
            break;
        at += length;
    }
    if (at + 5 > end || at[2] != 0)
        return 8;
    length = be16(at + 3);
    at += 5;
    u32 hash = 5381;
    for (u32 i = 0; i < 64 && i < length; i++) {
        if (at + 1 > end)
            return 9;
        hash = hash * 33 ^ *at++;
    }
    return hash;
}
