// SPDX-License-Identifier: MIT OR Apache-2.0
// What an object may hold, in one small file, for the fuzz target `elf`: seeds.sh compiles it.
#define SEC(name) __attribute__((section(name), used))
typedef unsigned int u32;
typedef unsigned long long u64;

struct legacy_map { u32 type, key_size, value_size, max_entries, flags; };
SEC("maps") struct legacy_map old = { 1, 4, 8, 16, 0 };

struct value { u64 packets; struct { u32 a : 3, b : 29; } bits; char name[8]; };
struct {
    int (*type)[2];
    int (*max_entries)[4];
    u32 *key;
    struct value *value;
} counters SEC(".maps");

struct inner { int (*type)[2]; int (*max_entries)[1]; u32 *key; u32 *value; } inside SEC(".maps");
struct {
    int (*type)[12];
    int (*max_entries)[2];
    u32 *key;
    struct inner *values[];
} outer SEC(".maps") = { .values = { &inside } };

int other(void *ctx);
struct {
    int (*type)[3];
    int (*max_entries)[2];
    u32 *key;
    int (*values[])(void *);
} jumps SEC(".maps") = { .values = { &other } };

const volatile u32 limit = 7;
u64 seen;
static u64 kept = 3;

static void *(*lookup)(void *map, const void *key) = (void *)1;
static long (*tail_call)(void *ctx, void *map, u32 index) = (void *)12;

static __attribute__((noinline)) int helped(u32 n) { return n * 3 + kept; }
__attribute__((noinline)) int shared(u32 n) { return n ? helped(n) : 1; }

SEC("xdp") int other(void *ctx) { return shared(seen); }

SEC("xdp/first") int first(void *ctx)
{
    u32 key = 1;
    struct value *value = lookup(&counters, &key);
    if (value)
        value->packets += limit;
    u64 *before = lookup(&old, &key);
    if (before)
        __sync_fetch_and_add(before, 1);
    kept = ++seen;
    tail_call(ctx, &jumps, 0);
    return shared(key);
}

SEC("license") char gpl[] = "GPL";
