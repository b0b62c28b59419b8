// A Bloom filter of 4,096 bits: 64 keys are asked for and set, four hashes each.
#include "../kernel.h"

static u64 filter[64];

CALLED u64 mix(u64 key)
{
    key = (key ^ key >> 33) * 0xff51afd7ed558ccdULL;
    key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53ULL;
    return key ^ key >> 33;
}

INLINE u64 run(u8 *data, u8 *end)
{
    if (data + 64 + 512 > end)
        return 0;
    for (u32 i = 0; i < 64; i++)
        filter[i] = 0;
    u32 seen = 0;
    for (u32 i = 0; i < 64; i++) {
        u64 hash = mix(load64(data + 64 + 8 * i) & 0x3f);
        u32 step = hash >> 32 | 1, at = (u32)hash, hits = 0;
        for (u32 n = 0; n < 4; n++, at += step) {
            u64 *word = &filter[at >> 6 & 63], bit = 1ULL << (at & 63);
            hits += (*word & bit) != 0;
            *word |= bit;
        }
        seen += hits == 4;
    }
    return seen;
}
