// The primes below 256, on the stack.
#include "../kernel.h"

INLINE u64 run(u8 *data, u8 *end)
{
    u8 composite[256];
    u32 primes = 0;
    for (int i = 0; i < 32; i++)
        ((volatile u64 *)composite)[i] = 0;
    for (u32 i = 2; i < 256; i++) {
        if (composite[i])
            continue;
        primes++;
        for (u32 j = i + i; j < 256; j += i)
            composite[j & 255] = 1;
    }
    return primes;
}
