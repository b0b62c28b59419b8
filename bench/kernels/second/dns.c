// The question of a DNS query: its name in lower case, hashed; labels, type and class.
#include "../kernel.h"

INLINE u64 run(u8 *data, u8 *end)
{
    u8 *dns = data + 14 + 20 + 8;
    if (dns + 12 > end || data[12] != 8 || data[23] != 17 || be16(data + 36) != 53)
        return 1;
    if (dns[2] & 0x80 || be16(dns + 4) != 1)
        return 2;
    u8 *at = dns + 12;
    u32 hash = 2166136261u, labels = 0, left = 0;
    for (u32 i = 0; i < 128; i++) {
        if (at + 1 > end)
            return 3;
        u8 byte = *at++;
        if (left == 0) {
            if (byte == 0)
                break;
            if (byte > 63)
                return 4;
            left = byte;
            labels++;
            byte = '.';
        } else {
            left--;
            if (byte >= 'A' && byte <= 'Z')
                byte |= 0x20;
        }
        hash = (hash ^ byte) * 16777619;
    }
    if (at + 4 > end)
        return 5;
    return hash ^ labels << 24 ^ be16(at) << 8 ^ be16(at + 2);
}
