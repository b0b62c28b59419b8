// Whether 512 bytes are UTF-8, and how many characters they are.
#include "../kernel.h"

INLINE u64 run(u8 *data, u8 *end)
{
    u32 characters = 0, follow = 0, low = 0x80, high = 0xbf;
    for (u32 i = 0; i < 512; i++) {
        u8 *at = data + 64 + i;
        if (at + 1 > end)
            break;
        u32 byte = *at;
        if (follow) {
            if (byte < low || byte > high)
                return i;
            low = 0x80;
            high = 0xbf;
            follow--;
            continue;
        }
        characters++;
        if (byte < 0x80)
            continue;
        if (byte < 0xc2 || byte > 0xf4)
            return i;
        if (byte < 0xe0) {
            follow = 1;
        } else if (byte < 0xf0) {
            follow = 2;
            low = byte == 0xe0 ? 0xa0 : 0x80;
            high = byte == 0xed ? 0x9f : 0xbf;
        } else {
            follow = 3;
            low = byte == 0xf0 ? 0x90 : 0x80;
            high = byte == 0xf4 ? 0x8f : 0xbf;
        }
    }
    return characters << 12 | follow;
}
