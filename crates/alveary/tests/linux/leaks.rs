use crate::support::{allowed, compiled};
use alveary::{
    Target,
    kernel::sys::{Object, ids},
};
use std::fs;

/// A program that the verifier is done with at once, and a map of each kind that is made in another way.
const SOURCE: &str = r#"
    int seen = 3;
    struct inner { __uint(type, 2); __uint(max_entries, 1); __type(key, int); __type(value, int); };
    struct inner one SEC(".maps");
    struct { __uint(type, 12); __uint(max_entries, 2); __type(key, int); __array(values, struct inner); }
        outer SEC(".maps") = { .values = { [1] = &one } };
    int target(struct xdp_md *);
    struct { __uint(type, 3); __uint(max_entries, 2); __type(key, int); __array(values, int (void *)); }
        jumps SEC(".maps") = { .values = { [1] = (void *)&target } };
    SEC("xdp") int target(struct xdp_md *ctx) { return seen; }
    SEC("xdp") int entry(struct xdp_md *ctx) { bpf_tail_call(ctx, &jumps, 1); return 0; }"#;

/// What this process has open: descriptors of other tests that run meanwhile may come and go, so that only a rise counts
/// which the cycles explain.
fn open() -> usize {
    fs::read_dir("/proc/self/fd").expect("descriptors").count()
}

#[test]
fn a_thousand_loads_leave_nothing() {
    let test = "a_thousand_loads_leave_nothing";
    if !allowed(test) {
        return;
    }
    let Some(object) = compiled(test, SOURCE) else { return };
    let linux = Target::linux();
    let before = open();
    let mut made = Vec::new();
    for cycle in 0..1000 {
        let loaded = object.load(linux.clone()).expect("a program");
        if cycle % 100 == 0 {
            made.push(loaded.program("entry").expect("a program").handle().id());
            made.extend(loaded.maps().map(|(_, map)| map.sys().info().expect("a description").id));
        }
    }
    assert!(open() < before + 500, "{} descriptors before, {} after", before, open());
    drop(object);
    // Programs and maps are freed behind our back, a grace period later.
    let left = || {
        let alive = |object| ids(object).filter_map(Result::ok).collect::<Vec<_>>();
        let (progs, maps) = (alive(Object::Prog), alive(Object::Map));
        made.iter().filter(|id| progs.contains(id) && maps.contains(id)).count()
    };
    let gone = (0..1_000_000).any(|_| left() == 0);
    assert!(gone, "{} objects are left", left());
}
