// A table of flows by address and port, open addressing: 64 packets are counted, flows are made as they come.
#include "../kernel.h"

#define SLOTS 128
struct flow {
    u32 source, target;
    u16 ports[2];
    u32 packets;
    u64 bytes;
};
static struct flow flows[SLOTS];

INLINE u64 run(u8 *data, u8 *end)
{
    if (data + 64 + 64 * 12 > end)
        return 0;
    u32 made = 0, lost = 0;
    for (u32 i = 0; i < SLOTS; i++)
        flows[i].packets = 0;
    for (u32 i = 0; i < 64; i++) {
        u8 *key = data + 64 + 12 * i;
        u32 source = load32(key) & 0x3, target = load32(key + 4) & 0x7;
        u16 from = key[8] & 1, to = key[9] & 1;
        u32 hash = (source * 0x9e3779b1 ^ target * 0x85ebca77 ^ (from << 16 | to)) * 0xc2b2ae3d >> 16;
        u32 probe;
        for (probe = 0; probe < 16; probe++) {
            struct flow *flow = &flows[(hash + probe) & (SLOTS - 1)];
            if (flow->packets == 0) {
                flow->source = source;
                flow->target = target;
                flow->ports[0] = from;
                flow->ports[1] = to;
                flow->bytes = 0;
                made++;
            } else if (flow->source != source || flow->target != target || flow->ports[0] != from || flow->ports[1] != to) {
                continue;
            }
            flow->packets++;
            flow->bytes += 64 + key[10];
            break;
        }
        lost += probe == 16;
    }
    return made << 8 ^ lost ^ (u32)flows[5].bytes << 16;
}
