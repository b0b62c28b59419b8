// Token buckets of 32 flows: 128 arrivals of different lengths, times in nanoseconds, rates in bytes a second.
#include "../kernel.h"

#define FLOWS 32
struct bucket {
    u64 tokens, last, rate;
};
static struct bucket buckets[FLOWS];

INLINE u64 run(u8 *data, u8 *end)
{
    u64 now = 1000000000, passed = 0, held = 0;
    for (u32 i = 0; i < FLOWS; i++) {
        buckets[i].tokens = 3000;
        buckets[i].last = now;
        buckets[i].rate = 125000 + 10000 * i;
    }
    for (u32 i = 0; i < 128; i++) {
        u8 *at = data + 64 + 4 * i;
        if (at + 4 > end)
            break;
        struct bucket *bucket = &buckets[at[0] & (FLOWS - 1)];
        u32 length = 64 + (be16(at + 2) & 1023);
        now += 1000 * at[1];
        u64 tokens = bucket->tokens + (now - bucket->last) * bucket->rate / 1000000000;
        if (tokens > 6000)
            tokens = 6000;
        bucket->last = now;
        if (tokens < length) {
            held++;
        } else {
            tokens -= length;
            passed += length;
        }
        bucket->tokens = tokens;
    }
    return (u32)passed ^ (u32)held << 20;
}
