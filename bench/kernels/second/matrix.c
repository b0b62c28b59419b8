// The product of two 16 by 16 matrices of bytes.
#include "../kernel.h"

#define N 16
static u32 product[N * N];

INLINE u64 run(u8 *data, u8 *end)
{
    u8 *left = data + 64, *right = left + N * N;
    if (right + N * N > end)
        return 0;
    for (u32 row = 0; row < N; row++)
        for (u32 column = 0; column < N; column++) {
            u32 sum = 0;
            for (u32 k = 0; k < N; k++)
                sum += left[row * N + k] * right[k * N + column];
            product[row * N + column] = sum;
        }
    u32 trace = 0;
    for (u32 i = 0; i < N; i++)
        trace = trace * 3 + product[i * N + i];
    return trace ^ product[17] ^ product[200];
}
