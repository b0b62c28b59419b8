// 32 addresses looked up in a binary trie of prefixes, longest match first found last.
#include "../kernel.h"

#define NODES 512
#define ROUTES 24

struct node {
    u16 child[2];
    u16 route;
};
static struct node nodes[NODES];
static u32 used;

CALLED void add(u32 prefix, u32 length, u32 route)
{
    u32 at = 0;
    for (u32 bit = 0; bit < 24 && bit < length; bit++) {
        u32 side = prefix >> (31 - bit) & 1;
        u32 next = nodes[at & (NODES - 1)].child[side];
        if (next == 0) {
            used = next = (used + 1) & (NODES - 1);
            nodes[at & (NODES - 1)].child[side] = next;
        }
        at = next;
    }
    nodes[at & (NODES - 1)].route = route;
}

INLINE u32 look_up(u32 address)
{
    u32 at = 0, best = 0;
    for (u32 bit = 0; bit < 25; bit++) {
        const struct node *node = &nodes[at & (NODES - 1)];
        if (node->route)
            best = node->route;
        at = node->child[address >> (31 - bit) & 1];
        if (at == 0)
            break;
    }
    return best;
}

INLINE u64 run(u8 *data, u8 *end)
{
    if (data + 64 + 128 > end)
        return 0;
    if (used == 0)
        for (u32 i = 0; i < ROUTES; i++)
            add(i * 0x0b3c5d71, i, i + 1);
    u32 sum = 0;
    for (u32 i = 0; i < 32; i++)
        sum = sum * 5 + look_up(load32(data + 64 + 4 * i) & 7 | i * 0x0b3c5d71);
    return sum;
}
