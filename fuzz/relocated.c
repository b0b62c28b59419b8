// What `read_types` starts from: a program that asks a kernel for its types, and (with KERNEL) those types.
// Compiled by seeds.sh.

#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
#define field(what, f) __builtin_preserve_field_info(f, what)
#define type_info(what, t) __builtin_preserve_type_info(*(t *)0, what)
#define enumerator(what, t, v) __builtin_preserve_enum_value(*(t *)v, what)

#ifdef KERNEL
struct inner { long first; int second; };
struct thing { char added; int number; struct { short few : 7; unsigned many : 9; }; struct inner row[4], *next; };
typedef int number_t;
enum state { LOST, IDLE, BUSY = 9 };
struct thing thing;
number_t number;
enum state state;
#else
struct inner { int first, second; } CORE;
struct thing { int number, gone; short few : 5; unsigned many : 11; struct inner row[3], *next; } CORE;
typedef int number_t;
enum state { IDLE = 1, BUSY = 2 };

SEC("xdp") int fields(struct thing *t)
{
    return t->number + t->row[2].second + t->next->first + (field(2, t->gone) ? t->gone : 0);
}

SEC("xdp") int questions(struct thing *t)
{
    return field(3, t->few) + field(4, t->many) + field(5, t->many) + field(1, t->row) + type_info(0, number_t) +
           type_info(1, struct inner) + type_info(2, struct thing) + enumerator(1, enum state, BUSY) +
           __builtin_btf_type_id(*t, 1);
}
#endif
