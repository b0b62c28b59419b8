// The map of native code: open addressing, in an object of its own, as a library's is. Engines without maps get it, too.
typedef unsigned int u32;
typedef unsigned long long u64;

#define SLOTS 2048
static struct {
    u32 key, used;
    u64 value;
} table[SLOTS];

static inline u32 slot_of(u32 key)
{
    key ^= key >> 16;
    key *= 0x7feb352d;
    key ^= key >> 15;
    key *= 0x846ca68b;
    key ^= key >> 16;
    return key & (SLOTS - 1);
}

void *look_up(void *map, const void *at)
{
    u32 key = *(const u32 *)at;
    for (u32 i = slot_of(key);; i = (i + 1) & (SLOTS - 1)) {
        if (!table[i].used)
            return 0;
        if (table[i].key == key)
            return &table[i].value;
    }
}

long update(void *map, const void *at, const void *value, u64 flags)
{
    u32 key = *(const u32 *)at, i = slot_of(key);
    while (table[i].used && table[i].key != key)
        i = (i + 1) & (SLOTS - 1);
    table[i].key = key;
    table[i].used = 1;
    table[i].value = *(const u64 *)value;
    return 0;
}

// Where it is: address and length.
void range(u64 *start, u64 *length)
{
    *start = (u64)table;
    *length = sizeof table;
}
