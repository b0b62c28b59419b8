// The extension headers of an IPv6 packet, walked to its UDP header; a hash of what flows are told apart by.
#include "../kernel.h"

enum { HOP_BY_HOP = 0, UDP = 17, ROUTING = 43, FRAGMENT = 44, OPTIONS = 60 };

INLINE u64 run(u8 *data, u8 *end)
{
    u8 *ip = data + 14, *at = ip + 40;
    if (at > end || be16(data + 12) != 0x86dd || ip[0] >> 4 != 6)
        return 1;
    u32 next = ip[6], seen = 0;
    for (u32 i = 0; i < 8 && next != UDP; i++) {
        u32 length;
        if (at + 8 > end)
            return 2;
        switch (next) {
        case HOP_BY_HOP:
        case OPTIONS:
        case ROUTING:
            length = 8 + 8 * at[1];
            break;
        case FRAGMENT:
            if (be16(at + 2) & 0xfff8)
                return 3;
            length = 8;
            break;
        default:
            return 4;
        }
        seen |= 1 << (i & 7);
        next = at[0];
        at += length;
    }
    if (next != UDP || at + 8 > end)
        return 5;
    u64 hash = load64(ip + 8) ^ load64(ip + 16) * 3 ^ load64(ip + 24) * 5 ^ load64(ip + 32) * 7;
    hash = (hash ^ load32(at)) * 0x9e3779b97f4a7c15ULL;
    return (u32)(hash >> 32) ^ seen ^ be32(ip) & 0xfffff;
}
