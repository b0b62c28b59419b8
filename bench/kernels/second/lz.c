// Decodes what was compressed by repeating what came before: literals and matches in turn, as LZ4 has them. The packet
// says at its 58th and 60th byte where the output and the input begin.
#include "../kernel.h"

#define SIZE 1024
static u8 out[SIZE];

INLINE u64 run(u8 *data, u8 *end)
{
    if (data + 62 > end)
        return 0;
    u32 in = be16(data + 60) & 1023, to = be16(data + 58) & (SIZE - 1);
    for (u32 sequence = 0; sequence < 64; sequence++) {
        u8 *at = data + in;
        if (at + 1 > end)
            return 1;
        u32 token = *at;
        if (token == 0)
            break;
        in = (in + 1) & 1023;
        for (u32 i = 0; i < token >> 4; i++) {
            at = data + in;
            if (at + 1 > end)
                return 2;
            out[to] = *at;
            in = (in + 1) & 1023;
            to = (to + 1) & (SIZE - 1);
        }
        at = data + in;
        if (at + 2 > end)
            return 3;
        u32 from = (to - (at[0] | at[1] << 8)) & (SIZE - 1);
        in = (in + 2) & 1023;
        for (u32 i = 0; i < (token & 15) + 4; i++) {
            out[to] = out[from];
            from = (from + 1) & (SIZE - 1);
            to = (to + 1) & (SIZE - 1);
        }
    }
    u32 sum = to;
    for (u32 i = 0; i < SIZE; i += 8)
        sum = sum * 31 + out[i];
    return sum;
}
