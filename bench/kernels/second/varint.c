// Fields of a tag and a number of seven bits a byte, as Protocol Buffers have them: numbers are added up by field. The
// packet says at its 58th byte where they begin.
#include "../kernel.h"

static u64 fields[16];

INLINE u64 run(u8 *data, u8 *end)
{
    if (data + 60 > end)
        return 0;
    for (u32 i = 0; i < 16; i++)
        fields[i] = 0;
    u32 in = be16(data + 58) & 1023;
    for (u32 i = 0; i < 96; i++) {
        u8 *at = data + in;
        if (at + 6 > end)
            break;
        u64 value = 0;
        u32 length;
        for (length = 1; length < 5; length++) {
            u8 byte = at[length];
            value |= (u64)(byte & 0x7f) << 7 * (length - 1);
            if ((byte & 0x80) == 0)
                break;
        }
        fields[at[0] >> 3 & 15] += value >> 1 ^ -(value & 1);
        in = (in + 1 + length) & 1023;
    }
    u64 sum = in;
    for (u32 i = 0; i < 16; i++)
        sum = sum * 31 + fields[i];
    return (u32)(sum ^ sum >> 32);
}
