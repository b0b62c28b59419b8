// SPDX-License-Identifier: MIT OR Apache-2.0
// What objects may share, for the fuzz target `link`: seeds.sh compiles it twice, with and without OTHER.
#define IN(name) __attribute__((section(name)))
#define SEC(name) IN(name) __attribute__((used))
typedef unsigned int u32;

struct slots { int (*type)[2]; int (*max_entries)[4]; u32 *key; u32 *value; };
struct task { int pid; } __attribute__((preserve_access_index));
static volatile int kept = 3;
static __attribute__((noinline)) int own(int n) { kept += n; return kept; }
int weigh(struct task *task, int n);

#ifdef OTHER
struct slots slots SEC(".maps");
int total = 7;
const volatile int limit = 9;
__attribute__((noinline)) int chosen(void) { return 2; }
__attribute__((noinline, visibility("hidden"))) int weigh(struct task *task, int n) { return own(n) + task->pid; }
SEC("xdp") int second(void *context) { return chosen() + total; }
#else
extern struct slots slots IN(".maps");
extern int total;
extern const volatile int limit;
extern int CONFIG_HZ IN(".kconfig");
static void *(*lookup)(void *map, const void *key) = (void *)1;
__attribute__((weak, noinline)) int chosen(void) { return CONFIG_HZ; }
SEC("xdp") int first(void *context)
{
	u32 key = 1;
	u32 *slot = lookup(&slots, &key);
	if (slot)
		*slot += weigh(context, own(total)) + chosen();
	return limit;
}
#endif
char _license[4] SEC("license") = "GPL";
