// XXH64 of a kilobyte.
#include "../kernel.h"

#define PRIME1 0x9e3779b185ebca87ULL
#define PRIME2 0xc2b2ae3d27d4eb4fULL
#define PRIME3 0x165667b19e3779f9ULL
#define PRIME4 0x85ebca77c2b2ae63ULL

INLINE u64 round(u64 lane, u64 input)
{
    return rotate64(lane + input * PRIME2, 31) * PRIME1;
}

INLINE u64 merge(u64 hash, u64 lane)
{
    return (hash ^ round(0, lane)) * PRIME1 + PRIME4;
}

INLINE u64 run(u8 *data, u8 *end)
{
    if (data + 1024 > end)
        return 0;
    u64 a = PRIME1 + PRIME2, b = PRIME2, c = 0, d = -PRIME1;
    for (u32 at = 0; at < 1024; at += 32) {
        a = round(a, load64(data + at));
        b = round(b, load64(data + at + 8));
        c = round(c, load64(data + at + 16));
        d = round(d, load64(data + at + 24));
    }
    u64 hash = rotate64(a, 1) + rotate64(b, 7) + rotate64(c, 12) + rotate64(d, 18);
    hash = merge(merge(merge(merge(hash, a), b), c), d) + 1024;
    hash = (hash ^ hash >> 33) * PRIME2;
    hash = (hash ^ hash >> 29) * PRIME3;
    return (u32)(hash ^ hash >> 32);
}
