//! What `alveary check` says of rejected programs: one golden file for each family of messages, from small programs in C
//! (their lines are shown) and assembly (their instructions are).

use crate::{compiled::HEADER, golden::golden, session::Session};
use std::process::Command;

/// What the C programs of a family would include, besides the header of all.
const TYPES: &str = r#"
enum { XDP_ABORTED, XDP_DROP, XDP_PASS };
struct __sk_buff { __u32 len; };
struct ethhdr { __u8 h_dest[6], h_source[6]; __u16 h_proto; };
struct iphdr { __u8 ihl_version, tos; __u16 tot_len, id, frag_off; __u8 ttl, protocol; __u16 check; __u32 saddr, daddr; };
struct value { __u64 count; __u8 data[56]; };
struct { __uint(type, 1); __uint(max_entries, 16); __type(key, __u32); __type(value, struct value); } flows SEC(".maps");
struct { __uint(type, 27); __uint(max_entries, 4096); } ring SEC(".maps");
static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static __u32 (*bpf_get_prandom_u32)(void) = (void *)7;
static long (*bpf_xdp_adjust_head)(struct xdp_md *context, int by) = (void *)44;
static void *(*bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)132;
"#;

/// Programs in C, explained. Their lines come with the object: clang has to find them in a file.
fn in_c(name: &str, source: &str) {
    let session = Session::new().file("types.h", format!("{HEADER}{TYPES}")).file("fw.bpf.c", source.trim_start());
    let compiled = ["clang-19", "clang"].into_iter().find_map(|clang| {
        let target = ["-O2", "-g", "-gdwarf-5", "-gembed-source", "-target", "bpfel", "-mcpu=v3", "-Wno-everything"];
        let files = ["-fdebug-compilation-dir=.", "-include", "types.h", "-c", "fw.bpf.c", "-o", "fw.bpf.o"];
        Command::new(clang).current_dir(session.directory()).args(target).args(files).status().ok()
    });
    let Some(compiled) = compiled else {
        eprintln!("SKIP {name}: clang is not installed");
        return;
    };
    assert!(compiled.success(), "{name}: the source does not compile");
    golden(&format!("explain/{name}.txt"), session.run("check fw.bpf.o -j 1").text());
}

/// Programs in assembly, explained.
fn in_assembly(name: &str, source: &str) {
    let session = Session::new().file("fw.s", source);
    assert_eq!(session.output("asm fw.s -o fw.o").code, Some(0), "{}", session.output("asm fw.s -o fw.o").stderr);
    let session = session.run("check fw.o -j 1");
    golden(&format!("explain/{name}.txt"), session.text());
}

#[test]
fn packets() {
    in_c(
        "packets",
        r#"
SEC("xdp") int too_short(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if (data + sizeof(*eth) > data_end)
		return XDP_PASS;
	struct iphdr *ip = data + sizeof(*eth);

	if (ip->protocol == 6)
		return XDP_DROP;
	return XDP_PASS;
}

SEC("xdp") int options(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);

	if ((void *)(ip + 1) > data_end)
		return XDP_PASS;
	__u16 *port = (void *)ip + (ip->ihl_version & 15) * 4;

	return port[1] == 80 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int far(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	__u8 *at = data + ctx->rx_queue_index;

	if (at + 1 > (__u8 *)data_end)
		return XDP_PASS;
	return *at == 1 ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int turned_round(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;

	if (data + 1 < data_end)
		return XDP_PASS;
	return *(__u8 *)data == 1 ? XDP_DROP : XDP_PASS;
}
"#,
    );
}

#[test]
fn packets_that_move() {
    in_c(
        "packets-that-move",
        r#"
SEC("xdp") int pop(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;

	if (data + sizeof(*eth) > data_end)
		return XDP_PASS;
	if (bpf_xdp_adjust_head(ctx, 4))
		return XDP_DROP;
	return eth->h_proto == 8 ? XDP_DROP : XDP_PASS;
}
"#,
    );
}

#[test]
fn lookups() {
    in_c(
        "lookups",
        r#"
SEC("xdp") int unchecked(struct xdp_md *ctx)
{
	__u32 key = ctx->rx_queue_index;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	value->count++;
	return XDP_PASS;
}

SEC("xdp") int another(struct xdp_md *ctx)
{
	__u32 key = ctx->rx_queue_index, next = key + 1;
	struct value *value = bpf_map_lookup_elem(&flows, &key);
	struct value *second = bpf_map_lookup_elem(&flows, &next);

	if (!value)
		return XDP_PASS;
	second->count = value->count;
	return XDP_PASS;
}
"#,
    );
}

#[test]
fn indices() {
    in_c(
        "indices",
        r#"
SEC("xdp") int unbounded(struct xdp_md *ctx)
{
	__u32 key = 0, index = ctx->rx_queue_index;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	if (!value)
		return XDP_PASS;
	return value->data[index];
}

SEC("xdp") int one_too_many(struct xdp_md *ctx)
{
	__u32 key = 0, index = ctx->rx_queue_index;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	if (!value)
		return XDP_PASS;
	if (index > sizeof(value->data))
		return XDP_PASS;
	return value->data[index];
}

SEC("xdp") int negative(struct xdp_md *ctx)
{
	__u32 key = 0;
	int index = ctx->rx_queue_index;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	if (!value)
		return XDP_PASS;
	if (index >= 56)
		return XDP_PASS;
	return value->data[index];
}

SEC("xdp") int behind(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	if (!value)
		return XDP_PASS;
	return value->data[60];
}
"#,
    );
}

#[test]
fn references() {
    in_c(
        "references",
        r#"
SEC("xdp") int leaks(struct xdp_md *ctx)
{
	__u64 *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);

	if (!event)
		return XDP_PASS;
	*event = bpf_ktime_get_ns();
	if (ctx->rx_queue_index == 3)
		return XDP_DROP;
	bpf_ringbuf_submit(event, 0);
	return XDP_PASS;
}

SEC("xdp") int late(struct xdp_md *ctx)
{
	__u64 *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);

	if (!event)
		return XDP_PASS;
	bpf_ringbuf_submit(event, 0);
	*event = bpf_ktime_get_ns();
	return XDP_PASS;
}
"#,
    );
}

#[test]
fn loops() {
    in_c(
        "loops",
        r#"
SEC("xdp") int waits(struct xdp_md *ctx)
{
	__u32 start = ctx->rx_queue_index;

	while (start)
		asm volatile ("" ::: "memory");
	return XDP_PASS;
}

SEC("xdp") int long_way(struct xdp_md *ctx)
{
	__u64 sum = 0;

	for (int i = 0; i < 1000000; i++)
		sum += bpf_get_prandom_u32() & i;
	return sum & 1;
}
"#,
    );
}

#[test]
fn programs_types_allow() {
    in_c(
        "types",
        r#"
static long (*bpf_skb_load_bytes)(void *skb, __u32 at, void *to, __u32 size) = (void *)26;
static long (*bpf_probe_read_kernel)(void *to, __u32 size, const void *from) = (void *)113;

SEC("xdp") int no_such_helper(struct xdp_md *ctx)
{
	__u32 word = 0;

	bpf_skb_load_bytes(ctx, 0, &word, sizeof(word));
	return XDP_PASS;
}

SEC("xdp") int no_such_field(struct xdp_md *ctx)
{
	return ((__u32 *)ctx)[8];
}

SEC("cgroup_skb/egress") int verdict(struct __sk_buff *skb)
{
	return 7;
}

SEC("kprobe/do_exit") int follows(unsigned long *regs)
{
	int *from = (int *)regs[14];

	return *from;
}

SEC("kprobe/do_exit") int size(unsigned long *regs)
{
	char to[16];
	int size = regs[13];

	if (size > 16)
		return 0;
	bpf_probe_read_kernel(to, size, (void *)regs[14]);
	return to[0];
}
"#,
    );
}

#[test]
fn maps() {
    in_c(
        "maps",
        r#"
static void (*bpf_spin_lock)(void *lock) = (void *)93;
static void (*bpf_spin_unlock)(void *lock) = (void *)94;
static const volatile __u32 limit = 5;
struct bpf_spin_lock { __u32 val; };
struct guarded { struct bpf_spin_lock lock; __u32 count; };
struct { __uint(type, 2); __uint(max_entries, 4); __type(key, __u32); __type(value, struct guarded); } slots SEC(".maps");

SEC("xdp") int wrong_type(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &flows, 0);
	return XDP_PASS;
}

SEC("xdp") int constant(struct xdp_md *ctx)
{
	*(volatile __u32 *)&limit = 6;
	return XDP_PASS;
}

SEC("xdp") int number_as_key(struct xdp_md *ctx)
{
	return bpf_map_lookup_elem(&flows, (void *)(long)ctx->rx_queue_index) ? XDP_PASS : XDP_DROP;
}

SEC("xdp") int kept(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct guarded *slot = bpf_map_lookup_elem(&slots, &key);

	if (!slot)
		return XDP_PASS;
	bpf_spin_lock(&slot->lock);
	slot->count++;
	if (slot->count > 7)
		return XDP_DROP;
	bpf_spin_unlock(&slot->lock);
	return XDP_PASS;
}

SEC("xdp") int asks_under_lock(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct guarded *slot = bpf_map_lookup_elem(&slots, &key);

	if (!slot)
		return XDP_PASS;
	bpf_spin_lock(&slot->lock);
	slot->count = bpf_get_prandom_u32();
	bpf_spin_unlock(&slot->lock);
	return XDP_PASS;
}

SEC("xdp") int touches_lock(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct guarded *slot = bpf_map_lookup_elem(&slots, &key);

	if (slot)
		__builtin_memset(slot, 0, sizeof(*slot));
	return XDP_PASS;
}
"#,
    );
}

#[test]
fn halves() {
    in_c(
        "halves",
        r#"
SEC("xdp") int quotient(struct xdp_md *ctx)
{
	__u32 key = 0;
	__u64 time = bpf_ktime_get_ns() / 7;
	struct value *value = bpf_map_lookup_elem(&flows, &key);

	if (!value)
		return XDP_PASS;
	if ((__u32)time >= 56)
		return XDP_PASS;
	return value->data[time];
}
"#,
    );
}

#[test]
fn globals() {
    in_c(
        "globals",
        r#"
__attribute__((noinline)) int first(int *numbers)
{
	return numbers ? numbers[0] : 0;
}

SEC("xdp") int passes(struct xdp_md *ctx)
{
	return first((void *)(long)ctx->rx_queue_index);
}
"#,
    );
}

#[test]
fn instructions() {
    in_assembly(
        "instructions",
        "\
.section xdp/a
no_result:
    if r1 == 0 goto e
    r0 = 0
e:
    exit
.section xdp/b
not_kept:
    r3 = 7
    call 5
    r0 += r3
    exit
.section xdp/c
never_reached:
    r0 = 0
    exit
    r0 = 1
    exit
.section xdp/d
no_end:
    r0 = 0
.section xdp/e
by_zero:
    r0 = 1
    r0 /= 0
    exit
.section xdp/f
shifted:
    r0 = 1
    r0 <<= 64
    exit
.section xdp/g
frame_pointer:
    r10 = 1
    r0 = 0
    exit
.section xdp/h
endless:
    r0 = 0
l:
    r1 = r1
    goto l
",
    );
}

#[test]
fn the_stack() {
    in_assembly(
        "stack",
        "\
.section xdp/a
below:
    r1 = 5
    *(u64 *)(r10 - 520) = r1
    r0 = 0
    exit
.section xdp/b
misaligned:
    r1 = 5
    *(u64 *)(r10 - 12) = r1
    r0 = 0
    exit
.section xdp/c
half_a_pointer:
    *(u64 *)(r10 - 8) = r1
    r0 = *(u32 *)(r10 - 8)
    exit
.section xdp/d
indexed:
    r2 = *(u32 *)(r1 + 12)
    r2 &= 31
    r3 = r10
    r3 += -16
    r3 += r2
    r0 = 0
    *(u8 *)(r3 + 0) = r0
    exit
.section xdp/e
overwritten:
    *(u64 *)(r10 - 8) = r1
    r2 = 0
    *(u8 *)(r10 - 8) = r2
    r3 = *(u64 *)(r10 - 8)
    r0 = *(u32 *)(r3 + 0)
    exit
",
    );
}

#[test]
fn pointers() {
    in_assembly(
        "pointers",
        "\
.section xdp/a
added:
    r2 = *(u32 *)(r1 + 0)
    r2 += r1
    r0 = 0
    exit
.section xdp/b
in_32_bits:
    r2 = *(u32 *)(r1 + 0)
    w2 += 4
    r0 = 0
    exit
.section xdp/c
masked:
    r2 = r10
    r2 &= -8
    r0 = 0
    exit
.section xdp/d
end_moved:
    r2 = *(u32 *)(r1 + 4)
    r2 += 4
    r0 = 0
    exit
.section xdp/e
context_moved:
    r1 += 4
    r0 = *(u32 *)(r1 + 0)
    exit
.section xdp/f
truncated:
    r2 = *(u32 *)(r1 + 0)
    w2 = w2
    r0 = *(u8 *)(r2 + 0)
    exit
.section xdp/g
constant:
    r2 = 8
    r0 = *(u64 *)(r2 + 0)
    exit
.section xdp/h
far:
    r2 = r10
    r2 += 2147483646
    r0 = 0
    exit
.section xdp/i
lost_check:
    r2 = *(u32 *)(r1 + 12)
    r3 = r2
    r3 <<= 1
    if r3 > 40 goto e
    r4 = r10
    r4 += -64
    r4 += r2
    r0 = 0
    *(u8 *)(r4 + 0) = r0
e:
    r0 = 0
    exit
.section xdp/j
difference:
    r2 = *(u32 *)(r1 + 4)
    r3 = *(u32 *)(r1 + 0)
    r2 -= r3
    r0 = *(u8 *)(r2 + 0)
    exit
",
    );
}
