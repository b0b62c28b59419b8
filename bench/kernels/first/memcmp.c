// Two equal stretches of 256 bytes, compared.
#include "../kernel.h"

INLINE u64 run(u8 *data, u8 *end)
{
    u8 *one = data + 512, *other = data + 1024;
    u64 equal = 0;
    for (int i = 0; i < 256; i++) {
        if (other + 1 > end)
            break;
        if (*one != *other)
            break;
        one++;
        other++;
        equal++;
    }
    return equal;
}
