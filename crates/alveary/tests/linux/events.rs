use crate::support::{allowed, compiled};
use alveary::{Backend, Object, Target};

const RING: &str = r#"
    static long (*bpf_ringbuf_output)(void *map, void *data, __u64 size, __u64 flags) = (void *)130;
    struct { __uint(type, 27); __uint(max_entries, 4096); } events SEC(".maps");
    char _license[] SEC("license") = "GPL";
    SEC("xdp") int entry(struct xdp_md *ctx) {
        static int count; int mine = ++count;
        bpf_ringbuf_output(&events, &mine, sizeof(mine), 0);
        return 2;
    }"#;

const PERF: &str = r#"
    static long (*bpf_perf_event_output)(void *ctx, void *map, __u64 flags, void *data, __u64 size) = (void *)25;
    struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); } events SEC(".maps");
    char _license[] SEC("license") = "GPL";
    SEC("xdp") int entry(struct xdp_md *ctx) {
        static int count; int mine = ++count;
        bpf_perf_event_output(ctx, &events, 0xffffffffULL, &mine, sizeof(mine));
        return 2;
    }"#;

/// The events of three runs, as numbers.
fn events<B: Backend>(object: &Object, on: B) -> Vec<u32> {
    let loaded = object.load(on).expect("a program");
    let (on, map) = (loaded.target(), loaded.map("events").unwrap());
    let mut seen = Vec::new();
    let mut drain =
        || on.events(map, &mut |_, data| seen.push(u32::from_ne_bytes(data[..4].try_into().unwrap()))).expect("events");
    // Perf buffers take events from the time on that someone has opened them.
    assert_eq!(drain(), 0);
    for _ in 0..3 {
        loaded.program("entry").unwrap().run(&[0; 64]).expect("a run");
    }
    assert_eq!(drain(), 0);
    seen.sort_unstable();
    seen
}

#[test]
fn events_come_on_both_targets() {
    let test = "events_come_on_both_targets";
    if !allowed(test) {
        return;
    }
    for source in [RING, PERF] {
        let Some(object) = compiled(test, source) else { return };
        assert_eq!(events(&object, Target::linux()), [1, 2, 3]);
        assert_eq!(events(&object, Target::user()), [1, 2, 3]);
    }
}
