// A small function that is called two hundred times, not inlined.
#include "../kernel.h"

CALLED u64 mix(u64 value, u64 by);

INLINE u64 run(u8 *data, u8 *end)
{
    if (data + 64 > end)
        return 0;
    u64 value = load64(data + 40);
    for (int i = 0; i < 200; i++)
        value = mix(value, i);
    return value & 0x7fffffff;
}

CALLED u64 mix(u64 value, u64 by)
{
    value ^= by + 0x9e3779b97f4a7c15ULL;
    value *= 0xbf58476d1ce4e5b9ULL;
    value ^= value >> 29;
#ifndef __bpf__
    asm volatile("");
#endif
    return value;
}
