//! `alveary gen object`.

use crate::{compiled, golden::golden, session::Session};

const ENTRY: &str = r#"
    extern int threshold;
    extern struct counts { __uint(type, 2); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64); }
        counts SEC(".maps");
    int weigh(struct xdp_md *context);
    static void *(*lookup)(void *map, const void *key) = (void *)1;
    SEC("xdp") int entry(struct xdp_md *context) {
        __u32 key = weigh(context) > threshold;
        __u64 *count = lookup(&counts, &key);
        if (count) *count += 1;
        return key ? 2 : 1;
    }"#;

const OTHER: &str = r#"
    int threshold = 100;
    struct counts { __uint(type, 2); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64); }
        counts SEC(".maps");
    __attribute__((noinline)) int weigh(struct xdp_md *context) { return context->data_end - context->data; }"#;

#[test]
fn linked_objects_run_as_one() {
    let test = "linked_objects_run_as_one";
    let (Some(entry), Some(other)) = (compiled::object(test, ENTRY), compiled::object(test, OTHER)) else { return };
    let session = Session::new()
        .file("entry.o", entry)
        .file("other.o", other)
        .example("traffic.pcap")
        .run("gen object all.o entry.o other.o")
        .run("--json gen object again.o entry.o other.o")
        .run("gen object part.o entry.o")
        .run("show all.o")
        .run("run all.o --pcap traffic.pcap --dump-maps");
    golden("gen-object.txt", session.text());
    assert_eq!(session.read("all.o"), session.read("again.o"));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let test = "what_does_not_fit_together_is_refused";
    let other = OTHER.replace("int threshold = 100", "long threshold = 100").replace("LICENSE", "OTHER");
    let (Some(entry), Some(other)) = (compiled::object(test, ENTRY), compiled::object(test, &other)) else { return };
    let session = Session::new()
        .file("entry.o", entry)
        .file("other.o", other)
        .file("text.o", "int main(void)\n")
        .run("gen object all.o entry.o other.o")
        .run("gen object all.o entry.o entry.o")
        .run("gen object entry.o entry.o other.o")
        .run("gen object all.o entry.o text.o")
        .run("gen object all.o missing.o");
    golden("gen-object-errors.txt", session.text());
    assert!(!session.exists("all.o"), "nothing is written");
}
