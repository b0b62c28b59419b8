// A ring of records: bytes of the packet put some in and take some out, both indices grow for ever and are masked.
#include "../kernel.h"

#define SIZE 64
struct record {
    u32 number, value;
};
static struct record ring[SIZE];

INLINE u64 run(u8 *data, u8 *end)
{
    if (data + 64 > end)
        return 0;
    u32 head = load32(data + 60), tail = head, dropped = 0, sum = 0;
    for (u32 i = 0; i < 400; i++) {
        u8 *at = data + 64 + i;
        if (at + 1 > end)
            break;
        u8 byte = *at;
        if (byte & 0x81) {
            if (head - tail == SIZE) {
                dropped++;
                continue;
            }
            struct record *record = &ring[head++ & (SIZE - 1)];
            record->number = i;
            record->value = byte * 257;
        } else if (head != tail) {
            struct record *record = &ring[tail++ & (SIZE - 1)];
            sum += record->value ^ (i - record->number);
        }
    }
    return sum ^ dropped << 24 ^ (head - tail);
}
